"""`querent convert` of ONNX exports: the directory it writes is the model that the graph is."""

import json

import pytest
from cli_tool import json_lines, querent
from convert_tool import answers, convert, facts
from program import ROOT

EXPORTS = ROOT / "tests/golden/onnx"

# Exports of every exporter, head and family, and of every way to store weights: as what each is written.
CASES = {
    "bert-torchscript-17": "BertModel",
    "bert-dynamo-external": "BertModel",
    "bert-optimizer": "BertModel",
    "bert-optimizer-half": "BertModel",
    "bert-dynamic-int8": "BertModel",
    "bert-static-int8": "BertModel",
    "bert-weight-only-int8": "BertModel",
    "bert-tf2onnx": "BertModel",
    "bert-torchscript-span": "BertForQuestionAnswering",
    "bert-torchscript-labels": "BertForSequenceClassification",
    "bert-torchscript-tokens": "BertForTokenClassification",
    "distilbert-optimum-span": "DistilBertForQuestionAnswering",
    "distilbert-dynamo-18": "DistilBertModel",
    "electra-torchscript-14": "ElectraModel",
    "electra-torchscript-labels": "ElectraForSequenceClassification",
    "electra-optimizer-span": "ElectraForQuestionAnswering",
    "sentence-torchscript-max": "DistilBertModel",
    "sentence-optimum-mean": "BertModel",
    "sentence-dynamo-mean": "BertModel",
}


@pytest.mark.parametrize("export", CASES)
def test_the_directory_is_the_model(export, tmp_path):
    graph, directory = EXPORTS / export, tmp_path / "out"
    convert(graph, directory)
    assert {path.name for path in directory.iterdir()} >= {"config.json", "model.safetensors", "vocab.txt"}
    assert json.loads((directory / "config.json").read_text())["architectures"] == [CASES[export]]
    (after,) = json_lines(querent("inspect", directory, "--json"))
    assert "onnx" not in after
    assert facts(graph) == facts(directory)
    assert answers(graph) == answers(directory)


def test_a_refused_graph_leaves_nothing(tmp_path):
    (tmp_path / "model.onnx").write_bytes((EXPORTS / "bert-torchscript-17/model.onnx").read_bytes()[:-100])
    done = querent("convert", tmp_path / "model.onnx", tmp_path / "out")
    assert done.returncode == 1 and b"model.onnx" in done.stderr
    assert not (tmp_path / "out").exists()
