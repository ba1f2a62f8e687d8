"""The clients that people have, against the routes that they know: openai and huggingface_hub."""
import base64

import numpy as np
import pytest
from program import HIDDEN, MAX_TOKENS
from serving import ENDLESS_ITEMS, ask, send_endless

openai = pytest.importorskip("openai")
hub = pytest.importorskip("huggingface_hub")

TEXTS = ["how tall is everest", "cheap hotels in paris", "größte stadt der welt"]


@pytest.fixture(scope="module")
def client(server):
    return openai.OpenAI(base_url=server.url + "/v1", api_key="unused", max_retries=0)


@pytest.fixture(scope="module")
def vectors(server):
    return np.array(ask(server, "/embed", {"inputs": TEXTS}).json(), dtype=np.float32)


def rows(response):
    assert response.object == "list"
    assert [item.index for item in response.data] == list(range(len(response.data)))
    assert all(item.object == "embedding" for item in response.data)
    return np.array([item.embedding for item in response.data], dtype=np.float32)


def test_openai_default_is_base64_and_equals_floats(client, vectors):
    assert np.array_equal(rows(client.embeddings.create(model="embedder", input=TEXTS)), vectors)
    floats = client.embeddings.create(model="embedder", input=TEXTS, encoding_format="float")
    assert np.array_equal(rows(floats), vectors)


def test_openai_four_forms_of_input(client, server):
    tokens = ask(server, "/tokenize", {"inputs": TEXTS}).json()
    ids = [[token["id"] for token in text] for text in tokens]
    one = rows(client.embeddings.create(model="embedder", input=TEXTS[0]))
    many = rows(client.embeddings.create(model="embedder", input=TEXTS))
    assert one.shape == (1, HIDDEN) and many.shape == (3, HIDDEN)
    assert np.array_equal(rows(client.embeddings.create(model="embedder", input=ids[0])), one)
    assert np.array_equal(rows(client.embeddings.create(model="embedder", input=ids)), many)


def test_openai_usage_model_and_user(client):
    response = client.embeddings.create(model="text-embedding-3-small", input="hello world", user="someone")
    assert response.model == "embedder"  # a name that is not loaded is served by the first model
    assert response.usage.prompt_tokens == response.usage.total_tokens == 4


def test_openai_dimensions_are_cut_and_normalised(client, vectors):
    cut = rows(client.embeddings.create(model="embedder", input=TEXTS, dimensions=20))
    assert cut.shape == (3, 20)
    assert np.allclose(np.linalg.norm(cut, axis=1), 1, atol=1e-6)
    wanted = vectors[:, :20] / np.linalg.norm(vectors[:, :20], axis=1, keepdims=True)
    assert np.allclose(cut, wanted, atol=1e-6)


def test_openai_long_text_is_cut(client):
    response = client.embeddings.create(model="embedder", input="word " * 5000)
    assert response.usage.prompt_tokens == MAX_TOKENS


def test_openai_2048_inputs(client):
    """As many as the client allows in one request. The answer is whole, in order, and each is what it is alone."""
    count = 2048
    inputs = [f"query {i % 7}" for i in range(count)]
    many = rows(client.embeddings.create(model="embedder", input=inputs))
    assert many.shape == (count, HIDDEN)
    assert np.array_equal(many, many[:7][np.arange(count) % 7])


@pytest.mark.parametrize("inputs, extra, status, code, param", [
    ("", {}, 400, "empty_input", None),
    ([], {}, 400, "empty_input", None),
    (["a", ""], {}, 400, "empty_input", None),
    ([99999999], {}, 422, "bad_request", "input"),
    ("a", {"dimensions": HIDDEN + 1}, 422, "bad_request", "dimensions"),
    (["a"] * 2049, {}, 422, "too_many", None),
])
def test_openai_errors(client, inputs, extra, status, code, param):
    with pytest.raises(openai.APIStatusError) as caught:
        client.embeddings.create(model="embedder", input=inputs, **extra)
    error = caught.value
    assert (error.status_code, error.code, error.param, error.type) == (status, code, param, "invalid_request_error")
    body = error.response.json()
    assert body["message"] == body["error"]["message"] and body["code"] == status
    assert body["type"] in ("Validation", "Empty")


def test_openai_overload_tells_when_to_retry(start_server, tiny):
    small = start_server("--threads", "1", "--queue-items", ENDLESS_ITEMS, models=[tiny("slow")])
    blocker = send_endless(small)
    client = openai.OpenAI(base_url=small.url + "/v1", api_key="unused", max_retries=0)
    with pytest.raises(openai.RateLimitError) as caught:
        client.embeddings.create(model="slow", input=["x"] * ENDLESS_ITEMS)
    blocker.close()
    assert int(caught.value.response.headers["retry-after-ms"]) >= 1
    assert caught.value.response.headers["x-should-retry"] == "true"
    assert caught.value.body["message"] == "Model is overloaded"


@pytest.mark.parametrize("field", ["embedding_type", "encoding_type"])
def test_jinas_types_of_vectors(server, vectors, field):
    """What Jina's clients do with the numbers is LlamaIndex's: they unpack bits, of binary behind adding 128."""
    def numbers(kind):
        answer = ask(server, "/v1/embeddings", {"input": TEXTS, "model": "jina-embeddings-v3", field: kind}).json()
        return [item["embedding"] for item in answer["data"]]

    bits = vectors > 0
    assert np.array_equal(np.unpackbits(np.array(numbers("ubinary"), np.uint8), axis=1), bits)
    assert np.array_equal(np.unpackbits((np.array(numbers("binary")) + 128).astype(np.uint8), axis=1), bits)
    for kind in ("float", None):
        assert np.array_equal(np.array(numbers(kind), np.float32), vectors)
    assert np.array_equal([np.frombuffer(base64.b64decode(text), "<f4") for text in numbers("base64")], vectors)
    refused = ask(server, "/v1/embeddings", {"input": TEXTS, field: "half"})
    assert refused.status == 422 and f"`{field}` must be" in refused.json()["detail"]


def test_hub_feature_extraction(server, vectors):
    for url in (server.url + "/embed", server.url):
        client = hub.InferenceClient(model=url)
        one = client.feature_extraction(TEXTS[0])
        assert one.dtype == np.float32 and np.array_equal(one, vectors[:1])
        assert np.array_equal(client.feature_extraction(TEXTS), vectors)
        raw = client.feature_extraction(TEXTS[0], normalize=False, truncate=True, truncation_direction="Left")
        assert np.allclose(raw / np.linalg.norm(raw), vectors[:1], atol=1e-6)


def test_hub_errors(server):
    client = hub.InferenceClient(model=server.url + "/embed")
    with pytest.raises(hub.errors.HfHubHTTPError) as caught:
        client.feature_extraction("")
    assert caught.value.response.status_code == 400
    assert "`inputs` cannot be empty" in str(caught.value)
    with pytest.raises(hub.errors.HfHubHTTPError, match="prompt_name"):
        client.feature_extraction("text", prompt_name="query")


def test_hub_question_answering(server):
    client = hub.InferenceClient(model=server.url + "/span")
    context = "In München the report was written by Ada Byron in 1843."
    answer = client.question_answering("Who wrote the report?", context)
    assert answer.answer == context[answer.start : answer.end] != ""
    assert 0 <= answer.score <= 1
    several = client.question_answering("Who wrote the report?", context, top_k=3, max_answer_len=4, doc_stride=8,
                                        max_seq_len=64, handle_impossible_answer=True, align_to_words=False)
    assert 1 < len(several) <= 3
    assert [a.score for a in several] == sorted((a.score for a in several), reverse=True)


@pytest.mark.parametrize("route", ["/predict", ""])
def test_hub_text_classification(labels_server, route):
    """All labels come back, in the nested list that the client unpacks; text-embeddings-inference's flat one loses all but one."""
    client = hub.InferenceClient(model=labels_server.url + route)
    text = "fresh bread near the river"
    found = client.text_classification(text)
    flat = {item["label"]: item["score"] for item in ask(labels_server, "/predict", {"inputs": text}).json()}
    assert {item.label: item.score for item in found} == flat
    assert [item.score for item in found] == sorted(flat.values(), reverse=True)
    assert len(client.text_classification(text, top_k=1)) == 1
    raw = {item.label: item.score for item in client.text_classification(text, function_to_apply="none")}
    single = {item.label: item.score for item in client.text_classification(text, function_to_apply="sigmoid")}
    for label, logit in raw.items():
        assert single[label] == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-6)


def test_hub_shape_of_batches_and_pairs(labels_server):
    body = {"inputs": ["a", {"text": "a", "text_pair": "b"}], "parameters": {"top_k": 2}}
    answer = ask(labels_server, "/predict", body).json()
    assert [len(row) for row in answer] == [2, 2] and answer[0] != answer[1]
    for inputs in ([1], [["a"]], {"text_pair": "b"}, 7):
        assert ask(labels_server, "/predict", {"inputs": inputs, "parameters": {}}).status == 422
    assert ask(labels_server, "/predict", {"inputs": "a", "parameters": {"top_k": 0}}).status == 422


def test_hub_sentence_similarity(server, vectors):
    for url in (server.url + "/similarity", server.url):
        client = hub.InferenceClient(model=url)
        scores = client.sentence_similarity(TEXTS[0], other_sentences=TEXTS[1:])
        assert np.allclose(scores, vectors[1:] @ vectors[0], atol=1e-6)


def test_openai_lists_and_finds_models(client):
    models = client.models.list().data
    assert [model.id for model in models] == ["embedder", "reader"]
    assert client.models.retrieve("reader").id == "reader"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("no/such")
