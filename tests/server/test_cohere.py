"""Cohere's own client, version 1 and 2 of its API, and the shapes that its imitators' clients read."""
import numpy as np
import pytest
from serving import ask

cohere = pytest.importorskip("cohere")

DOCUMENTS = ["the river", "fresh bread near me", "a bakery that opens at six", "train times"]


@pytest.fixture(scope="module")
def both(start_server, embedder, tiny):
    return start_server("--int8-vectors", models=[embedder, tiny("reranker")])


@pytest.fixture(scope="module")
def v1(both):
    return cohere.Client(api_key="unused", base_url=both.url)


@pytest.fixture(scope="module")
def v2(both):
    return cohere.ClientV2(api_key="unused", base_url=both.url)


@pytest.fixture(scope="module")
def tei(both):
    """What /rerank says in its own shape: score by index."""
    answer = ask(both, "/rerank", {"query": "bread", "texts": DOCUMENTS}).json()
    return {item["index"]: item["score"] for item in answer}


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("base", ["", "/v1", "/v3"])
def test_rerank(both, tei, version, base):
    client = (cohere.Client if version == "v1" else cohere.ClientV2)(api_key="unused", base_url=both.url + base)
    answer = client.rerank(model="rerank-v3.5", query="bread", documents=DOCUMENTS, top_n=3)
    assert len(answer.results) == 3 and answer.id
    scores = [item.relevance_score for item in answer.results]
    assert scores == sorted(scores, reverse=True)
    assert all(item.relevance_score == pytest.approx(tei[item.index], abs=1e-9) for item in answer.results)
    assert answer.meta.billed_units.search_units == 1


def test_rerank_returns_documents_and_takes_objects(v1):
    answer = v1.rerank(model="m", query="bread", documents=[{"text": text} for text in DOCUMENTS], return_documents=True)
    assert sorted(item.document.text for item in answer.results) == sorted(DOCUMENTS)
    assert all(item.document.text == DOCUMENTS[item.index] for item in answer.results)
    plain = v1.rerank(model="m", query="bread", documents=DOCUMENTS)
    assert all(item.document is None for item in plain.results)


def test_nulls_of_other_clients(both):
    """langchain sends max_tokens_per_doc: null, haystack top_n: null; open-webui wants all of them back."""
    body = {"query": "bread", "documents": DOCUMENTS, "top_n": None, "max_tokens_per_doc": None, "model": None}
    answer = ask(both, "/rerank", body).json()
    assert {"model", "usage", "results", "object", "id"} <= set(answer)
    assert sorted(item["index"] for item in answer["results"]) == [0, 1, 2, 3]
    assert all("document" not in item for item in answer["results"])
    assert ask(both, "/rerank", {**body, "top_n": 99}).json()["results"] == answer["results"]


def test_raw_scores(both, tei):
    for more in ({"raw_scores": True}, {"use_activation": False}):
        raw = ask(both, "/v1/rerank", {"query": "bread", "documents": DOCUMENTS, **more}).json()["results"]
        for item in raw:
            assert 1 / (1 + np.exp(-item["relevance_score"])) == pytest.approx(tei[item["index"]], abs=1e-6)


def test_errors_become_the_clients_classes(v1, v2):
    with pytest.raises(cohere.UnprocessableEntityError) as caught:
        v2.rerank(model="m", query="bread", documents=[1])
    assert caught.value.body["detail"].startswith("`documents[0]` must be")
    with pytest.raises(cohere.BadRequestError):
        v1.rerank(model="m", query="bread", documents=[])


def test_embed_v2(both, v2):
    answer = v2.embed(model="embed-v4.0", texts=DOCUMENTS, input_type="search_document",
                      embedding_types=["float", "int8", "uint8", "binary", "ubinary", "base64"])
    floats = np.array(answer.embeddings.float_, np.float32)
    plain = np.array(ask(both, "/embed", {"inputs": DOCUMENTS}).json(), np.float32)
    assert np.array_equal(floats, plain)
    bits = np.packbits(floats > 0, axis=1)
    assert np.array_equal(np.array(answer.embeddings.ubinary), bits)
    assert np.array_equal(np.array(answer.embeddings.binary), bits.astype(int) - 128)
    int8, uint8 = np.array(answer.embeddings.int8), np.array(answer.embeddings.uint8)
    assert np.array_equal(uint8 - 128, int8) and int8.min() >= -128 and int8.max() <= 127 and len(np.unique(int8)) > 20
    raw = [np.frombuffer(__import__("base64").b64decode(text), "<f4") for text in answer.embeddings.base64]
    assert np.array_equal(np.array(raw), floats)
    assert answer.texts == DOCUMENTS and answer.meta.billed_units.input_tokens > 0


def test_embed_v2_inputs(v2):
    """What version 2 takes beside texts, where each input is one text. A mix with images is refused, and says why."""
    parts = [[cohere.TextEmbedContent(text=text)] for text in DOCUMENTS]
    asked = {"model": "embed-v4.0", "input_type": "search_document", "embedding_types": ["float"]}
    answer = v2.embed(inputs=[cohere.EmbedInput(content=content) for content in parts], **asked)
    assert answer.embeddings.float_ == v2.embed(texts=DOCUMENTS, **asked).embeddings.float_
    image = cohere.ImageUrlEmbedContent(image_url=cohere.EmbedImageUrl(url="data:image/png;base64,"))
    with pytest.raises(cohere.UnprocessableEntityError, match="one text"):
        v2.embed(inputs=[cohere.EmbedInput(content=[*parts[0], image])], **asked)


def test_embed_v1(v1, v2):
    floats = v1.embed(texts=DOCUMENTS, model="m", input_type="search_query", truncate="START")
    assert floats.response_type == "embeddings_floats"
    typed = v1.embed(texts=DOCUMENTS, model="m", input_type="search_query", embedding_types=["float"])
    assert typed.response_type == "embeddings_by_type" and typed.embeddings.float_ == floats.embeddings


def test_embed_truncate_none_refuses(v2):
    with pytest.raises(cohere.UnprocessableEntityError):
        v2.embed(model="m", texts=["word " * 5000], input_type="search_query", embedding_types=["float"], truncate="NONE")
