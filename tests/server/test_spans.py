"""/span in batches, and /spans: one question to many passages."""
import math

import pytest
from serving import ask

QUESTION = "Who wrote the report?"
PASSAGES = ["In München the report was written by Ada Byron in 1843.", "Nobody reads reports.", "The report of Größe 7, by Bob."]


def spans(server, **fields):
    answer = ask(server, "/spans", {"question": QUESTION, "passages": PASSAGES, **fields})
    assert answer.status == 200, answer.body
    return answer.json()


def test_a_batch_is_its_items(server):
    pairs = [{"question": QUESTION, "context": passage} for passage in PASSAGES]
    for parameters in ({}, {"top_k": 3}, {"top_k": 2, "handle_impossible_answer": True, "align_to_words": False}):
        alone = [ask(server, "/span", {"inputs": pair, "parameters": parameters}).json() for pair in pairs]
        assert ask(server, "/span", {"inputs": pairs, "parameters": parameters}).json() == alone


def test_answers_of_all_passages_best_first(server):
    found = spans(server, top_k=10)
    answers = found["answers"]
    assert len(answers) == 10
    assert [a["score"] for a in answers] == sorted((a["score"] for a in answers), reverse=True)
    assert {a["passage"] for a in answers} <= {0, 1, 2}
    for a in answers:
        assert a["answer"] == PASSAGES[a["passage"]][a["start"] : a["end"]] != ""
    assert sum(a["score"] for a in answers) + found["no_answer"] <= 1 + 1e-9
    assert spans(server, top_k=3)["answers"] == answers[:3]
    assert spans(server, parameters={"top_k": 3})["answers"] == answers[:3]


def test_one_passage_keeps_its_probabilities(server):
    one = ask(server, "/spans", {"question": QUESTION, "passages": PASSAGES[:1], "top_k": 5}).json()["answers"]
    alone = ask(server, "/span", {"question": QUESTION, "context": PASSAGES[0], "top_k": 5}).json()
    assert [a["answer"] for a in one] == [a["answer"] for a in alone]
    for a, b in zip(one, alone):
        assert math.isclose(a["score"], b["score"], rel_tol=1e-5)


def test_within_a_passage_the_order_is_its_own(server):
    alone = [ask(server, "/span", {"question": QUESTION, "context": p, "top_k": 12}).json() for p in PASSAGES]
    answers = spans(server, top_k=12)["answers"]
    for index, own in enumerate(alone):
        mine = [a for a in answers if a["passage"] == index]
        assert [a["answer"] for a in mine] == [a["answer"] for a in own][: len(mine)]
        shares = {round(a["score"] / b["score"], 6) for a, b in zip(mine, own)}
        assert len(shares) <= 1 or max(shares) - min(shares) < 1e-4 * max(shares), "one factor a passage"


def test_bytes_on_request(server):
    for a in spans(server, top_k=8, byte_offsets=True)["answers"]:
        assert PASSAGES[a["passage"]].encode()[a["start_byte"] : a["end_byte"]].decode() == a["answer"]
    one = ask(server, "/span", {"question": QUESTION, "context": PASSAGES[2], "byte_offsets": True}).json()
    assert PASSAGES[2].encode()[one["start_byte"] : one["end_byte"]].decode() == one["answer"]
    assert "start_byte" not in ask(server, "/span", {"question": QUESTION, "context": PASSAGES[2]}).json()


def test_a_long_passage_has_windows_and_they_are_one_text(server):
    long = " ".join(PASSAGES * 12)
    found = ask(server, "/spans", {"question": QUESTION, "passages": [long, PASSAGES[1]], "max_seq_len": 40, "doc_stride": 8, "top_k": 5})
    assert found.status == 200, found.body
    assert sum(a["score"] for a in found.json()["answers"]) <= 1 + 1e-9


def test_windows_on_request(server):
    """Their places are code points; together they hold the whole passage, and each holds what its tokens say."""
    long = " ".join(["👩🏽‍🚀 re\u0301port in München."] * 30)
    sizes = {"max_seq_len": 40, "doc_stride": 8}
    found = ask(server, "/spans", {"question": QUESTION, "passages": [PASSAGES[1], long, " \n"], "windows": True, **sizes}).json()["windows"]
    assert found[0] == {"passage": 0, "start": 0, "end": len(PASSAGES[1]), "tokens": found[0]["tokens"]}
    assert (found[-1]["passage"], found[-1]["start"], found[-1]["end"]) == (2, 0, 0), "no token, no place"
    mine = [w for w in found if w["passage"] == 1]
    assert len(mine) > 3 and [w["passage"] for w in found] == [0, *[1] * len(mine), 2]
    assert (mine[0]["start"], mine[-1]["end"]) == (0, len(long))
    question = len(ask(server, "/tokenize", {"inputs": QUESTION, "add_special_tokens": False}).json()[0])
    for at, window in enumerate(mine):
        part = ask(server, "/tokenize", {"inputs": long[window["start"] : window["end"]], "add_special_tokens": False}).json()[0]
        assert at == len(mine) - 1 or window["tokens"] == 40
        assert window["tokens"] == question + 3 + len(part) or long[window["start"] - 1] != " ", "a window may begin within a word"
    for before, after in zip(mine, mine[1:]):
        assert before["start"] < after["start"] < before["end"] < after["end"]
    assert "windows" not in spans(server) and "windows" not in spans(server, windows=False)
    assert spans(server, parameters={"windows": True})["windows"] == spans(server, windows=True)["windows"]
    assert ask(server, "/spans", {"question": QUESTION, "passages": PASSAGES, "windows": 1}).status == 422


@pytest.mark.parametrize("fields,status", [
    ({"passages": []}, 400), ({"passages": [""]}, 400), ({"passages": "a"}, 422), ({"passages": [1]}, 422), ({"question": ""}, 400),
    ({"question": None}, 422), ({"top_k": 0}, 422), ({"passages": ["a"] * 2049}, 422),
    ({"passages": ["a"] * 2048, "top_k": 33}, 422),
])
def test_errors(server, fields, status):
    assert ask(server, "/spans", {"question": QUESTION, "passages": PASSAGES, **fields}).status == status


def test_batch_errors(server):
    many = [{"question": "q", "context": "c"}] * 1000
    answer = ask(server, "/span", {"inputs": many, "parameters": {"top_k": 66}})
    assert answer.status == 422 and answer.json()["error"] == "`parameters.top_k` must be a whole number from 1 to 65"
    for inputs, status in [([], 400), ([1], 422), ([{"question": "q"}], 422), ([{"question": "q", "context": ""}], 400)]:
        assert ask(server, "/span", {"inputs": inputs}).status == status, inputs


@pytest.mark.real
def test_the_passage_that_has_the_answer_wins(real_server):
    passages = ["The river was high in May.", "In 1843 the report was written by Ada Byron.", "Reports are read on Mondays."]
    found = ask(real_server, "/spans", {"question": QUESTION, "passages": passages, "top_k": 2}).json()
    assert found["answers"][0]["passage"] == 1 and "Ada Byron" in found["answers"][0]["answer"]
