"""Servers whose models are ONNX files (tests/golden/onnx): every route, reloads, and the swap between a graph and safetensors."""
import shutil
import signal
import subprocess

import pytest
from program import BINARY, HANG, ROOT, free_port
from serving import Server, ask, metric, wait_for
from test_reload import Client, reloads
from test_repository import index, order

GOLDENS = ROOT / "tests/golden/onnx"
BODY = {"inputs": ["a b c", "d", "x y z x y z"]}


def golden(name, folder):
    return shutil.copytree(GOLDENS / name, folder / name)


@pytest.fixture
def embedder(tmp_path):
    """A directory that a test may change."""
    return golden("sentence-torchscript-mean", tmp_path)


def convert(model, out):
    subprocess.run([BINARY, "convert", model, out], check=True, capture_output=True, timeout=HANG)
    return out


def test_every_kind_of_model(start_server, tmp_path):
    """By file or by directory; called after their folders."""
    names = ["sentence-torchscript-mean", "bert-torchscript-span", "bert-torchscript-labels", "bert-torchscript-tokens"]
    paths = [golden(name, tmp_path) for name in names]
    server = start_server(models=[paths[0] / "model.onnx", paths[1], paths[2] / "model.onnx", paths[3]])
    assert [model["id"] for model in ask(server, "/v1/models").json()["data"]] == names
    vectors = ask(server, "/embed", BODY).json()
    assert [len(vector) for vector in vectors] == [32] * 3
    assert ask(server, "/span", {"inputs": {"question": "a b", "context": "c d e f"}}).status == 200
    labels = ask(server, "/predict", {"inputs": "a b c", "model": names[2]}).json()
    assert len(labels) == 3 and abs(sum(one["score"] for one in labels) - 1) < 1e-5
    assert ask(server, "/token_classification", {"inputs": "a b c"}).status == 200


def test_a_graph_and_its_safetensors_give_the_same_bits(start_server, embedder, tmp_path):
    """One plan, whatever file it came from; so neither is faster."""
    server = start_server(models=[embedder / "model.onnx", convert(embedder, tmp_path / "converted")])
    ours, theirs = (ask(server, "/embed", {**BODY, "model": name}).body for name in (embedder.name, "converted"))
    assert ours == theirs


def test_reloads_swap_graph_and_safetensors(start_server, embedder, tmp_path):
    """A directory gets safetensors beside its graph, then loses them: no request fails, none is answered otherwise."""
    converted = convert(embedder, tmp_path / "converted")
    server = start_server(models=[embedder])
    clients = [Client(server, "/embed", BODY), Client(server, "/embed", {"inputs": "one two"})]
    shutil.copy(converted / "model.safetensors", embedder)
    shutil.copy(converted / "config.json", embedder)
    server.signal(signal.SIGHUP)
    wait_for(lambda: reloads(server, embedder.name, "ok") == 1, "a reload to safetensors")
    server.wait_log("the ONNX files beside it are not")
    (embedder / "model.safetensors").unlink()
    server.signal(signal.SIGHUP)
    wait_for(lambda: reloads(server, embedder.name, "ok") == 2, "a reload to ONNX")
    for client in clients:
        client.end()
    assert reloads(server, embedder.name, "failed") == 0


def test_another_graph_answers_after_a_reload(start_server, embedder):
    server = start_server(models=[embedder / "model.onnx"])
    before = ask(server, "/embed", BODY).json()
    for name in ("model.onnx", "config.json"):
        shutil.copy(GOLDENS / "sentence-torchscript-cls" / name, embedder)
    server.signal(signal.SIGHUP)
    wait_for(lambda: reloads(server, embedder.name, "ok") == 1, "a reload")
    assert ask(server, "/embed", BODY).json() != before


@pytest.mark.parametrize("fault", ["text", "cut", "no-bert", "other-sums"])
def test_a_broken_graph_leaves_the_old_one(start_server, embedder, fault):
    """As a file, as a graph, as a BERT, as a proof: refused with its reason in the log, and the old model answers."""
    server = start_server(models=[embedder])
    before = ask(server, "/embed", BODY).body
    path = embedder / "model.onnx"
    data = path.read_bytes()
    broken, says = {
        "text": (b"no graph\n", "model.onnx"),
        "cut": (data[: len(data) // 2], "model.onnx"),
        "no-bert": (data.replace(b"Erf", b"Exp"), "expected here"),
        "other-sums": (data.replace(b"ReduceSum", b"ReduceMax"), "model.onnx: "),
    }[fault]
    assert broken != data
    path.write_bytes(broken)
    server.signal(signal.SIGHUP)
    wait_for(lambda: reloads(server, embedder.name, "failed") == 1, "a reload that fails")
    server.wait_log(says)
    assert ask(server, "/embed", BODY).body == before
    path.write_bytes(data)
    server.signal(signal.SIGHUP)
    wait_for(lambda: reloads(server, embedder.name, "ok") == 1, "the next reload")


def test_the_repository_swaps_them(start_server, embedder, tmp_path):
    converted = convert(embedder, tmp_path / "converted")
    server = start_server("--admin", "--ops-port", free_port(), models=[embedder])
    before = ask(server, "/embed", BODY).body
    shutil.copy(converted / "model.safetensors", embedder)
    shutil.copy(converted / "config.json", embedder)
    graph = (embedder / "model.onnx").read_bytes()
    (embedder / "model.onnx").unlink()
    assert order(server, f"models/{embedder.name}/load").status == 200
    assert ask(server, "/embed", BODY).body == before
    (embedder / "model.safetensors").unlink()
    (embedder / "model.onnx").write_bytes(graph[:-100])
    answer = order(server, f"models/{embedder.name}/load")
    assert answer.status == 500 and str(embedder) not in answer.body.decode()
    assert index(server) == [(embedder.name, "READY", "the model cannot be used")]
    server.wait_log(f"not loaded, the old one goes on: {embedder}")
    assert ask(server, "/embed", BODY).body == before
    (embedder / "model.onnx").write_bytes(graph)
    assert order(server, f"models/{embedder.name}/unload").status == 200
    assert order(server, f"models/{embedder.name}/load").status == 200
    assert ask(server, "/embed", BODY).body == before


def test_a_start_with_a_graph_that_is_none(embedder):
    """Loudly, with the place: the process ends, and says why in one line."""
    path = embedder / "model.onnx"
    path.write_bytes(path.read_bytes().replace(b"Erf", b"Exp"))
    server = Server([path], wait=False)
    assert server.wait() == 1
    (line,) = [line for line in server.log.split("\n") if "model.onnx" in line]
    assert "node `" in line and "expected here" in line


def test_a_start_whose_choice_is_not_clear(embedder):
    for name in ("a.onnx", "b.onnx"):
        shutil.copy(embedder / "model.onnx", embedder / name)
    (embedder / "model.onnx").unlink()
    server = Server([embedder], wait=False)
    assert server.wait() == 1
    assert "a.onnx" in server.log and "b.onnx" in server.log


def test_a_proof_is_kept_from_one_start_to_the_next(start_server, embedder, tmp_path):
    cache = tmp_path / "cache"
    cache.mkdir(mode=0o700)
    answers = []
    for _ in range(2):
        server = start_server("--cache-dir", cache, "--precision", "f32", models=[embedder])
        answers.append(ask(server, "/embed", BODY).body)
        assert metric(server, "querent_model_info") == 1
        server.stop()
    assert answers[0] == answers[1]
    assert [path.suffix for path in cache.iterdir()] == [".proof"]
