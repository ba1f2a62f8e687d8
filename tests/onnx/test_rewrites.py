"""Exports that are rewritten at random, each in several ways that keep its meaning: all are recognised, proven, and answer as the
export does. QUERENT_REWRITES=10000 for more of them.

That the rewriter keeps the meaning is not believed either: ONNX Runtime runs a part of its graphs beside the exports.
"""

import functools
import os
import random

import numpy as np
import onnx
import pytest
from answering import answer_all, cosine, difference, feeds_of, goldens, open_runtime, read_expected
from graph_edit import Edit
from rewrite import MOVES, ONCE, rewrite

COUNT = int(os.environ.get("QUERENT_REWRITES", 300))
CHUNK = 500  # graphs on disk at a time
CHECKED = 3  # ONNX Runtime runs one of so many
ALIKE = 1e-4  # |a - b| / max(1, |b|): constants are rounded anew, sums are added in another order
ALIKE_HALF = 1e-2  # of ONNX Runtime's, in half precision
ALIKE_QUANTIZED = 0.999  # a cosine of ONNX Runtime's
KINDS = {"input_ids": "ids", "attention_mask": "mask", "token_type_ids": "types"}


@functools.cache
def source(folder):
    """(model, expected.json)"""
    return onnx.load(folder / "model.onnx"), read_expected(folder)


def make(seeds, scratch):
    """[(seed, folder of the export, path of the rewritten graph, {name of an input or output: its new name})]"""
    folders, graphs = goldens(), []
    for seed in seeds:
        folder = folders[seed % len(folders)]
        path = scratch / f"{folder.name}.{seed}.onnx"
        model, names = rewrite(source(folder)[0], seed)
        path.write_bytes(model.SerializeToString())
        graphs.append((seed, folder, path, names))
    return graphs


def unlike(answer, original):
    """Why an answer is not what the export's is; None: it is."""
    if answer.refused:
        return f"refused: {answer.refused}"
    for batch, wanted in zip(answer.batches, original.batches, strict=True):
        for name in wanted:
            if name not in batch or not difference(batch[name], wanted[name]) <= ALIKE:
                return f"{name} differs"
    return None


@pytest.fixture(scope="module")
def originals():
    folders = goldens()
    return dict(zip(folders, answer_all([(folder / "model.onnx", source(folder)[1]["batches"]) for folder in folders])))


def test_all_are_recognised_and_answer_alike(originals, tmp_path):
    complaints = []
    for start in range(0, COUNT, CHUNK):
        graphs = make(range(start, min(start + CHUNK, COUNT)), tmp_path)
        answers = answer_all([(path, source(folder)[1]["batches"]) for _, folder, path, _ in graphs])
        for (seed, folder, path, names), answer in zip(graphs, answers):
            why = unlike(answer, originals[folder])
            if seed % CHECKED == 0:
                why = changed(folder, path, names) or why
            path.unlink()
            if why:
                complaints.append(f"rewrite.py {folder.name}/model.onnx {seed}: {why}")
    assert not complaints, f"{len(complaints)} of {COUNT}:\n" + "\n".join(complaints)


def test_every_move_is_made():
    """Each finds a place in some export, so that none stands in the list for nothing."""
    models = [source(folder)[0] for folder in goldens()]
    for move in {*MOVES, *ONCE}:
        assert any(move(Edit(model, random.Random(seed))) for seed in range(3) for model in models), move.__name__


# ---- The rewriter -------------------------------------------------------------------------------------


def run(model, folder, names):
    """ONNX Runtime's outputs of a graph for one batch, in the order of the export's; names: of the export's, in this graph."""
    export, expected = source(folder)
    session = open_runtime(model)
    batch, fixed = expected["batches"][0], expected["facts"]["fixed"]
    inputs = [(names.get(name, name), KINDS[name]) for name in expected["facts"]["inputs"]]
    outputs = [names.get(output.name, output.name) for output in export.graph.output]
    return [array.astype(np.float64).reshape(-1)
            for array in session.run(outputs, feeds_of(session, batch, inputs, fixed[1] if fixed else 0))]


@functools.cache
def run_export(folder):
    return run(folder / "model.onnx", folder, {})


def changed(folder, path, names):
    """What ONNX Runtime has against the rewriter; None: the graph means the same."""
    facts = source(folder)[1]["facts"]
    try:
        found = run(path, folder, names)
    except Exception as error:
        return f"the rewriter made a graph that ONNX Runtime refuses: {error}"
    for ours, theirs in zip(found, run_export(folder), strict=True):
        if facts["quantized"]:
            same = cosine(ours, theirs) >= ALIKE_QUANTIZED
        else:
            same = difference(ours, theirs) <= (ALIKE_HALF if facts["half"] else ALIKE)
        if not same:
            return "the rewriter changed what the graph means"
    return None
