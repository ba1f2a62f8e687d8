#!/usr/bin/env python3
"""Writes a small model directory in Hugging Face's layout with reproducible random weights. Needs numpy only.

    tools/make_model.py OUT --family bert --layers 2 --hidden 128 --heads 4 --feed-forward 509 --head labels

or, from Python: make_model("out", layers=2, hidden=128, heads=4, feed_forward=509, head="labels").

The weights follow a rule short enough to be written again elsewhere (tests/unit/engine/model_maker.c does, in C), so goldens of
large models need no weights in the repository:

    state   = fnv1a64(tensor's name as stored) xor seed
    z(i)    = splitmix64's output number i (from 0) from that state
    u(i)    = (z(i) >> 40) * 2^-23 - 1                                   in [-1, 1), exact in f32
    weight  = 1 + u/4   a LayerNorm's weight        u/4   a LayerNorm's bias
              u         embeddings                  u/16  everything else
    bf16    = the upper 16 bits;  f16 = truncated, subnormals to zero    (no rounding to get wrong)

A tensor's numbers are filled in row-major order; tensors lie in the file sorted by name.

The vocabulary is a small one of our own, or, with --vocab-from DIR, that of another model directory: real words for
weights that mean nothing.
"""
import argparse
import json
import shutil
import struct
import sys
from pathlib import Path

import numpy as np

WORDS = """the of and to in a is for how what where when who why best cheap near me open hours weather today tomorrow
train bus ticket price hotel city river mountain lake bread recipe soup garden rose tree bird song music film book
play run ##ning ##s ##ed ##er ##ing ##ly light bulb change language program function test server query search answer
question paris london berlin capital france england germany long short high low red green blue black white""".split()


def fnv1a64(text):
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = ((value ^ byte) * 0x100000001B3) % 2**64
    return value


def draw(name, count, seed):
    """u(0) .. u(count - 1) of the rule above, as f32."""
    gamma = np.uint64(0x9E3779B97F4A7C15)
    with np.errstate(over="ignore"):
        z = np.uint64(fnv1a64(name) ^ seed) + gamma * np.arange(1, count + 1, dtype=np.uint64)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-23) - np.float32(1)


def weights(name, shape, seed):
    u = draw(name, int(np.prod(shape)), seed)
    if "LayerNorm" in name or "layer_norm" in name:
        u = u / np.float32(4) + np.float32(1 if name.endswith(".weight") else 0)
    elif "embeddings" not in name:
        u = u / np.float32(16)
    return u.reshape(shape)


def store(array, dtype):
    """The array's bytes in the file's dtype."""
    bits = array.astype("<f4").reshape(-1).view("<u4")
    if dtype == "bf16":
        return (bits >> 16).astype("<u2").tobytes()
    if dtype == "f16":
        half = ((bits & 0x7FFFFFFF) >> 13).astype(np.int64) - (112 << 10)
        half = np.where(half < (1 << 10), 0, half) | ((bits >> 16) & 0x8000)
        return half.astype("<u2").tobytes()
    return bits.tobytes()


def tensor_shapes(o):
    """Names as stored -> shapes."""
    c, f, e = o["hidden"], o["feed_forward"], o["embedding"] or o["hidden"]
    distil, electra = o["family"] == "distilbert", o["family"] == "electra"
    prefix = o["prefix"]
    shapes = {}

    def linear(name, out, into):
        shapes[name + ".weight"] = (out, into)
        shapes[name + ".bias"] = (out,)

    def norm(name, size=c):
        shapes[name + ".weight"] = (size,)
        shapes[name + ".bias"] = (size,)

    shapes[prefix + "embeddings.word_embeddings.weight"] = (o["vocab"], e)
    shapes[prefix + "embeddings.position_embeddings.weight"] = (o["positions"], e)
    if not distil:
        shapes[prefix + "embeddings.token_type_embeddings.weight"] = (o["types"], e)
    norm(prefix + "embeddings.LayerNorm", e)
    if e != c:
        linear(prefix + "embeddings_project", c, e)
    for i in range(o["layers"]):
        layer = f"{prefix}transformer.layer.{i}." if distil else f"{prefix}encoder.layer.{i}."
        names = (["attention.q_lin", "attention.k_lin", "attention.v_lin", "attention.out_lin", "ffn.lin1", "ffn.lin2",
                  "sa_layer_norm", "output_layer_norm"] if distil else
                 ["attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense",
                  "intermediate.dense", "output.dense", "attention.output.LayerNorm", "output.LayerNorm"])
        for name in names[:4]:
            linear(layer + name, c, c)
        linear(layer + names[4], f, c)
        linear(layer + names[5], c, f)
        norm(layer + names[6])
        norm(layer + names[7])
    if o["head"] == "span":
        linear("qa_outputs", 2, c)
    elif o["head"] == "labels":
        linear("pre_classifier" if distil else "classifier.dense" if electra else prefix + "pooler.dense", c, c)
        linear("classifier.out_proj" if electra else "classifier", o["labels"], c)
    elif o["head"] == "tokens":
        linear("classifier", o["labels"], c)
    elif o["pooler"] and not distil and not electra:
        linear(prefix + "pooler.dense", c, c)
    return shapes


def write_safetensors(path, tensors, dtype):
    """tensors: name -> f32 array. Written by hand: u64 header length, JSON header, data."""
    header, data, at = {"__metadata__": {"format": "pt"}}, [], 0
    for name in sorted(tensors):
        raw = store(tensors[name], dtype)
        header[name] = {"dtype": dtype.upper(), "shape": list(tensors[name].shape), "data_offsets": [at, at + len(raw)]}
        data.append(raw)
        at += len(raw)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    Path(path).write_bytes(struct.pack("<Q", len(text)) + text + b"".join(data))


def config(o):
    heads = {"none": "Model", "span": "ForQuestionAnswering", "labels": "ForSequenceClassification",
             "tokens": "ForTokenClassification"}
    names = {"bert": "Bert", "distilbert": "DistilBert", "electra": "Electra"}
    distil = o["family"] == "distilbert"
    out = {"architectures": [names[o["family"]] + heads[o["head"]]], "model_type": o["family"],
           "vocab_size": o["vocab"], "max_position_embeddings": o["positions"], "pad_token_id": 0,
           "torch_dtype": {"f32": "float32", "f16": "float16", "bf16": "bfloat16"}[o["dtype"]]}
    if distil:
        out |= {"n_layers": o["layers"], "dim": o["hidden"], "n_heads": o["heads"], "hidden_dim": o["feed_forward"],
                "activation": o["activation"]}
    else:
        out |= {"num_hidden_layers": o["layers"], "hidden_size": o["hidden"], "num_attention_heads": o["heads"],
                "intermediate_size": o["feed_forward"], "hidden_act": o["activation"], "layer_norm_eps": o["eps"],
                "type_vocab_size": o["types"], "position_embedding_type": "absolute"}
    if o["family"] == "electra":
        out["embedding_size"] = o["embedding"] or o["hidden"]
    if o["problem_type"]:
        out["problem_type"] = o["problem_type"]
    if o["head"] in ("labels", "tokens"):
        names = o["label_names"] or [f"LABEL_{i}" for i in range(o["labels"])]
        out |= {"id2label": {str(i): n for i, n in enumerate(names)}, "label2id": {n: i for i, n in enumerate(names)}}
    return out


def vocabulary(size):
    """Special tokens, printable ASCII with its continuations, some words, then unused entries up to `size`."""
    letters = [chr(c) for c in range(33, 127) if not chr(c).isupper()]
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + letters
    words += ["##" + c for c in letters if c.isalnum()] + list(dict.fromkeys(WORDS))
    words = list(dict.fromkeys(words))
    if size < 5:
        sys.exit("make_model: a vocabulary needs at least its 5 special tokens")
    return words[:size] + [f"[unused{i}]" for i in range(size - len(words))]


def write_tokenizer(out, o):
    words = vocabulary(o["vocab"])
    (out / "vocab.txt").write_text("\n".join(words) + "\n")
    special = [{"id": i, "content": words[i], "single_word": False, "lstrip": False, "rstrip": False,
                "normalized": False, "special": True} for i in range(5)]
    pieces = {"[CLS]": {"id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]},
              "[SEP]": {"id": "[SEP]", "ids": [3], "tokens": ["[SEP]"]}}
    cls, sep = ({"SpecialToken": {"id": t, "type_id": 0}} for t in ("[CLS]", "[SEP]"))
    a, b = ({"Sequence": {"id": s, "type_id": i}} for i, s in enumerate("AB"))
    (out / "tokenizer.json").write_text(json.dumps({
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": special,
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None,
                       "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "TemplateProcessing", "single": [cls, a, sep],
                           "pair": [cls, a, sep, b, {"SpecialToken": {"id": "[SEP]", "type_id": 1}}],
                           "special_tokens": pieces},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": {w: i for i, w in enumerate(words)}}}))
    (out / "tokenizer_config.json").write_text(json.dumps({
        "tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": o["positions"]}))


VOCABULARY_FILES = ("vocab.txt", "tokenizer.json", "tokenizer_config.json")


def copy_tokenizer(out, directory):
    for name in VOCABULARY_FILES:
        shutil.copy(directory / name, out / name)


def dense_modules(text, width):
    """Of "40:Tanh,24:ReLU:nobias:residual": the configurations, each module reading what the one before it wrote."""
    for spec in text.split(",") if text else []:
        out, activation, *flags = spec.split(":")
        kind = "linear.Identity" if activation == "Identity" else "activation." + activation
        yield {"in_features": width, "out_features": int(out), "bias": "nobias" not in flags,
               "activation_function": "torch.nn.modules." + kind, "use_residual": "residual" in flags}
        width = int(out)


def write_dense(folder, about, o):
    """Weights are drawn by the folder's name and the tensor's, so that no two modules are alike."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(about))
    shapes = {"linear.weight": (about["out_features"], about["in_features"])}
    if about["bias"]:
        shapes["linear.bias"] = (about["out_features"],)
    if about["use_residual"] and about["in_features"] != about["out_features"]:
        shapes["residual.weight"] = shapes["linear.weight"]
    tensors = {name: weights(f"{folder.name}/{name}", shape, o["seed"]) for name, shape in shapes.items()}
    write_safetensors(folder / "model.safetensors", tensors, o["dtype"])


def write_modules(out, o):
    modes = o["pooling"].split("+")
    denses = list(dense_modules(o["dense"], len(modes) * o["hidden"]))
    kinds = ["Transformer", "Pooling"] + ["Dense"] * len(denses) + (["Normalize"] if o["normalize"] else [])
    for i, about in enumerate(denses):
        write_dense(out / f"{2 + i}_Dense", about, o)
    (out / "modules.json").write_text(json.dumps(
        [{"idx": i, "name": str(i), "path": "" if i == 0 else f"{i}_{k}", "type": "sentence_transformers.models." + k}
         for i, k in enumerate(kinds)]))
    (out / "1_Pooling").mkdir(exist_ok=True)
    if o["pooling"] in ("cls", "mean"):  # the older form
        about = {"word_embedding_dimension": o["hidden"], "pooling_mode_cls_token": o["pooling"] == "cls",
                 "pooling_mode_mean_tokens": o["pooling"] == "mean"}
    else:
        about = {"embedding_dimension": o["hidden"], "pooling_mode": modes if len(modes) > 1 else modes[0]}
    if not o["include_prompt"]:
        about["include_prompt"] = False
    (out / "1_Pooling/config.json").write_text(json.dumps(about))


DEFAULTS = {"family": "bert", "layers": 2, "hidden": 64, "heads": 4, "feed_forward": 128, "vocab": 320, "positions": 128,
            "types": 2, "activation": "gelu", "eps": 1e-12, "head": "none", "labels": 2, "label_names": None, "dtype": "f32",
            "prefix": None, "pooler": False, "pooling": None, "dense": None, "include_prompt": True, "prompts": None,
            "problem_type": None, "embedding": None, "normalize": True, "max_seq_length": None, "seed": 1,
            "tokenizer": True, "vocab_from": None}


def make_model(out, **options):
    """Writes the directory `out`; options and defaults are DEFAULTS. `pooling` (names with "+" between them) adds
    modules.json, `dense` ("40:Tanh,24:ReLU:nobias:residual") more modules behind it; `prompts` is a JSON object of texts;
    `embedding` is ELECTRA's size of embeddings; `prefix` is by default what save_pretrained writes: none for a bare
    encoder, "bert.", "distilbert." or "electra." under a head."""
    unknown = set(options) - set(DEFAULTS)
    if unknown:
        raise TypeError(f"make_model: unknown options {sorted(unknown)}")
    o = DEFAULTS | options
    if o["prefix"] is None:
        o["prefix"] = "" if o["head"] == "none" else o["family"] + "."
    if o["label_names"]:
        o["labels"] = len(o["label_names"])
    if o["vocab_from"]:
        with open(Path(o["vocab_from"]) / "vocab.txt", encoding="utf-8") as vocabulary:
            o["vocab"] = sum(1 for _ in vocabulary)
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    tensors = {name: weights(name, shape, o["seed"]) for name, shape in tensor_shapes(o).items()}
    write_safetensors(out / "model.safetensors", tensors, o["dtype"])
    (out / "config.json").write_text(json.dumps(config(o), indent=1))
    if o["vocab_from"]:
        copy_tokenizer(out, Path(o["vocab_from"]))
    elif o["tokenizer"]:
        write_tokenizer(out, o)
    if o["pooling"]:
        write_modules(out, o)
    if o["prompts"]:
        (out / "config_sentence_transformers.json").write_text(
            json.dumps({"prompts": json.loads(o["prompts"]), "default_prompt_name": None}))
    if o["max_seq_length"]:
        (out / "sentence_bert_config.json").write_text(
            json.dumps({"max_seq_length": o["max_seq_length"], "do_lower_case": False}))
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out")
    for key, value in DEFAULTS.items():
        flag = "--" + key.replace("_", "-")
        if isinstance(value, bool):
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=value)
        elif key == "label_names":
            parser.add_argument(flag, nargs="+", default=None)
        else:
            parser.add_argument(flag, type=int if key in ("max_seq_length", "embedding") else type(value) if value is not None else str,
                                default=value)
    options = vars(parser.parse_args())
    make_model(options.pop("out"), **options)


if __name__ == "__main__":
    main()
