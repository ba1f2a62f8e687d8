"""JSONTestSuite's cases and our own hostile bodies, posted to every route that reads a body."""
import pytest
from program import ROOT
from serving import ask, make_request, read_answer

SUITE = ROOT.parent / "shared" / "data" / "json-test-suite"
ROUTES = ("/embed", "/span", "/v1/embeddings", "/tokenize", "/rerank", "/predict", "/")


class Line:
    """One connection for many requests; opened again when the server closed it."""

    def __init__(self, server):
        self.server, self.connection = server, None

    def post(self, path, body):
        for _ in range(2):
            if self.connection is None:
                self.connection, self.rest = self.server.connect(), b""
            try:
                self.connection.sendall(make_request(path, body))
                answer, self.rest = read_answer(self.connection, self.rest)
            except (ConnectionError, BrokenPipeError):
                answer = None
            if answer is not None and answer.headers.get("connection") != "close":
                return answer
            self.connection.close()
            self.connection = None
            if answer is not None:
                return answer
        raise AssertionError("no answer to " + path)


@pytest.fixture
def line(server):
    line = Line(server)
    yield line
    if line.connection is not None:
        line.connection.close()


@pytest.mark.skipif(not SUITE.exists(), reason="no ../shared/data/json-test-suite")
@pytest.mark.parametrize("route", ROUTES)
def test_json_test_suite(line, route):
    counts = {"n": 0, "y": 0, "i": 0}
    for path in sorted(SUITE.glob("*.json")):
        answer = line.post(route, path.read_bytes())
        kind = path.name[0]
        counts[kind] += 1
        if kind == "n":
            assert answer.status == 400, path.name
        elif kind == "y" and "duplicated_key" not in path.name and "null_in_key" not in path.name:
            assert answer.status == 422, (path.name, answer.status)
        else:
            assert answer.status in (400, 422), (path.name, answer.status)
        assert answer.json()
    assert counts["n"] == 188 and counts["y"] == 95


@pytest.mark.skipif(not SUITE.exists(), reason="no ../shared/data/json-test-suite")
def test_json_test_suite_as_a_field(line):
    """The same values where a field is expected: refused, or ignored when the field is unknown."""
    for path in sorted(SUITE.glob("y_*.json")):
        body = path.read_bytes()
        answer = line.post("/embed", b'{"inputs":"text","unknown":' + body + b"}")
        assert answer.status in (200, 400), (path.name, answer.status)
        answer = line.post("/embed", b'{"inputs":' + body + b"}")
        assert answer.status in (200, 400, 422), (path.name, answer.status)


@pytest.mark.parametrize("route", ROUTES)
def test_deep_bodies_are_refused(server, route):
    for opening in (b"[", b'{"a":', b'[{"a":'):
        assert ask(server, route, opening * (1900000 // len(opening))).status == 400
    assert ask(server, route, b"[" * 33 + b"]" * 33).status == 400
    assert ask(server, route, b"[" * 32 + b"]" * 32).status == 422


def test_numbers_at_their_borders(line):
    for number in (b"-9223372036854775808", b"9223372036854775807", b"-1", b"1e5", b"1.0", b"-0", b"0", b"4294967296", b"2147483648"):
        for body in (b'{"inputs":"a","dimensions":' + number + b"}", b'{"inputs":[' + number + b",-1]}"):
            assert line.post("/embed", body).status == 422, body
        body = b'{"question":"q","context":"c","top_k":' + number + b"}"
        assert line.post("/span", body).status == 422, body
    for number in (b"18446744073709551616", b"1" * 400, b"1e400", b"-1e999", b"NaN", b"Infinity"):
        assert line.post("/embed", b'{"inputs":"a","dimensions":' + number + b"}").status == 400


def test_every_cut_of_a_body(line):
    body = '{"inputs":["größe","b"],"truncate":true,"normalize":false}'.encode()
    for length in range(len(body)):
        assert line.post("/embed", body[:length]).status == 400
    assert line.post("/embed", body).status == 200
    assert line.post("/embed", body + b"x").status == 400
    assert line.post("/embed", b" \n\t" + body + b"\r\n ").status == 200
    assert line.post("/embed", b"\xef\xbb\xbf" + body).status == 400
