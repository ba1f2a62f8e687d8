"""`querent bench http` against a stub whose timing and faults are known."""

import json
import socket
import time
import xml.etree.ElementTree as ElementTree

import pytest
from cli_tool import querent
from http_stub import Stub


@pytest.fixture
def queries(tmp_path):
    path = tmp_path / "queries.txt"
    path.write_text('how tall is everest\nwhat is a "quote"\n\ncafé\n', encoding="utf-8")
    return path


def run(stub, *arguments):
    """What it found. It has patience with every answer, so that how fast this machine is decides no count."""
    begun = time.monotonic()
    done = querent("bench", "http", "--url", stub.url, "--warmup", "0", "--timeout", "60", "--json", *arguments)
    assert done.returncode == 0, done.stderr.decode()
    found = json.loads(done.stdout)
    found["ran_ms"] = (time.monotonic() - begun) * 1e3
    return found


def open_loop(rate, seconds, connections=256):
    return ["--rate", str(rate), "--arrival", "uniform", "--seconds", str(seconds), "--connections", str(connections)]


def ok(_):
    return 200, {}


def test_closed_loop(queries):
    with Stub(ok) as stub:
        found = run(stub, "--queries", queries, "--concurrency", "3", "--seconds", "0.5")
    assert found["loop"] == "closed" and found["route"] == "/embed"
    assert found["connections"] == stub.connections == 3
    assert found["requests"] == found["answered"] == found["status"]["200"]
    assert found["requests"] <= len(stub.requests) <= found["requests"] + 3  # what a client begins when time is up does not count
    assert found["errors"] == {"connection": 0, "timeout": 0, "unsent": 0}
    latency = found["latency_ms"]
    assert 0 < latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["p99.9"] <= latency["max"] <= found["ran_ms"]
    assert latency["count"] == found["answered"]
    assert found["answered"] - 3 <= found["achieved_rps"] * 0.5 + 0.01  # but for each client's last all came in time
    assert found["achieved_rps"] * 0.5 <= found["answered"] + 0.01


def test_the_queries_are_sent_in_turn(queries):
    with Stub(ok) as stub:
        run(stub, "--queries", queries, *open_loop(20, 0.4, connections=1), "--budget-ms", "70")
    bodies = [json.loads(body)["inputs"] for _, _, _, body in stub.requests]
    assert bodies == (["how tall is everest", 'what is a "quote"', "café"] * 3)[:8]
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
    assert found["route"] == route and stub.requests
    assert all(path == route and list(json.loads(body)) == keys for _, path, _, body in stub.requests)


def test_other_routes_are_asked_without_a_body():
    with Stub(ok) as stub:
        run(stub, "--route", "/health", "--concurrency", "1", "--seconds", "0.1")
    assert {(method, path, body) for method, path, _, body in stub.requests} == {("GET", "/health", b"")}


def test_open_loop_keeps_its_rate():
    """As many as are due, none before its time."""
    with Stub(ok) as stub:
        found = run(stub, "--route", "/health", *open_loop(250, 1))
    assert found["requests"] == found["answered"] == len(stub.requests) == 250
    assert all(at >= i / 250 for i, at in enumerate(stub.times))
    assert found["loop"] == "open" and found["arrival"] == "uniform"


def test_poisson_arrivals_are_drawn_from_the_seed():
    counts = []
    for seed in (1, 1, 2):
        with Stub(ok) as stub:
            found = run(stub, "--route", "/health", "--rate", "600", "--seconds", "0.5", "--seed", str(seed))
        assert found["arrival"] == "poisson" and found["requests"] == found["answered"] == len(stub.requests)
        counts.append(found["requests"])
    assert counts[0] == counts[1] != counts[2]
    assert all(count == pytest.approx(300, abs=65) for count in counts)  # 3.7 sigma, and the seeds are fixed


def test_a_delay_is_what_is_measured():
    with Stub(lambda n: (200, {"delay": 0.05})) as stub:
        found = run(stub, "--route", "/health", *open_loop(40, 0.5))
    latency = found["latency_ms"]
    assert 50 <= latency["p50"] <= latency["max"] <= found["ran_ms"]


def stalls_once(n):
    return 200, ({"freeze": 0.5} if n == 100 else {})


def test_a_stall_counts_for_everyone_who_would_have_waited():
    """The server stands still for 0.5 s of 2 s. At 200 requests a second about 100 of 400 were due meanwhile and waited up to 0.5 s; a
    tool that counts from the sending would see one slow request a connection."""
    with Stub(stalls_once) as stub:
        found = run(stub, "--route", "/health", *open_loop(200, 2, connections=2))
    assert found["answered"] == found["requests"] == 400
    assert 500 <= found["latency_ms"]["max"] <= found["ran_ms"]
    assert found["latency_ms"]["p90"] > 200  # the tenth that waited longest waited for more than half of the stall


def test_codes_are_counted_and_refusals_do_not_flatter_the_latency():
    with Stub(lambda n: (429, {}) if n % 3 == 0 else (200, {"delay": 0.02})) as stub:
        found = run(stub, "--route", "/health", *open_loop(50, 0.6))
    assert found["answered"] == 30 and found["status"] == {"200": 20, "429": 10}
    assert found["latency_ms"]["count"] == 20 and found["latency_ms"]["p50"] >= 20
    assert found["refused_latency_ms"]["count"] == 10


def test_silence_times_out_and_the_run_ends():
    with Stub(lambda n: (200, {"silent": n % 2 == 0})) as stub:
        found = run(stub, "--route", "/health", *open_loop(50, 0.5), "--timeout", "2")
    assert found["requests"] == 25 and found["answered"] <= 13
    assert found["errors"]["timeout"] > 0
    assert found["answered"] + sum(found["errors"].values()) == found["requests"]


def test_too_few_connections_are_reported():
    """Two connections and half a second an answer: by the end of its patience it has had time for ten or twelve."""
    with Stub(lambda n: (200, {"delay": 0.5})) as stub:
        found = run(stub, "--route", "/health", *open_loop(200, 0.5, connections=2), "--timeout", "2")
    assert found["requests"] == 100 and found["errors"]["unsent"] >= 88
    assert found["answered"] + sum(found["errors"].values()) == found["requests"]


def test_a_connection_that_the_server_closes_is_opened_again():
    with Stub(lambda n: (200, {"close": n % 5 == 0})) as stub:
        found = run(stub, "--route", "/health", *open_loop(100, 0.3, connections=1))
    assert found["status"] == {"200": 30} and found["requests"] == 30
    assert stub.connections == 6


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
        found = run(stub, "--route", "/health", *open_loop(50, 0.2, connections=1))
    assert found["requests"] == 10
    assert found["errors"]["connection"] == found["status"]["200"] == found["answered"] == 5


def test_text_output(queries):
    with Stub(ok) as stub:
        done = querent("bench", "http", "--url", stub.url, "--queries", queries, "--rate", "50", "--seconds", "0.3", "--warmup", "0")
    assert done.returncode == 0
    for part in ("open loop, 50 requests a second", "200 x ", "p50", "p99.9", "good answers a second"):
        assert part in done.stdout.decode()


def test_a_sweep_loads_with_one_rate_after_the_other(tmp_path):
    picture = tmp_path / "sweep.svg"
    sweep = ["--route", "/health", "--sweep", "20,40", "--arrival", "uniform", "--seconds", "0.5", "--warmup", "0", "--timeout", "60"]
    with Stub(lambda n: (429 if n % 2 else 200, {})) as stub:
        done = querent("bench", "http", "--url", stub.url, *sweep, "--svg", picture, "--title", "a <stub>")
        assert done.returncode == 0, done.stderr.decode()
        rows = [line.split() for line in done.stdout.decode().splitlines()]
        assert rows[0][:3] == ["offered/s", "goodput/s", "missed"]
        assert [(float(row[0]), row[2]) for row in rows[1:]] == [(20, "50.00%"), (40, "50.00%")]
        assert len(stub.requests) == 30
        found = [json.loads(line) for line in querent("bench", "http", "--url", stub.url, *sweep, "--json").stdout.splitlines()]
    assert [(one["rate"], one["requests"], one["status"]) for one in found] == [(20, 10, {"200": 5, "429": 5}), (40, 20, {"200": 10, "429": 10})]
    root = ElementTree.parse(picture).getroot()
    assert root.find("{*}title").text == "a <stub>"
    assert [dot.get("class") for dot in root.iter("{http://www.w3.org/2000/svg}circle")] == ["dot p99 run0"] * 2 + ["dot p50 run0"] * 2 + [
        "dot good run0"
    ] * 2


def test_a_picture_that_cannot_be_written_is_a_fault():
    with Stub(ok) as stub:
        done = querent("bench", "http", "--url", stub.url, "--route", "/health", "--sweep", "20", "--seconds", "0.2", "--warmup", "0",
                       "--svg", "/nonexistent/sweep.svg")  # fmt: skip
    assert done.returncode == 1 and "cannot write /nonexistent/sweep.svg" in done.stderr.decode()


def test_nobody_there():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
    for loop in (["--concurrency", "2"], ["--rate", "100"], ["--sweep", "100,200"]):
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
        (["--url", "http://127.0.0.1:1", "--route", "/health", "--rate", "1", "--sweep", "1"], "either --rate"),
        (["--url", "http://127.0.0.1:1", "--route", "/health", "--sweep", "2,1"], "rates must rise"),
        (["--url", "http://127.0.0.1:1", "--route", "/health", "--rate", "1", "--svg", "x"], "need --sweep"),
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
