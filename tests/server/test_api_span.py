"""POST /span: both forms of request and the shapes of transformers' pipeline, on a tiny model. What
a trained one answers: test_real_models.py."""
from serving import ask

CONTEXT = ("In München the report was written by Ada Byron in 1843. Charles Babbage, who lived in London, had asked her for it. "
           "It was printed in a journal called Scientific Memoirs.")
QUESTIONS = ["Who wrote the report?", "Where did Babbage live?", "When was it written?", "What was the journal called?"]


def span(server, question, context=CONTEXT, **parameters):
    answer = ask(server, "/span", {"inputs": {"question": question, "context": context}, "parameters": parameters})
    assert answer.status == 200, answer.body
    return answer.json()


def test_one_answer_is_an_object(server):
    answer = span(server, QUESTIONS[0])
    assert list(answer) == ["score", "start", "end", "answer"]
    assert CONTEXT[answer["start"] : answer["end"]] == answer["answer"] != ""  # offsets are code points
    assert 0 <= answer["score"] <= 1


def test_several_answers_are_a_list(server):
    answers = span(server, QUESTIONS[0], top_k=3)
    assert isinstance(answers, list) and 1 < len(answers) <= 3
    assert [a["score"] for a in answers] == sorted((a["score"] for a in answers), reverse=True)
    for a in answers:
        assert CONTEXT[a["start"] : a["end"]] == a["answer"]


def test_flat_form_is_the_same(server):
    nested = span(server, QUESTIONS[1], top_k=2, max_answer_len=3)
    flat = ask(server, "/span", {"question": QUESTIONS[1], "context": CONTEXT, "top_k": 2, "max_answer_len": 3}).json()
    half = ask(server, "/span", {"question": QUESTIONS[1], "context": CONTEXT, "parameters": {"top_k": 2, "max_answer_len": 3}}).json()
    named = ask(server, "/span", {"question": QUESTIONS[1], "context": CONTEXT, "top_k": 2, "max_answer_len": 3, "model": "reader"}).json()
    assert nested == flat == half == named


def test_impossible_answers(server):
    answers = span(server, "What is the capital of France?", top_k=1000, handle_impossible_answer=True)
    assert {"score", "start", "end", "answer"} == set(answers[0])
    assert any(a["answer"] == "" and a["start"] == a["end"] == 0 for a in answers)


def test_errors(server):
    def fails(body, status):
        answer = ask(server, "/span", body)
        assert answer.status == status, (body, answer.body)
        return answer.json()["error"]

    good = {"question": "q?", "context": "some context"}
    assert "`question`" in fails({}, 422)
    assert "`context`" in fails({"question": "q"}, 422)
    assert "`inputs`" in fails({"inputs": "text"}, 422)
    assert "`parameters`" in fails({"inputs": good, "parameters": [1]}, 422)
    fails({"inputs": {"question": "q", "context": ["c"]}}, 422)
    fails({"question": "", "context": "c"}, 400)
    fails({"question": "q", "context": ""}, 400)
    for name, value in [("top_k", 0), ("top_k", 1025), ("top_k", "1"), ("top_k", 1.5), ("max_answer_len", 0), ("max_answer_len", -1),
                        ("max_seq_len", 0), ("doc_stride", -5), ("align_to_words", 1), ("handle_impossible_answer", "yes"),
                        ("max_question_len", 0)]:
        assert fails({"inputs": good, "parameters": {name: value}}, 422).startswith(f"`parameters.{name}` must be ")
        assert fails({**good, name: value}, 422).startswith(f"`{name}` must be ")
    fails({**good, "max_seq_len": 5000}, 422)
    fails({**good, "max_seq_len": 100, "doc_stride": 200}, 422)
    fails({"question": "why " * 600, "context": "c"}, 422)
    assert span(server, "q?", "some context", top_k=None, doc_stride=None) is not None
