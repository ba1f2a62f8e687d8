"""Header fields by which an answer explains itself."""
import re

import pytest
from serving import ask

STAGES = ("tokenize", "queue", "compute", "encode", "total")
COMPUTE = ("x-compute-time", "x-total-time", "x-tokenization-time", "x-queue-time", "x-inference-time")


def server_timing(answer):
    """{stage: ms}, in the order of the field."""
    return {name: float(ms) for name, ms in re.findall(r"(\w+);dur=(\d+\.\d{3})(?:, |$)", answer.headers["server-timing"])}


def trace(answer):
    return {name: float(value) for name, value in re.findall(r"(\w+)=([\d.]+)(?:; |$)", answer.headers["x-querent-trace"])}


def test_where_the_time_went(server):
    answer = ask(server, "/embed", {"inputs": ["one", "two words"]}, headers=[("X-Request-Budget-Ms", "60000")])
    times = server_timing(answer)
    assert tuple(times) == STAGES
    assert times["compute"] > 0 and sum(times[stage] for stage in STAGES[:4]) <= times["total"] + 0.01
    found = trace(answer)
    assert set(found) == {"batch", "tokens", "predicted", "actual", "slack"}
    assert found["batch"] == 2 and found["tokens"] >= 6
    assert found["predicted"] > 0 and found["actual"] == times["compute"] and 0 < found["slack"] <= 60000


@pytest.mark.parametrize(
    "path,body,characters",
    [
        ("/embed", {"inputs": ["größe", "🙂"]}, 6),
        ("/embed", {"inputs": [[101, 2023, 102]]}, 3),
        ("/v1/embeddings", {"input": "größe"}, 5),
        ("/", {"inputs": "abc"}, 3),
    ],
)
def test_compute_fields(server, path, body, characters):
    """As text-embeddings-inference has them: whole milliseconds."""
    answer = ask(server, path, body)
    assert answer.headers["x-compute-type"] == "gpu+optimized"
    assert int(answer.headers["x-compute-characters"]) == characters
    tokens = int(answer.headers["x-compute-tokens"])
    assert tokens == answer.json()["usage"]["total_tokens"] if path == "/v1/embeddings" else tokens > 2
    assert all(re.fullmatch(r"\d+", answer.headers[name]) for name in COMPUTE)
    assert int(answer.headers["x-total-time"]) >= int(answer.headers["x-inference-time"])


def test_of_labels(labels_server):
    answer = ask(labels_server, "/rerank", {"query": "abc", "texts": ["de", "f"]})
    assert int(answer.headers["x-compute-characters"]) == 9


def test_only_answers_of_models(server):
    for path, body in (("/health", None), ("/info", None), ("/embed", {"inputs": ""}), ("/nowhere", {})):
        answer = ask(server, path, body)
        assert not {"server-timing", "x-querent-trace", "x-compute-type"} & set(answer.headers), path
    answer = ask(server, "/span", {"inputs": {"question": "Who?", "context": "The cat sleeps."}})
    assert server_timing(answer)["compute"] > 0 and "x-compute-type" not in answer.headers
    answer = ask(server, "/tokenize", {"inputs": "abc"})
    assert tuple(server_timing(answer)) == STAGES and "x-querent-trace" not in answer.headers
