"""Ollama's own client."""
import numpy as np
import pytest
from program import free_port
from serving import ask, read_answer

ollama = pytest.importorskip("ollama")

TEXTS = ["the river", "fresh bread near me", "a bakery that opens at six"]


@pytest.fixture(scope="module")
def both(start_server, embedder, tiny):
    return start_server(models=[f"minilm={embedder}", f"ranker={tiny('reranker')}"])


@pytest.fixture(scope="module")
def client(both):
    return ollama.Client(host=both.url)


def vectors(server, texts, **more):
    return np.array(ask(server, "/embed", {"inputs": texts, **more}).json())


@pytest.mark.parametrize("name", ["minilm", "minilm:latest"])
def test_embed(both, client, name):
    answer = client.embed(model=name, input=TEXTS, options={"num_ctx": 512}, keep_alive="5m")
    assert answer.model == name
    assert np.array_equal(np.array(answer.embeddings), vectors(both, TEXTS))
    assert answer.prompt_eval_count == sum(len(row) for row in ask(both, "/tokenize", {"inputs": TEXTS}).json())
    assert answer.total_duration >= 0 and answer.load_duration == 0


def test_total_duration_is_what_server_timing_has(both):
    answer = ask(both, "/api/embed", {"model": "minilm", "input": TEXTS})
    fields = (field.split(";dur=") for field in answer.headers["server-timing"].split(", "))
    took_ms = {name: float(ms) for name, ms in fields}
    parts = took_ms["tokenize"] + took_ms["queue"] + took_ms["compute"]
    assert answer.json()["total_duration"] == pytest.approx(parts * 1e6, abs=3 * 500)  # each is rounded to 1000 ns


def test_one_text_is_a_list_of_one_vector(both, client):
    assert np.array_equal(np.array(client.embed(model="minilm", input=TEXTS[0]).embeddings), vectors(both, TEXTS[:1]))


def test_dimensions(both, client):
    short = client.embed(model="minilm", input=TEXTS, dimensions=8).embeddings
    assert np.array_equal(np.array(short), vectors(both, TEXTS, dimensions=8))
    with pytest.raises(ollama.ResponseError, match="`dimensions` must be"):
        client.embed(model="minilm", input=TEXTS, dimensions=100_000)


def test_long_texts_are_cut_unless_told_otherwise(both, client):
    long = "bread " * 2000
    assert np.array_equal(np.array(client.embed(model="minilm", input=long).embeddings), vectors(both, [long]))
    with pytest.raises(ollama.ResponseError, match="must have less than"):
        client.embed(model="minilm", input=long, truncate=False)


def test_the_older_route_does_not_normalise(both, client):
    answer = client.embeddings(model="minilm", prompt=TEXTS[1])
    assert np.array_equal(np.array(answer.embedding), vectors(both, TEXTS[1:2], normalize=False)[0])
    long = "bread " * 2000
    assert len(client.embeddings(model="minilm", prompt=long).embedding) == len(answer.embedding)


def test_faults_are_the_clients(both, client):
    for call, status in ((lambda: client.embed(model="ranker:latest", input="a"), 424),
                         (lambda: client.embed(model="minilm", input=["a", ""]), 400)):
        with pytest.raises(ollama.ResponseError) as caught:
            call()
        assert caught.value.status_code == status and caught.value.error
    for text in (1, {}, True):
        answer = ask(both, "/api/embed", {"model": "minilm", "input": text})
        assert answer.status == 422 and "`input`" in answer.json()["error"]
    for prompt in (["a"], [], [101, 102], 1):
        answer = ask(both, "/api/embeddings", {"model": "minilm", "prompt": prompt})
        assert answer.status == 422 and "`prompt`" in answer.json()["error"]


def test_without_a_text_the_answer_is_no_vectors(both, client):
    """The client's own defaults ask for none: Ollama loads the model then, and says so."""
    assert client.embed(model="minilm").embeddings == [] == client.embed(model="minilm", input=[]).embeddings
    assert client.embeddings(model="minilm").embedding == []
    for body in ({}, {"input": None}, {"input": ""}, {"input": []}):
        answer = ask(both, "/api/embed", {"model": "minilm", **body})
        assert answer.status == 200
        assert answer.json() == {"model": "minilm", "embeddings": [], "total_duration": answer.json()["total_duration"],
                                 "load_duration": 0, "prompt_eval_count": 0}
    for body in ({}, {"prompt": None}, {"prompt": ""}):
        assert ask(both, "/api/embeddings", {"model": "minilm", **body}).json() == {"embedding": []}
    for path in ("/api/embed", "/api/embeddings"):
        assert ask(both, path, {"model": "ranker"}).status == 424


def test_who_names_no_model_of_ours_gets_the_first(both, client):
    assert client.embed(model="nomic-embed-text:v1.5", input="a").model == "nomic-embed-text:v1.5"
    answer = ask(both, "/api/embed", {"input": "a"}).json()
    assert answer["model"] == "minilm" and np.array_equal(np.array(answer["embeddings"]), vectors(both, ["a"]))


@pytest.mark.parametrize("name", ["ranker", "ranker:latest", "\\u0072anker", "\\u0072anker:latest"])
def test_names_are_whole(both, name):
    """Escapes, and a tag that is not the one that everybody has, are part of the name: only ranker is no embedder."""
    assert ask(both, "/api/embed", b'{"model": "%s", "input": "a"}' % name.encode()).status == 424
    answer = ask(both, "/api/embed", b'{"model": "%s:v2", "input": "a"}' % name.encode()).json()
    assert answer["model"] == name.replace("\\u0072", "r") + ":v2"


def test_list(client):
    found = {model.model: model for model in client.list().models}
    assert sorted(found) == ["minilm:latest", "ranker:latest"]
    one = found["minilm:latest"]
    assert one.size > 0 and one.modified_at.year > 2000
    assert one.details.family == "BertModel" and one.details.quantization_level in ("f32", "bf16", "int8")


def test_version(both):
    assert ask(both, "/api/version").json() == {"version": ask(both, "/info").json()["version"]}


@pytest.mark.parametrize("path, field", [("embed", "input"), ("embeddings", "prompt")])
@pytest.mark.parametrize("head", [b"", b"Content-Type: application/x-www-form-urlencoded\r\n"])
def test_any_content_type(both, path, field, head):
    """As `curl -d` sends it; a tensor protocol's field means nothing here."""
    body = b'{"model": "minilm", "%s": "a"}' % field.encode()
    with both.connect() as connection:
        connection.sendall(b"POST /api/%s HTTP/1.1\r\nHost: q\r\nInference-Header-Content-Length: 2\r\n" % path.encode() +
                           head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        answer, _ = read_answer(connection)
        assert answer.status == 200, answer.body


def test_a_model_may_have_the_tag_in_its_name(start_server, embedder, tiny):
    server = start_server("--admin", "--ops-port", free_port(), models=[f"first={embedder}", f"tagged:latest={tiny('reranker')}"])
    body = {"model": "tagged:latest", "input": "a"}
    assert [model["model"] for model in ask(server, "/api/tags").json()["models"]] == ["first:latest", "tagged:latest"]
    assert ask(server, "/api/embed", body).status == 424
    assert ask(server, "/v2/repository/models/tagged%3Alatest/unload", {}, port=server.ops_port).status == 200
    assert ask(server, "/api/embed", body).status == 503
