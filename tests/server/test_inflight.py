"""How much memory requests may hold together (--inflight-bytes): who asks for much is told to come again, who asks for little is answered."""
import socket
import threading

import pytest
from program import HANG
from serving import ask, make_request, metric, wait_for

LIMIT = 32 << 20
LONG = {"inputs": "a " * 100000}  # 7 MB of answer


def ask_without_reading(server):
    """A client that reads the first bytes of its answer and no more."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=HANG)
    connection.sendall(make_request("/tokenize", LONG))
    return connection, connection.recv(12)


def in_threads(call, count):
    out = [None] * count

    def one(i):
        out[i] = call()

    threads = [threading.Thread(target=one, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return out


def test_giants_get_503_and_others_their_answers(start_server, embedder):
    server = start_server("--inflight-bytes", LIMIT, models=[embedder])
    assert metric(server, "querent_inflight_limit_bytes ") == LIMIT
    greedy, codes = [], []
    while b"HTTP/1.1 503" not in codes and len(greedy) < 60:  # on a slow machine the first ones may be given up before the last
        greedy += in_threads(lambda: ask_without_reading(server), 6)
        codes = [first for _, first in greedy]
    assert set(codes) <= {b"HTTP/1.1 200", b"HTTP/1.1 503"} and b"HTTP/1.1 200" in codes
    assert b"HTTP/1.1 503" in codes, "one answer nearly fills what giants may have"
    assert ask(server, "/embed", {"inputs": "who asks for little"}).status == 200
    assert metric(server, "querent_inflight_bytes ") < LIMIT
    for connection, _ in greedy:
        connection.close()
    wait_for(lambda: metric(server, "querent_inflight_bytes ") < 1 << 20, "what they held")
    assert ask(server, "/tokenize", LONG).status == 200
    server.stop()


def test_a_refusal_says_when_to_come_again(start_server, embedder):
    """And keeps its connection: the body of a request that is refused at its head is read and dropped."""
    server = start_server("--inflight-bytes", LIMIT, models=[embedder])
    greedy, refused = [], None
    while refused is None:
        connection, first = ask_without_reading(server)
        greedy.append(connection)
        if first == b"HTTP/1.1 503":
            refused = ask(server, "/tokenize", LONG)
            if refused.status == 200:  # those before were given up meanwhile
                refused = None
    assert refused.status == 503 and refused.json()["error_type"] == "Unhealthy"
    assert int(refused.headers["retry-after"]) >= 1 and refused.headers["x-should-retry"] == "true"
    assert metric(server, 'querent_rejections_total{reason="no_memory"}') >= 2
    for connection in greedy:
        connection.close()
    server.stop()


@pytest.mark.parametrize("path, body", [("/tokenize", {"inputs": "a " * 400000}), ("/decode", {"ids": [5] * 262145})])
def test_what_is_listed_is_bounded(server, path, body):
    answer = ask(server, path, body)
    assert answer.status == 422 and "must have less than 262144 tokens" in answer.json()["error"]


def test_a_body_of_the_longest_must_fit(start_server, embedder):
    server = start_server("--inflight-bytes", LIMIT, "--max-body-bytes", 10**7, models=[embedder], wait=False)
    assert server.wait() == 2 and "--inflight-bytes 33554432: must be 4 times as much as --max-body-bytes (10000000)" in server.log
