"""--sandbox: what a serving process may still do, by what the kernel says of it. Units: test_sandbox.c."""
import ctypes
import os
import shutil
import signal

import pytest
from make_model import make_model
from program import HANG, TINY
from serving import ask, metric, wait_for

SECCOMP_LIST = 2  # of /proc/PID/status: calls are filtered
LANDLOCK_VERSION = ctypes.CDLL(None, use_errno=True).syscall(444, None, 0, 1)  # landlock_create_ruleset

needs_landlock = pytest.mark.skipif(LANDLOCK_VERSION < 0, reason="this kernel has no Landlock")


@pytest.fixture
def start_boxed(start_server):
    """A server that has to have a sandbox; a build with a sanitizer has none."""

    def start(*options, models):
        server = start_server("--sandbox", "on", "--device", "cpu", *options, models=models, wait=False)
        server.ready.wait(2 * HANG)
        if "none in a build with a sanitizer" in server.log:
            server.process.wait(HANG)
            pytest.skip("a build with a sanitizer")
        server.wait_ready()
        return server

    return start


def status_of(server):
    """{thread: its lines of /proc/PID/task/*/status}"""
    task = f"/proc/{server.process.pid}/task"
    return {thread: dict(line.split(":\t", 1) for line in open(f"{task}/{thread}/status").read().splitlines()) for thread in os.listdir(task)}


def reloaded(server, model, outcome, count):
    wait_for(lambda: metric(server, f'querent_reloads_total{{model="{model}",outcome="{outcome}"}}') == count, f"reload {count}")


@needs_landlock
def test_every_thread_is_filtered(start_boxed, embedder, reader):
    server = start_boxed(models=[embedder, reader])
    threads = status_of(server)
    assert len(threads) > 2
    for lines in threads.values():
        assert int(lines["Seccomp"]) == SECCOMP_LIST and int(lines["NoNewPrivs"]) == 1
    assert "sandbox: " in server.log


def test_it_can_be_off(start_server, embedder):
    server = start_server("--sandbox", "off", models=[embedder])
    for lines in status_of(server).values():
        assert int(lines["Seccomp"]) == 0
    assert "sandbox" not in server.log


@needs_landlock
def test_there_is_no_ring(start_boxed, embedder):
    """What io_uring is asked no filter sees: libuv, which makes one from 1.45 on, finds none to make."""
    server = start_boxed(models=[embedder])
    files = f"/proc/{server.process.pid}/fd"
    assert not [fd for fd in os.listdir(files) if "io_uring" in os.readlink(f"{files}/{fd}")]
    assert ask(server, "/embed", {"inputs": "a text"}).status == 200


@needs_landlock
def test_a_folder_elsewhere_cannot_be_read(start_boxed, embedder, tmp_path):
    """A link may be turned to another folder beside it, or beside the one that it led to; not to any."""
    link, beside, away = tmp_path / "links" / "current", tmp_path / "versions", tmp_path / "elsewhere"
    for folder in (link.parent, beside, away):
        folder.mkdir()
    first, second, third, fourth = beside / "1", beside / "2", away / "3", link.parent / "4"
    for version in (first, second, third, fourth):
        shutil.copytree(embedder, version)
    link.symlink_to(first)
    server = start_boxed(models=[f"m={link}/"])

    def turn(to):
        link.unlink()
        link.symlink_to(to)
        server.signal(signal.SIGHUP)

    turn(second)
    reloaded(server, "m", "ok", 1)
    turn(third)
    reloaded(server, "m", "failed", 1)
    server.wait_log(f"the old one goes on: {link}//config.json: {DENIED}")
    turn(fourth)
    reloaded(server, "m", "ok", 2)
    assert ask(server, "/embed", {"inputs": "a text"}).status == 200


DENIED = "Permission denied by --sandbox: "


@needs_landlock
def test_who_is_kept_from_a_file_is_told_by_what(start_boxed, embedder, tmp_path):
    """Keys, a single file of a model, a graph of any name, a folder of plans that was not there at the start."""
    here, away = tmp_path / "here", tmp_path / "away"
    away.mkdir()
    shutil.copytree(embedder, here / "m")
    keys, weights, plans = here / "keys", here / "m" / "model.safetensors", tmp_path / "plans"
    keys.write_text("a-key\n")
    server = start_boxed("--api-key-file", keys, "--cache-dir", plans, models=[f"m={here / 'm'}"])
    shutil.copy(weights, away / "weights")
    shutil.copy(keys, away / "keys")
    keys.unlink()
    keys.symlink_to(away / "keys")
    plans.mkdir(mode=0o700)
    server.signal(signal.SIGHUP)
    server.wait_log(f"the old API keys stay: {keys}: {DENIED}")
    server.wait_log(f"no plan is kept: {plans}: {DENIED}")
    reloaded(server, "m", "ok", 1)
    weights.unlink()
    weights.symlink_to(away / "weights")
    server.signal(signal.SIGHUP)
    server.wait_log(f"the old one goes on: {weights}: {DENIED}")
    keys.unlink()
    server.signal(signal.SIGHUP)
    server.wait_log(f"the old API keys stay: {keys}: No such file or directory")


@needs_landlock
def test_links_of_single_files(start_boxed, embedder, tmp_path):
    """As the hub's cache has them: snapshots/VERSION/FILE leads to ../../blobs/HASH."""
    blobs, snapshot = tmp_path / "models--m" / "blobs", tmp_path / "models--m" / "snapshots" / "1"
    blobs.mkdir(parents=True)
    for path in sorted(p for p in embedder.rglob("*") if p.is_file()):
        name = path.relative_to(embedder)
        blob = blobs / str(name).replace("/", "-")
        shutil.copy(path, blob)
        (snapshot / name).parent.mkdir(parents=True, exist_ok=True)
        (snapshot / name).symlink_to(os.path.relpath(blob, (snapshot / name).parent))
    server = start_boxed(models=[f"m={snapshot}"])
    server.signal(signal.SIGHUP)
    reloaded(server, "m", "ok", 1)


@needs_landlock
def test_what_is_written_stays_possible(start_boxed, embedder, tmp_path):
    """Plans below --cache-dir, at the start and at a reload, and the end of a UNIX socket."""
    plans, sockets = tmp_path / "plans", tmp_path / "s"
    plans.mkdir(mode=0o700)
    sockets.mkdir()
    model = shutil.copytree(embedder, tmp_path / "model")
    server = start_boxed("--cache-dir", plans, "--uds", sockets / "q", models=[f"m={model}"])
    kept = set(os.listdir(plans))
    assert kept
    shutil.rmtree(model)
    make_model(model, **{**TINY["embedder"], "seed": 77})
    server.signal(signal.SIGHUP)
    reloaded(server, "m", "ok", 1)
    assert set(os.listdir(plans)) > kept
    server.stop()
    assert not os.path.exists(sockets / "q")
