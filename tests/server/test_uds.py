"""--uds: the server on a UNIX socket, alone or beside its port, and whose the socket's file is."""
import grp
import http.client
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import time

import pytest
from program import HANG, free_port
from serving import ask, is_answered, make_request, metric, read_answer, send_endless, wait_for


@pytest.fixture
def path(tmp_path_factory):
    """Short: a socket's path has about 100 bytes."""
    return tmp_path_factory.mktemp("uds") / "q.sock"


@pytest.fixture
def local(start_server, embedder, path):
    return start_server("--uds", path, models=[embedder], port=None)


class UnixConnection(http.client.HTTPConnection):
    """Python's own client over a UNIX socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=HANG)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(HANG)
        self.sock.connect(str(self.path))


def post(connection, body):
    connection.request("POST", "/embed", json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def listening_ports(process):
    """Whether the process has a TCP socket."""
    inodes = set()
    for fd in os.listdir(f"/proc/{process.pid}/fd"):
        try:
            link = os.readlink(f"/proc/{process.pid}/fd/{fd}")
        except OSError:
            continue
        if link.startswith("socket:["):
            inodes.add(link[8:-1])
    lines = open(f"/proc/{process.pid}/net/tcp").readlines()[1:] + open(f"/proc/{process.pid}/net/tcp6").readlines()[1:]
    return [line for line in lines if line.split()[9] in inodes]


def test_alone_without_a_port(local, path):
    assert local.port is None and local.uds == str(path)
    assert listening_ports(local.process) == []
    connection = UnixConnection(path)
    for text in ("a text", "another", "a third on the same connection"):
        status, vectors = post(connection, {"inputs": text})
        assert status == 200 and len(vectors) == 1
    connection.close()
    assert ask(local, "/v2/health/ready").status == 200


def test_beside_a_port(start_server, embedder, path):
    """Any source may say the port, also the one that it has anyway."""
    server = start_server("--uds", path, models=[embedder], port=0)
    assert server.port is not None
    connection = UnixConnection(path)
    over_uds = post(connection, {"inputs": "a text"})
    connection.close()
    assert over_uds == (200, ask(server, "/embed", {"inputs": "a text"}).json())


def test_a_port_of_the_environment_counts(start_server, embedder, path):
    server = start_server("--uds", path, models=[embedder], port=None, env={"QUERENT_PORT": "0"})
    wait_for(lambda: server.port is not None, "the port")
    assert ask(server, "/health").status == 200


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl here")
def test_curl(local, path):
    done = subprocess.run(
        ["curl", "-sS", "--unix-socket", path, "-H", "Content-Type: application/json", "-d", '{"inputs": "a"}', "http://x/embed"],
        capture_output=True,
        timeout=HANG,
    )
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)) == 1


def test_ops_port_keeps_its_own(start_server, embedder, path):
    """--uds alone with --ops-port: health is on the port, requests are on the socket."""
    port = free_port()
    server = start_server("--uds", path, "--ops-port", port, models=[embedder], port=None)
    assert server.ops_port == port
    assert ask(server, "/health", port=server.ops_port).status == 200
    assert ask(server, "/health").status == 404
    assert ask(server, "/embed", {"inputs": "a"}).status == 200


def mode_of(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


def test_mode_is_not_the_umasks(local, path):
    assert mode_of(path) == 0o660


def test_mode_and_group(start_server, embedder, path):
    group = grp.getgrgid(os.getgid())
    start_server("--uds", path, "--uds-mode", "0600", "--uds-group", group.gr_name, models=[embedder], port=None)
    assert mode_of(path) == 0o600 and os.lstat(path).st_gid == group.gr_gid
    other = path.with_name("other.sock")
    start_server("--uds", other, "--uds-mode", "666", "--uds-group", os.getgid(), models=[embedder], port=None)
    assert mode_of(other) == 0o666


@pytest.mark.skipif(os.getuid() != 0, reason="only root may give files to other groups")
def test_a_group_that_is_not_the_servers(start_server, embedder, path):
    start_server("--uds", path, "--uds-group", 12345, models=[embedder], port=None)
    assert os.lstat(path).st_gid == 12345


def test_removed_at_the_end(start_server, embedder, path):
    server = start_server("--uds", path, models=[embedder], port=None)
    assert path.exists()
    server.signal()
    assert server.wait() == 0
    assert list(path.parent.iterdir()) == []


def test_what_a_dead_server_left_is_replaced(start_server, embedder, path):
    first = start_server("--uds", path, models=[embedder], port=None)
    first.signal(signal.SIGKILL)
    first.process.wait(HANG)
    first.process.returncode = 0  # it ended as it should
    assert path.exists()
    second = start_server("--uds", path, models=[embedder], port=None)
    assert ask(second, "/health").status == 200
    assert list(path.parent.iterdir()) == [path]


def refused(start_server, embedder, *options):
    server = start_server(*options, models=[embedder], port=None, wait=False)
    assert server.wait() in (1, 2)
    assert server.uds is None
    return server.log


def test_a_live_servers_socket_is_refused(start_server, embedder, local, path):
    log = refused(start_server, embedder, "--uds", path)
    assert f"--uds {path}: another server listens there" in log
    assert ask(local, "/health").status == 200


def test_what_is_no_socket_is_left_alone(start_server, embedder, path):
    path.write_text("somebody's notes")
    assert "no socket" in refused(start_server, embedder, "--uds", path)
    assert path.read_text() == "somebody's notes"
    path.unlink()
    path.symlink_to(path.with_name("elsewhere"))
    assert "no socket" in refused(start_server, embedder, "--uds", path)
    assert path.is_symlink()


@pytest.mark.parametrize(
    "options,words",
    [
        (["--uds", "/nowhere/at/all/q.sock"], "/nowhere/at/all"),
        (["--uds", "/tmp/" + "x" * 120], "bytes that a socket's path can have"),
        (["--uds", "/tmp/q.sock", "--uds-group", "no-such-group-here"], "no-such-group-here"),
        (["--uds", "/tmp/q.sock", "--uds-mode", "0999"], "permissions in octal"),
        (["--uds", "/tmp/q.sock", "--uds-mode", "4755"], "permissions in octal"),
    ],
)
def test_options_that_cannot_be(start_server, embedder, options, words):
    assert words in refused(start_server, embedder, *options)


def test_a_file_that_took_its_place_stays(start_server, embedder, path):
    """Only what has the device and the inode of our socket is ours."""
    server = start_server("--uds", path, models=[embedder], port=None)
    path.unlink()
    other = socket.socket(socket.AF_UNIX)
    other.bind(str(path))
    server.signal()
    assert server.wait() == 0
    assert path.exists()
    other.close()


def test_host_is_not_asked_about_without_a_port(start_server, embedder, path):
    """--allow-remote is about what other machines can reach."""
    start_server("--uds", path, "--host", "0.0.0.0", models=[embedder], port=None)
    assert "--allow-remote" in refused(start_server, embedder, "--uds", str(path) + "2", "--host", "0.0.0.0", "--ops-port", free_port())


def test_connections_have_the_same_limit(start_server, embedder, path):
    """Beyond it clients wait; one that goes makes room."""
    server = start_server("--uds", path, "--max-connections", 2, models=[embedder], port=None)
    held = [server.connect_uds() for _ in range(2)]
    for connection in held:  # in the middle of a head: neither may be ended for another one
        connection.sendall(b"GET /health HTTP/1.1\r\n")
    waiting = server.connect_uds()
    waiting.sendall(make_request("/health"))
    time.sleep(0.2)
    assert not is_answered(waiting)
    held[0].close()
    assert read_answer(waiting)[0].status == 200
    for connection in (*held, waiting):
        connection.close()


def test_drain_answers_what_was_admitted(start_server, tiny, path):
    server = start_server("--threads", 1, "--precision", "f32", "--uds", path, models=[tiny("slow")], port=None)
    with server.connect_uds() as connection:
        body = {"inputs": ["a b c"] * 40}
        connection.sendall(make_request("/embed", body))
        with server.connect_uds() as probe:
            probe.sendall(make_request("/health"))
            assert read_answer(probe)[0].status == 200
        server.signal()
        answer, _ = read_answer(connection)
    assert answer.status == 200 and len(answer.json()) == 40
    assert server.wait() == 0


def test_a_second_signal_leaves_no_file(start_server, tiny, path):
    server = start_server(
        "--threads", 1, "--precision", "f32", "--uds", path, "--drain-delay-ms", 600000, models=[tiny("slow")], port=None
    )
    connection = send_endless(server)
    server.signal()
    wait_for(lambda: ask(server, "/v2/health/ready").status == 503, "not ready")
    server.signal()
    assert server.wait() == 2
    assert not path.exists()
    connection.close()


def test_a_peer_is_trusted_with_the_start_of_a_request(start_server, embedder, path):
    """X-Request-Start counts against the budget as from a network of --trust-proxy; over TCP it does not."""
    server = start_server("--uds", path, models=[embedder], port=0)
    long_ago = [("X-Request-Start", f"t={time.time() - 60:.3f}"), ("X-Request-Budget-Ms", "30000")]
    with server.connect_uds() as connection:
        connection.sendall(make_request("/embed", {"inputs": "a"}, headers=long_ago))
        assert read_answer(connection)[0].status == 504
    assert ask(server, "/embed", {"inputs": "a"}, headers=long_ago).status == 200


def test_a_client_that_leaves_is_noticed(start_server, tiny, path):
    server = start_server("--threads", 1, "--precision", "f32", "--uds", path, models=[tiny("slow")], port=None)
    send_endless(server).close()
    wait_for(lambda: metric(server, "querent_queue_depth") == 0, "the work of a client that left to be dropped")
