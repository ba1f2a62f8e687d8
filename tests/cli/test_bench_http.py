"""`querent bench http` against a stub whose timing and faults are known."""

import json
import socket
import time

import pytest
from cli_tool import querent
from http_stub import Stub


@pytest.fixture
def queries(tmp_path):
    path = tmp_path / "queries.txt"
    path.write_text('how tall is everest\nwhat is a "quote"\n\ncafé\n', encoding="utf-8")
    return path


def run(stub, *arguments, code=0):
    done = querent("bench", "http", "--url", stub.url, "--warmup", "0", "--json", *arguments)
    assert done.returncode == code, done.stderr.decode()
    return json.loads(done.stdout)


def ok(_):
    return 200, {}


def test_closed_loop(queries):
    with Stub(ok) as stub:
        found = run(stub, "--queries", queries, "--concurrency", "3", "--seconds", "0.5")
    assert found["loop"] == "closed" and found["route"] == "/embed"
    assert found["connections"] == stub.connections == 3
    assert found["requests"] == found["answered"] == found["status"]["200"] == len(stub.requests)
    assert found["errors"] == {"connection": 0, "timeout": 0, "unsent": 0}
    latency = found["latency_ms"]
    assert 0 < latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["p99.9"] <= latency["max"]
    assert latency["count"] == found["answered"]
    assert found["achieved_rps"] == pytest.approx(found["answered"] / 0.5, rel=0.1)


def test_the_queries_are_sent_in_turn(queries):
    with Stub(ok) as stub:
        run(stub, "--queries", queries, "--concurrency", "1", "--seconds", "0.2", "--budget-ms", "70")
    bodies = [json.loads(body)["inputs"] for _, _, _, body in stub.requests]
    assert bodies[:4] == ["how tall is everest", 'what is a "quote"', "café", "how tall is everest"]
    method, path, headers, _ = stub.requests[0]
    assert (method, path) == ("POST", "/embed")
    assert headers["content-type"] == "application/json" and headers["x-request-budget-ms"] == "70"
    assert headers["host"] == stub.url.removeprefix("http://")


@pytest.mark.parametrize(
    "route,keys",
    [
        ("/predict", ["inputs"]),
        ("/tokenize", ["inputs"]),
        ("/v1/embeddings", ["model", "input"]),
        ("/rerank", ["query", "texts"]),
        ("/span", ["question", "context"]),
    ],
)
def test_each_route_has_its_body(queries, route, keys):
    with Stub(ok) as stub:
        found = run(stub, "--queries", queries, "--route", route, "--concurrency", "1", "--seconds", "0.1")
    assert found["route"] == route
    assert all(path == route and list(json.loads(body)) == keys for _, path, _, body in stub.requests)


def test_other_routes_are_asked_without_a_body():
    with Stub(ok) as stub:
        run(stub, "--route", "/health", "--concurrency", "1", "--seconds", "0.1")
    assert {(method, path, body) for method, path, _, body in stub.requests} == {("GET", "/health", b"")}


@pytest.mark.parametrize("arrival", ["uniform", "poisson"])
def test_open_loop_keeps_its_rate(arrival):
    with Stub(ok) as stub:
        found = run(stub, "--route", "/health", "--rate", "300", "--arrival", arrival, "--seconds", "2")
    spread = 0.02 if arrival == "uniform" else 0.15  # 600 +- 3.7 sigma
    assert found["requests"] == pytest.approx(600, rel=spread)
    assert found["answered"] == found["requests"]
    assert found["loop"] == "open" and found["arrival"] == arrival


def test_a_delay_is_what_is_measured():
    with Stub(lambda n: (200, {"delay": 0.05})) as stub:
        found = run(stub, "--route", "/health", "--rate", "40", "--seconds", "1")
    assert 50 <= found["latency_ms"]["p50"] < 150


def stalls_once(n):
    return 200, ({"freeze": 0.5} if n == 100 else {})


def test_a_stall_counts_for_everyone_who_would_have_waited():
    """The server stands still for 0.5 s of 2 s. At 200 requests a second about 100 of 400 were due meanwhile and waited up to 0.5 s; a
    tool that counts from the sending would see one slow request a connection."""
    with Stub(stalls_once) as stub:
        found = run(stub, "--route", "/health", "--rate", "200", "--arrival", "uniform", "--connections", "2", "--seconds", "2")
    assert found["answered"] == found["requests"] == pytest.approx(400, abs=4)
    assert 450 < found["latency_ms"]["max"] < 1500
    assert found["latency_ms"]["p90"] > 200  # the tenth that waited longest waited for more than half of the stall
    assert found["latency_ms"]["p50"] < found["latency_ms"]["p90"] / 2  # and most did not wait at all


def test_codes_are_counted_and_refusals_do_not_flatter_the_latency():
    with Stub(lambda n: (429, {}) if n % 3 == 0 else (200, {"delay": 0.02})) as stub:
        found = run(stub, "--route", "/health", "--concurrency", "2", "--seconds", "0.6")
    assert found["status"]["200"] + found["status"]["429"] == found["answered"]
    assert found["status"]["200"] == pytest.approx(2 * found["status"]["429"], abs=3)
    assert found["latency_ms"]["count"] == found["status"]["200"] and found["latency_ms"]["p50"] >= 20
    assert found["refused_latency_ms"]["count"] == found["status"]["429"]


def test_silence_times_out_and_the_run_ends():
    begin = time.monotonic()
    with Stub(lambda n: (200, {"silent": n % 2 == 0})) as stub:
        found = run(stub, "--route", "/health", "--rate", "50", "--seconds", "0.5", "--timeout", "0.3")
    assert time.monotonic() - begin < 5
    assert found["errors"]["timeout"] >= 8
    assert found["answered"] + sum(found["errors"].values()) == found["requests"]


def test_too_few_connections_are_reported():
    with Stub(lambda n: (200, {"delay": 0.5})) as stub:
        found = run(stub, "--route", "/health", "--rate", "100", "--seconds", "1", "--connections", "2", "--timeout", "0.6")
    assert found["errors"]["unsent"] > 50
    assert found["answered"] + sum(found["errors"].values()) == found["requests"]


def test_a_connection_that_the_server_closes_is_opened_again():
    with Stub(lambda n: (200, {"close": n % 5 == 0})) as stub:
        found = run(stub, "--route", "/health", "--concurrency", "1", "--seconds", "0.3")
    assert found["status"] == {"200": found["requests"]}
    assert stub.connections == pytest.approx(found["requests"] / 5, abs=2)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",  # no length
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nmore",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 9000,
    ],
)
def test_what_is_no_answer_is_a_connection_error(raw):
    with Stub(lambda n: (200, {"raw": raw} if n % 2 else {})) as stub:
        found = run(stub, "--route", "/health", "--concurrency", "1", "--seconds", "0.2")
    assert found["errors"]["connection"] > 0 and found["status"]["200"] > 0
    assert found["answered"] + sum(found["errors"].values()) == found["requests"]


def test_text_output(queries):
    with Stub(ok) as stub:
        done = querent("bench", "http", "--url", stub.url, "--queries", queries, "--rate", "50", "--seconds", "0.3", "--warmup", "0")
    assert done.returncode == 0
    for part in ("open loop, 50 requests a second", "200 x ", "p50", "p99.9", "good answers a second"):
        assert part in done.stdout.decode()


def test_nobody_there():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
    for loop in (["--concurrency", "2"], ["--rate", "100"]):
        done = querent("bench", "http", "--url", url, "--route", "/health", *loop, "--seconds", "0.5", "--warmup", "0")
        assert done.returncode == 1 and done.stdout == b""
        assert "no answer" in done.stderr.decode() and url in done.stderr.decode()


@pytest.mark.parametrize(
    "arguments,named",
    [
        ([], "--url"),
        (["--url", "https://127.0.0.1"], "expected http://HOST:PORT"),
        (["--url", "http://"], "expected http://HOST:PORT"),
        (["--url", "http://127.0.0.1:0"], "expected http://HOST:PORT"),
        (["--url", "http://127.0.0.1:99999"], "expected http://HOST:PORT"),
        (["--url", "http://[::1"], "expected http://HOST:PORT"),
        (["--url", "http://192.0.2.1:80", "--route", "/health", "--rate", "1"], "--allow-remote"),
        (["--url", "http://127.0.0.1:1", "--route", "/health"], "either --rate"),
        (["--url", "http://127.0.0.1:1", "--route", "/health", "--rate", "1", "--concurrency", "1"], "either --rate"),
        (["--url", "http://127.0.0.1:1", "--rate", "1"], "--queries"),
        (["--url", "http://127.0.0.1:1", "--route", "health", "--rate", "1"], "--route health"),
        (["--url", "http://127.0.0.1:1", "--route", "/x", "--rate", "1", "--arrival", "often"], "--arrival often"),
        (["--url", "http://127.0.0.1:1", "--route", "/x", "--rate", "1", "--seconds", "0"], "--seconds"),
    ],
)
def test_a_bad_command_line_is_named(arguments, named):
    done = querent("bench", "http", *arguments)
    assert done.returncode == 2 and done.stdout == b""
    assert named in done.stderr.decode() and "--help" in done.stderr.decode()


def test_a_missing_file_of_queries_is_named():
    done = querent("bench", "http", "--url", "http://127.0.0.1:1", "--queries", "/nonexistent", "--rate", "1")
    assert done.returncode == 1 and "/nonexistent" in done.stderr.decode()
