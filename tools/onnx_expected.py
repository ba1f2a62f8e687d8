"""What is written beside an exported model: the texts that it is asked, and what ONNX Runtime answers."""
import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

OUT = Path(__file__).resolve().parent.parent / "tests/golden/onnx"

# What an output is, by its name; else it is the head's.
KINDS = {"last_hidden_state": "hidden", "token_embeddings": "hidden", "pooler_output": "left out", "sentence_embedding": "pooled",
         "start_logits": "span start", "end_logits": "span end"}
HEADS = {"labels": "labels", "tokens": "token labels"}


def check_versions(requirements):
    """Refuses other versions than a requirements file asks for."""
    for line in requirements.read_text().splitlines():
        name, _, wanted = line.split("#")[0].strip().partition("==")
        if name and version(name).split("+")[0] != wanted:
            raise SystemExit(f"{name} {wanted} is needed, this is {version(name)}")


def batches(options, inputs, fixed, seed):
    """Ragged batches of ids and types: several sequences with padding and both segments, one alone, and a full one. A graph
    without a mask gets sequences of one length, one of fixed sizes gets these."""
    rng = np.random.default_rng(seed)
    if fixed:
        batch, longest = fixed
        lengths = [[longest] * batch]
        if "attention_mask" in inputs:
            lengths += [[max(3, longest - 3 * at) for at in range(batch)]]
    elif "attention_mask" in inputs:
        lengths = [[8, 3, 5], [4], [3, 9]]
    else:
        lengths = [[5, 5, 5], [4], [8, 8]]
    made = []
    for sizes in lengths:
        ids = [[2] + rng.integers(5, options["vocab"], size - 2).tolist() + [3] for size in sizes]
        splits = rng.integers(1, 10, len(sizes))
        types = [[int(at >= split) for at in range(size)] for size, split in zip(sizes, splits)]
        if "token_type_ids" not in inputs:
            types = [[0] * size for size in sizes]
        made.append({"ids": ids, "types": types})
    return made


def padded(batch, inputs, width=0):
    """The graph's inputs for a ragged batch."""
    width = max(width, max(map(len, batch["ids"])))
    rows = len(batch["ids"])
    arrays = {name: np.zeros((rows, width), np.int64) for name in ("input_ids", "attention_mask", "token_type_ids")}
    for at, (ids, types) in enumerate(zip(batch["ids"], batch["types"])):
        arrays["input_ids"][at, : len(ids)] = ids
        arrays["token_type_ids"][at, : len(ids)] = types
        arrays["attention_mask"][at, : len(ids)] = 1
    return {name: arrays[name] for name in inputs}


def strip(path):
    """Removes what only describes: documentation, the source lines of each node, shapes of inner values, domains without a
    node."""
    model = onnx.load(str(path), load_external_data=False)
    graph = model.graph
    del graph.value_info[:], graph.metadata_props[:], model.metadata_props[:]
    graph.doc_string = model.doc_string = ""
    for part in [*graph.node, *graph.initializer, *graph.input, *graph.output]:
        part.doc_string = ""
        del part.metadata_props[:]
    domains = {node.domain for node in graph.node} | {""}
    imports = [entry for entry in model.opset_import if entry.domain in domains]
    del model.opset_import[:]
    model.opset_import.extend(imports)
    Path(path).write_bytes(model.SerializeToString())
    return model


def ragged(kind, array, batch):
    """The engine's layout of an output: without padding."""
    if kind in ("pooled", "labels"):
        return array
    return np.concatenate([array[at, : len(ids)] for at, ids in enumerate(batch["ids"])])


def answers(path, kinds, batch, inputs, width):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    feeds = padded(batch, inputs, width)
    for entry in session.get_inputs():
        feeds[entry.name] = feeds[entry.name].astype(np.int32 if entry.type == "tensor(int32)" else np.int64)
    names = [output.name for output in session.get_outputs()]
    found = dict(zip(names, session.run(None, feeds)))
    return {name: [float(f"{x:.7g}") for x in ragged(kind, found[name], batch).astype(np.float32).reshape(-1)]
            for name, kind in kinds.items() if kind != "left out"}


def facts(about, options, kinds):
    """What must be recognised. about: an entry of the table; options: the model's."""
    family, head = options.get("family", "bert"), options.get("head", "none")
    return {"family": family, "layers": options["layers"], "hidden": options["hidden"], "heads": options["heads"],
            "embedding_size": options.get("embedding") or options["hidden"], "feed_forward": options["feed_forward"],
            "vocab": options["vocab"], "positions": options["positions"],
            "types": 0 if family == "distilbert" or "token_type_ids" not in about["inputs"] else options["types"],
            "activation": options.get("activation", "gelu"), "eps": options.get("eps", 1e-12), "head": head,
            "labels": options.get("labels", 2) if head in HEADS else 0, "pools": "pooled" in kinds.values(),
            "pooling": about.get("pooling"), "normalize": about.get("normalize"), "quantized": about.get("quantized", False),
            "half": bool(about.get("half")), "fixed": about.get("fixed"), "inputs": list(about["inputs"]), "outputs": kinds}


def write(out, about, options, asked):
    """Strips out/model.onnx, asks it, and writes out/expected.json; prints a line about the model."""
    path = out / "model.onnx"
    model = strip(path)
    fixed, head = about.get("fixed"), HEADS.get(options.get("head"), "left out")
    kinds = {output.name: KINDS.get(output.name, head) for output in model.graph.output}
    for batch in asked:
        batch["outputs"] = answers(path, kinds, batch, about["inputs"], fixed[1] if fixed else 0)
    expected = {"exporter": about["exporter"], "steps": [step[0] for step in about.get("steps", ())],
                "versions": {package: version(package) for package in about["packages"]},
                "opset": {entry.domain: entry.version for entry in model.opset_import}, "ir": model.ir_version,
                "facts": facts(about, options, kinds), "tolerance": about["tolerance"], "batches": asked}
    (out / "expected.json").write_text(json.dumps(expected, separators=(",", ":")) + "\n")
    size = sum(file.stat().st_size for file in out.iterdir())
    print(f"{out.name}: {len(model.graph.node)} nodes, opset {expected['opset']}, IR {model.ir_version}, {size} bytes", flush=True)
