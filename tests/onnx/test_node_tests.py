"""ONNX's own node tests (the `onnx` package carries them) against our interpreter.

All tests whose operators it knows, and no others, run in build/tests/onnx_node_tests. What it refuses stands in REFUSED with
what it says; all others pass.
"""

import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import onnx
import pytest
from program import BINARY, ROOT

PROGRAM = BINARY.parent / "tests" / "onnx_node_tests"
NODES = Path(onnx.__file__).parent / "backend/test/data/node"
OLDEST = 11
PASSED = 930

# Tests' names, what the refusal says, how many. Not held: numbers of 4 bits, floats of 8 bits, strings, sequences, optionals.
REFUSED = [
    (r"test_cast(like)?_.*(FLOAT[48]|INT4).*", r"type 1[789]|2[0-4] .* is not held|of a type that is not held", 118),
    (r"test_(de)?quantizelinear_(e4m3fn|e5m2|float4e2m1|u?int4).*", "of a type that is not held", 12),
    (r"test_equal_string(_broadcast)?", "of a type that is not held", 2),
    (r"test_identity_(opt|sequence)", "of a type that is not held", 2),
    (r"test_training_dropout.*", "`training_mode` is not false", 6),
]


def operators_of(graph):
    """(domain, name) of every node, those of inner graphs too."""
    for node in graph.node:
        yield node.domain or "ai.onnx", node.op_type
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from operators_of(attribute.g)


def at_least_11(folder, model, scratch):
    """The folder, or a copy with a newer version where an old one's operators mean the same still: below 11 none is read."""
    [opset] = [entry for entry in model.opset_import if not entry.domain] or [None]
    if opset is None or opset.version >= OLDEST:
        return folder
    for domain, name in operators_of(model.graph):
        then, now = (onnx.defs.get_schema(name, version).since_version for version in (opset.version, OLDEST))
        if domain != "ai.onnx" or then != now:
            return folder
    opset.version = OLDEST
    copy = scratch / folder.name
    shutil.copytree(folder, copy)
    onnx.save(model, copy / "model.onnx")
    return copy


@pytest.fixture(scope="module")
def known():
    """{("ai.onnx", "MatMul"), ...}: what the interpreter knows."""
    listed = subprocess.run([PROGRAM, "--operators"], check=True, capture_output=True, text=True).stdout
    found = {tuple(line.split()) for line in listed.splitlines()}
    assert len(found) > 40
    return found


def test_the_page_lists_what_is_known(known):
    page = (ROOT / "docs/ONNX.md").read_text(encoding="utf-8")
    counts, own, microsoft = re.search(r"(\d+ operators of ONNX's own and \d+) of.*?\n\n(    Abs .*?)com\.microsoft: (.*?)\n\n", page, re.S).groups()
    listed = [("ai.onnx", name) for name in own.split()] + [("com.microsoft", name) for name in microsoft.split()]
    assert sorted(listed) == sorted(known)
    assert counts == f"{len(own.split())} operators of ONNX's own and {len(microsoft.split())}"


@pytest.fixture(scope="module")
def verdicts(known, tmp_path_factory):
    """{"test_matmul_2d": ("passed", "")}"""
    models = {folder: onnx.load(folder / "model.onnx") for folder in sorted(NODES.iterdir())}
    scratch = tmp_path_factory.mktemp("nodes")
    folders = [at_least_11(folder, model, scratch) for folder, model in models.items()
               if set(operators_of(model.graph)) <= known]
    done = subprocess.run([PROGRAM, *folders], capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stderr
    lines = [line.split(" ", 1) for line in done.stdout.splitlines()]
    found = {}
    for verdict, rest in lines:
        folder, _, why = rest.partition(": ")
        found[Path(folder).name] = verdict, why
    assert len(found) == len(folders)
    return found


def test_none_fails(verdicts):
    assert [f"{name}: {why}" for name, (verdict, why) in verdicts.items() if verdict == "failed"] == []


def test_what_is_refused_is_known(verdicts):
    counts = Counter()
    for name, (verdict, why) in verdicts.items():
        if verdict != "refused":
            continue
        row = next((i for i, (names, says, _) in enumerate(REFUSED) if re.fullmatch(names, name) and re.search(says, why)), None)
        assert row is not None, f"{name}: {why}"
        counts[row] += 1
    assert [counts[row] for row in range(len(REFUSED))] == [count for _, _, count in REFUSED]


def test_all_others_pass(verdicts):
    assert sum(verdict == "passed" for verdict, _ in verdicts.values()) == PASSED
