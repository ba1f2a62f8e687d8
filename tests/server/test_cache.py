"""The result cache: the same bits, whether an answer is computed or found."""
import pytest
from serving import ask, metric, wait_for

QUERIES = ["how tall is mount everest", "größe", "weather in berlin tomorrow", "a", "how tall is mount everest [SEP] a"]
SPAN = {"inputs": {"question": "Who sleeps?", "context": "The cat sleeps. The dog does not."}}


@pytest.fixture(scope="module")
def caching(start_server, embedder, reader):
    return start_server("--cache-bytes", 1 << 20, models=[embedder, reader])


def counts(server):
    return {name: metric(server, f"querent_cache_{name}_total ") for name in ("hits", "misses", "evictions")}


def is_hit(answer):
    return answer.headers.get("x-querent-trace") == "cache=hit"


def requests():
    for query in QUERIES:
        yield "/embed", {"inputs": query}
        yield "/embed", {"inputs": query, "dimensions": 7, "normalize": False}
        yield "/v1/embeddings", {"input": query, "encoding_format": "base64"}
    yield "/embed", {"inputs": QUERIES}
    yield "/span", SPAN


def test_the_same_bits(server, caching):
    """`server` computes everything; `caching` is asked twice, and computes each text once."""
    for _ in range(2):
        for path, body in requests():
            computed, answer = ask(server, path, body), ask(caching, path, body)
            assert computed.status == answer.status == 200
            assert computed.body == answer.body, (path, body)
            assert not is_hit(computed)
    assert is_hit(answer)
    assert counts(server) == {"hits": 0, "misses": 0, "evictions": 0}
    found = counts(caching)
    assert found["misses"] <= len(QUERIES) + len(SPAN), "each text is computed once"
    assert found["hits"] >= 2 * (3 * len(QUERIES) + len(QUERIES)) - len(QUERIES)


def test_what_is_found_is_not_computed(caching):
    ask(caching, "/embed", {"inputs": "asked again and again"})
    before = metric(caching, "querent_model_items_total")
    for _ in range(10):
        assert is_hit(ask(caching, "/embed", {"inputs": "asked again and again"}))
    assert metric(caching, "querent_model_items_total") == before


def test_equal_ids_of_other_words(caching):
    """Span results are numbers: the words are those of the request that asks."""
    upper = {"inputs": {name: text.upper() for name, text in SPAN["inputs"].items()}}
    lower = ask(caching, "/span", SPAN).json()
    answer = ask(caching, "/span", upper)
    assert is_hit(answer) and answer.json() == {**lower, "answer": lower["answer"].upper()}


def test_bounded(start_server, embedder):
    server = start_server("--cache-bytes", 100000, models=[embedder])
    for i in range(600):
        assert ask(server, "/embed", {"inputs": f"text number {i}"}).status == 200
    assert metric(server, "querent_cache_bytes") <= 100000
    wait_for(lambda: counts(server)["evictions"] > 0, "an eviction")
