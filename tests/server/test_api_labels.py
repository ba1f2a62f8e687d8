"""POST /predict and /rerank on models of random weights: shapes, order, scores."""
import json
import math

import numpy as np
import pytest
from make_model import make_model
from program import SHAPE, WORDS
from serving import ask

LABELS = {"negative", "neutral", "positive"}


def predict(server, inputs, **fields):
    answer = ask(server, "/predict", {"inputs": inputs, **fields})
    assert answer.status == 200, answer.body
    return answer.json()


def rerank(server, query, texts, **fields):
    answer = ask(server, "/rerank", {"query": query, "texts": texts, **fields})
    assert answer.status == 200, answer.body
    return answer.json()


def check_row(row):
    assert {item["label"] for item in row} == LABELS
    scores = [item["score"] for item in row]
    assert scores == sorted(scores, reverse=True)
    assert sum(scores) == pytest.approx(1, abs=1e-5)


def test_predict_shapes(labels_server):
    one = predict(labels_server, "fresh bread")
    assert isinstance(one[0], dict)
    check_row(one)
    assert predict(labels_server, ["fresh bread"]) == one
    pair = predict(labels_server, ["fresh bread", "near the river"])  # one pair, not two inputs
    assert isinstance(pair[0], dict) and pair != one
    batch = predict(labels_server, [["fresh bread"], ["fresh bread", "near the river"], ["open"]])
    assert len(batch) == 3 and batch[0] == one and batch[1] == pair
    for row in batch:
        check_row(row)


def test_predict_raw_scores(labels_server):
    raw = {item["label"]: item["score"] for item in predict(labels_server, "fresh bread", raw_scores=True)}
    soft = {item["label"]: item["score"] for item in predict(labels_server, "fresh bread")}
    total = sum(math.exp(x) for x in raw.values())
    for label, logit in raw.items():
        assert soft[label] == pytest.approx(math.exp(logit) / total, abs=1e-6)


def test_predict_errors(labels_server):
    for inputs, status in [("", 400), ([], 400), ([[]], 400), (["", ""], 400), (["a", "b", "c"], 422), ([["a", "b", "c"]], 422),
                           ([["a"], "b"], 422), ([1], 422), ([["a", 1]], 422), ({}, 422), (None, 422), (1, 422)]:
        assert ask(labels_server, "/predict", {"inputs": inputs}).status == status, inputs
    assert ask(labels_server, "/predict", {"inputs": "a", "raw_scores": "no"}).status == 422
    assert predict(labels_server, ["", "b"])


def test_predict_by_name_uses_the_reranker(labels_server):
    one = predict(labels_server, ["fresh bread", "near the river"], model="reranker")
    assert len(one) == 1
    ranked = rerank(labels_server, "fresh bread", ["near the river"])
    assert one[0]["score"] == pytest.approx(ranked[0]["score"], abs=1e-7)


def test_rerank(labels_server):
    texts = ["the river", "fresh bread near me", "open hours", "paris", "garden rose tree bird song"]
    ranked = rerank(labels_server, "bread", texts)
    assert all(list(item) == ["index", "score"] for item in ranked)
    assert sorted(item["index"] for item in ranked) == list(range(len(texts)))
    scores = [item["score"] for item in ranked]
    assert scores == sorted(scores, reverse=True) and all(0 < s < 1 for s in scores)
    with_text = rerank(labels_server, "bread", texts, return_text=True)
    assert [list(item) for item in with_text] == [["index", "text", "score"]] * len(texts)
    assert all(item["text"] == texts[item["index"]] for item in with_text)
    assert [item["index"] for item in with_text] == [item["index"] for item in ranked]


def test_rerank_raw_scores_and_batches(labels_server):
    texts = ["the river", "fresh bread near me", "open hours"]
    raw = {item["index"]: item["score"] for item in rerank(labels_server, "bread", texts, raw_scores=True)}
    soft = {item["index"]: item["score"] for item in rerank(labels_server, "bread", texts)}
    for index, logit in raw.items():
        assert soft[index] == pytest.approx(1 / (1 + math.exp(-logit)), abs=1e-6)
    for index, text in enumerate(texts):  # alone or not: the same bits
        alone = rerank(labels_server, "bread", [text], raw_scores=True)[0]["score"]
        assert np.float32(alone) == np.float32(raw[index])


def test_rerank_ties_come_from_the_end(labels_server):
    ranked = rerank(labels_server, "bread", ["the river"] * 4)
    assert [item["index"] for item in ranked] == [3, 2, 1, 0]


def test_rerank_long_texts(labels_server):
    long = "river " * 500
    assert len(rerank(labels_server, "bread", [long, "the river"])) == 2
    answer = ask(labels_server, "/rerank", {"query": "bread", "texts": [long], "truncate": False})
    assert answer.status == 422
    assert answer.json()["error"] == "Input validation error: `inputs` must have less than 128 tokens. Given: 504"


def test_rerank_errors(labels_server, server):
    for body, status in [({"query": "q"}, 422), ({"texts": ["a"]}, 422), ({"query": "q", "texts": []}, 400),
                         ({"query": "q", "texts": "a"}, 422), ({"query": "q", "texts": ["a", 1]}, 422),
                         ({"query": "", "texts": [""]}, 400), ({"query": "q", "texts": ["a"], "model": "sentiment"}, 424),
                         ({"query": "q", "texts": ["a"], "model": "none"}, 404)]:
        assert ask(labels_server, "/rerank", body).status == status, body
    for path, body in [("/rerank", {"query": "q", "texts": ["a"]}), ("/predict", {"inputs": "a"})]:
        answer = ask(server, path, body)
        assert (answer.status, answer.json()["error_type"]) == (424, "Backend")
    assert ask(labels_server, "/embed", {"inputs": "a"}).status == 424
    assert ask(labels_server, "/span", {"question": "q", "context": "c"}).status == 424


def test_root_is_predict_for_a_classifier(labels_server):
    assert ask(labels_server, "/", {"inputs": "fresh bread"}).json() == predict(labels_server, "fresh bread")


def test_info_lists_labels(labels_server):
    info = ask(labels_server, "/info").json()
    assert info["model_type"] == {"classifier": {"id2label": {"0": "negative", "1": "neutral", "2": "positive"},
                                                 "label2id": {"negative": 0, "neutral": 1, "positive": 2}}}
    assert list(info["models"][1]["model_type"]) == ["reranker"]


def test_labels_that_exclude_nothing_are_judged_one_by_one(start_server, tiny):
    """Where text-embeddings-inference has a softmax, which is wrong."""
    topics = start_server(models=[tiny("topics")])
    raw = {item["label"]: item["score"] for item in predict(topics, "fresh bread", raw_scores=True)}
    for fields in ({}, {"parameters": {}}):
        scores = predict(topics, "fresh bread", **fields)
        for item in scores[0] if fields else scores:
            assert item["score"] == pytest.approx(1 / (1 + math.exp(-raw[item["label"]])), abs=1e-6)


def test_vertex_predicts_what_is_no_ranking(labels_server, start_server, tiny):
    ranker = start_server(models=[tiny("reranker")])
    for inputs in ("bread", ["bread", "river"], [["bread"], ["bread", "river"]]):
        one = predict(ranker, inputs)
        assert ask(ranker, "/vertex", {"instances": [{"inputs": inputs}] * 2}).json() == {"predictions": [one, one]}
        assert ask(ranker, "/", {"inputs": inputs}).json() == one
    both = [{"query": "q", "texts": ["a", "b"]}, {"inputs": "bread"}]
    answer = ask(ranker, "/vertex", {"instances": both}).json()["predictions"]
    assert answer == [rerank(ranker, "q", ["a", "b"]), predict(ranker, "bread")]
    assert isinstance(ask(ranker, "/", {"inputs": "bread", "parameters": {}}).json()[0], list)


def test_labels_of_one_name_are_one_key(start_server, tmp_path):
    """Python's json would keep one of two without a word."""
    model = make_model(tmp_path / "twins", **SHAPE, **WORDS, head="labels", label_names=["no", "yes", "no"])
    pairs = []
    info = json.loads(ask(start_server(models=[model]), "/info").body, object_pairs_hook=lambda found: pairs.append(found) or dict(found))
    assert all(len(dict(found)) == len(found) for found in pairs)
    (labels,) = info["models"][0]["model_type"].values()
    assert labels == {"id2label": {"0": "no", "1": "yes", "2": "no"}, "label2id": {"no": 0, "yes": 1}}
