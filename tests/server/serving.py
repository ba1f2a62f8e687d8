"""What the server's tests share: the server as a process, raw requests and answers, metrics.

Nothing here needs more than the standard library.
"""
import fcntl
import json
import os
import re
import select
import signal
import socket
import subprocess
import threading
import time

from program import BINARY, HANG, die_with_parent

PIPE_BYTES = 65536


class Server:
    """One `querent serve` process. Its stderr is collected in `log`.

    `port=None`: it is given none, and listens on what `options` say (--uds).
    `held`: its stderr is full from the start, so that the thread which loads the models waits at
    its first line until release(): a server that is still loading, for as long as a test likes.
    `deaf`: nobody reads its stderr any more once it is ready, until hear().
    `binary`: another program than the built one, in a folder of its own.
    `prefix`: a command that becomes the server, and keeps the descriptors `pass_fds`.
    """

    def __init__(self, models, *options, env=None, wait=True, port=0, held=False, deaf=False, prefix=(), pass_fds=(), binary=BINARY):
        command = [*prefix] + [str(binary), "serve"] + ([] if port is None else ["--port", str(port)])
        for model in models:
            command += ["--model", str(model)]
        self.lines = []
        self.port = None
        self.uds = None
        self.alone = port is None
        self.ops_port = None
        self.ready = threading.Event()
        self.released = False
        self.deaf = deaf
        self.reader = threading.Thread(target=self._read, daemon=True)
        reading, writing = os.pipe()
        self.stderr = os.fdopen(reading, "rb")
        if held:
            fill_pipe(writing)
        self.process = subprocess.Popen(
            command + [str(o) for o in options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=writing,
            env={**os.environ, **(env or {})},
            preexec_fn=die_with_parent,
            pass_fds=pass_fds,
        )
        os.close(writing)
        if not held:
            self.release()
            if wait:
                self.wait_ready()

    def release(self):
        self.released = True
        fcntl.fcntl(self.stderr, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self.reader.start()

    def _read(self):
        for raw in self.stderr:
            line = raw.decode("utf-8", "replace").rstrip("\n")
            self.lines.append(line)
            found = re.match(r"querent: (listening|ops) on http://(?:\S+):(\d+)$", line)
            if found and found[1] == "listening":
                self.port = int(found[2])
                self.ready.set()
            elif found:
                self.ops_port = int(found[2])
            if found and found[1] == "listening" and self.deaf:
                return
            if line.startswith("querent: listening on unix:"):
                self.uds = line.split("unix:", 1)[1]
                if self.alone:
                    self.ready.set()
        self.ready.set()

    def hear(self):
        self.deaf = False
        self.reader.join(HANG)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def wait_ready(self):
        assert self.ready.wait(2 * HANG), "not ready:\n" + self.log
        assert self.port is not None or self.uds is not None, "did not start:\n" + self.log

    @property
    def log(self):
        return "\n".join(line for line in self.lines if line)

    def wait_log(self, part):
        wait_for(lambda: part in self.log, f"{part!r} in the log")

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def connect(self, timeout=HANG, port=None):
        if port is None and self.port is None:
            return self.connect_uds(timeout)
        connection = socket.create_connection(("127.0.0.1", port or self.port), timeout=timeout)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def connect_uds(self, timeout=HANG):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(timeout)
        connection.connect(self.uds)
        return connection

    def signal(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def wait(self):
        """The exit code."""
        code = self.process.wait(HANG)
        self.reader.join(HANG)
        return code

    def stop(self):
        """Ends the server as an operator would; a sanitizer's report or a crash fails the test."""
        if not self.released:
            self.release()
        if self.process.poll() is None:
            self.signal()
            try:
                self.wait()
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.wait()
                raise AssertionError("did not stop on SIGTERM:\n" + self.log)
        assert self.process.returncode in (0, 1, 2), f"exit code {self.process.returncode}:\n{self.log}"
        assert "Sanitizer" not in self.log and "runtime error" not in self.log, self.log
        assert " error verify: " not in self.log, self.log


def fill_pipe(writing):
    """Puts empty lines into a pipe until the next writer must wait."""
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(writing, False)
    try:
        while True:
            os.write(writing, b"\n" * 4096)
    except BlockingIOError:
        os.set_blocking(writing, True)


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


def ask(server, path, body=None, method=None, headers=(), timeout=HANG, port=None):
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


def wait_for(condition, what):
    """Until the condition holds; only a hang ends it otherwise."""
    end = time.monotonic() + HANG
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("waited in vain for " + what)


def wait_busy(server):
    wait_for(lambda: metric(server, "querent_queue_depth") > 0, "a request to be admitted")


def wait_idle(server):
    wait_for(lambda: metric(server, "querent_queue_depth") == 0, "the queue to be empty")


LONG_TEXT, LONG_TOKENS = "a " * 250, 252
ENDLESS_ITEMS = 2048
ENDLESS_MS = 400e3


def long_text_ms(server):
    """What a long text took one worker when the model was loaded, and the correction since."""
    cost = ask(server, "/info").json()["models"][0]["cost"]
    ns = cost["worker"]["token_ns"] * LONG_TOKENS + cost["worker"]["square_ns"] * LONG_TOKENS**2
    return ns / 1e6, cost["correction"]


def least_ms(server, items):
    """What so many long texts take an idle server with one worker at the least, by the costs that it shows."""
    ms, correction = long_text_ms(server)
    return items * ms * min(1, correction)


def endless_items(server):
    """How many long texts take one core of this machine many seconds, on the tiny model that is slow (f32, one thread):
    whatever a test does meanwhile happens before their answer. Within the longest budget that there is, or they are refused."""
    return max(1, min(ENDLESS_ITEMS, int(ENDLESS_MS / long_text_ms(server)[0])))


def endless(server):
    return {"inputs": [LONG_TEXT] * endless_items(server)}


def send_endless(server):
    """Its connection, once the server has admitted it."""
    body = endless(server)
    connection = server.connect()
    connection.sendall(make_request("/embed", body))
    wait_busy(server)
    return connection


def is_answered(connection):
    return bool(select.select([connection], [], [], 0)[0])
