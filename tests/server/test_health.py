"""`querent health`: what an image's HEALTHCHECK and an operator's shell ask with."""
import os
import socket
import subprocess
import threading

import pytest
from program import BINARY, HANG, free_port
from serving import send_endless, wait_for

OPTIONS = ("QUERENT_PORT", "QUERENT_HOST", "QUERENT_UDS", "QUERENT_OPS_PORT", "QUERENT_CONFIG")


def health(*arguments, **env):
    """(exit code, stderr). It gives up by itself: 60 s are for a hang."""
    clean = {name: value for name, value in os.environ.items() if name not in OPTIONS}
    done = subprocess.run([BINARY, "health", *map(str, arguments)], capture_output=True, text=True, timeout=2 * HANG,
                          env={**clean, **{name: str(value) for name, value in env.items()}})
    assert done.stdout == ""
    return done.returncode, done.stderr


PATIENT = ("--timeout-ms", HANG * 1000)


def url(server):
    return f"http://127.0.0.1:{server.port}"


@pytest.mark.parametrize("what", [(), ("--ready",), ("--live",)])
def test_a_server_that_is_well(server, what):
    assert health("--url", url(server), *what, *PATIENT) == (0, "")


def test_a_server_that_still_loads_is_live_and_not_ready(start_server, embedder):
    port = free_port()
    loading = start_server("--ops-port", port, models=[embedder], held=True)
    wait_for(lambda: health("--live", "--url", f"http://127.0.0.1:{port}", *PATIENT)[0] == 0, "the server to listen")
    assert health("--url", f"http://127.0.0.1:{port}", *PATIENT) == (
        1, f"querent health: http://127.0.0.1:{port}: not ready: 503\n")
    loading.release()
    wait_for(lambda: health("--url", f"http://127.0.0.1:{port}", *PATIENT)[0] == 0, "the server to be ready")
    loading.wait_ready()


def test_a_server_that_drains_is_not_ready(start_server, tiny):
    draining = start_server("--threads", 1, "--drain-delay-ms", 600000, models=[tiny("slow")])
    blocker = send_endless(draining)
    draining.signal()
    draining.wait_log("told to stop")
    assert health("--url", url(draining), *PATIENT)[0] == 1
    assert health("--live", "--url", url(draining), *PATIENT)[0] == 0
    blocker.close()
    draining.signal()
    assert draining.wait() == 2


def test_it_asks_where_a_server_with_its_environment_listens(start_server, embedder, tmp_path_factory):
    path = tmp_path_factory.mktemp("uds") / "q.sock"
    both, nowhere = start_server("--uds", path, models=[embedder]), free_port()
    assert health(*PATIENT, QUERENT_PORT=both.port) == (0, "")
    assert health(*PATIENT, QUERENT_PORT=both.port, QUERENT_HOST="0.0.0.0", QUERENT_ALLOW_REMOTE="true") == (0, "")
    assert health(*PATIENT, QUERENT_UDS=path) == (0, "")
    assert health(*PATIENT, QUERENT_PORT=nowhere, QUERENT_UDS=path)[0] == 1, "a port that is given is where it listens"
    config = path.parent / "querent.yaml"
    config.write_text(f"port: {both.port}\n")
    assert health(*PATIENT, QUERENT_CONFIG=config) == (0, "")
    code, said = health(*PATIENT, QUERENT_PORT="many")
    assert code == 2 and "QUERENT_PORT=many" in said


def test_an_ops_port_is_asked_first(start_server, embedder):
    ops = free_port()
    apart = start_server("--ops-port", ops, models=[embedder])
    assert health(*PATIENT, QUERENT_PORT=apart.port, QUERENT_OPS_PORT=ops) == (0, "")
    assert health(*PATIENT, QUERENT_UDS="/nowhere/q.sock", QUERENT_OPS_PORT=ops) == (0, "")
    assert health(*PATIENT, QUERENT_PORT=apart.port)[0] == 1, "there is no health but on the ops port"


def test_nobody_listens():
    port = free_port()
    code, said = health("--url", f"http://127.0.0.1:{port}", *PATIENT)
    assert code == 1 and said == f"querent health: http://127.0.0.1:{port}: cannot connect, or no answer of HTTP\n"
    code, said = health("--uds", "/nowhere/q.sock")
    assert code == 1 and said == "querent health: unix:/nowhere/q.sock: cannot connect\n"


@pytest.mark.parametrize(("answer", "said"), [
    (b"SSH-2.0-OpenSSH_9.2\r\n", "cannot connect, or no answer of HTTP"),
    (b"", "cannot connect, or no answer of HTTP"),
    (b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", "not ready: 204"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", None),
    (None, "no answer within 200 ms"),
])  # fmt: skip
def test_others_who_listen(answer, said):
    """Who is no server of HTTP, says something else than 200, or nothing at all."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        done = threading.Event()

        def serve():
            connection, _ = listener.accept()
            connection.recv(4096)
            if answer is None:
                done.wait(2 * HANG)
            else:
                connection.sendall(answer)
            connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        where = f"http://127.0.0.1:{listener.getsockname()[1]}"
        patience = ("--timeout-ms", 200) if answer is None else PATIENT
        expected = (0, "") if said is None else (1, f"querent health: {where}: {said}\n")
        assert health("--url", where, *patience) == expected
        done.set()
        thread.join()


@pytest.mark.parametrize(("arguments", "said"), [
    (("--live", "--ready"), "--live and --ready: one of them"),
    (("--url", "http://127.0.0.1:1", "--uds", "/x"), "--url and --uds: one of them"),
    (("--url", "ftp://127.0.0.1"), "expected http://HOST:PORT"),
    (("--uds", "/" + "x" * 200), "must have 1 to 107 bytes"),
    (("--timeout-ms", "0"), "--timeout-ms 0"),
])  # fmt: skip
def test_faults_of_the_command_line(arguments, said):
    code, stderr = health(*arguments)
    assert code == 2 and said in stderr
