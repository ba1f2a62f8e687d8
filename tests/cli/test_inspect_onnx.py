"""`querent inspect` of ONNX exports: what it says of the golden ones, its picture, and what it refuses."""

import json
import re
import xml.etree.ElementTree as ElementTree

import numpy
import onnx
import pytest
from cli_tool import json_lines, querent
from program import ROOT

EXPORTS = ROOT / "tests/golden/onnx"
SVG = "{http://www.w3.org/2000/svg}"


def inspect(model, *more):
    (found,) = json_lines(querent("inspect", model, "--json", *more))
    return found


def lines_of(model, *more):
    done = querent("inspect", model, *more)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


@pytest.fixture
def changed(tmp_path):
    """A copy of an export of which `change` has changed the graph."""

    def make(export, change):
        model = onnx.load(EXPORTS / export / "model.onnx")
        change(model.graph)
        onnx.save(model, tmp_path / "model.onnx")
        for name in ("config.json", "vocab.txt"):
            (tmp_path / name).write_bytes((EXPORTS / export / name).read_bytes())
        return tmp_path

    return make


def test_facts_as_json():
    found = inspect(EXPORTS / "bert-torchscript-17")
    graph, proof = found["onnx"], found["proof"]
    assert (found["layers"], found["hidden"], found["heads"], found["activation"]) == (1, 36, 3, "gelu")
    assert (graph["producer"], graph["opset"], graph["steps"]) == ("pytorch", 17, 6)
    assert graph["nodes"] > 10 * graph["steps"]
    assert [entry["kind"] for entry in graph["inputs"]] == ["ids", "mask", "types"]
    assert graph["outputs"] == [{"name": "last_hidden_state", "kind": "hidden"}]
    assert 0 < proof["error"] <= proof["allowed"] == 1e-3


@pytest.mark.parametrize("export", sorted(path.name for path in EXPORTS.iterdir()))
def test_each_export_is_what_it_was(export):
    """Recognised as the model that the exporter was given."""
    wanted = json.loads((EXPORTS / export / "expected.json").read_text())
    found = inspect(EXPORTS / export, "--cache-dir", "none")
    graph, proof, facts = found["onnx"], found["proof"], wanted["facts"]
    assert graph["opset"] == wanted["opset"][""]
    assert {entry["name"] for entry in graph["inputs"]} == set(facts["inputs"])
    assert {entry["name"]: entry["kind"] for entry in graph["outputs"]} == {
        output: kind.replace(" ", "_") for output, kind in facts["outputs"].items()}
    for key in ("layers", "hidden", "heads", "feed_forward", "vocab", "activation"):
        assert found[key] == facts[key], key
    assert len(found["labels"]) == facts["labels"]
    assert (graph["quantized"], graph["half"]) == (facts["quantized"], facts["half"])
    if facts["pools"]:
        assert (found["pooling"], found["normalize"]) == (facts["pooling"], facts["normalize"])
    assert 0 < graph["steps"] <= 5 * found["layers"] + 3 and graph["nodes"] >= graph["steps"]
    assert proof["error"] <= proof["allowed"] == wanted["tolerance"] and not proof["from_cache"]
    assert (proof["cosine"] < 1) == graph["quantized"]


def test_a_quantized_export_has_both_measures():
    found = inspect(EXPORTS / "bert-dynamic-int8")
    assert found["onnx"]["quantized"] and found["dtype"] == "int8"
    assert found["proof"]["error"] <= 1e-3 and 0.98 <= found["proof"]["cosine"] < 1
    text = lines_of(EXPORTS / "bert-dynamic-int8")
    assert re.search(r"^proof .*\(1e-03 is allowed\) with activations not quantized; cosine 0\.9\d+ \(0\.98 is enough\)", text, re.MULTILINE)
    assert "int8 weights" in text
    text = lines_of(EXPORTS / "bert-static-int8", "--cache-dir", "none")
    assert "graph       124 nodes (9 of them compute constants) -> 6 fused steps\n" in text
    assert re.search(r"^proof .*\(1e-03 is allowed\) with activations not quantized; cosine 0\.99\d* \(0\.98 is enough\)", text, re.MULTILINE)


def test_text_of_an_export(tmp_path):
    first, second = (lines_of(EXPORTS / "bert-dynamo-18-sdpa", "--cache-dir", tmp_path).splitlines() for _ in range(2))
    (about,) = (line for line in first if line.startswith("onnx "))
    assert "pytorch" in about and about.count("opset") == 1
    assert "graph       109 nodes -> 11 fused steps" in first
    assert "            pooler_output: recognised, but not served" in first
    (proof,) = (at for at, line in enumerate(first) if line.startswith("proof "))
    assert first[proof].startswith("proof       gives what the graph gives: largest difference ")
    assert first[proof].endswith(" (1e-03 is allowed)")
    assert first[proof + 1].startswith("            found in ")
    assert second[proof] == first[proof] and second[proof + 1] == "            remembered from an earlier start"


def test_text_names_style_steps_and_speed():
    text = lines_of(EXPORTS / "bert-optimizer")
    for part in (r"^onnx +onnxruntime.* merged Q K V, fused attention", r"^graph +\d+ nodes -> 11 fused steps$",
                 r"^proof .*largest difference", r"^predicted +9 tokens, one thread: f32 "):
        assert re.search(part, text, re.MULTILINE), part


def test_a_proof_is_remembered(tmp_path):
    export = EXPORTS / "bert-torchscript-17"
    assert [inspect(export, "--cache-dir", tmp_path)["proof"]["from_cache"] for _ in range(2)] == [False, True]
    assert not inspect(export, "--cache-dir", "none")["proof"]["from_cache"]
    assert len(list(tmp_path.iterdir())) == 1
    assert re.search(r"^proof .*\n +remembered from an earlier start$", lines_of(export, "--cache-dir", tmp_path), re.MULTILINE)
    assert re.search(r"^proof .*\n +found in \d+ ms$", lines_of(export, "--cache-dir", "none"), re.MULTILINE)


@pytest.mark.parametrize("export", ["bert-torchscript-17", "bert-optimizer-half", "distilbert-dynamo-span", "sentence-torchscript-mean"])
def test_the_picture_has_every_node(export, tmp_path):
    picture = tmp_path / "model.svg"
    nodes = inspect(EXPORTS / export, "--svg", picture)["onnx"]["nodes"]
    texts = [element for element in ElementTree.parse(picture).iter(f"{SVG}text")]
    counts = [int(text.text) for text in texts if "count" in text.get("class", "").split()]
    words = " ".join(text.text or "" for text in texts)
    alike = sum(int(times) for times in re.findall(r"× (\d+), all alike", words))
    assert "query, key, value" in words and "largest difference" in words
    assert sum(counts) == nodes if alike == 0 else sum(counts) <= nodes


def test_the_picture_tells_what_the_text_tells(tmp_path):
    picture = tmp_path / "bert.svg"
    lines_of(EXPORTS / "bert-dynamo-18-sdpa", "--svg", picture)
    root = ElementTree.parse(picture).getroot()
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert root.tag == f"{SVG}svg"
    assert "109 nodes \u2192 11 fused steps" in texts and texts.count("query, key, value") == 2
    assert any("gives what the graph gives" in text for text in texts)


def test_what_is_no_bert_is_refused_with_its_node(changed):
    def sharpen(graph):
        next(node for node in graph.node if node.op_type == "Softmax").op_type = "Sigmoid"

    done = querent("inspect", changed("bert-torchscript-17", sharpen))
    assert done.returncode == 1 and done.stdout == b""
    assert b"not recognised as a BERT" in done.stderr and b"(MatMul)" in done.stderr and b"softmax" in done.stderr


def test_what_is_recognised_and_differs_is_refused_with_its_node(changed):
    """Positions that stop at 20: on the few tokens of recognition's one run they are a BERT's."""

    def stop_at_20(graph):
        at, rows = next((at, node) for at, node in enumerate(graph.node) if node.name == "/embeddings/position_embeddings/Gather")
        graph.initializer.append(onnx.numpy_helper.from_array(numpy.array(20), "twenty"))
        graph.node.insert(at, onnx.helper.make_node("Min", [rows.input[1], "twenty"], ["stopped"]))
        rows.input[1] = "stopped"

    done = querent("inspect", changed("bert-torchscript-17", stop_at_20))
    assert done.returncode == 1
    assert b"what was recognised is not what the graph computes: output `last_hidden_state` differs" in done.stderr
    assert b"the first node that differs: the embeddings, node `/embeddings/LayerNorm/LayerNormalization`" in done.stderr


def test_a_mask_that_is_not_used_is_missed(changed):
    def see_padding(graph):
        at, node = next((at, node) for at, node in enumerate(graph.node) if node.name.endswith("attention/self/Add"))
        graph.node[at].CopyFrom(onnx.helper.make_node("Identity", node.input[:1], node.output, node.name))

    done = querent("inspect", changed("bert-torchscript-17", see_padding))
    assert done.returncode == 1
    assert b"/self/Softmax` (Softmax): expected here: scores that the attention mask was added to" in done.stderr


def test_svg_is_of_onnx_only(tmp_path, reader):
    done = querent("inspect", reader, "--svg", tmp_path / "x.svg")
    assert done.returncode == 1 and b"is no ONNX model" in done.stderr
    assert not (tmp_path / "x.svg").exists()
