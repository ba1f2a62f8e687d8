"""--admin: /v2/repository loads models again and takes them out, by Triton's protocol."""
import shutil
import threading

import pytest
from program import HANG, free_port
from serving import ask, make_request, metric, send_endless

KEY = "an-admin-key"


@pytest.fixture
def copied(embedder, tmp_path):
    return shutil.copytree(embedder, tmp_path / "embedder")


@pytest.fixture
def admin(start_server, copied, reader):
    """An admin's server: its routes are on the ops port."""
    server = start_server("--admin", "--ops-port", free_port(), models=[copied, reader])
    server.copied = copied
    return server


def order(server, path, body=None, **more):
    return ask(server, f"/v2/repository/{path}", body if body is not None else b"", method="POST", port=server.ops_port, **more)


def index(server, body=None):
    return [(m["name"], m["state"], m["reason"]) for m in order(server, "index", body).json()]


def test_out_and_back(admin):
    body = {"inputs": "a text"}
    before = ask(admin, "/embed", body).body
    assert index(admin) == [("embedder", "READY", ""), ("reader", "READY", "")]
    assert order(admin, "models/embedder/unload").status == 200
    assert index(admin) == [("embedder", "UNAVAILABLE", "unloaded"), ("reader", "READY", "")]
    assert index(admin, {"ready": True}) == [("reader", "READY", "")]
    for path, named in (("/embed", body), ("/embed", {**body, "model": "embedder"}), ("/v1/embeddings", {"input": "a", "model": "embedder"})):
        answer = ask(admin, path, named)
        assert answer.status == 503, path
    assert ask(admin, "/embed", {**body, "model": "nobody"}).status == 404
    assert ask(admin, "/v2/models/embedder/ready").status == 503
    assert ask(admin, "/v1/models/embedder").status == 503
    assert ask(admin, "/span", {"inputs": {"question": "who?", "context": "Ann did it."}}).status == 200
    assert order(admin, "models/embedder/unload").status == 200
    assert order(admin, "models/embedder/load").status == 200
    assert ask(admin, "/embed", body).body == before
    assert index(admin) == [("embedder", "READY", ""), ("reader", "READY", "")]


def test_everything_out(admin):
    for name in ("embedder", "reader"):
        assert order(admin, f"models/{name}/unload").status == 200
    for path in ("/embed", "/", "/tokenize"):
        assert ask(admin, path, {"inputs": "a"}).status == 503, path
    assert ask(admin, "/info").status == 200
    assert ask(admin, "/v1/models").json()["data"] == []
    assert metric(admin, "querent_model_info", port=admin.ops_port) == 0
    assert order(admin, "models/reader/load").status == 200


def test_a_broken_model_is_told_without_its_path(admin):
    (admin.copied / "config.json").write_text("{")
    answer = order(admin, "models/embedder/load")
    assert answer.status == 500 and str(admin.copied) not in answer.body.decode()
    assert ask(admin, "/embed", {"inputs": "a"}).status == 200
    assert index(admin)[0] == ("embedder", "READY", "the model cannot be used")
    assert str(admin.copied) in admin.log


def test_unknown_models(admin):
    for verb in ("load", "unload"):
        assert order(admin, f"models/nobody/{verb}").status == 404
    assert order(admin, "models/embedder/restart").status == 404


def test_a_request_says_neither_path_nor_configuration(admin):
    for parameters in ({"config": "{}"}, {"file:1/model.safetensors": "AAAA"}, {}):
        assert order(admin, "models/embedder/load", {"parameters": parameters}).status == 400
    assert order(admin, "models/embedder/load", b"[]").status == 400
    assert order(admin, "models/embedder/load", b"{").status == 400
    assert order(admin, "models/embedder/load", {}).status == 200
    assert order(admin, "models/embedder/unload", {"parameters": {"unload_dependents": False}}).status == 200
    assert order(admin, "index", {"ready": 1}).status == 400


def test_orders_are_not_late(start_server, copied):
    """They have as long as any request, whatever --budget-ms says."""
    server = start_server("--admin", "--ops-port", free_port(), "--budget-ms", 1, models=[copied])
    for _ in range(5):
        assert order(server, "models/embedder/load").status == 200


def test_orders_of_many_at_once(admin):
    """Each is answered, and the last one counts."""
    statuses = []

    def one(verb):
        statuses.append(order(admin, f"models/embedder/{verb}").status)

    threads = [threading.Thread(target=one, args=(verb,)) for verb in ("load", "unload") * 8]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(HANG)
    assert statuses == [200] * 16
    assert order(admin, "models/embedder/load").status == 200
    assert ask(admin, "/embed", {"inputs": "a"}).status == 200


def test_a_client_that_does_not_wait(admin):
    with admin.connect(port=admin.ops_port) as connection:
        connection.sendall(make_request("/v2/repository/models/embedder/load", b"", method="POST"))
    assert order(admin, "models/embedder/load").status == 200


def test_what_runs_goes_on_with_the_model_that_is_taken_out(start_server, tiny, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text(KEY + "\n")
    server = start_server("--admin", "--admin-key-file", keys, "--threads", 1, "--precision", "f32", models=[tiny("slow")])
    running = send_endless(server)
    assert order(server, "models/slow/unload", headers=[("Authorization", f"Bearer {KEY}")]).status == 200
    assert ask(server, "/embed", {"inputs": "a"}).status == 503
    assert metric(server, "querent_queue_depth") > 0
    running.close()


def test_off_by_default(start_server, embedder):
    server = start_server("--ops-port", free_port(), models=[embedder])
    for port in (server.port, server.ops_port):
        assert ask(server, "/v2/repository/index", b"", method="POST", port=port).status == 404


def test_not_on_the_main_port_without_a_key(admin):
    assert ask(admin, "/v2/repository/index", b"", method="POST").status == 404
    assert ask(admin, "/v2/repository/models/embedder/unload", b"", method="POST").status == 404


def test_refused_where_nobody_could_reach_it(start_server, embedder):
    server = start_server("--admin", models=[embedder], wait=False)
    assert server.wait() == 2
    assert "--admin: needs --ops-port, or --admin-key-file" in server.log


def test_with_a_key_on_the_main_port(start_server, embedder, tmp_path):
    """The admin's key alone opens these routes: an API key does not, and the admin's is no API key."""
    keys, api = tmp_path / "admin-keys", tmp_path / "api-keys"
    keys.write_text(KEY + "\n")
    api.write_text("an-api-key\n")
    server = start_server("--admin", "--admin-key-file", keys, "--api-key-file", api, models=[embedder])
    bearer = lambda key: [("Authorization", f"Bearer {key}")]
    path = "/v2/repository/index"
    assert ask(server, path, b"", method="POST").status == 401
    assert ask(server, path, b"", method="POST", headers=bearer("an-api-key")).status == 401
    assert ask(server, path, b"", method="POST", headers=bearer(KEY)).json()[0]["state"] == "READY"
    assert ask(server, "/embed", {"inputs": "a"}, headers=bearer(KEY)).status == 401
    assert ask(server, "/embed", {"inputs": "a"}, headers=bearer("an-api-key")).status == 200


def test_tritons_own_client(start_server, copied, reader, tmp_path):
    triton = pytest.importorskip("tritonclient.http")
    keys = tmp_path / "keys"
    keys.write_text(KEY + "\n")
    server = start_server("--admin", "--admin-key-file", keys, models=[copied, reader])
    client = triton.InferenceServerClient(f"127.0.0.1:{server.port}")
    allowed = {"Authorization": "Bearer " + KEY}
    assert "model_repository" in client.get_server_metadata()["extensions"]
    states = {model["name"]: model["state"] for model in client.get_model_repository_index(headers=allowed)}
    assert states == {"embedder": "READY", "reader": "READY"}
    client.unload_model("embedder", headers=allowed)
    assert not client.is_model_ready("embedder") and client.is_model_ready("reader")
    client.load_model("embedder", headers=allowed)
    assert client.is_model_ready("embedder")
    for wrong in (lambda: client.load_model("embedder"), lambda: client.load_model("nobody", headers=allowed),
                  lambda: client.load_model("embedder", headers=allowed, config="{}")):
        with pytest.raises(triton.InferenceServerException):
            wrong()
    client.close()


def test_the_extension_is_named_where_it_is_served(server):
    assert "model_repository" not in ask(server, "/v2").json()["extensions"]


def test_a_page_gives_no_orders(admin):
    """A browser sends such a POST of any page to where it can reach, without asking first."""
    answer = order(admin, "models/embedder/unload", headers=(("Origin", "http://evil.example"),))
    assert answer.status == 403
    assert order(admin, "models/embedder/load", b'{"padding": "' + b"x" * 20000 + b'"}').status == 413
    assert ask(admin, "/embed", {"inputs": "a"}).status == 200


def test_the_servers_keys_are_asked_for_where_admin_has_none(start_server, copied, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text(KEY)
    server = start_server("--admin", "--ops-port", free_port(), "--api-key-file", keys, models=[copied])
    assert order(server, "models/embedder/unload").status == 401
    assert order(server, "models/embedder/unload", headers=(("Authorization", "Bearer " + KEY),)).status == 200


def test_an_open_admin_is_not_for_the_network(start_server, copied):
    server = start_server("--admin", "--ops-port", free_port(), "--host", "0.0.0.0", "--allow-remote", models=[copied], wait=False)
    assert server.wait() != 0
    assert "anybody could unload models" in server.log
