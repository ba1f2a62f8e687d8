"""`querent inspect --measure`: the shape of what it prints. How fast a precision is stands in docs/SPEED.md.

And what it says of an ONNX model, and draws: tests/golden/onnx has them, and what is to be recognised in each.
"""
import json
import xml.etree.ElementTree

import pytest
from cli_tool import json_lines, querent
from program import ROOT

GOLDENS = ROOT / "tests/golden/onnx"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.isa
def test_measure_json(reader):
    (found,) = json_lines(querent("inspect", reader, "--measure", "--json"))
    here = found["measured"]
    assert here["tokens"] == 9 and "f32" in here["ms"]
    assert all(ms > 0 for ms in here["ms"].values())
    assert here["ms"][here["fastest"]] == min(here["ms"].values())
    assert here["table"] in here["ms"]
    if here["table"] == here["fastest"]:
        assert here["agrees"]


def test_measure_text(reader):
    lines = querent("inspect", reader, "--measure").stdout.decode().splitlines()
    (line,) = (line for line in lines if line.startswith("measured "))
    assert "9 tokens, one thread: f32 " in line and (" as in the table" in line or " of its time" in line)


def test_nothing_is_measured_unasked(reader):
    (found,) = json_lines(querent("inspect", reader, "--json"))
    assert "measured" not in found


def lines_of(name, *options):
    done = querent("inspect", GOLDENS / name, *options)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().splitlines()


def test_onnx_text(tmp_path):
    first, second = (lines_of("bert-dynamo-18-sdpa", "--cache-dir", tmp_path) for _ in range(2))
    (about,) = (line for line in first if line.startswith("onnx "))
    assert "pytorch" in about and about.count("opset") == 1
    assert "graph       109 nodes -> 11 fused steps" in first
    assert "            pooler_output: recognised, but not served" in first
    (proof,) = (at for at, line in enumerate(first) if line.startswith("proof "))
    assert first[proof].startswith("proof       gives what the graph gives: largest difference ")
    assert first[proof].endswith(" (1e-03 is allowed)")
    assert first[proof + 1].startswith("            found in ")
    assert second[proof] == first[proof] and second[proof + 1] == "            remembered from an earlier start"


def test_onnx_text_of_int8():
    lines = lines_of("bert-static-int8", "--cache-dir", "none")
    assert "graph       124 nodes (9 of them compute constants) -> 6 fused steps" in lines
    (proof,) = (line for line in lines if line.startswith("proof "))
    assert "(1e-03 is allowed) with activations not quantized; cosine 0.99" in proof and "(0.98 is enough)" in proof


@pytest.mark.parametrize("name", sorted(path.name for path in GOLDENS.iterdir()))
def test_onnx_json(name):
    """What is recognised in each export is what it was exported from."""
    wanted = json.loads((GOLDENS / name / "expected.json").read_text())
    (found,) = json_lines(querent("inspect", GOLDENS / name, "--json", "--cache-dir", "none"))
    onnx, proof, facts = found["onnx"], found["proof"], wanted["facts"]
    assert onnx["opset"] == wanted["opset"][""]
    assert {one["name"] for one in onnx["inputs"]} == set(facts["inputs"])
    assert {one["name"]: one["kind"] for one in onnx["outputs"]} == {
        output: kind.replace(" ", "_") for output, kind in facts["outputs"].items()}
    for key in ("layers", "hidden", "heads", "feed_forward", "vocab", "activation"):
        assert found[key] == facts[key], key
    assert len(found["labels"]) == facts["labels"]
    assert (onnx["quantized"], onnx["half"]) == (facts["quantized"], facts["half"])
    if facts["pools"]:
        assert (found["pooling"], found["normalize"]) == (facts["pooling"], facts["normalize"])
    assert 0 < onnx["steps"] <= 5 * found["layers"] + 3 and onnx["nodes"] >= onnx["steps"]
    assert proof["error"] <= proof["allowed"] == wanted["tolerance"] and not proof["from_cache"]
    assert (proof["cosine"] < 1) == onnx["quantized"]


def test_onnx_picture(tmp_path):
    picture = tmp_path / "bert.svg"
    lines_of("bert-dynamo-18-sdpa", "--svg", picture)
    root = xml.etree.ElementTree.parse(picture).getroot()
    texts = [text.text for text in root.iter(SVG + "text")]
    assert root.tag == SVG + "svg"
    assert "109 nodes \u2192 11 fused steps" in texts and texts.count("query, key, value") == 2
    assert any("gives what the graph gives" in text for text in texts)


def test_no_picture_of_safetensors(reader, tmp_path):
    done = querent("inspect", reader, "--svg", tmp_path / "x.svg")
    assert done.returncode == 1 and "is no ONNX model" in done.stderr.decode()
    assert not (tmp_path / "x.svg").exists()
