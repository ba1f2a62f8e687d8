"""`models:` of the YAML file: what differs between the models of one server."""
import pytest
from program import HIDDEN
from serving import ask, endless, make_request, wait_busy, wait_idle


@pytest.fixture
def start_file(start_server, tmp_path):
    """start_file(TEXT, OPTIONS...): a server whose YAML file ends in this text."""

    def start(text, *options, **more):
        file = tmp_path / "querent.yaml"
        file.write_text(text)
        return start_server("--config", file, *options, models=[], **more)

    return start


def test_two_models_with_settings_of_their_own(start_file, embedder, reader):
    server = start_file(
        f"models:\n  - name: short\n    path: {embedder}\n    max-tokens: 8\n    precision: f32\n"
        f"  - name: cls\n    path: {embedder}\n    pooling: cls\n  - path: {reader}\n"
    )
    models = {model["id"]: model for model in ask(server, "/v1/models").json()["data"]}
    assert list(models) == ["short", "cls", "reader"]
    info = {model["name"]: model for model in ask(server, "/info").json()["models"]}
    assert info["short"]["max_input_length"] == 8 < info["cls"]["max_input_length"]
    assert info["short"]["plan"]["precision"] == "f32"
    long = {"inputs": "one two three four five six seven eight nine ten", "truncate": False}
    assert ask(server, "/embed", {**long, "model": "short"}).status == 422
    vectors = [ask(server, "/embed", {"inputs": "a b c", "model": name}).json()[0] for name in ("short", "cls")]
    assert len(vectors[0]) == len(vectors[1]) == HIDDEN
    assert sum(a * b for a, b in zip(*vectors)) < 0.99, "mean and cls are two vectors"


def test_a_model_that_has_more_time_than_the_server_gives(start_file, embedder):
    """1 ms is less than a request takes, or is thought to; ten minutes are not."""
    server = start_file(f"models:\n  - path: {embedder}\n    budget-ms: 600000\n", "--budget-ms", 1)
    for _ in range(20):
        assert ask(server, "/embed", {"inputs": "a b c " * 60}).status == 200
    brought = [("X-Request-Budget-Ms", "0")]
    assert ask(server, "/embed", {"inputs": "a"}, headers=brought).status in (429, 504)


def test_a_model_that_has_less(start_file, tiny):
    """Work of a minute or more, which the server's own budget would let be tried."""
    slow = tiny("slow")
    server = start_file(
        f"models:\n  - path: {slow}\n    budget-ms: 1\n  - name: other\n    path: {slow}\n",
        "--threads", 1, "--precision", "f32",
    )
    assert ask(server, "/embed", endless(server)).status in (429, 504)
    with server.connect() as connection:  # the body names another one than was expected
        connection.sendall(make_request("/embed", {**endless(server), "model": "other"}))
        wait_busy(server)
    wait_idle(server)
    with server.connect() as connection:
        connection.sendall(make_request("/embed", endless(server), headers=[("X-Request-Budget-Ms", "600000")]))
        wait_busy(server)


@pytest.mark.parametrize(
    "entry,words",
    [
        ("pooling: sum", "cls, max, mean, "),
        ("max-tokens: 8000", "its longest input has"),
        ("device: cpu:none", "cpu:none"),
        ("precison: f32", "did you mean `precision`?"),
    ],
)
def test_what_cannot_be(start_file, embedder, entry, words):
    server = start_file(f"models:\n  - path: {embedder}\n    {entry}\n", wait=False)
    assert server.wait() in (1, 2)
    assert words in server.log


def test_model_and_models_exclude_each_other(start_file, embedder):
    server = start_file(f"models:\n  - path: {embedder}\n", "--model", embedder, wait=False)
    assert server.wait() == 2
    assert "--model and" in server.log and "both name models" in server.log


def test_names_must_differ(start_file, embedder):
    server = start_file(f"models:\n  - path: {embedder}\n  - path: {embedder}\n", wait=False)
    assert server.wait() == 2
    assert "two models" in server.log
