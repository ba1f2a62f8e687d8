"""/embed_all: the hidden states of all tokens."""
import numpy as np
import pytest
from program import HIDDEN
from serving import ask

TEXTS = ["how tall is everest", "bread", "cheap hotels in paris near the river"]


def states(server, inputs, **fields):
    answer = ask(server, "/embed_all", {"inputs": inputs, **fields})
    assert answer.status == 200, answer.body
    return [np.array(rows, np.float32) for rows in answer.json()]


def test_a_row_a_token_and_their_mean_is_the_vector(server):
    tokens = [len(t) for t in ask(server, "/tokenize", {"inputs": TEXTS}).json()]
    found = states(server, TEXTS)
    assert [rows.shape for rows in found] == [(n, HIDDEN) for n in tokens]
    vectors = np.array(ask(server, "/embed", {"inputs": TEXTS, "normalize": False}).json(), np.float32)
    assert np.allclose([rows.mean(axis=0) for rows in found], vectors, atol=1e-5)


def test_same_bits_alone_and_together(server):
    together = states(server, TEXTS)
    for text, rows in zip(TEXTS, together):
        assert np.array_equal(states(server, text)[0], rows)
    # Between requests for vectors, whose results are something else.
    vector = ask(server, "/embed", {"inputs": TEXTS[0]}).json()
    assert np.array_equal(states(server, TEXTS[0])[0], together[0])
    assert ask(server, "/embed", {"inputs": TEXTS[0]}).json() == vector


def test_the_cache_does_not_mix_them_up(start_server, embedder):
    cached = start_server("--cache-bytes", "1000000", models=[embedder])
    vector = ask(cached, "/embed", {"inputs": TEXTS[0]}).json()
    first = ask(cached, "/embed_all", {"inputs": TEXTS[0]})
    assert first.status == 200 and "cache" not in first.headers.get("x-querent-trace", "")
    assert ask(cached, "/embed_all", {"inputs": TEXTS[0]}).body == first.body
    assert ask(cached, "/embed", {"inputs": TEXTS[0]}).json() == vector


@pytest.mark.parametrize("inflight_bytes, numbers", [(1 << 30, 16777216), (1 << 28, 7456540)])
def test_too_many_states_are_refused(start_server, embedder, inflight_bytes, numbers):
    wide = start_server(
        *["--queue-items", "65536", "--max-body-bytes", "20000000", "--inflight-bytes", inflight_bytes], models=[embedder]
    )
    answer = ask(wide, "/embed_all", {"inputs": ["word " * 400] * 2048})
    assert answer.status == 422, answer.status
    assert answer.json()["error"] == f"the answer would have more than {numbers} numbers: ask for less at a time"
    assert ask(wide, "/embed_all", {"inputs": "a"}).status == 200


def test_errors(server):
    assert ask(server, "/embed_all", {"inputs": ""}).status == 400
    assert ask(server, "/embed_all", {"inputs": "a", "model": "reader"}).status == 424
