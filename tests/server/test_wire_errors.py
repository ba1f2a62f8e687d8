"""A table of errors that clients of other systems meet: status, content type and body of each.

The statuses are text-embeddings-inference's real ones (its documents say 413 where it answers 422), OpenAI's, Cohere's; where
querent differs on purpose, docs/API.md ("Differences from the originals") says so.
"""
import gzip
import http.client
import json

import pytest
from program import HIDDEN, MAX_TOKENS
from serving import ENDLESS_ITEMS, ask, make_request, read_answer, send_endless

TEI, OPENAI, RERANK, COHERE = "tei", "openai", "rerank", "cohere"

# shape, path, body, status, type or code, sentence
TABLE = [
    (TEI, "/embed", {"inputs": ["a"] * 2049}, 422, "Validation", "batch size 2049 > maximum allowed batch size 2048"),
    (TEI, "/embed", {"inputs": "word " * 600, "truncate": False}, 422, "Validation",
     f"Input validation error: `inputs` must have less than {MAX_TOKENS} tokens. Given: "),
    (TEI, "/embed", {"inputs": ""}, 400, "Empty", "Input validation error: `inputs` cannot be empty"),
    (TEI, "/embed", {"inputs": []}, 400, "Empty", "Input validation error: `inputs` cannot be empty"),
    (TEI, "/embed", {"inputs": ["a", ""]}, 400, "Empty", "Input validation error: `inputs` cannot be empty"),
    (TEI, "/embed", {"inputs": "a", "dimensions": 0}, 422, "Validation", f"`dimensions` must be a whole number from 1 to {HIDDEN}"),
    (TEI, "/embed", {"inputs": "a", "dimensions": HIDDEN + 1}, 422, "Validation", f"`dimensions` must be a whole number from 1 to {HIDDEN}"),
    (TEI, "/embed", {"inputs": "a", "truncation_direction": "up"}, 422, "Validation", "`truncation_direction` must be"),
    (TEI, "/embed", {"inputs": [99999999]}, 422, "Validation", "`inputs[0]` must be a token id from 0 to"),
    (TEI, "/embed", {"inputs": "a", "model": "nobody"}, 404, "Validation", "no model of that name is loaded"),
    (TEI, "/embed", {"inputs": "a", "model": "reader"}, 424, "Backend", "no loaded model can answer this route"),
    (TEI, "/embed", {}, 422, "Validation", "`inputs` is missing"),
    (TEI, "/embed", {"inputs": 1.5}, 422, "Validation", "`inputs` must be a text"),
    (TEI, "/embed", b"{", 400, "Validation", "the request body is not valid JSON"),
    (TEI, "/embed", b"[]", 422, "Validation", "the request body must be a JSON object"),
    (TEI, "/embed_sparse", {"inputs": "a"}, 424, "Backend", "no loaded model can answer this route"),
    (TEI, "/predict", {"inputs": "a"}, 424, "Backend", "no loaded model can answer this route"),
    (TEI, "/similarity", {"inputs": {"source_sentence": "a", "sentences": []}}, 400, "Empty", "Input validation error"),
    (TEI, "/tokenize", {"inputs": []}, 400, "Empty", "Input validation error"),
    (TEI, "/decode", {"ids": []}, 400, "Empty", "Input validation error"),
    (TEI, "/vertex", {"instances": [{"inputs": ""}]}, 400, "Empty", "Input validation error"),
    (TEI, "/vertex", {"instances": [{"x": 1}]}, 422, "Validation", "`inputs` is missing"),
    (TEI, "/span", {"question": "", "context": "a"}, 400, "Empty", "Input validation error"),
    (TEI, "/span", {"question": "a", "context": "b", "top_k": 0}, 422, "Validation", "`top_k` must be a whole number from 1 to 1024"),
    (TEI, "/nowhere", {}, 404, "Validation", "no such route"),
    (OPENAI, "/v1/embeddings", {"input": ""}, 400, "empty_input", "Input validation error"),
    (OPENAI, "/v1/embeddings", {"input": ["a"] * 2049}, 422, "too_many", "batch size 2049"),
    (OPENAI, "/v1/embeddings", {"input": "a", "encoding_format": "hex"}, 422, "bad_request", "`encoding_format` must be"),
    (OPENAI, "/v1/embeddings", {"input": [[1, 99999999]]}, 422, "bad_request", "`input[0][1]` must be a token id from 0 to"),
    (OPENAI, "/v1/embeddings", {}, 422, "bad_request", "`input` is missing"),
    (OPENAI, "/embeddings", b"nope", 400, "bad_json", "the request body is not valid JSON"),
    (RERANK, "/rerank", {"query": "q", "texts": ["a"]}, 424, "Backend", "no loaded model can answer this route"),
    (RERANK, "/rerank", {"texts": ["a"]}, 422, "Validation", "`query` is missing"),
    (COHERE, "/v1/rerank", {"query": "q", "documents": ["a"]}, 424, "wrong_kind", "no loaded model can answer this route"),
    (COHERE, "/v2/rerank", {"query": "q"}, 422, "bad_request", "`documents` is missing"),
    (COHERE, "/v2/embed", {"texts": []}, 400, "empty_input", "Input validation error"),
    (COHERE, "/v2/embed", {"texts": ["a"], "embedding_types": ["f8"]}, 422, "bad_request", "`embedding_types[0]` must be"),
    (COHERE, "/v1/embed", {"texts": ["word " * 600], "truncate": "NONE"}, 422, "too_long", "Input validation error"),
]


def check_body(shape, body, status, kind, sentence):
    if shape == TEI:
        assert set(body) == {"error", "error_type"}
        assert body["error"].startswith(sentence) and body["error_type"] == kind
    elif shape == RERANK:
        assert set(body) == {"error", "error_type", "message", "detail"}
        assert body["error"] == body["message"] == body["detail"] and body["error"].startswith(sentence)
        assert body["error_type"] == kind
    elif shape == OPENAI:
        assert set(body) == {"message", "code", "type", "detail", "error"}
        assert body["code"] == status and body["message"].startswith(sentence)
        assert set(body["error"]) == {"message", "type", "param", "code"} and body["error"]["code"] == kind
        assert body["error"]["message"] == body["detail"] == body["message"]
    else:
        assert set(body) == {"message", "detail", "error"}
        assert body["message"] == body["detail"] == body["error"]["message"] and body["message"].startswith(sentence)
        assert body["error"]["code"] == kind


@pytest.mark.parametrize("shape,path,body,status,kind,sentence", TABLE)
def test_status_type_and_body(server, shape, path, body, status, kind, sentence):
    answer = ask(server, path, body)
    assert answer.status == status, answer.body
    assert answer.headers["content-type"] == "application/json"
    check_body(shape, answer.json(), status, kind, sentence)
    assert answer.headers["x-trace-id"]


def test_ids_of_another_tokenizer_get_a_hint(server):
    error = ask(server, "/v1/embeddings", {"input": [[99999999]]}).json()["message"]
    assert "texts" in error and "/tokenize" in error


def test_a_compressed_body_is_415(server):
    """Also one that only says so; the connection is kept."""
    plain = b'{"inputs": "a"}'
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    for coding, body, status in [("gzip", gzip.compress(plain), 415), ("gzip", plain, 415), ("identity", plain, 200)]:
        connection.request("POST", "/embed", body, {"Content-Type": "application/json", "Content-Encoding": coding})
        answer = connection.getresponse()
        said = answer.read()
        assert answer.status == status
        if status == 415:
            assert answer.headers["Accept-Encoding"] == "identity"
            assert b"expected a request body without a Content-Encoding" in said
    connection.close()


def test_a_wrong_content_type_is_415(server):
    with server.connect() as connection:
        request = make_request("/embed", b'{"inputs":"a"}')
        connection.sendall(request.replace(b"application/json", b"text/plain"))
        answer, _ = read_answer(connection)
    assert answer.status == 415 and b"a request with `Content-Type: application/json`" in answer.body


def test_a_body_that_is_too_large_is_413(start_server, embedder):
    small = start_server("--max-body-bytes", "2000", models=[embedder])
    answer = ask(small, "/embed", {"inputs": "a" * 3000})
    assert answer.status == 413 and json.loads(answer.body)["error_type"] == "Validation"


def test_overload_and_lateness(start_server, tiny):
    small = start_server("--threads", "1", "--queue-items", ENDLESS_ITEMS, models=[tiny("slow")])
    blocker = send_endless(small)
    for path, name in (("/embed", "inputs"), ("/v2/embed", "texts")):
        answer = ask(small, path, {name: ["a"] * ENDLESS_ITEMS})
        assert answer.status == 429 and int(answer.headers["retry-after"]) >= 1
        assert "Model is overloaded" in (answer.json().get("error"), answer.json().get("message"))
    blocker.close()
    answer = ask(small, "/embed", {"inputs": "a"}, headers=(("X-Request-Budget-Ms", "0"),))
    assert answer.status == 504 and answer.headers["x-should-retry"] == "false"
