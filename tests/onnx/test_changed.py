"""Exports in which one thing means something else: each is refused with a message that names a node (or an input, an output or
a weight), or loads and answers as ONNX Runtime does of that very graph. QUERENT_CHANGES=10000 for more of them.

They are asked other texts than the proof's: of other lengths, with padding, up to the last position.
"""
import faulthandler
import functools
import os
import random
import re
from collections import Counter

import numpy as np
import onnx
import pytest
from answering import (ANSWERS, answer_all, complaints, difference, draw_batches, feeds_of, goldens, open_runtime, read_expected,
                       runtime_answers)
from change import CHANGES, change
from graph_edit import Edit

COUNT = int(os.environ.get("QUERENT_CHANGES", 300))
CHUNK = 500  # graphs on disk at a time
BATCH = 100  # graphs that one process shows to ONNX Runtime
MOVED = 1e-3  # |a - b| / max(1, |b|) between a changed graph and the export, of ONNX Runtime: less is no change
LOOSENED = 2  # how much more than by the proof's texts it may be by others
KINDS = {"input_ids": "ids", "attention_mask": "mask", "token_type_ids": "types"}


@functools.cache
def source(folder):
    """(model, facts, batches)"""
    facts = read_expected(folder)["facts"]
    return onnx.load(folder / "model.onnx"), facts, draw_batches(facts, folder.name)


def run(model, folder):
    """All numbers of ONNX Runtime's outputs for the batches, by the names that the export's inputs have."""
    _, facts, batches = source(folder)
    session = open_runtime(model)
    inputs = [(name, KINDS[name]) for name in facts["inputs"]]
    width = facts["fixed"][1] if facts["fixed"] else 0
    return [array.astype(np.float64).reshape(-1) for batch in batches
            for array in session.run(None, feeds_of(session, batch, inputs, width))]


@functools.cache
def run_export(folder):
    return run(folder / "model.onnx", folder)


def is_moved(model, folder):
    """Whether ONNX Runtime runs it, and finds other numbers than the export's."""
    try:
        found = run(model.SerializeToString(), folder)
    except Exception:  # what it does not run means nothing
        return False
    return any(not difference(ours, theirs) <= MOVED for ours, theirs in zip(found, run_export(folder), strict=True))


def are_moved(candidates):
    """is_moved of each (model, folder), in a process apart: some of these graphs kill ONNX Runtime (a whole number by 0)."""
    found = []
    while len(found) < len(candidates):
        readable, writable = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                faulthandler.disable()
                for model, folder in candidates[len(found) :]:
                    os.write(writable, b"y" if is_moved(model, folder) else b"n")
                os._exit(0)
            finally:
                os._exit(1)
        os.close(writable)
        with os.fdopen(readable, "rb") as answers:
            found += [answer == ord("y") for answer in answers.read()]
        if os.waitpid(child, 0)[1] != 0:
            found.append(False)
    return found


def draw_changed(count, scratch, first=0):
    """`count` graphs that mean something else: [(seed, folder of the export, path, what was changed)], and the next seed."""
    folders, graphs, seed = goldens(), [], first
    for folder in folders:
        run_export(folder)
    while len(graphs) < count:
        drawn = []
        while len(drawn) < min(count - len(graphs), BATCH):
            folder = folders[seed % len(folders)]
            model, what = change(source(folder)[0], seed)
            if model is not None:
                drawn.append((seed, folder, model, what))
            seed += 1
        for (drawn_by, folder, model, what), moved in zip(drawn, are_moved([(one[2], one[1]) for one in drawn])):
            if moved:
                path = scratch / f"{folder.name}.{drawn_by}.onnx"
                path.write_bytes(model.SerializeToString())
                graphs.append((drawn_by, folder, path, what))
    return graphs, seed


def verdict(folder, path, answer):
    """("refused" or "matches", "") or ("wrong", why)"""
    _, facts, batches = source(folder)
    if answer.refused:
        named = re.search(r"`[^`]+`", answer.refused)
        return ("refused", "") if named else ("wrong", f"refused without a name: {answer.refused}")
    served = sum(kind in ANSWERS for _, kind in answer.outputs)  # as whatever: a head may have become a pooling's Dense modules
    if served < sum(kind != "left out" for kind in facts["outputs"].values()):
        return "wrong", "an output is left out in silence"
    wanted = runtime_answers(path, batches, answer, facts["fixed"][1] if facts["fixed"] else 0)
    against = complaints(answer, wanted, LOOSENED)
    return ("wrong", "; ".join(against)) if against else ("matches", "")


def test_each_is_refused_by_name_or_answers_as_onnx_runtime_does(tmp_path):
    verdicts, wrong, seed = Counter(), [], 0
    for left in range(COUNT, 0, -CHUNK):
        graphs, seed = draw_changed(min(left, CHUNK), tmp_path, seed)
        answers = answer_all([(path, source(folder)[2]) for _, folder, path, _ in graphs])
        for (drawn, folder, path, what), answer in zip(graphs, answers):
            how, why = verdict(folder, path, answer)
            verdicts[how] += 1
            path.unlink()
            if how == "wrong":
                wrong.append(f"change.py {folder.name}/model.onnx {drawn}: {what}: {why}")
    assert not wrong, f"{len(wrong)} of {COUNT}:\n" + "\n".join(wrong)
    assert verdicts["matches"] >= COUNT // 20 and verdicts["refused"] >= COUNT // 4, verdicts


def test_every_change_is_made():
    """Each finds a place in some export, and moves its numbers."""
    for make in set(CHANGES):
        assert any(is_made(make, folder, seed) for folder in goldens() for seed in range(5)), make.__name__


def is_made(make, folder, seed):
    model, _ = change(source(folder)[0], seed, make)
    return model is not None and are_moved([(model, folder)])[0]


# ---- What probes do not see ------------------------------------------------------------------------------

WORDS = 20_000  # so many that a proof's texts hold few of them
REACHED = 3     # how far beyond a bound the rare word comes


def bounded(bound, operator):
    """BERT with many words, one of which alone drives an input of GELU beyond a bound, which is cut off there."""
    model = onnx.load(next(folder for folder in goldens() if folder.name == "bert-torchscript-14-sdpa") / "model.onnx")
    edit = Edit(model, random.Random(bound))
    [table] = [name for name, array in edit.constants.items() if array.shape == (84, 32)]
    words = np.tile(edit.constants[table], (WORDS // 84 + 1, 1))[:WORDS]
    words[-1] = 0
    words[-1, 3] = 50  # behind the layer norm about sqrt(31) there, and nothing elsewhere
    edit.constants[table] = words
    [weight] = [name for name, array in edit.constants.items() if array.shape == (32, 40)]
    edit.constants[weight] = edit.constants[weight].copy()
    edit.constants[weight][3, 0] = REACHED * bound / 31**0.5
    [add] = [node for node in edit.of("Add") if any(edit.kind(name) and edit.kind(name)[2] == [40] for name in node.input)]
    users, value = edit.users(add.output[0]), add.output[0]
    limits = [edit.weight(np.array(number, np.float32)) for number in (-bound, bound)]
    cut = edit.add(operator, [value, *(limits if operator == "Clip" else limits[1:])])
    for node, at in users:
        node.input[at] = cut
    return edit.model()


@pytest.mark.parametrize("operator", ["Clip", "Min"])
@pytest.mark.parametrize("bound", [6, 9, 15, 40, 300, 5000])
def test_a_bound_that_a_rare_word_reaches(tmp_path, bound, operator):
    """Values between those that a proof's texts take: recognition alone can tell."""
    path, rare = tmp_path / "model.onnx", WORDS - 1
    onnx.save(bounded(bound, operator), path)
    batches = [{"ids": [[2, 5, rare, 7, 3], [rare, rare, 9]], "types": [[0] * 5, [0] * 3]}]
    [answer] = answer_all([(path, batches)])
    assert answer.refused or complaints(answer, runtime_answers(path, batches, answer)) == []


@pytest.mark.parametrize("name", ["bert-torchscript-11", "bert-dynamo-18-sdpa", "bert-optimizer", "bert-optimizer-multi-head"])
def test_a_mask_that_leaves_padding_a_little(tmp_path, name):
    """The more padding there is, the more of it is heard: a proof's texts have little."""
    folder = next(folder for folder in goldens() if folder.name == name)
    batches = [{"ids": [list(range(40)), [5, 6], [7]], "types": [[0] * 40, [0] * 2, [0]]}]
    paths = []
    for value in (-6, -8, -9, -10, -11, -12, -13):
        edit = Edit(onnx.load(folder / "model.onnx"), random.Random(0))
        for constant, array in edit.constants.items():
            if array.dtype == np.float32 and array.size == 1 and array.reshape(-1)[0] < -1e3:
                edit.constants[constant] = np.full_like(array, value)
        for node in edit.of("Attention", "MultiHeadAttention"):
            edit.set_attribute(node, "mask_filter_value", float(value))
        paths.append(tmp_path / f"model{value}.onnx")
        onnx.save(edit.model(), paths[-1])
    for path, answer in zip(paths, answer_all([(path, batches) for path in paths])):
        assert answer.refused or complaints(answer, runtime_answers(path, batches, answer)) == [], path.name
