"""The models that tools/make_onnx.py makes: name -> what is exported, by whom, and what is done to it afterwards."""

IDS, MASK, TYPES = "input_ids", "attention_mask", "token_type_ids"
BERT, DISTIL = (IDS, MASK, TYPES), (IDS, MASK)
HIDDEN, POOLER, SENTENCE, LOGITS = "last_hidden_state", "pooler_output", "sentence_embedding", "logits"
SPAN = ("start_logits", "end_logits")
PACKAGES = {"torchscript": ("torch", "transformers"), "dynamo": ("torch", "transformers", "onnxscript"),
            "optimum": ("torch", "transformers", "optimum", "optimum-onnx"), "tf2onnx": ()}

F32, HALF = 1e-3, 1e-2  # tolerances of the proof
TINY = {"layers": 1}    # where the graph's inner layers are those of another file
DISTILBERT, ELECTRA = {"family": "distilbert"}, {"family": "electra", "embedding": 20}
LABELS, TOKENS = {"head": "labels", "labels": 3}, {"head": "tokens", "labels": 5}

# Steps behind the exporter, as onnx_exporters.change_... take them.
OPTIMIZER, HALVED, HALF_INSIDE = ("optimizer", {}), ("optimizer", {"half": "all"}), ("optimizer", {"half": "inside"})
MULTI_HEAD = ("optimizer", {"multi_head": True})
BASIC, EXTENDED, ALL = ("session", "BASIC"), ("session", "EXTENDED"), ("session", "ALL")
SHAPED = ("shapes",)


def dynamic(signed=True, per_channel=False, embeddings=False):
    return ("dynamic", per_channel, not signed, signed, embeddings)


def static(signed=False, per_channel=False, operators=None):
    return ("static", per_channel, signed, operators)


def entry(seed, exporter, opset, outputs=(HIDDEN,), inputs=None, model=(), tolerance=None, **more):
    model = dict(model, seed=seed)
    if inputs is None:
        inputs = DISTIL if model.get("family") == "distilbert" else BERT
    if POOLER in outputs:
        model["pooler"] = True
    half = more.get("torch_half", False) or any(step in (HALVED, HALF_INSIDE) for step in more.get("steps", ()))
    packages = PACKAGES[exporter] + (("onnxruntime",) if more.get("steps") else ())
    return dict(more, exporter=exporter, opset=opset, outputs=list(outputs), inputs=list(inputs), model=model,
                tolerance=tolerance or (HALF if half else F32), half=half, packages=packages)


EXPORTS = {
    # torch's TorchScript exporter: opsets 11 to 20
    "bert-torchscript-11": entry(1, "torchscript", 11, (HIDDEN, POOLER)),
    "bert-torchscript-14-sdpa": entry(2, "torchscript", 14, attention="sdpa", model=TINY),
    "bert-torchscript-17": entry(3, "torchscript", 17, model=TINY | {"hidden": 36, "heads": 3}),
    "bert-torchscript-20-sdpa": entry(4, "torchscript", 20, attention="sdpa", model=TINY),
    "bert-torchscript-no-types": entry(5, "torchscript", 13, inputs=(IDS, MASK), model=TINY | {"activation": "gelu_new"}),
    "bert-torchscript-ids-sdpa": entry(7, "torchscript", 16, inputs=(IDS,), attention="sdpa", model=TINY),
    "bert-torchscript-fixed": entry(8, "torchscript", 17, fixed=(2, 12), attention="sdpa", model=TINY),
    "bert-torchscript-half": entry(9, "torchscript", 17, torch_half=True, model=TINY),
    "bert-torchscript-span": entry(11, "torchscript", 15, SPAN, attention="sdpa", model=TINY | {"head": "span", "eps": 1e-5}),
    "bert-torchscript-labels": entry(12, "torchscript", 17, (LOGITS,), model=TINY | LABELS),
    "bert-torchscript-tokens": entry(13, "torchscript", 16, (LOGITS,), model=TINY | TOKENS | {"activation": "relu"}),
    "distilbert-torchscript-11": entry(14, "torchscript", 11, model=TINY | DISTILBERT),
    "distilbert-torchscript-17-sdpa": entry(15, "torchscript", 17, attention="sdpa", model=TINY | DISTILBERT),
    "distilbert-torchscript-labels": entry(17, "torchscript", 13, (LOGITS,), model=TINY | DISTILBERT | LABELS),
    "electra-torchscript-14": entry(18, "torchscript", 14, model=TINY | ELECTRA),
    "electra-torchscript-labels": entry(19, "torchscript", 20, (LOGITS,), model=TINY | ELECTRA | LABELS),
    "sentence-torchscript-mean": entry(20, "torchscript", 14, (HIDDEN, SENTENCE), pooling="mean", normalize=True, model=TINY),
    "sentence-torchscript-cls": entry(21, "torchscript", 17, (SENTENCE,), pooling="cls", normalize=True, model=TINY),
    "sentence-torchscript-max": entry(22, "torchscript", 18, (SENTENCE,), pooling="max", normalize=False,
                                      model=TINY | DISTILBERT),
    # torch's dynamo exporter: opsets 18 to 23
    "bert-dynamo-18-sdpa": entry(30, "dynamo", 18, (HIDDEN, POOLER), attention="sdpa"),
    "bert-dynamo-20": entry(31, "dynamo", 20, model=TINY),
    "bert-dynamo-23-sdpa": entry(32, "dynamo", 23, attention="sdpa", model=TINY),
    "bert-dynamo-external": entry(33, "dynamo", 18, attention="sdpa", external=True, model=TINY),
    "bert-dynamo-fixed": entry(34, "dynamo", 18, fixed=(1, 10), model=TINY),
    "bert-dynamo-half": entry(35, "dynamo", 18, attention="sdpa", torch_half=True, model=TINY),
    "bert-dynamo-labels": entry(36, "dynamo", 20, (LOGITS,), attention="sdpa", model=TINY | LABELS),
    "distilbert-dynamo-18": entry(37, "dynamo", 18, model=TINY | DISTILBERT),
    "distilbert-dynamo-span": entry(38, "dynamo", 18, SPAN, attention="sdpa", model=TINY | DISTILBERT | {"head": "span"}),
    "electra-dynamo-tokens": entry(39, "dynamo", 18, (LOGITS,), model=TINY | ELECTRA | TOKENS),
    "sentence-dynamo-mean": entry(40, "dynamo", 18, (SENTENCE,), attention="sdpa", pooling="mean", normalize=True,
                                  model=TINY),
    # optimum-onnx
    "bert-optimum": entry(50, "optimum", None, task="feature-extraction", model=TINY),
    "distilbert-optimum-span": entry(51, "optimum", None, SPAN, task="question-answering", model=TINY | DISTILBERT | {"head": "span"}),
    "sentence-optimum-mean": entry(53, "optimum", None, (HIDDEN, SENTENCE), inputs=(IDS, MASK), task="feature-extraction",
                                   library="sentence_transformers", pooling="mean", normalize=True, model=TINY | {"pooling": "mean"}),
    # ONNX Runtime's optimizer and sessions
    "bert-optimizer": entry(60, "torchscript", 14, (HIDDEN, POOLER), steps=[OPTIMIZER]),
    "bert-optimizer-half": entry(61, "torchscript", 17, steps=[HALVED]),
    "bert-optimizer-half-inside": entry(62, "torchscript", 14, steps=[HALF_INSIDE], model=TINY),
    "bert-optimizer-multi-head": entry(63, "torchscript", 14, steps=[MULTI_HEAD], model=TINY),
    "bert-optimizer-fast-gelu": entry(64, "torchscript", 14, steps=[OPTIMIZER], model=TINY | {"activation": "gelu_new"}),
    "bert-optimizer-dynamo": entry(65, "dynamo", 18, steps=[OPTIMIZER], model=TINY),
    "distilbert-optimizer": entry(66, "torchscript", 14, steps=[OPTIMIZER], model=TINY | DISTILBERT),
    "electra-optimizer-span": entry(67, "torchscript", 17, SPAN, steps=[OPTIMIZER], model=TINY | ELECTRA | {"head": "span"}),
    "bert-session-extended": entry(68, "torchscript", 14, (HIDDEN, POOLER), steps=[EXTENDED], model=TINY),
    # int8
    "bert-dynamic-int8": entry(80, "torchscript", 14, steps=[dynamic()], quantized=True, model=TINY),
    "bert-dynamic-uint8-channels": entry(81, "torchscript", 17, steps=[dynamic(False, True, True)], quantized=True, model=TINY),
    "bert-dynamic-int8-session": entry(82, "torchscript", 14, steps=[dynamic(), EXTENDED], quantized=True),
    "bert-optimizer-dynamic-int8": entry(83, "torchscript", 14, steps=[OPTIMIZER, dynamic()], quantized=True),
    "distilbert-dynamic-int8": entry(84, "optimum", None, task="feature-extraction", steps=[dynamic()], quantized=True,
                                     model=TINY | DISTILBERT),
    "bert-static-int8": entry(85, "torchscript", 14, steps=[SHAPED, static(operators=["MatMul", "Gather"])],
                              quantized=True, model=TINY),
    "distilbert-static-int8-channels": entry(86, "torchscript", 17, steps=[SHAPED, static(True, True, ["MatMul", "Gather"])], quantized=True,
                                             model=DISTILBERT),
    "bert-optimizer-static-int8": entry(87, "torchscript", 14, steps=[OPTIMIZER, static(True)]),
    "bert-weight-only-int8": entry(89, "torchscript", 17, steps=[("weight_only", False)], model=TINY),
    "sentence-weight-only-int8-channels": entry(90, "torchscript", 14, (SENTENCE,), steps=[("weight_only", True)], pooling="mean",
                                                normalize=True, model=TINY),
}

# What transformers 5 makes of its models: the attention mask is of booleans.
NEWER = {
    "bert-dynamo-bool-mask": entry(100, "dynamo", 18, (HIDDEN, POOLER), attention="sdpa"),
    "bert-dynamo-23-bool-mask": entry(101, "dynamo", 23, attention="sdpa", model=TINY),
    "distilbert-dynamo-bool-mask": entry(102, "dynamo", 20, attention="sdpa", model=TINY | DISTILBERT),
    "distilbert-torchscript-newer": entry(104, "torchscript", 14, model=TINY | DISTILBERT),
}

# The real model: exporter, opset, steps.
MINILM = {
    "minilm-torchscript": ("torchscript", 14, []),
    "minilm-dynamo": ("dynamo", 18, []),
    "minilm-optimizer": ("torchscript", 14, [OPTIMIZER]),
    "minilm-optimizer-half": ("torchscript", 14, [HALVED]),
    "minilm-dynamic-int8": ("torchscript", 14, [dynamic(embeddings=True)]),
}
