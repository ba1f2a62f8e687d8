"""What a service manager hears on NOTIFY_SOCKET: ready when the models are, signs of life, the stop."""
import os
import signal
import socket

import pytest
from activated import Manager, listening, passing
from program import HANG
from serving import ask, make_request, read_answer, send_endless, wait_for


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path_factory):
    name = str(tmp_path_factory.mktemp("notify") / "n.sock")
    return Manager(name if request.param == "path" else f"@querent-test-{os.getpid()}-{name[-40:]}")


def test_ready_behind_the_models(start_server, embedder, manager):
    """While it loads it has a status; READY comes once it listens, and the stop is told."""
    server = start_server(models=[embedder], env=manager.env, held=True)
    assert manager.next() == ["STATUS=loading models"]
    assert manager.rest() == ["STATUS=loading models"]
    server.release()
    assert manager.next() == ["READY=1", "STATUS=serving"]
    server.wait_ready()
    assert ask(server, "/v2/health/ready").status == 200
    server.signal()
    assert manager.next()[0] == "STOPPING=1"
    assert server.wait() == 0
    said = manager.rest()
    assert said.count("READY=1") == said.count("STOPPING=1") == 1 and "WATCHDOG=1" not in said


def test_a_slow_manager_misses_nothing(start_server, embedder, tmp_path):
    """Its queue was full from the start until the server was ready, and full again at a reload."""
    manager = Manager(str(tmp_path / "n"))
    manager.fill()
    server = start_server(models=[embedder], env=manager.env)
    assert ask(server, "/v2/health/ready").status == 200
    assert [manager.next(), manager.next()] == [["STATUS=loading models"], ["READY=1", "STATUS=serving"]]
    manager.fill()
    server.signal(signal.SIGHUP)
    server.wait_log("told to reload")
    assert manager.next()[0] == "RELOADING=1"
    assert manager.next() == ["READY=1", "STATUS=serving"]
    server.stop()


def test_stopping_is_said_at_the_first_signal(start_server, tiny, tmp_path):
    """And once: a second signal only makes it leave."""
    manager = Manager(str(tmp_path / "n"))
    server = start_server("--threads", 1, "--precision", "f32", models=[tiny("slow")], env=manager.env)
    manager.wait("READY=1")
    with send_endless(server):
        server.signal()
        manager.wait("STOPPING=1")
        server.signal()
        assert server.wait() == 2
    assert manager.rest().count("STOPPING=1") == 1


def test_stop_while_loading(start_server, embedder, tmp_path):
    manager = Manager(str(tmp_path / "n"))
    ops = listening()
    server = start_server(models=[embedder], held=True, **passing([ops], "ops", manager.env))
    with socket.create_connection(ops.getsockname(), timeout=HANG) as probe:
        probe.sendall(make_request("/v2/health/live"))
        assert read_answer(probe)[0].status == 200  # the loop runs, and hears signals
    server.signal()
    manager.wait("STOPPING=1")
    server.release()
    assert server.wait() == 0


@pytest.mark.parametrize("owner", [{}, {"WATCHDOG_PID": "PID"}])
def test_signs_of_life(start_server, embedder, tmp_path, owner):
    """From the loop, also behind the ready; ours when nobody else is named."""
    manager = Manager(str(tmp_path / "n"))
    server = start_server(models=[embedder], **passing([], env={**manager.env, **owner, "WATCHDOG_USEC": "100000"}))
    manager.wait("READY=1")
    for _ in range(3):
        manager.wait("WATCHDOG=1")
    server.stop()


def test_a_manager_that_left(start_server, embedder, tmp_path):
    """It says so once, not at every sign of life, and serves on."""
    manager = Manager(str(tmp_path / "n"))
    server = start_server(models=[embedder], env={**manager.env, "WATCHDOG_USEC": "2000"})
    manager.socket.close()
    server.wait_log("cannot notify the service manager: Connection refused")
    for _ in range(20):
        assert ask(server, "/embed", {"inputs": "a"}).status == 200
    server.stop()
    assert server.log.count("cannot notify") == 1


@pytest.mark.parametrize("env", [{"WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "0"},
                                 {"WATCHDOG_USEC": "many"}, {"WATCHDOG_USEC": "-1"}])
def test_no_signs_where_none_are_asked_for(start_server, embedder, tmp_path, env):
    manager = Manager(str(tmp_path / "n"))
    server = start_server(models=[embedder], env={**manager.env, **env})
    for _ in range(20):
        assert ask(server, "/embed", {"inputs": "a"}).status == 200
    server.stop()
    assert "WATCHDOG=1" not in manager.rest()


def test_a_reload_is_told_of(start_server, embedder, tmp_path):
    manager = Manager(str(tmp_path / "n"))
    server = start_server(models=[embedder], env=manager.env)
    manager.wait("READY=1")
    server.signal(signal.SIGHUP)
    assert any(line.startswith("MONOTONIC_USEC=") for line in manager.wait("RELOADING=1"))
    manager.wait("READY=1")
    wait_for(lambda: "reload" in server.log, "the reload in the log")


@pytest.mark.parametrize("name", ["relative", "/nobody/listens/there", "@", "/" + "x" * 200])
def test_a_bad_socket_stops_nothing(start_server, embedder, name):
    server = start_server(models=[embedder], env={"NOTIFY_SOCKET": name})
    assert ask(server, "/embed", {"inputs": "a"}).status == 200
    server.stop()
    assert server.process.returncode == 0
