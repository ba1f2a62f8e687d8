"""What raw clients may send and must not get: malformed and ambiguous requests, slow ones, too many, and clients that vanish."""
import http.client
import re
import socket
import struct
import threading
import time

import pytest

from program import HANG
from serving import ask, endless, make_request, metric, read_answer, wait_for, wait_idle
from http_corpus import BODY, CHUNKED, LAST, LENGTH, REFUSED, SECOND, SERVED, STRICT, UNANSWERED, get, post


@pytest.fixture(scope="module")
def server(start_server, embedder):
    """With no other clients, since connections are counted here."""
    return start_server(models=[embedder])


def read_all(connection):
    """Everything until the peer closes, and how that ended: "closed", "reset" or "open"."""
    data = b""
    try:
        while True:
            piece = connection.recv(65536)
            if not piece:
                return data, "closed"
            data += piece
    except socket.timeout:
        return data, "open"
    except ConnectionResetError:
        return data, "reset"


def codes(data):
    return [int(code) for code in re.findall(rb"HTTP/1\.[01] (\d\d\d) ", data)]


def send_all(connection, data):
    try:
        connection.sendall(data)
    except (BrokenPipeError, ConnectionResetError):
        pass  # refused before all of it was sent


def check_refused(connection, what, silent=False):
    """An error and the end: not by waiting for more until the head's or the body's time is over,
    which ends without a word. (A reset may overtake the answer when the client was still sending.)"""
    data, end = read_all(connection)
    assert end != "open", f"{what}: left open: {data[:200]!r}"
    assert codes(data) or end == "reset" or silent, f"{what}: ended without an answer"
    assert all(code >= 400 for code in codes(data)), f"{what}: served what follows: {data[:400]!r}"


@pytest.mark.parametrize("name,raw", REFUSED, ids=[name for name, _ in REFUSED])
def test_refused_and_closed(server, name, raw):
    with server.connect() as connection:
        send_all(connection, raw + SECOND)
        check_refused(connection, name, silent=name in UNANSWERED)


@pytest.mark.parametrize("name,raw,code", SERVED, ids=[name for name, _, _ in SERVED])
def test_served_and_kept(server, name, raw, code):
    with server.connect() as connection:
        connection.sendall(raw)
        method = raw.lstrip().split(b" ")[0].decode()
        answer, rest = read_answer(connection, method=method)
        assert answer.status == code and rest == b""
        connection.sendall(SECOND)
        answer, rest = read_answer(connection)
        assert answer.status == 200 and rest == b""


APART = 0.001  # seconds; so that most pieces are read one by one. Whether they are changes no verdict.
SPLIT = ["length and encoding", "two lengths", "length space before colon", "length hidden behind NUL", "folded value",
         "bare LF in one line", "encoding folded", "two hosts", "target dot dot", "length word"]


@pytest.mark.parametrize("name", SPLIT)
def test_refused_however_split(server, name):
    raw = dict(REFUSED)[name] + SECOND
    for at in range(1, len(raw)):
        with server.connect() as connection:
            send_all(connection, raw[:at])
            time.sleep(APART)
            send_all(connection, raw[at:])
            check_refused(connection, f"split at {at}")


def test_served_however_split(server):
    raw = post(b"Content-Length: %d" % len(BODY), b"X-Other: value") + get(b"Cookie: a=b")
    for at in range(1, len(raw)):
        with server.connect() as connection:
            connection.sendall(raw[:at])
            time.sleep(APART)
            connection.sendall(raw[at:])
            first, rest = read_answer(connection)
            second, rest = read_answer(connection, rest)
            assert (first.status, second.status, rest) == (200, 200, b""), f"split at {at}"


def test_byte_by_byte(server):
    raw = post(b"Content-Length: %d" % len(BODY))
    with server.connect() as connection:
        for i in range(len(raw)):
            connection.sendall(raw[i : i + 1])
        assert read_answer(connection)[0].status == 200


def test_pipelined_in_odd_pieces(server):
    """Requests that end and begin anywhere within what one read brings."""
    one = post(b"Content-Length: %d" % len(BODY), b"X-Filler: " + b"f" * 700)
    stream = one * 60
    with server.connect() as connection:

        def send():
            for at in range(0, len(stream), 1999):
                connection.sendall(stream[at : at + 1999])
                time.sleep(APART)

        sender = threading.Thread(target=send)
        sender.start()
        rest = b""
        for _ in range(60):
            answer, rest = read_answer(connection, rest)
            assert answer is not None and answer.status == 200
        sender.join()


def test_pipelined(server):
    many = 50
    with server.connect() as connection:
        connection.sendall((post(b"Content-Length: %d" % len(BODY)) + get()) * many)
        rest = b""
        for i in range(2 * many):
            answer, rest = read_answer(connection, rest)
            assert answer.status == 200
            assert (len(answer.body) > 0) == (i % 2 == 0)


def test_refusal_is_a_sentence_of_ours(server):
    with server.connect() as connection:
        connection.sendall(get(b"Host: other"))
        answer, _ = read_answer(connection)
    assert answer.status == 400
    assert answer.json() == {"error": "the request is not valid HTTP for this server", "error_type": "Validation"}
    assert answer.headers["connection"] == "close"


@pytest.mark.parametrize(
    "raw,code",
    [
        (post(b"Content-Length: 2000001"), 413),
        (post(body=b""), 411),
        (post(b"Transfer-Encoding: gzip"), 400 if STRICT else 501),
        (get(target=b"/" + b"a" * 1025), 414),
        (get(*[b"X-%d: a" % i for i in range(101)]), 431),
        (get(b"X: " + b"a" * 70000), 431),
    ],
)
def test_codes(server, raw, code):
    with server.connect() as connection:
        send_all(connection, raw)
        answer, _ = read_answer(connection)
    assert answer.status == code


@pytest.mark.parametrize("name,raw", LAST, ids=[name for name, _ in LAST])
def test_served_and_closed(server, name, raw):
    """Whatever stands behind a chunked body is not read: there is nothing that could be smuggled."""
    expected = ask(server, "/embed", BODY).body
    with server.connect() as connection:
        send_all(connection, raw)
        answer, rest = read_answer(connection)
        assert (answer.status, answer.body, rest) == (200, expected, b"") and answer.headers["connection"] == "close"
    with server.connect() as connection:
        send_all(connection, raw + SECOND)
        data, end = read_all(connection)
        assert end != "open" and codes(data) in ([200], [])  # a reset may overtake the answer


@pytest.mark.parametrize("name", [name for name, _ in LAST if name in ("trailers", "chunk extensions")])
def test_chunked_however_split(server, name):
    raw = dict(LAST)[name]
    for at in range(raw.index(b"\r\n\r\n"), len(raw)):
        with server.connect() as connection:
            send_all(connection, raw[:at])
            time.sleep(APART)
            send_all(connection, raw[at:])
            assert read_answer(connection)[0].status == 200, f"split at {at}"


def test_a_client_that_streams(server):
    """http.client chunks what it cannot tell the length of, as Spring's and .NET's clients do."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=HANG)
    for _ in range(2):
        connection.request("POST", "/embed", iter([BODY[:7], BODY[7:]]), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        assert answer.status == 200 and answer.read() == ask(server, "/embed", BODY).body


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def test_chunks_are_bounded(start_server, embedder):
    """One byte too many is 413 when the body has ended; who goes on for as long again, or in too many pieces, is cut off."""
    most = 200_000
    server = start_server("--max-body-bytes", most, models=[embedder])
    head = post(b"Transfer-Encoding: chunked", body=b"")
    blanks = b" " * (most - len(BODY))
    for more, code in ((b"", 200), (b" ", 413)):
        with server.connect() as connection:
            send_all(connection, head + chunk(blanks) + chunk(BODY + more) + b"0\r\n\r\n")
            answer, _ = read_answer(connection)
            assert answer.status == code and answer.headers["connection"] == "close"
    for chunks in (chunk(b" " * 1000) * 1000, chunk(b" ") * 70_000):
        with server.connect() as connection:
            send_all(connection, head + chunks + chunk(BODY) + b"0\r\n\r\n")
            data, end = read_all(connection)
            assert end != "open" and codes(data) == []
    assert ask(server, "/health", method="GET").status == 200


def test_allow(server):
    assert ask(server, "/embed").headers["allow"] == "POST"
    assert ask(server, "/health", b"", method="POST").headers["allow"] == "GET, HEAD"


def test_a_head_is_a_get_without_its_body(server):
    """As uptime monitors, `curl -I` and `wget --spider` ask; RFC 9110, 9.1 wants it of every server."""
    paths = ["/", "/health", "/ping", "/metrics", "/info", "/docs", "/openapi.json", "/v1/models", "/v1/models/nobody",
             "/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/embedder", "/v2/models/embedder/ready"]
    with server.connect() as connection:
        rest = b""
        for path in paths:
            got = ask(server, path)
            connection.sendall(make_request(path, method="HEAD"))
            answer, rest = read_answer(connection, rest, method="HEAD")
            assert (answer.status, rest) == (got.status, b""), path
            assert set(answer.headers) == set(got.headers) and answer.headers.get("content-type") == got.headers.get("content-type")
            if path not in ("/metrics", "/info"):  # which change with every request
                assert int(answer.headers["content-length"]) == len(got.body), path
    answer = ask(server, "/embed", method="HEAD")
    assert (answer.status, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("kind,code", [(b"application/json", 200), (b"Application/JSON; charset=utf-8", 200), (None, 415),
                                       (b"application/vnd.api+json", 200), (b"application/json;charset=iso-8859-1", 200),
                                       (b"text/plain", 415), (b"application/jsonx", 415), (b"", 415),
                                       (b"application/x-www-form-urlencoded", 415)])
def test_content_type(server, kind, code):
    lines = [b"POST /embed HTTP/1.1", b"Host: a", b"Content-Length: %d" % len(BODY)]
    lines += [] if kind is None else [b"Content-Type: " + kind]
    with server.connect() as connection:
        connection.sendall(b"\r\n".join(lines) + b"\r\n\r\n" + BODY + SECOND)
        answer, rest = read_answer(connection)
        assert answer.status == code
        assert read_answer(connection, rest)[0].status == 200, "the connection is kept"


def test_expect_continue(server):
    with server.connect() as connection:
        connection.sendall(post(b"Content-Length: %d" % len(BODY), b"Expect: 100-continue", body=b""))
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
        connection.sendall(BODY)
        assert read_answer(connection)[0].status == 200


def test_too_large_is_refused_before_it_is_sent(server):
    with server.connect() as connection:
        connection.sendall(post(b"Content-Length: 2000001", b"Expect: 100-continue", body=b""))
        answer, _ = read_answer(connection)
    assert answer.status == 413


WAITS = b"Expect: 100-continue"
NOT_WANTED = [
    ("no route", post(LENGTH, WAITS, first=b"POST /nothing HTTP/1.1", body=b""), 404),
    ("no method", post(LENGTH, WAITS, first=b"PUT /embed HTTP/1.1", body=b""), 405),
    ("no JSON", post(LENGTH, WAITS, body=b"").replace(b"application/json", b"text/plain"), 415),
    ("compressed", post(LENGTH, WAITS, b"Content-Encoding: gzip", body=b""), 415),
    ("compressed chunks", post(b"Transfer-Encoding: chunked", b"Expect: 100-Continue", b"Content-Encoding: gzip", body=b""), 415),
    ("no budget", post(LENGTH, WAITS, b"X-Request-Budget-Ms: soon", body=b""), 400),
    ("too large", post(b"Content-Length: 2000001", WAITS, body=b""), 413),
    ("a coding", post(b"Transfer-Encoding: gzip", WAITS, body=b""), 400 if STRICT else 501),
]


@pytest.mark.parametrize("raw,code", [row[1:] for row in NOT_WANTED], ids=[row[0] for row in NOT_WANTED])
def test_nobody_is_told_to_send_what_is_not_wanted(server, raw, code):
    """RFC 9110, 10.1.1: the final status instead of 100, and the connection's end, since a body may come all the same.
    What comes is no request, whatever it looks like."""
    for body in (b"", SECOND, SECOND * 2000):
        with server.connect() as connection:
            connection.sendall(raw + body)
            data, end = read_all(connection)
        assert (codes(data), end) == ([code], "closed") and b"\r\nConnection: close\r\n" in data


def test_no_keys_no_bodies(start_server, embedder, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text("a-key\n")
    server = start_server("--api-key-file", keys, models=[embedder])
    with server.connect() as connection:
        connection.sendall(post(LENGTH, WAITS, body=b""))
        data, end = read_all(connection)
    assert (codes(data), end) == ([401], "closed")


def test_an_expectation_without_a_body_or_of_http_1_0_waits_for_nothing(server):
    """A server must not heed it in HTTP/1.0; nor is anything waited for where nothing will come."""
    with server.connect() as connection:
        connection.sendall(get(WAITS, target=b"/nothing"))
        answer, rest = read_answer(connection)
        while answer.status == 100:
            answer, rest = read_answer(connection, rest)
        assert answer.status == 404 and "connection" not in answer.headers
        connection.sendall(SECOND)
        assert read_answer(connection, rest)[0].status == 200
    with server.connect() as connection:
        connection.sendall(post(LENGTH, WAITS, first=b"POST /nothing HTTP/1.0"))
        assert codes(read_all(connection)[0]) == [404]


def test_a_chunk_whose_first_line_has_no_end_holds_nothing_for_ever(start_server, embedder):
    """libmicrohttpd's buffer is full then, and it does not look at the socket any more."""
    server = start_server("--max-connections", 8, models=[embedder])
    held = [server.connect() for _ in range(8)]
    for connection in held:
        connection.sendall(post(b"Transfer-Encoding: chunked", body=b"14;" + b"a" * 40000))
    assert ask(server, "/health").status == 200
    server.stop()
    assert server.process.returncode == 0


@pytest.mark.parametrize("raw,code", [
    (post(b"Content-Length: 3000000", body=b"a" * 3000000), 413),
    (post(b"Content-Length: 1900000", WAITS, body=b"a" * 1900000, first=b"POST /nothing HTTP/1.1"), 404),
    (get(b"Host: b") + b"a" * 3000000, 400),
    (post(b"Transfer-Encoding: chunked", body=CHUNKED + b"a" * 3000000), 200),
    # libmicrohttpd's own refusals
    (get(b"nonsense") + b"a" * 3000000, 400),
    (post(b"Transfer-Encoding: chunked", body=CHUNKED[:-2] + b"X: a\r\n" * 300000 + b"\r\n"), 431),
    (b"\r\n" * 1000000, None if STRICT else 414),  # 1.0 closes without a word
], ids=["too large", "not waited", "not HTTP", "behind chunks", "no colon", "trailers", "empty lines"])
def test_who_sends_on_still_reads_the_last_answer(server, raw, code):
    """Unread bytes at a close reset the connection, and with it an answer that its client has not read yet."""
    with server.connect() as connection:
        connection.sendall(raw)
        data, end = read_all(connection)
    assert codes(data)[:1] == ([] if code is None else [code]) and end == "closed"


def test_largest_body(server):
    body = b'{"inputs":"%s"}' % (b"a " * 999993)
    assert 1999990 < len(body) <= 2000000
    assert ask(server, "/embed", body).status == 200


def test_trace_id(server):
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    given = [("traceparent", f"00-{trace}-00f067aa0ba902b7-01")]
    assert ask(server, "/health", headers=given).headers["x-trace-id"] == trace
    for bad in ("00-" + "0" * 32 + "-00f067aa0ba902b7-01", "00-xyz", "ff-" + trace + "-00f067aa0ba902b7-01", ""):
        own = ask(server, "/health", headers=[("traceparent", bad)]).headers["x-trace-id"]
        assert re.fullmatch("[0-9a-f]{32}", own) and own not in (trace, "0" * 32)
    coding = 400 if STRICT else 501
    for head, code in (({"Content-Length": "2000001"}, 413), ({}, 411), ({"Transfer-Encoding": "gzip"}, coding), ({"Content-Length": "5", "Host": "b"}, 400)):
        with server.connect() as connection:
            lines = [f"{name}: {value}".encode() for name, value in [*head.items(), *given]]
            connection.sendall(post(*lines, body=b""))
            answer, _ = read_answer(connection)
        assert (answer.status, answer.headers.get("x-trace-id")) == (code, None if code == 400 else trace)
    ids = {ask(server, "/health").headers["x-trace-id"] for _ in range(20)}
    assert len(ids) == 20


def test_traces_are_in_the_log(start_server, embedder):
    """Answers of models and refusals carry the trace id of the request, and so does the line of each in the log."""
    server = start_server("--log-level", "debug", "--queue-items", 2, models=[embedder])
    for i, (inputs, headers, status) in enumerate([("a", [], 200), (["a"] * 3, [], 422), ("", [], 400), ("a", [("X-Request-Budget-Ms", "0")], 504)]):
        trace = f"4bf92f3577b34da6a3ce929d0e0e473{i}"
        answer = ask(server, "/embed", {"inputs": inputs}, headers=[("traceparent", f"00-{trace}-00f067aa0ba902b7-01"), *headers])
        assert answer.status == status and answer.headers["x-trace-id"] == trace
        server.wait_log(trace)
        line = next(line for line in server.log.splitlines() if trace in line)
        assert f"trace={trace} route=/embed" in line and f"code={status}" in line


def test_http_1_0(server):
    with server.connect() as connection:
        connection.sendall(b"GET /health HTTP/1.0\r\n\r\n")
        data, end = read_all(connection)
    assert end == "closed" and codes(data) == [200]
    with server.connect() as connection:
        connection.sendall(b"GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert read_answer(connection)[0].status == 200
        connection.sendall(SECOND)
        assert read_answer(connection)[0].status == 200


def half_closed(server, request):
    """What a client reads that sends its request and its end in one go, until the server's end."""
    with server.connect() as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        data, end = read_all(connection)
    assert end == "closed"
    return codes(data)


def test_half_closed_client_gets_what_is_there(start_server, embedder):
    """Where no worker is waited for: probes, refusals, results of the cache. The connection ends then, not when it has been
    idle for too long."""
    server = start_server("--cache-bytes", 10**6, models=[embedder])
    cached = make_request("/embed", {"inputs": "a"})
    assert ask(server, "/embed", {"inputs": "a"}).status == 200
    for _ in range(20):
        assert half_closed(server, get(b"Connection: close")) == [200]
        assert half_closed(server, SECOND) == [200]
        assert half_closed(server, SECOND * 3) == [200] * 3
        assert half_closed(server, make_request("/nope", {})) == [404]
        assert half_closed(server, cached) == [200]
    wait_for(lambda: metric(server, "querent_connections") == 1, "the connections' ends")


def test_half_closed_client_of_a_model_is_gone(start_server, tiny):
    """Whoever closes its side while it would have to wait is not told from one who has left."""
    server = start_server("--threads", 1, "--precision", "f32", models=[tiny("slow")])
    for n in range(1, 4):
        assert half_closed(server, make_request("/embed", endless(server))) == []
        assert metric(server, 'querent_rejections_total{reason="gone"}') == n
        wait_idle(server)


def test_thousand_requests_then_close(server):
    with server.connect() as connection:
        rest = b""
        for i in range(1000):
            connection.sendall(SECOND)
            answer, rest = read_answer(connection, rest)
            assert ("close" in answer.headers.get("connection", "")) == (i == 999)
        assert connection.recv(10) == b""


TRICKLE = {
    "nothing": (b"", b""),
    "head": (b"GET /health HTTP/1.1\r\n", b"X: a\r\n"),
    "request line": (b"GET /hea", b"l"),
    "body": (post(b"Content-Length: 100000", body=b""), b"a"),
    "second head": (SECOND, b"G"),
}


def trickle(server, prefix, drip):
    """Seconds that the server bears a client whose bytes come one drip in half a second; HANG when it does for ever."""
    begun = time.monotonic()
    with server.connect() as connection:
        connection.sendall(prefix)
        connection.settimeout(0.5)
        while time.monotonic() < begun + HANG:
            try:
                connection.sendall(drip)
                if connection.recv(1000) == b"":
                    break
            except socket.timeout:
                pass
            except (BrokenPipeError, ConnectionResetError):
                break
    return time.monotonic() - begun


def test_slow_clients_are_ended(server):
    """Head and body have five seconds, however their bytes trickle; meanwhile others are served."""
    results = {}

    def run(name):
        results[name] = trickle(server, *TRICKLE[name])

    threads = [threading.Thread(target=run, args=(name,)) for name in TRICKLE]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert ask(server, "/health").status == 200
        time.sleep(0.02)
    for name in TRICKLE:
        assert 5 <= results[name] < HANG, f"{name}: ended after {results[name]:.1f} s"


def test_slow_reader_is_ended(start_server, embedder):
    """A client that does not read its large answer keeps no memory for long."""
    server = start_server(models=[embedder])
    body = {"inputs": ["word"] * 2000}
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", server.port))
        connection.sendall(make_request("/embed", body))
        wait_for(lambda: metric(server, "querent_connections") <= 1, "the slow reader's end")
        data, end = read_all(connection)
        assert end != "open" and len(data) < 2000 * 64 * 8


def vanish(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@pytest.mark.parametrize("seed", range(3))
def test_clients_that_vanish(server, seed):
    """Resets at every point of a request cost nobody else anything."""
    raw = post(b"Content-Length: %d" % len(BODY))
    for i in range(400):
        connection = server.connect()
        at = (i * 7919 + seed * 104729) % (len(raw) + 40)
        send_all(connection, raw[:at])
        if i % 3 == 0:
            time.sleep(0.0005 * (i % 5))
        vanish(connection)
    assert ask(server, "/embed", {"inputs": "still there"}).status == 200
    wait_for(lambda: metric(server, "querent_connections") <= 1, "the end of all connections")
    wait_idle(server)


def test_more_connections_than_allowed(start_server, embedder):
    """Beyond the limit clients wait; idle connections make room."""
    server = start_server("--max-connections", 8, models=[embedder])
    idlers = [server.connect() for _ in range(8)]
    for connection in idlers:
        connection.sendall(SECOND)
        assert read_answer(connection)[0].status == 200
    for _ in range(4):
        assert ask(server, "/health").status == 200
    for connection in idlers:
        connection.close()


def test_out_of_descriptors(start_server, embedder):
    """EMFILE stops accepting for a moment, not for good."""
    import resource

    server = start_server(models=[embedder])
    pid = server.process.pid
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    held = [server.connect() for _ in range(20)]
    wait_for(lambda: metric(server, "querent_connections") >= 20, "held connections")
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (16, hard))
    waiting = server.connect()
    waiting.sendall(SECOND)
    server.wait_log("cannot accept")
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
    assert read_answer(waiting)[0].status == 200
    for connection in held + [waiting]:
        connection.close()
