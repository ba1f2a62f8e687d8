"""`querent span`: answers as transformers' pipeline gives them, and what happens to lines that have none."""

import json

import pytest
from cli_tool import json_lines, querent
from program import ROOT
from span_oracle import flags_of  # of tools/; needs torch only when it is asked for answers


def lines_of(pairs):
    return b"".join(json.dumps({"question": q, "context": c}).encode() + b"\n" for q, c in pairs)


GOLDEN = json.loads((ROOT / "tests/golden/spans.json").read_text(encoding="utf-8"))
OPTIONS = sorted({json.dumps(case["options"]) for case in GOLDEN["cases"]})
# Most options choose among the same numbers; these give the engine other sequences to run.
SEQUENCES = [options for options in OPTIONS if options == "{}" or "max_seq_len" in options]


@pytest.mark.real
@pytest.mark.parametrize("options", [pytest.param(one, marks=pytest.mark.isa if one in SEQUENCES else ()) for one in OPTIONS])
def test_equals_the_pipeline(squad, options):
    cases = [case for case in GOLDEN["cases"] if json.dumps(case["options"]) == options]
    pairs = [(case["question"], GOLDEN["passages"][case["passage"]]) for case in cases]
    found = json_lines(querent("span", "--model", squad, *flags_of(json.loads(options)), stdin=lines_of(pairs)))
    for case, (question, context), answers in zip(cases, pairs, found, strict=True):
        wanted = case["answers"]
        assert isinstance(answers, dict) == (len(wanted) == 1)
        answers = [answers] if isinstance(answers, dict) else answers
        assert [(a["start"], a["end"], a["answer"]) for a in answers] == [
            (a["start"], a["end"], a["answer"]) for a in wanted
        ], question
        for a, w in zip(answers, wanted):
            assert a["score"] == pytest.approx(w["score"], abs=1e-5), question
            assert context[a["start"] : a["end"]] == a["answer"]


def test_the_goldens_have_many_options():
    assert len(OPTIONS) >= 8 and len(SEQUENCES) >= 3


def test_keys_come_in_the_pipelines_order(reader):
    done = querent("span", "--model", reader, stdin=lines_of([("Who sleeps?", "The cat sleeps.")]))
    (answer,) = json_lines(done)
    assert list(answer) == ["score", "start", "end", "answer"]


def test_more_keys_and_escapes_are_fine(reader):
    line = b'{"id": 7, "question": "Wh\\u006f sl\\u00e4ft?", "context": "Die \\ud83d\\ude00 Katze schl\\u00e4ft.\\n"}\n'
    (answer,) = json_lines(querent("span", "--model", reader, stdin=line))
    context = "Die \U0001f600 Katze schläft.\n"
    assert context[answer["start"] : answer["end"]] == answer["answer"]


@pytest.mark.parametrize(
    "line,word",
    [
        (b"", "JSON"),
        (b"not json", "JSON"),
        (b'{"question": "a"', "JSON"),
        (b"[]", "question"),
        (b'"text"', "expected"),
        (b'{"question": "a"}', "context"),
        (b'{"question": 1, "context": "b"}', "question"),
        (b'{"question": "", "context": "b"}', "empty"),
        (b'{"question": "a", "context": ""}', "empty"),
        (b'{"question": "a", "context": "\xff"}', "JSON"),
        (json.dumps({"question": "why " * 600, "context": "b"}).encode(), "room"),
        (b"[" * 5000, "JSON"),
    ],
)
def test_a_bad_line_is_named_and_the_others_answered(reader, line, word):
    good = lines_of([("Who sleeps?", "The cat sleeps.")])
    done = querent("span", "--model", reader, stdin=good + line + b"\n" + good)
    found = json_lines(done, code=1)
    assert len(found) == 3
    assert found[0] == found[2] and "answer" in found[0]
    assert list(found[1]) == ["error"] and word in found[1]["error"]
    assert b"querent span: line 2: " in done.stderr


def test_no_input_no_output(reader):
    done = querent("span", "--model", reader)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_a_context_without_words_has_an_empty_answer(reader):
    (answer,) = json_lines(querent("span", "--model", reader, stdin=lines_of([("Who?", "   ")])))
    assert answer == {"score": 0.0, "start": 0, "end": 0, "answer": ""}


@pytest.mark.parametrize(
    "options,named",
    [
        (["--max-seq-len", "513"], b"--max-seq-len 513"),
        (["--doc-stride", "400"], b"--doc-stride 400"),
        (["--max-seq-len", "100", "--doc-stride", "101"], b"--doc-stride 101"),
        (["--top-k", "0"], b"--top-k 0"),
        (["--top-k", "1025"], b"--top-k 1025"),
        (["--max-answer-len", "0"], b"--max-answer-len 0"),
    ],
)
def test_options_out_of_range_are_refused(reader, options, named):
    done = querent("span", "--model", reader, *options)
    assert done.returncode == 2
    assert named in done.stderr


def test_an_embedding_model_is_refused(embedder):
    done = querent("span", "--model", embedder, stdin=lines_of([("a", "b")]))
    assert done.returncode == 1
    assert b"kind span" in done.stderr
