"""One allocation fails, each of a request's in turn: an error or no answer, never another answer, and the next request is served."""
import mmap
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from program import SANITIZED
from serving import make_request, metric, read_answer

pytestmark = [
    pytest.mark.skipif(SANITIZED, reason="a sanitizer has its own malloc"),
    pytest.mark.skipif(shutil.which("cc") is None, reason="nothing compiles what is preloaded"),
]

TEXT = 'Zo\u00eb said: "h\u00e4ll\u00f6 \u4e16\u754c", and\tmore\nthan once'
PROBE = make_request("/v2/health/live")


class Failing:
    """A server, and the number of the allocation that fails next."""

    def __init__(self, start_server, models, folder):
        library, self.order = folder / "fail_allocation.so", folder / "order"
        source = Path(__file__).with_name("fail_allocation.c")
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", source, "-o", library], check=True)
        self.order.write_bytes(bytes(mmap.PAGESIZE))
        with self.order.open("r+b") as file:
            self.numbers = mmap.mmap(file.fileno(), mmap.PAGESIZE)
        self.server = start_server(models=models, env={"LD_PRELOAD": str(library), "FAIL_ALLOCATION": str(self.order)})

    def fail(self, at):
        struct.pack_into("ii", self.numbers, 0, at, 0)

    def ask(self, raw, at=0):
        """The answer (None: the connection was closed without one), what came behind it, and whether an allocation failed."""
        with self.server.connect() as connection:
            self.fail(at)
            try:
                connection.sendall(raw)
                answer, rest = read_answer(connection)
                while answer is not None and answer.headers.get("connection") == "close" and (piece := connection.recv(65536)):
                    rest += piece
            except ConnectionError:
                answer, rest = None, b""
        failed = struct.unpack_from("ii", self.numbers)[1] > 0
        self.fail(0)
        return answer, rest, failed

    def ask_with_each_failing(self, raw):
        """All answers, one for each allocation that failed."""
        at, failed = 0, True
        while failed:
            at += 1
            answer, rest, failed = self.ask(raw, at)
            assert self.server.process.poll() is None, f"allocation {at}: {self.server.log}"
            if failed:
                yield at, answer, rest


@pytest.fixture(scope="module")
def failing(start_server, embedder, reader, tmp_path_factory):
    return Failing(start_server, [embedder, reader], tmp_path_factory.mktemp("failing"))


def test_refusals_are_counted_and_say_when_to_come_again(failing):
    """From a server's first request on, which has no exchange of an earlier one."""
    refused = 0
    for at, answer, _ in failing.ask_with_each_failing(make_request("/embed", {"inputs": "a"})):
        if answer is not None and answer.status == 503:
            refused += 1
            assert answer.headers.get("retry-after") == "1", f"allocation {at}"
    assert refused > 3
    assert metric(failing.server, 'querent_rejections_total{reason="no_memory"}') == refused


@pytest.mark.parametrize(
    "path, body",
    [
        ("/embed", {"inputs": TEXT}),
        ("/embed", {"inputs": [TEXT * n for n in range(1, 12)]}),
        ("/v1/embeddings", {"input": [TEXT, "b"], "model": "embedder", "encoding_format": "float"}),
        ("/span", {"question": TEXT, "context": TEXT * 20}),
        ("/tokenize", {"inputs": TEXT}),
    ],
    ids=["embed", "embed_many", "openai", "span", "tokenize"],
)
def test_an_answer_is_right_or_none(failing, path, body):
    raw = make_request(path, body)
    right, _, _ = failing.ask(raw)
    assert right.status == 200
    codes = set()
    for at, answer, _ in failing.ask_with_each_failing(raw):
        codes.add(answer and answer.status)
        if answer is not None and answer.status == 503:
            assert "retry-after" in answer.headers and b"out of memory" in answer.body
        elif answer is not None:
            assert (answer.status, answer.body) == (200, right.body), f"allocation {at}: {answer.status} {answer.body[:200]}"
    assert codes >= {200, 503}
    assert failing.ask(raw)[0].body == right.body


def test_nothing_is_read_behind_a_last_answer(failing):
    """A client that streams its body: who stands behind it in the connection is not answered."""
    head = b"POST /embed HTTP/1.1\r\nHost: querent\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    raw = head + b'10\r\n{"inputs": "ab"}\r\n0\r\n\r\n'
    for at, answer, rest in failing.ask_with_each_failing(raw + PROBE):
        assert answer is None or (answer.headers["connection"], rest) == ("close", b""), f"allocation {at}"


def test_a_connection_without_memory_is_ended(failing):
    """Each allocation of an accept in turn, of a client that sends nothing: its deadline would be forgotten too."""
    at, probed = 0, True
    while probed:
        at += 1
        failing.fail(at)
        with failing.server.connect() as silent, failing.server.connect() as probe:
            try:
                probe.sendall(PROBE)
                probed = read_answer(probe)[0] is not None  # else all of the accept's were there
                assert silent.recv(1) == b"", f"allocation {at}"
            except ConnectionError:
                pass
    failing.fail(0)
    assert at > 3


def test_a_drain_takes_no_memory(failing):
    failing.fail(1)
    failing.server.signal()
    assert failing.server.wait() == 0
    assert "every admitted request is answered" in failing.server.log
