#!/usr/bin/env python3
"""Makes tests/golden/onnx: small random models as each exporter writes them, and what ONNX Runtime answers. Run by hand:

    pip install -r tools/onnx_requirements.txt
    python tools/make_onnx.py                      all
    python tools/make_onnx.py bert-dynamo-20       these
    python tools/make_onnx.py --minilm build/onnx  the real MiniLM, which is not committed

    pip install -r tools/onnx_requirements_newer.txt   (another environment)
    python tools/make_onnx.py --newer              what transformers 5 makes of its models

    tools/make_onnx_tensorflow.py                  tf2onnx's, in a third environment

The versions are pinned; others are refused. A model's folder holds model.onnx (and model.onnx.data where the exporter writes
it), config.json, vocab.txt and expected.json:

    exporter, steps, versions, opset, ir  who wrote the file
    facts                                 what must be recognised: sizes, head, pooling, ...; outputs: what each of the graph's
                                          outputs is; tolerance: of the proof
    batches                               ids and types, ragged, and for each output that querent serves ONNX Runtime's numbers,
                                          those of padding cut away, flat, to 7 digits

Random is only what make_model.py draws from the model's seed.
"""
import argparse
import shutil
import tempfile
from pathlib import Path

import onnx_exporters as exporters
import torch
from onnx_expected import OUT, batches, check_versions, padded, write
from onnx_models import Sentence, directory, encoder
from onnx_table import BERT, EXPORTS, HIDDEN, MINILM, NEWER
from transformers import AutoModel

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent


def export(path, about, options, folder, asked):
    """Writes the model of the folder as the entry's exporter does."""
    inputs, kind, opset = about["inputs"], about["exporter"], about["opset"]
    model = encoder(folder, options, about.get("attention", "eager"), about.get("torch_half", False))
    if kind == "optimum":
        model.save_pretrained(folder)
        exporters.export_optimum(folder, path, about["task"], opset, about.get("library", "transformers"))
        return
    if "pooling" in about:
        model = Sentence(model, about["pooling"], about["normalize"], HIDDEN in about["outputs"])
    arrays, fixed = padded(asked[0], inputs), about.get("fixed")
    if kind == "torchscript":
        exporters.export_torchscript(model, arrays, about["outputs"], path, opset, fixed)
    else:
        exporters.export_dynamo(model, arrays, about["outputs"], path, opset, fixed, options["positions"],
                                about.get("external", False))


def change(path, steps, options, asked, inputs):
    for step, *args in steps:
        if step == "optimizer":
            exporters.change_optimizer(path, options["heads"], options["hidden"], *args)
        elif step == "static":
            exporters.change_static(path, [padded(batch, inputs) for batch in asked], *args)
        else:
            getattr(exporters, "change_" + step)(path, *args)


def make(name, about):
    out = OUT / name
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    inputs = about["inputs"]
    with tempfile.TemporaryDirectory(prefix="make_onnx.") as folder:
        options = directory(folder, about["model"])
        for file in ("config.json", "vocab.txt"):
            shutil.copy(Path(folder) / file, out / file)
        asked = batches(options, inputs, about.get("fixed"), options["seed"])
        export(out / "model.onnx", about, options, folder, asked)
    change(out / "model.onnx", about.get("steps", ()), options, asked, inputs)
    write(out, about, options, asked)


def make_minilm(out):
    """The real model as four exporters write it, without expected.json: tests ask ONNX Runtime itself."""
    source = ROOT / "models/minilm"
    sizes = {"heads": 12, "hidden": 384, "positions": 512}
    arrays = padded({"ids": [[101, 2129, 2146, 102], [101, 102]], "types": [[0] * 4, [0] * 2]}, BERT)
    for name, (kind, opset, steps) in MINILM.items():
        folder = out / name
        folder.mkdir(parents=True, exist_ok=True)
        for file in ("config.json", "vocab.txt", "tokenizer.json", "tokenizer_config.json"):
            shutil.copy(source / file, folder / file)
        model = AutoModel.from_pretrained(source, dtype=torch.float32, attn_implementation="sdpa", add_pooling_layer=False).eval()
        model.config.return_dict = False
        path = folder / "model.onnx"
        if kind == "dynamo":
            exporters.export_dynamo(model, arrays, [HIDDEN], path, opset, None, sizes["positions"], True)
        else:
            exporters.export_torchscript(model, arrays, [HIDDEN], path, opset, None)
        change(path, steps, sizes, [], BERT)
        print(f"{path}: {path.stat().st_size} bytes", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help="only these")
    parser.add_argument("--newer", action="store_true", help="those of transformers 5")
    parser.add_argument("--minilm", metavar="DIR", help="export the real MiniLM there instead")
    args = parser.parse_args()
    check_versions(HERE / ("onnx_requirements_newer.txt" if args.newer else "onnx_requirements.txt"))
    exporters.quiet()
    torch.set_num_threads(1)
    if args.minilm:
        return make_minilm(Path(args.minilm))
    for name, about in (NEWER if args.newer else EXPORTS).items():
        if not args.names or name in args.names:
            make(name, about)


if __name__ == "__main__":
    main()
