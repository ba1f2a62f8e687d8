"""Vectors as bytes, and in types of fewer bits, beside numpy and sentence-transformers' formulas."""
import base64

import numpy as np
import pytest
from program import HIDDEN
from serving import ask

TEXTS = ["how tall is everest", "cheap hotels in paris", "open now near me"]
OCTETS = (("Accept", "application/octet-stream"),)


@pytest.fixture(scope="module")
def ranged(start_server, embedder):
    return start_server("--int8-vectors", models=[embedder])


@pytest.fixture(scope="module")
def floats(ranged):
    return np.array(ask(ranged, "/embed", {"inputs": TEXTS}).json(), np.float32)


def raw(server, route="/embed", **fields):
    answer = ask(server, route, {"input" if route.startswith("/v1") else "inputs": TEXTS, **fields}, headers=OCTETS)
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"] == "application/octet-stream"
    return answer


@pytest.mark.parametrize("route", ["/embed", "/v1/embeddings"])
def test_f32_is_what_json_says(ranged, floats, route):
    answer = raw(ranged, route)
    assert answer.headers["x-embedding-shape"] == f"3,{HIDDEN}"
    assert answer.headers["x-embedding-dtype"] == "f32"
    assert np.array_equal(np.frombuffer(answer.body, "<f4").reshape(3, HIDDEN), floats)


def test_half_is_numpys(ranged, floats):
    half = np.frombuffer(raw(ranged, embedding_dtype="f16").body, "<f2").reshape(3, HIDDEN)
    assert np.array_equal(half, floats.astype(np.float16))
    listed = ask(ranged, "/embed", {"inputs": TEXTS, "embedding_dtype": "f16"}).json()
    assert np.array_equal(np.array(listed, np.float32), half.astype(np.float32))


def test_bits_are_packed_as_sentence_transformers_does(ranged, floats):
    bits = np.packbits(floats > 0, axis=-1)
    answer = raw(ranged, embedding_dtype="ubinary")
    assert answer.headers["x-embedding-shape"] == f"3,{(HIDDEN + 7) // 8}"
    assert np.array_equal(np.frombuffer(answer.body, np.uint8).reshape(3, -1), bits)
    signed = np.frombuffer(raw(ranged, embedding_dtype="binary").body, np.int8).reshape(3, -1)
    assert np.array_equal(signed, (bits.astype(int) - 128).astype(np.int8))
    assert ask(ranged, "/embed", {"inputs": TEXTS, "embedding_dtype": "binary"}).json() == signed.tolist()


@pytest.mark.parametrize("dimensions", [HIDDEN, 8])
def test_int8_keeps_the_vector(ranged, dimensions):
    exact = np.array(ask(ranged, "/embed", {"inputs": TEXTS, "dimensions": dimensions}).json())
    unsigned = np.frombuffer(raw(ranged, embedding_dtype="uint8", dimensions=dimensions).body, np.uint8)
    signed = np.frombuffer(raw(ranged, embedding_dtype="int8", dimensions=dimensions).body, np.int8)
    assert np.array_equal(unsigned.astype(int) - 128, signed)
    # A code is a whole number of steps from the dimension's least: two texts' codes differ as their numbers do.
    codes = signed.reshape(3, dimensions).astype(float)
    for a, b in ((0, 1), (1, 2)):
        inside = np.all((codes > -128) & (codes < 127), axis=0)
        steps, exacts = (codes[a] - codes[b])[inside], (exact[a] - exact[b])[inside]
        moved = np.abs(steps) > 8
        ratio = exacts[moved] / steps[moved]
        assert np.all(ratio > 0) and np.median(ratio) < 0.05


def test_without_ranges_int8_is_refused(server):
    answer = ask(server, "/embed", {"inputs": "a", "embedding_dtype": "int8"})
    assert answer.status == 422
    assert "--int8-vectors" in answer.json()["error"]
    assert ask(server, "/embed", {"inputs": "a", "embedding_dtype": "f64"}).status == 422


def test_base64_of_another_type(ranged, floats):
    answer = ask(ranged, "/v1/embeddings", {"input": TEXTS, "encoding_format": "base64", "embedding_dtype": "f16"}).json()
    halves = [np.frombuffer(base64.b64decode(item["embedding"]), "<f2") for item in answer["data"]]
    assert np.array_equal(np.array(halves), floats.astype(np.float16))


def test_errors_stay_json(ranged):
    answer = ask(ranged, "/embed", {"inputs": ""}, headers=OCTETS)
    assert answer.status == 400 and answer.headers["content-type"] == "application/json"
    assert "x-embedding-shape" not in answer.headers


def test_several_requests_in_one_are_json(ranged):
    """Each part would have header fields of its own: more than an answer has room for."""
    for count in (1, 2, 3, 50):
        answer = ask(ranged, "/vertex", {"instances": [{"inputs": TEXTS[0]}] * count}, headers=OCTETS)
        assert answer.status == 200 and answer.headers["content-type"] == "application/json"
        assert len(answer.json()["predictions"]) == count and "x-embedding-shape" not in answer.headers


def test_bytes_only_for_who_asks_first(ranged):
    for accept, octets in (("application/json, application/octet-stream", False), ("application/octet-stream;q=0", False),
                           ("application/octet-stream, application/json;q=0.1", True)):
        answer = ask(ranged, "/embed", {"inputs": "a"}, headers=(("Accept", accept),))
        assert (answer.headers["content-type"] == "application/octet-stream") == octets, accept
