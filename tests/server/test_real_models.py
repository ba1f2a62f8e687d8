"""The two real models behind the routes: what they answer is what the commands answer, to the bit
where the plan is the same, and what a reader would expect of them. The tests of this file run on
every instruction set (tests/run-isas)."""
import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from program import BINARY
from serving import ask

pytestmark = [pytest.mark.real, pytest.mark.isa]

same_bits = pytest.mark.skipif(os.environ.get("QUERENT_ISA") == "ref", reason="OpenBLAS is exempt from same text, same bits")

TEXTS = [
    "how tall is everest",
    "Café ÉTÉ größte Straße",
    "東京の天気",
    "a",
    "cheap flights from london to new york in december with one stop",
]
CONTEXT = ("In München the report was written by Ada Byron in 1843. Charles Babbage, who lived in London, had asked her for it. "
           "It was printed in a journal called Scientific Memoirs.")
QUESTIONS = ["Who wrote the report?", "Where did Babbage live?", "When was it written?", "What was the journal called?"]


@pytest.fixture(scope="module")
def f32_server(start_server, minilm, squad):
    """What the commands' default precision gives, bit for bit."""
    return start_server("--precision", "f32", models=[minilm, squad])


def embed(server, inputs):
    answer = ask(server, "/embed", {"inputs": inputs})
    assert answer.status == 200, answer.body
    return np.array(answer.json(), dtype=np.float32)


def span(server, question, context=CONTEXT):
    answer = ask(server, "/span", {"question": question, "context": context})
    assert answer.status == 200, answer.body
    return answer.json()


def command(*arguments, lines):
    done = subprocess.run([BINARY, *arguments], input="".join(line + "\n" for line in lines), capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_embed_equals_the_command(f32_server, real_server, minilm):
    wanted = np.array(command("embed", "--model", minilm, lines=TEXTS), dtype=np.float32)
    assert np.array_equal(embed(f32_server, TEXTS), wanted)
    # The plan that auto chose stays within the gate's bounds.
    assert (embed(real_server, TEXTS) * wanted).sum(axis=1).min() >= 0.997


def test_span_equals_the_command(f32_server, squad):
    lines = [json.dumps({"question": question, "context": CONTEXT}) for question in QUESTIONS]
    assert [span(f32_server, question) for question in QUESTIONS] == command("span", "--model", squad, "--top-k", "1", lines=lines)


@same_bits
def test_batch_mates_change_no_bit(real_server):
    alone = np.concatenate([embed(real_server, text) for text in TEXTS])
    assert np.array_equal(embed(real_server, TEXTS), alone)
    assert np.array_equal(embed(real_server, TEXTS[::-1]), alone[::-1])
    with ThreadPoolExecutor(8) as pool:  # many clients at once share batches
        many = list(pool.map(lambda i: embed(real_server, TEXTS[i % len(TEXTS)])[0], range(64)))
    assert np.array_equal(np.array(many), alone[np.arange(64) % len(TEXTS)])


@same_bits
def test_the_same_question_gives_the_same_bits(real_server):
    """Lonely or in company, on whatever cores happen to help."""
    body = {"question": QUESTIONS[1], "context": CONTEXT, "top_k": 3}
    wanted = ask(real_server, "/span", body).body
    for _ in range(300):
        assert ask(real_server, "/span", body).body == wanted
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: ask(real_server, "/span", body).body, range(300))) == {wanted}


def test_a_question_is_answered(real_server):
    answer = span(real_server, QUESTIONS[0])
    assert answer["answer"] == "Ada Byron" == CONTEXT[answer["start"] : answer["end"]]


def test_long_passages_need_windows(real_server):
    filler = "The weather was mild and nothing of note happened that day. " * 150
    answer = span(real_server, QUESTIONS[0], filler + CONTEXT + filler)
    assert answer["answer"] == "Ada Byron"
    assert answer["start"] == len(filler) + CONTEXT.index("Ada Byron")
