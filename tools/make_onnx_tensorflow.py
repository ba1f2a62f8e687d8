#!/usr/bin/env python3
"""Makes those models of tests/golden/onnx that tf2onnx writes, as make_onnx.py does the others. Run by hand, in an environment
of its own:

    pip install -r tools/onnx_requirements_tensorflow.txt
    python tools/make_onnx_tensorflow.py

transformers' TensorFlow models, with the GELU by erf that they had before TensorFlow wrote it by erfc, which tf2onnx does not
know; the weights are make_model.py's.
"""
import os

os.environ |= {"CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3", "TF_USE_LEGACY_KERAS": "1"}

import re  # noqa: E402
import shutil  # noqa: E402
import tempfile  # noqa: E402
from pathlib import Path  # noqa: E402

import tensorflow as tf  # noqa: E402
import tf2onnx  # noqa: E402
from make_model import make_model, tensor_shapes, weights, DEFAULTS  # noqa: E402
from onnx_expected import OUT, batches, check_versions, write  # noqa: E402
from transformers import BertConfig, DistilBertConfig, TFBertModel, TFDistilBertForQuestionAnswering  # noqa: E402
from transformers.activations_tf import _gelu  # noqa: E402

HERE = Path(__file__).resolve().parent
BASE = {"layers": 1, "hidden": 32, "heads": 4, "feed_forward": 40, "vocab": 84, "positions": 40, "types": 2}
GAIN = 6
PACKAGES = ("tensorflow-cpu", "tf2onnx", "transformers")

# name -> class, configuration, model, inputs, outputs, opset
MODELS = {
    "bert-tf2onnx": (TFBertModel, BertConfig, {"pooler": True, "seed": 120}, ["input_ids", "attention_mask", "token_type_ids"],
                     ["last_hidden_state", "pooler_output"], 13),
    "distilbert-tf2onnx-span": (TFDistilBertForQuestionAnswering, DistilBertConfig,
                                {"family": "distilbert", "head": "span", "seed": 121}, ["input_ids", "attention_mask"],
                                ["start_logits", "end_logits"], 18),
}


def fill(model, options):
    """Gives a TensorFlow model make_model's numbers under the names that torch's would have."""
    shapes = tensor_shapes(DEFAULTS | options | {"prefix": ""})
    for variable in model.weights:
        name = re.sub(r"layer_\._", "layer.", variable.name.split(":")[0])
        name = name.split("/", 2 if "qa_outputs" not in name else 1)[-1].replace("/", ".")
        name = re.sub(r"\.(kernel|gamma|embeddings)$", ".weight", name).replace(".beta", ".bias")
        name = re.sub(r"^tf_\w+?model\.\w+\.", "", name)
        drawn = weights(name, shapes[name], options["seed"])
        if "orm" not in name and "embeddings." not in name:
            drawn = drawn * (GAIN if drawn.ndim == 2 else 2)
        variable.assign(drawn.T if variable.name.split(":")[0].endswith("kernel") else drawn)


def gelu_by_erf(model):
    for layer in model._flatten_layers():
        for attribute in ("intermediate_act_fn", "activation"):
            if callable(getattr(layer, attribute, None)) and type(layer).__name__.endswith(("Intermediate", "FFN")):
                setattr(layer, attribute, _gelu)


def make(name, kind, configuration, options, inputs, outputs, opset):
    options = BASE | options
    out = OUT / name
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as folder:
        make_model(folder, **options)
        for file in ("config.json", "vocab.txt"):
            shutil.copy(Path(folder) / file, out / file)
        model = kind(configuration.from_pretrained(folder))
    model.build_in_name_scope()
    fill(model, options)
    gelu_by_erf(model)
    specs = [tf.TensorSpec((None, None), tf.int32, name=i) for i in inputs]

    @tf.function(input_signature=specs)
    def run(*given):
        result = model(**dict(zip(inputs, given)))
        return {output: result[output] for output in outputs}

    tf2onnx.convert.from_function(run, input_signature=specs, opset=opset, output_path=str(out / "model.onnx"))
    about = {"exporter": "tf2onnx", "inputs": inputs, "packages": PACKAGES, "tolerance": 1e-3}
    write(out, about, options, batches(options, inputs, None, options["seed"]))


def main():
    check_versions(HERE / "onnx_requirements_tensorflow.txt")
    for name, about in MODELS.items():
        make(name, *about)


if __name__ == "__main__":
    main()
