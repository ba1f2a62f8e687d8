"""What the server's tests share: the server as a process, raw requests and answers, metrics.

QUERENT names the binary; build/querent otherwise. Nothing here needs more than the standard library and numpy.
"""
import ctypes
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("QUERENT", ROOT / "build" / "querent"))
SANITIZED = "asan" in str(BINARY) or "tsan" in str(BINARY)
START_SECONDS = 120 if SANITIZED else 30

sys.path.insert(0, str(ROOT / "tools"))


def die_with_parent():
    """A test run that is killed leaves no servers behind (PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Server:
    """One `querent serve` process. Its stderr is collected in `log`."""

    def __init__(self, models, *options, env=None, wait=True, port=0):
        command = [str(BINARY), "serve", "--port", str(port)]
        for model in models:
            command += ["--model", str(model)]
        self.process = subprocess.Popen(
            command + [str(o) for o in options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, **(env or {})},
            preexec_fn=die_with_parent,
        )
        self.lines = []
        self.port = None
        self.ops_port = None
        self.ready = threading.Event()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        if wait:
            self.wait_ready()

    def _read(self):
        for raw in self.process.stderr:
            line = raw.decode("utf-8", "replace").rstrip("\n")
            self.lines.append(line)
            found = re.match(r"querent: (listening|ops) on http://(?:\S+):(\d+)$", line)
            if found and found[1] == "listening":
                self.port = int(found[2])
                self.ready.set()
            elif found:
                self.ops_port = int(found[2])
        self.ready.set()

    def wait_ready(self):
        assert self.ready.wait(START_SECONDS), "not ready in time:\n" + self.log
        assert self.port is not None, "did not start:\n" + self.log

    @property
    def log(self):
        return "\n".join(self.lines)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def connect(self, timeout=10, port=None):
        connection = socket.create_connection(("127.0.0.1", port or self.port), timeout=timeout)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def signal(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def wait(self, timeout=30):
        code = self.process.wait(timeout)
        self.reader.join(5)
        return code

    def stop(self):
        """Ends the server as an operator would; a sanitizer's report or a crash fails the test."""
        if self.process.poll() is None:
            self.signal()
            try:
                self.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.wait()
                raise AssertionError("did not stop on SIGTERM:\n" + self.log)
        assert self.process.returncode in (0, 1, 2), f"exit code {self.process.returncode}:\n{self.log}"
        assert "Sanitizer" not in self.log and "runtime error" not in self.log, self.log
        assert " error verify: " not in self.log, self.log


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)


def read_answer(connection, buffer=b"", method="POST"):
    """One HTTP answer off a socket: (Answer, bytes behind it), or (None, b"") when the peer closed before one."""
    while b"\r\n\r\n" not in buffer:
        piece = connection.recv(65536)
        if not piece:
            return None, buffer
        buffer += piece
    head, _, rest = buffer.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    status = int(lines[0].split(" ")[1])
    need = 0 if method == "HEAD" else int(headers.get("content-length", "0"))
    while len(rest) < need:
        piece = connection.recv(65536)
        if not piece:
            break
        rest += piece
    return Answer(status, headers, rest[:need]), rest[need:]


def make_request(path, body=None, method=None, headers=()):
    """The bytes of one well-formed request; `body` is sent as JSON unless it is bytes."""
    if body is None:
        data = b""
        method = method or "GET"
    else:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        method = method or "POST"
    lines = [f"{method} {path} HTTP/1.1", "Host: querent"]
    if method == "POST":
        lines += ["Content-Type: application/json", f"Content-Length: {len(data)}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + data


def ask(server, path, body=None, method=None, headers=(), timeout=60, port=None):
    """One request on a connection of its own."""
    with server.connect(timeout, port) as connection:
        connection.sendall(make_request(path, body, method, headers))
        answer, _ = read_answer(connection, method=method or "POST")
        assert answer is not None, "no answer to " + path
        return answer


def metric(server, name, port=None):
    """The sum of a metric's series whose name (with labels, as far as given) begins so."""
    total = 0.0
    for line in ask(server, "/metrics", port=port).body.decode().splitlines():
        if line.startswith(name) and not line.startswith("#"):
            total += float(line.rsplit(" ", 1)[1])
    return total


def wait_for(condition, seconds=10, what="condition"):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("timed out: " + what)
