"""Start, readiness, the ops listener, draining, and what stops a start."""
import signal
import socket
import statistics
import threading
import time

import pytest

from serving import SANITIZED, ask, make_request, read_answer, wait_for

HEAVY = {"inputs": ["the weather in berlin tomorrow " * 20] * 2000}
LONG_BUDGET = [("X-Request-Budget-Ms", "120000")]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def send_heavy(server):
    """A request that takes a worker many seconds; its connection."""
    connection = server.connect()
    connection.sendall(make_request("/embed", HEAVY, headers=LONG_BUDGET))
    return connection


def test_ready_means_ready(start_server, minilm):
    """The first request after the announcement takes at most twice the median."""
    server = start_server(models=[minilm])
    with server.connect() as connection:
        times = []
        for _ in range(60):
            begun = time.perf_counter()
            connection.sendall(make_request("/embed", {"inputs": "how long does it take"}))
            assert read_answer(connection)[0].status == 200
            times.append(time.perf_counter() - begun)
    # 3 ms for whatever else runs on the machine; a cold model costs tens of them
    assert times[0] <= 2 * statistics.median(times) + 0.003, f"{times[0] * 1e3:.1f} ms first"
    assert ask(server, "/v2/health/ready").json() == {"ready": True}


def test_live_while_loading(start_server, minilm, squad):
    """The ops listener answers before the models are there, and says that it is not ready."""
    port = free_port()
    server = start_server("--ops-port", port, models=[minilm, squad], wait=False)
    seen = set()

    def look():
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
                connection.sendall(make_request("/v2/health/live"))
                live, _ = read_answer(connection)
                connection.sendall(make_request("/v2/health/ready"))
                ready, _ = read_answer(connection)
                assert live.status == 200
                seen.add(ready.status)
        except ConnectionRefusedError:
            pass
        return 200 in seen

    wait_for(look, 60, "ready")
    assert seen == {200, 503}
    server.wait_ready()


def test_ops_routes_have_their_own_port(start_server, tiny_embed):
    port = free_port()
    server = start_server("--ops-port", port, "--max-connections", 4, models=[tiny_embed])
    assert server.ops_port == port
    for path in ("/health", "/v2/health/live", "/v2/health/ready", "/metrics"):
        assert ask(server, path).status == 404
        assert ask(server, path, port=port).status == 200
    assert ask(server, "/embed", {"inputs": "a"}).status == 200
    assert ask(server, "/embed", {"inputs": "a"}, port=port).status == 404
    taken = [server.connect() for _ in range(6)]  # more than the main listener takes
    try:
        assert ask(server, "/v2/health/live", port=port).status == 200
    finally:
        for connection in taken:
            connection.close()


def test_idle_server_stops_at_once(start_server, tiny_embed):
    server = start_server(models=[tiny_embed])
    with server.connect() as connection:  # an idle connection does not hold it up
        connection.sendall(make_request("/health"))
        assert read_answer(connection)[0].status == 200
        begun = time.monotonic()
        server.signal()
        assert server.wait(10) == 0
        assert time.monotonic() - begun < (5 if SANITIZED else 1)
        assert connection.recv(10) == b""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_drain_delay(start_server, tiny_embed, number):
    """Not ready at once, but alive and serving for the delay, telling clients to go elsewhere."""
    server = start_server("--drain-delay-ms", 700, models=[tiny_embed])
    kept = server.connect()
    server.signal(number)
    wait_for(lambda: ask(server, "/v2/health/ready").status == 503, 1, "not ready")
    assert ask(server, "/v2/health/live").status == 200
    answer = ask(server, "/embed", {"inputs": "new connection"})
    assert answer.status == 200 and answer.headers["connection"] == "close"
    kept.sendall(make_request("/embed", {"inputs": "old connection"}))
    answer, _ = read_answer(kept)
    assert answer.status == 200 and answer.headers["connection"] == "close"
    assert server.wait(10) == 0


@pytest.mark.parametrize("delay", [0, 200])
def test_drain_under_load_loses_nothing(start_server, tiny_embed, delay):
    server = start_server("--drain-delay-ms", delay, models=[tiny_embed])
    lost, answered, errors = [], [], []
    small = make_request("/embed", {"inputs": "one"})
    large = make_request("/embed", {"inputs": ["many words in each of them"] * 300}, headers=LONG_BUDGET)

    def client(number):
        request = large if number % 4 == 0 else small
        try:
            while True:
                with server.connect(30) as connection:
                    rest = b""
                    while True:
                        connection.sendall(request)
                        answer, rest = read_answer(connection, rest)
                        if answer is None:
                            lost.append(number)
                            return
                        answered.append(answer.status)
                        if answer.headers.get("connection") == "close":
                            break
        except ConnectionRefusedError:
            pass  # drained: where it should go is the balancer's business
        except OSError as error:
            errors.append(error)

    clients = [threading.Thread(target=client, args=(i,)) for i in range(24)]
    for thread in clients:
        thread.start()
    wait_for(lambda: len(answered) > 200, 30, "load")
    server.signal()
    code = server.wait(20)
    for thread in clients:
        thread.join()
    assert code == 0, server.log
    assert lost == [] and errors == []
    assert set(answered) == {200}


def test_second_signal(start_server, minilm):
    server = start_server(models=[minilm])
    connection = send_heavy(server)
    time.sleep(0.3)
    server.signal()
    time.sleep(0.3)
    assert server.process.poll() is None, "waits for the request that it admitted"
    begun = time.monotonic()
    server.signal()
    assert server.wait(10) == 2
    assert time.monotonic() - begun < (1.0 if SANITIZED else 0.1)
    connection.close()


def test_drain_timeout(start_server, minilm):
    server = start_server("--drain-timeout-ms", 300, models=[minilm])
    connection = send_heavy(server)
    time.sleep(0.3)
    begun = time.monotonic()
    server.signal()
    assert server.wait(10) == 2
    assert 0.25 < time.monotonic() - begun < 2
    assert "drain timed out" in server.log
    connection.close()


def test_stop_while_loading(start_server, minilm, squad):
    server = start_server(models=[minilm, squad], wait=False)
    time.sleep(0.1)
    server.signal()
    assert server.wait(10) == 0


def test_restarts_on_the_same_port(start_server, tiny_embed):
    first = start_server(models=[tiny_embed])
    with first.connect() as connection:
        connection.sendall(make_request("/embed", {"inputs": "a"}))
        read_answer(connection)
        first.signal()
        assert first.wait(10) == 0
    second = start_server(models=[tiny_embed], port=first.port)
    assert ask(second, "/health").status == 200


def refused_start(start_server, *options, models, port=0):
    server = start_server(*options, models=models, wait=False, port=port)
    code = server.wait(30)
    assert code in (1, 2), f"exit code {code}: {server.log}"
    assert server.port is None
    return server.log


def test_port_in_use(start_server, tiny_embed):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        port = s.getsockname()[1]
        log = refused_start(start_server, models=[tiny_embed], port=port)
    assert f"port {port}" in log and "in use" in log


@pytest.mark.parametrize(
    "options,word",
    [
        (["--host", "0.0.0.0"], "--allow-remote"),
        (["--host", "::"], "--allow-remote"),
        (["--host", "no.such.name", "--allow-remote"], "--host"),
        (["--device", "cuda"], "device cuda"),
        (["--device", "cuda:1"], "device cuda:1"),
        (["--device", "tpu"], "--device tpu"),
    ],
)
def test_options_that_cannot_be(start_server, tiny_embed, options, word):
    assert word in refused_start(start_server, *options, models=[tiny_embed])


def test_all_interfaces_when_allowed(start_server, tiny_embed):
    server = start_server("--host", "0.0.0.0", "--allow-remote", models=[tiny_embed])
    assert ask(server, "/health").status == 200


def test_bad_models(start_server, tiny_embed, tmp_path):
    assert "nowhere" in refused_start(start_server, models=[tmp_path / "nowhere"])
    assert "two models" in refused_start(start_server, models=[f"a={tiny_embed}", f"a={tiny_embed}"])
    assert "NAME" in refused_start(start_server, models=[f"={tiny_embed}"])


def test_ipv6(start_server, tiny_embed):
    try:
        socket.socket(socket.AF_INET6).bind(("::1", 0))
    except OSError:
        pytest.skip("no IPv6 here")
    server = start_server("--host", "::1", models=[tiny_embed])
    assert f"http://[::1]:{server.port}" in server.log
    with socket.create_connection(("::1", server.port), timeout=5) as connection:
        connection.sendall(make_request("/health"))
        assert read_answer(connection)[0].status == 200
