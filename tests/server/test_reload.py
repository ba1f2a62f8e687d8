"""SIGHUP: every model again from its directory of the start, while requests are answered. Units: test_admin.c."""
import shutil
import signal
import threading

import pytest
from activated import listening, passing
from program import HANG, TINY
from serving import Server, ask, make_request, metric, read_answer, wait_for

REQUESTS = 40  # each client sends at least so many while models are replaced


@pytest.fixture
def copied(embedder, reader, tmp_path):
    """Directories that a test may change: {name: path}."""
    paths = {}
    for path in (embedder, reader):
        paths[path.name] = shutil.copytree(path, tmp_path / path.name)
    return paths


def reloads(server, model, outcome):
    return metric(server, f'querent_reloads_total{{model="{model}",outcome="{outcome}"}}')


class Client:
    """One connection that asks the same again and again, and keeps what was not a 200 with the right answer."""

    def __init__(self, server, path, body):
        self.server, self.request, self.faults, self.count = server, make_request(path, body), [], 0
        self.over = threading.Event()
        self.expected = ask(server, path, body).body
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.faults and self.wants_more():
            with self.server.connect() as connection:  # a connection has a thousand requests, and says which is the last
                while not self.faults and self.wants_more() and self.ask(connection):
                    pass

    def wants_more(self):
        return self.count < REQUESTS or not self.over.is_set()

    def ask(self, connection):
        connection.sendall(self.request)
        answer, _ = read_answer(connection)
        if answer is None or answer.status != 200 or answer.body != self.expected:
            self.faults.append(answer and (answer.status, answer.body))
            return False
        self.count += 1
        return answer.headers.get("connection") != "close"

    def end(self):
        self.over.set()
        self.thread.join()
        assert self.faults == [] and self.count >= REQUESTS


def test_reload_under_load(start_server, copied):
    """Three rounds; no request fails, and none is answered otherwise."""
    server = start_server(models=list(copied.values()))
    clients = [
        Client(server, "/embed", {"inputs": "a text that is asked for"}),
        Client(server, "/embed", {"inputs": ["one", "two", "three " * 50]}),
        Client(server, "/span", {"inputs": {"question": "who?", "context": "Ann did it."}}),
    ]
    for round in (1, 2, 3):
        server.signal(signal.SIGHUP)
        wait_for(lambda: min(reloads(server, name, "ok") for name in copied) == round, f"reload {round}")
    for client in clients:
        client.end()
    assert reloads(server, "embedder", "failed") == 0


def test_new_weights_answer_after_a_reload(start_server, copied):
    server = start_server(models=[copied["embedder"]])
    body = {"inputs": "a text"}
    before = ask(server, "/embed", body).json()
    make_other(copied["embedder"])
    server.signal(signal.SIGHUP)
    wait_for(lambda: reloads(server, "embedder", "ok") == 1, "the reload")
    after = ask(server, "/embed", body).json()
    assert before != after and len(before[0]) == len(after[0])


def make_other(path):
    """The same model with other weights."""
    from make_model import make_model

    shutil.rmtree(path)
    make_model(path, **{**TINY["embedder"], "seed": 77})


def test_a_broken_model_leaves_the_old_one(start_server, copied):
    """And the other one is loaded again all the same."""
    server = start_server(models=list(copied.values()))
    body = {"inputs": "a text"}
    before = ask(server, "/embed", body).body
    weights = copied["embedder"] / "model.safetensors"
    good = weights.read_bytes()
    weights.write_bytes(good[: len(good) // 2])
    server.signal(signal.SIGHUP)
    wait_for(lambda: reloads(server, "embedder", "failed") == 1 and reloads(server, "reader", "ok") == 1, "both")
    assert ask(server, "/embed", body).body == before
    server.wait_log("the old one goes on")
    lines = [line for line in server.log.splitlines() if "the old one goes on" in line]
    assert len(lines) == 1 and "model embedder" in lines[0] and "model.safetensors" in lines[0]
    shutil.rmtree(copied["embedder"])
    server.signal(signal.SIGHUP)
    wait_for(lambda: reloads(server, "embedder", "failed") == 2, "the second failure")
    assert ask(server, "/embed", body).body == before


def test_a_name_does_not_change(start_server, copied, tmp_path):
    """Deployments move a symbolic link from one version to the next: the model keeps its name of the start."""
    link = tmp_path / "current"
    link.symlink_to(copied["embedder"])
    server = start_server(models=[link])
    next_version = shutil.copytree(copied["embedder"], tmp_path / "version-2")
    link.unlink()
    link.symlink_to(next_version)
    server.signal(signal.SIGHUP)
    wait_for(lambda: reloads(server, "embedder", "ok") == 1, "the reload")
    assert [m["id"] for m in ask(server, "/v1/models").json()["data"]] == ["embedder"]


def test_keys_are_read_again(start_server, embedder, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text("first-key\n")
    server = start_server("--api-key-file", keys, models=[embedder])
    bearer = lambda key: [("Authorization", f"Bearer {key}")]
    assert ask(server, "/embed", {"inputs": "a"}, headers=bearer("first-key")).status == 200
    keys.write_text("second-key\n")
    server.signal(signal.SIGHUP)
    wait_for(lambda: ask(server, "/embed", {"inputs": "a"}, headers=bearer("second-key")).status == 200, "the new key")
    assert ask(server, "/embed", {"inputs": "a"}, headers=bearer("first-key")).status == 401
    keys.write_text("not a key\n")
    server.signal(signal.SIGHUP)
    server.wait_log("the old API keys stay")
    assert ask(server, "/embed", {"inputs": "a"}, headers=bearer("second-key")).status == 200


def test_each_key_file_is_read_for_itself(start_server, embedder, tmp_path):
    """A broken one keeps its own keys, and says so; the other one's are the new ones."""
    paths = {"API": tmp_path / "keys", "admin": tmp_path / "admin-keys"}
    for what, path in paths.items():
        path.write_text(f"{what}-1\n")
    server = start_server(
        "--api-key-file", paths["API"], "--admin", "--admin-key-file", paths["admin"], models=[embedder]
    )

    def admitted(what, key):
        headers = [("Authorization", f"Bearer {what}-{key}")]
        if what == "API":
            return ask(server, "/embed", {"inputs": "a"}, headers=headers).status == 200
        return ask(server, "/v2/repository/index", {}, headers=headers).status == 200

    keys = {"API": 1, "admin": 1}
    for broken, good in (("API", "admin"), ("admin", "API")):
        assert admitted(broken, keys[broken]) and admitted(good, keys[good])
        paths[broken].write_text("not a key\n")
        paths[good].write_text(f"{good}-2\n")
        server.signal(signal.SIGHUP)
        server.wait_log(f"the old {broken} keys stay: ")
        wait_for(lambda: admitted(good, 2), f"the new {good} key")
        assert admitted(broken, keys[broken]) and not admitted(good, 1)
        assert f"the old {good} keys stay" not in server.log.partition(f"the old {broken} keys stay")[2]
        keys[good] = 2
        paths[broken].write_text(f"{broken}-{keys[broken]}\n")


def wait_handled(server, number):
    """Until the process handles the signal, which would end it before that."""

    def is_handled():
        lines = open(f"/proc/{server.process.pid}/status").read().splitlines()
        return any(int(line.split()[1], 16) >> (number - 1) & 1 for line in lines if line.startswith("SigCgt"))

    wait_for(is_handled, f"{number.name} to be handled")


def held_before_the_loop(embedder):
    """A server whose stderr is full, so that it waits at a warning about its environment: long before it hears signals."""
    server = Server([embedder], held=True, env={"NOTIFY_SOCKET": "neither a path nor a name"})
    wait_handled(server, signal.SIGHUP)
    return server


def test_a_reload_before_the_loop_runs_comes_when_it_serves(embedder):
    server = held_before_the_loop(embedder)
    server.signal(signal.SIGHUP)
    server.release()
    server.wait_ready()
    wait_for(lambda: reloads(server, "embedder", "ok") == 1, "the reload")
    server.stop()
    assert server.process.returncode == 0


def test_a_stop_before_the_loop_runs_ends_it_at_once(embedder):
    server = held_before_the_loop(embedder)
    server.signal(signal.SIGTERM)
    assert server.process.wait(HANG) == -signal.SIGTERM


def test_a_reload_while_it_loads_comes_when_it_serves(start_server, embedder):
    """What changed meanwhile may have been read before it did. Two are one."""
    passed = listening()
    ops = passed.getsockname()[1]
    server = start_server(models=[embedder], held=True, **passing([passed], "ops"))
    assert ask(server, "/v2/health/ready", port=ops).status == 503, "the loop runs"
    for _ in range(2):
        server.signal(signal.SIGHUP)
        for _ in range(2):  # it has been around since, and has heard the signal
            assert ask(server, "/v2/health/ready", port=ops).status == 503
    server.release()
    server.wait_ready()
    wait_for(lambda: metric(server, "querent_reloads_total", port=ops) > 0, "the reload")
    server.signal(signal.SIGHUP)
    wait_for(lambda: metric(server, "querent_reloads_total", port=ops) == 2, "the next one, and no other before it")


def test_the_end_does_not_wait_for_a_reload(start_server, tiny):
    server = start_server("--threads", 1, models=[tiny("slow")])
    server.signal(signal.SIGHUP)
    server.wait_log("told to reload")
    server.signal()
    assert server.wait() == 0
