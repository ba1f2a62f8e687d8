"""Sockets that a service manager passes (LISTEN_FDS): served in place of our own, and never broken for the next process."""
import os
import signal
import socket
import threading
import time

import pytest
from activated import filter_len, listening, open_files, passing
from program import HANG, free_port
from serving import ask, make_request, read_answer, wait_for

CLIENTS = 4
RESTARTS = 3
FRESH = 1  # seconds that a server which ends gives a new connection for its request (docs/HTTP.md, Drain)


def request_at(address, family=socket.AF_INET, path="/embed", body=None):
    """One request on a connection of its own; a refused connection is an error."""
    with socket.socket(family) as connection:
        connection.settimeout(HANG)
        connection.connect(address)
        connection.sendall(make_request(path, body))
        return read_answer(connection)[0]


def test_port_and_path(start_server, embedder, tmp_path_factory):
    """They take the place of --port and --uds; the file is not removed at the end, and the socket still takes connections."""
    path = str(tmp_path_factory.mktemp("act") / "q.sock")
    tcp, local = listening(), listening(socket.AF_UNIX, path)
    taken = free_port()
    server = start_server("--uds", path + ".own", models=[embedder], port=taken, **passing([tcp, local], "web:local"))
    assert server.port == tcp.getsockname()[1] and server.port != taken
    body = {"inputs": "a text"}
    answers = [request_at(tcp.getsockname(), body=body), request_at(path, socket.AF_UNIX, body=body)]
    assert [a.status for a in answers] == [200, 200] and answers[0].body == answers[1].body
    assert not os.path.exists(path + ".own")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", taken), timeout=HANG)
    server.stop()
    assert server.process.returncode == 0 and os.path.exists(path)
    assert filter_len(tcp) == filter_len(local) == 0
    for address, family in ((tcp.getsockname(), socket.AF_INET), (path, socket.AF_UNIX)):
        with socket.socket(family) as waiting:
            waiting.settimeout(HANG)
            waiting.connect(address)


def test_ipv6_and_abstract(start_server, embedder):
    try:
        tcp = listening(socket.AF_INET6, ("::1", 0))
    except OSError:
        pytest.skip("no IPv6 on this machine")
    name = f"\0querent-activation-{os.getpid()}"
    local = listening(socket.AF_UNIX, name)
    server = start_server(models=[embedder], **passing([tcp, local]))
    assert request_at(tcp.getsockname()[:2], socket.AF_INET6, "/v2/health/ready").status == 200
    assert request_at(name, socket.AF_UNIX, "/v2/health/ready").status == 200
    server.wait_log(f"unix:@{name[1:]}")


def test_the_ops_socket(start_server, embedder):
    """By its name; then probes and metrics are there alone, already while models load."""
    main, ops = listening(), listening()
    server = start_server(models=[embedder], held=True, **passing([ops, main], "ops:web"))
    assert request_at(ops.getsockname(), path="/v2/health/ready").status == 503
    server.release()
    server.wait_ready()
    assert (server.port, server.ops_port) == (main.getsockname()[1], ops.getsockname()[1])
    assert request_at(ops.getsockname(), path="/metrics").status == 200
    assert request_at(main.getsockname(), path="/metrics").status == 404


def test_closed_on_exec(start_server, embedder):
    main = listening()
    server = start_server(models=[embedder], **passing([main]))
    flags = open(f"/proc/{server.process.pid}/fdinfo/3").read().split("flags:")[1].split()[0]
    assert int(flags, 8) & os.O_CLOEXEC and int(flags, 8) & os.O_NONBLOCK
    ours = open_files(server.process)
    assert ours["3"].startswith("socket:") and list(ours.values()).count(ours["3"]) == 1


@pytest.mark.parametrize("env", [{"LISTEN_PID": "1"}, {"LISTEN_PID": "many"}, {"LISTEN_PID": ""}])
def test_meant_for_another(start_server, embedder, env):
    main = listening()
    server = start_server(models=[embedder], **passing([main], env=env))
    assert server.port != main.getsockname()[1] and ask(server, "/v2/health/ready").status == 200


def unbound(kind=socket.SOCK_STREAM, family=socket.AF_INET):
    return socket.socket(family, kind)


@pytest.mark.parametrize("make, names, env, what", [
    (lambda: [unbound(socket.SOCK_DGRAM)], "dns", {}, "descriptor 3 'dns' is no stream socket"),
    (lambda: [listening(), unbound()], None, {}, "descriptor 4 '' does not listen"),
    (lambda: [os.open("/dev/null", os.O_RDONLY)], None, {}, "descriptor 3 '' is no socket"),
    (lambda: [listening()], None, {"LISTEN_FDS": "2"}, "descriptor 4 '' is not open"),
    (lambda: [listening()], None, {"LISTEN_FDS": "9"}, "LISTEN_FDS 9: at most 8"),
    (lambda: [listening()], None, {"LISTEN_FDS": "-1"}, "LISTEN_FDS -1: at most 8"),
    (lambda: [listening(), listening()], "ops:ops", {}, "descriptor 4 'ops' is a second one"),
], ids=["datagram", "silent", "file", "closed", "many", "negative", "two ops"])
def test_refused(start_server, embedder, make, names, env, what):
    """A start that cannot be what was meant ends with a word for it."""
    sockets = make()
    server = start_server(models=[embedder], wait=False, **passing(sockets, names, env))
    assert server.wait() == 2
    assert what in server.log and "listening" not in server.log


KEYS = "a-key-of-some-length-0123456789\n"


@pytest.mark.parametrize("family, address", [(socket.AF_INET, ("0.0.0.0", 0)), (socket.AF_INET6, ("::", 0))], ids=["v4", "v6"])
@pytest.mark.parametrize("names", ["main", "ops"])
@pytest.mark.parametrize("options, what", [
    ((), "add --allow-remote"),
    (("--allow-remote", "--admin"), "give --admin-key-file"),
], ids=["open", "admin"])
def test_other_machines(start_server, embedder, family, address, names, options, what):
    """A passed socket goes by the rules of --host: it is no way around keys."""
    try:
        sockets = [listening(family, address)]
    except OSError:
        pytest.skip("no IPv6 on this machine")
    if names != "ops" and "--admin" in options:
        sockets, names = [*sockets, listening()], names + ":ops"
    server = start_server(*options, models=[embedder], wait=False, **passing(sockets, names))
    assert server.wait() == 2
    assert what in server.log and "listening" not in server.log


@pytest.mark.parametrize("allowed", ["--allow-remote", "--api-key-file"])
def test_other_machines_where_it_is_meant(start_server, embedder, tmp_path, allowed):
    (tmp_path / "keys").write_text(KEYS)
    options = [allowed] if allowed == "--allow-remote" else [allowed, tmp_path / "keys"]
    main = listening(socket.AF_INET, ("0.0.0.0", 0))
    server = start_server(*options, models=[embedder], **passing([main]))
    assert server.port == main.getsockname()[1]


def test_stopped_sockets_keep_waiting_connections(start_server, embedder):
    """What connects when no server runs, or while one loads, is answered by the next one."""
    main = listening()
    first = start_server(models=[embedder], **passing([main]))
    first.stop()
    with socket.create_connection(main.getsockname(), timeout=HANG) as waiting:
        waiting.sendall(make_request("/embed", {"inputs": "a"}))
        second = start_server(models=[embedder], **passing([main]))
        assert read_answer(waiting)[0].status == 200
    second.stop()


class Clients:
    """Each asks again and again, every time on a connection of its own, until close()."""

    def __init__(self, address, family):
        self.address, self.family = address, family
        self.statuses, self.refused, self.broken = [], [], []
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self._ask, args=(i,), daemon=True) for i in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def connect(self, number):
        """A connection with a request on it; the time that it took."""
        began = time.monotonic()
        connection = socket.socket(self.family)
        connection.settimeout(HANG)
        connection.connect(self.address)
        connection.sendall(make_request("/embed", {"inputs": f"text {number}"}))
        return connection, time.monotonic() - began

    def _ask(self, number):
        while not self.over.is_set() and not self.refused and not self.broken:
            try:
                connection, took = self.connect(number)
            except ConnectionRefusedError as fault:
                self.refused.append(repr(fault))
                return
            with connection:
                try:
                    answer = read_answer(connection)[0]
                    fault = None if answer else "closed without an answer"
                except OSError as error:
                    fault = repr(error)
            if fault is None:
                self.statuses.append(answer.status)
            elif took < FRESH:  # else this machine slept over it, and the drain may end the connection
                self.broken.append(fault)

    def wait_more(self, count):
        goal = len(self.statuses) + count
        wait_for(lambda: len(self.statuses) >= goal or self.refused or self.broken, "answers")

    def close(self):
        self.over.set()
        for thread in self.threads:
            thread.join(HANG)
            assert not thread.is_alive()


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_UNIX], ids=["tcp", "unix"])
def test_restart_under_load(start_server, embedder, tmp_path_factory, family):
    """Servers come and go behind one socket: nobody is refused, every request is answered, those too that came while
    there was no server."""
    address = ("127.0.0.1", 0) if family == socket.AF_INET else str(tmp_path_factory.mktemp("act") / "q.sock")
    main = listening(family, address)
    server = start_server(models=[embedder], port=None, **passing([main]))
    clients = Clients(main.getsockname(), family)
    for _ in range(RESTARTS):
        clients.wait_more(5 * CLIENTS)
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
        waiting = [clients.connect(i)[0] for i in range(CLIENTS)]
        server = start_server(models=[embedder], port=None, **passing([main]))
        assert [read_answer(connection)[0].status for connection in waiting] == [200] * CLIENTS
    clients.wait_more(5 * CLIENTS)
    clients.close()
    assert clients.refused == clients.broken == [] and set(clients.statuses) == {200}
