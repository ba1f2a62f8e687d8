"""`querent convert` of ONNX exports: the directory it writes is the model that the graph is."""

import json

import pytest
from cli_tool import json_lines, querent
from program import ROOT

EXPORTS = ROOT / "tests/golden/onnx"
TEXTS = "what is a lake\nbest soup near me\n\nparis\n" + "the river of the city " * 20 + "\n"
PAIRS = json.dumps({"question": "what is long", "context": "the river is long, and there is a lake near paris"}) + "\n"

# Exports of every exporter, head and family, and of every way to store weights.
CASES = ["bert-torchscript-17", "bert-dynamo-external", "bert-optimizer", "bert-optimizer-half", "bert-dynamic-int8",
         "bert-static-int8", "bert-weight-only-int8", "bert-tf2onnx", "bert-torchscript-span", "bert-torchscript-labels",
         "bert-torchscript-tokens", "distilbert-optimum-span", "distilbert-dynamo-18", "electra-torchscript-labels",
         "sentence-torchscript-max", "sentence-optimum-mean"]


def facts(model):
    (found,) = json_lines(querent("inspect", model, "--json"))
    return found


def answers(model, kind):
    if kind == "embedding":
        return json_lines(querent("embed", "--model", model, stdin=TEXTS.encode()))
    if kind == "span":
        return json_lines(querent("span", "--model", model, "--top-k", "3", stdin=PAIRS.encode()))
    return None


@pytest.mark.parametrize("export", CASES)
def test_the_directory_is_the_model(export, tmp_path):
    graph, directory = EXPORTS / export, tmp_path / "out"
    done = querent("convert", graph, directory)
    assert done.returncode == 0, done.stderr.decode()
    assert {path.name for path in directory.iterdir()} >= {"config.json", "model.safetensors", "vocab.txt"}
    before, after = facts(graph), facts(directory)
    assert "onnx" not in after
    for name in ("kind", "layers", "hidden", "heads", "feed_forward", "vocab", "activation", "labels", "pooling", "normalize",
                 "embedding"):
        assert before.get(name) == after.get(name), name
    assert answers(graph, before["kind"]) == answers(directory, before["kind"])


def test_a_refused_graph_leaves_nothing(tmp_path):
    (tmp_path / "model.onnx").write_bytes((EXPORTS / CASES[0] / "model.onnx").read_bytes()[:-100])
    done = querent("convert", tmp_path / "model.onnx", tmp_path / "out")
    assert done.returncode == 1 and b"model.onnx" in done.stderr
    assert not (tmp_path / "out").exists()
