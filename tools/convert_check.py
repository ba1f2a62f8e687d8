#!/usr/bin/env python3
"""Compares what `querent convert` writes with transformers and sentence-transformers, which have to load it whole. Run by hand:

    pip install torch transformers sentence-transformers onnxruntime
    python tools/convert_check.py                                 models of every family and head, made at random
    python tools/convert_check.py models/minilm                   this
    python tools/convert_check.py tests/golden/onnx/*/model.onnx  graphs

Of each model: transformers loads the converted directory without a missing, unexpected or mismatched tensor; from safetensors,
the class that transformers makes of the original gives the same numbers to 1e-5; from ONNX, ONNX Runtime gives the graph's to
1e-3 (1e-2 in half precision; what is quantized is not compared); of an embedding model, `querent embed` and
sentence-transformers give the same vectors to 1e-5. Exit status: 0 all agree, 1 one does not.
"""
import argparse
import inspect
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime
import torch
import transformers
from sentence_transformers import SentenceTransformer

ROOT = Path(__file__).resolve().parent.parent
sys.path += [str(ROOT / "tests/cli"), str(ROOT / "tests")]
from make_model import make_model  # noqa: E402

TEXTS = ["what is a lake", "best soup near me", "paris", "the river of the city " * 20]
TOLERANCE = 1e-5


def made(folder):
    """(name, directory) of the models of tests/cli/convert_cases.py."""
    from program import SHAPE, WORDS
    from convert_cases import CASES

    for name, (options, _) in CASES.items():
        model = make_model(folder / name, **{**SHAPE, **WORDS, **options})
        if options.get("family") == "distilbert":  # whose tokenizer gives no segments
            path = model / "tokenizer_config.json"
            path.write_text(path.read_text().replace("BertTokenizer", "DistilBertTokenizer"))
        yield name, model


def load(directory):
    """The model that config.json names, and what transformers missed."""
    config = json.loads((directory / "config.json").read_text())
    made_of = getattr(transformers, config["architectures"][0])
    model, info = made_of.from_pretrained(directory, output_loading_info=True, attn_implementation="eager")
    return model.eval(), {key: sorted(value) for key, value in info.items() if value}


def outputs(model, ids, types):
    """Numbers by name, but BERT's pooler: the original may have none."""
    inputs = {"input_ids": ids}
    if "token_type_ids" in inspect.signature(model.forward).parameters:
        inputs["token_type_ids"] = types
    with torch.no_grad():
        found = model(**inputs)
    return {name: value.numpy() for name, value in found.items() if name != "pooler_output"}


def graph_outputs(model, ids, types):
    """What ONNX Runtime gives for a graph that takes any size; {} for one that is made for a size."""
    options = onnxruntime.SessionOptions()  # with its optimizer on, it quantizes activations where only weights are
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    given = {"input_ids": ids.numpy(), "token_type_ids": types.numpy(), "attention_mask": np.ones_like(ids.numpy())}
    kinds = {"tensor(int32)": np.int32, "tensor(float)": np.float32, "tensor(bool)": np.bool_}
    taken = {one.name: given[one.name].astype(kinds.get(one.type, np.int64)) for one in session.get_inputs() if one.name in given}
    if len(taken) < len(session.get_inputs()) or any(isinstance(size, int) for one in session.get_inputs() for size in one.shape):
        return {}
    return dict(zip([one.name for one in session.get_outputs()], session.run(None, taken)))


def compare(ours, theirs, tolerance):
    """The outputs that both have."""
    faults = []
    for key in set(theirs) & set(ours):
        worst = np.abs(ours[key] - theirs[key]).max()
        if not worst <= tolerance * max(1, np.abs(theirs[key]).max()):
            faults.append(f"{key} differs by {worst}")
    return faults


def check(binary, name, model, folder):
    """What is wrong with the model's conversion."""
    out = folder / (name + "-converted")
    done = subprocess.run([binary, "convert", model, out], capture_output=True, text=True)
    if done.returncode != 0:
        return [done.stderr.strip()]
    converted, missed = load(out)
    faults = [f"transformers: {missed}"] if missed else []
    ids = torch.tensor([[2, 17, 99, 3, 45, 8, 3], [2, 5, 6, 7, 9, 300, 3]]) % converted.config.vocab_size
    types = torch.tensor([[0, 0, 0, 0, 1, 1, 1], [0, 0, 0, 0, 0, 1, 1]])
    ours = outputs(converted, ids, types)
    if model.is_dir() and (model / "model.safetensors").exists():
        faults += compare(ours, outputs(load(model)[0], ids, types), TOLERANCE)
    elif (facts := json.loads(subprocess.run([binary, "inspect", model, "--json"], capture_output=True).stdout)["onnx"]) and not facts["quantized"]:
        faults += compare(ours, graph_outputs(facts["path"], ids, types), 1e-2 if facts["half"] else 1e-3)
    residual = any("use_residual" in path.read_text() for path in out.glob("*_Dense/config.json"))
    if (out / "modules.json").exists() and not residual:  # which not every sentence-transformers knows
        given = subprocess.run([binary, "embed", "--model", out], input="\n".join(TEXTS), capture_output=True, text=True, check=True)
        vectors = np.array([json.loads(line) for line in given.stdout.splitlines()])
        wanted = SentenceTransformer(str(out), device="cpu").encode(TEXTS, prompt_name=None)
        worst = np.abs(vectors - wanted).max()
        if not worst <= TOLERANCE * max(1, np.abs(wanted).max()):
            faults.append(f"vectors differ by {worst}")
    return faults


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", type=Path)
    parser.add_argument("--binary", default=ROOT / "build/querent")
    arguments = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        models = [(f"{i}-{path.resolve().parent.name if path.is_file() else path.name}", path) for i, path in enumerate(arguments.models)] or made(folder)
        for name, model in models:
            faults = check(arguments.binary, name, model, folder)
            failed += bool(faults)
            print(f"{name}: {'; '.join(faults) or 'agrees'}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
