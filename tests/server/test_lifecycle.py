"""Start, readiness, the ops listener, draining, and what stops a start.

Nothing here depends on how fast the machine is: a server loads for as long as a test wants
(`held`), requests take any machine longer than the test, and times are only "not before".
"""
import shutil
import signal
import socket
import threading
import time

import pytest
from program import HANG, ROOT, free_port
from serving import ask, endless, is_answered, make_request, metric, read_answer, send_endless, wait_for


@pytest.fixture
def busy(start_server, tiny):
    """busy(OPTIONS...): a server with work that takes a minute or more, and the connection that asked for it."""

    def start(*options):
        server = start_server("--threads", 1, "--precision", "f32", *options, models=[tiny("slow")])
        return server, send_endless(server)

    return start


def get(port, path):
    """The answer, or None while nobody listens."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=HANG) as connection:
            connection.sendall(make_request(path))
            return read_answer(connection)[0]
    except ConnectionRefusedError:
        return None


def test_ready_means_warm(start_server, embedder, reader):
    """Before it is announced each model has answered requests, so that the first of a client meets nothing cold."""
    server = start_server(models=[embedder, reader])
    for model in ("embedder", "reader"):
        assert metric(server, f'querent_model_batches_total{{model="{model}"}}') >= 10
    assert metric(server, 'querent_request_duration_seconds_count{route="/embed"') == 0
    assert ask(server, "/v2/health/ready").json() == {"ready": True}


def test_live_while_loading(start_server, embedder):
    """The ops listener answers before the models are there, and says that it is not ready. Its own lines are lost while nobody
    reads them; none of the load's is."""
    port = free_port()
    server = start_server("--ops-port", port, "--log-level", "debug", models=[embedder], held=True)
    wait_for(lambda: get(port, "/v2/health/live"), "the ops listener")
    for _ in range(3):
        assert get(port, "/v2/health/live").json() == {"live": True}
    time.sleep(0.5)  # in which a load that does not wait would be done
    assert get(port, "/v2/health/ready").status == 503
    server.release()
    server.wait_ready()
    server.wait_log("info  model embedder: ")
    assert get(port, "/v2/health/ready").status == 200
    assert ask(server, "/embed", {"inputs": "a"}).status == 200


def test_stop_while_loading(start_server, embedder):
    """The models that are still to come keep the loader busy far longer than a signal takes."""
    port = free_port()
    server = start_server("--ops-port", port, models=[f"model-{i}={embedder}" for i in range(16)], held=True)
    wait_for(lambda: get(port, "/v2/health/live"), "the ops listener")
    server.signal()
    server.release()
    assert server.wait() == 0
    assert "told to stop while loading" in server.log and server.port is None


def test_ops_routes_have_their_own_port(start_server, embedder):
    port = free_port()
    server = start_server("--ops-port", port, "--max-connections", 4, models=[embedder])
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


def test_probes_are_answered_while_the_main_listener_is_full(start_server, tiny):
    """Its one connection waits for an answer that takes minutes; who comes next on it waits, who comes on the ops port does not."""
    port = free_port()
    server = start_server("--threads", 1, "--precision", "f32", "--ops-port", port, "--max-connections", 1, models=[tiny("slow")])
    body = endless(server)
    with server.connect() as first, server.connect() as second:
        first.sendall(make_request("/embed", body))
        wait_for(lambda: metric(server, "querent_queue_depth", port=port) > 0, "the first to be admitted")
        second.sendall(make_request("/info"))
        for path in ("/v2/health/live", "/v2/health/ready", "/health", "/metrics"):
            assert ask(server, path, port=port).status == 200, path
        assert not is_answered(second), "the main listener is full"
        first.close()
        assert read_answer(second)[0].status == 200


def test_probes_are_answered_until_the_end(start_server, tiny):
    """Delayed, then draining with a request under way: not ready and alive, on the ops port."""
    port = free_port()
    server = start_server("--threads", 1, "--precision", "f32", "--ops-port", port, "--drain-delay-ms", 300, models=[tiny("slow")])
    body = endless(server)
    with server.connect() as busy:
        busy.sendall(make_request("/embed", body))
        wait_for(lambda: metric(server, "querent_queue_depth", port=port) > 0, "the request to be admitted")
        server.signal()
        wait_for(lambda: ask(server, "/v2/health/ready", port=port).status == 503, "not ready")
        assert ask(server, "/v2/health/live", port=port).status == 200
        wait_for(lambda: get(server.port, "/info") is None, "the main listener to close")
        assert ask(server, "/v2/health/ready", port=port).status == 503
        assert ask(server, "/v2/health/live", port=port).status == 200
        assert not is_answered(busy)
    assert server.wait() == 0, "nobody waits for the answer any more"


def test_a_connection_has_an_age(start_server, embedder):
    """One that is old is told so by an answer, and closed behind it; without an age none is."""
    aging = start_server("--max-connection-age-s", 1, models=[embedder])
    ageless = start_server("--max-connection-age-s", 0, models=[embedder])
    begun = time.monotonic()
    with aging.connect() as old, ageless.connect() as kept:
        while True:
            old.sendall(make_request("/v2/health/ready"))
            answer, rest = read_answer(old)
            assert answer.status == 200 and rest == b""
            if answer.headers.get("connection") == "close":
                break
            time.sleep(0.05)  # of a thousand requests the last one closes it too
        assert time.monotonic() - begun >= 0.9
        assert old.recv(1) == b""
        kept.sendall(make_request("/v2/health/ready"))
        answer, _ = read_answer(kept)
        assert answer.status == 200 and "connection" not in answer.headers
        with aging.connect() as new:
            new.sendall(make_request("/v2/health/ready"))
            assert read_answer(new)[0].headers.get("connection") is None


def test_an_idle_connection_does_not_hold_up_the_end(start_server, embedder):
    """It would be kept for 75 s, and the drain would wait for ten minutes."""
    server = start_server(models=[embedder])
    with server.connect() as connection:
        connection.sendall(make_request("/health"))
        assert read_answer(connection)[0].status == 200
        server.signal()
        assert server.wait() == 0
        assert connection.recv(10) == b""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_while_the_drain_is_delayed(start_server, embedder, number):
    """Not ready at once, but alive and serving, telling clients to go elsewhere."""
    server = start_server("--drain-delay-ms", 600000, models=[embedder])
    kept = server.connect()
    server.signal(number)
    wait_for(lambda: ask(server, "/v2/health/ready").status == 503, "not ready")
    answer = ask(server, "/v2/health/live")
    assert answer.status == 200 and answer.headers["connection"] == "close"
    answer = ask(server, "/embed", {"inputs": "new connection"})
    assert answer.status == 200 and answer.headers["connection"] == "close"
    kept.sendall(make_request("/embed", {"inputs": "old connection"}))
    answer, _ = read_answer(kept)
    assert answer.status == 200 and answer.headers["connection"] == "close"
    server.signal(number)
    assert server.wait() == 2


def test_the_drain_begins_after_its_delay(start_server, embedder):
    server = start_server("--drain-delay-ms", 300, models=[embedder])
    begun = time.monotonic()
    server.signal()
    assert server.wait() == 0
    assert time.monotonic() - begun >= 0.3


@pytest.mark.parametrize("delay", [0, 200])
def test_drain_under_load_loses_nothing(start_server, embedder, delay):
    server = start_server("--drain-delay-ms", delay, models=[embedder])
    lost, answered, errors = [], [], []
    small = make_request("/embed", {"inputs": "one"})
    large = make_request("/embed", {"inputs": ["many words in each of them"] * 300})

    def client(number):
        request = large if number % 4 == 0 else small
        try:
            while True:
                with server.connect() as connection:
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
    wait_for(lambda: len(answered) > 200, "load")
    server.signal()
    code = server.wait()
    for thread in clients:
        thread.join()
    assert code == 0, server.log
    assert lost == [] and errors == []
    assert set(answered) == {200}


def test_second_signal(busy):
    """The first one waits for what was admitted, the second does not."""
    server, connection = busy()
    server.signal()
    server.wait_log("told to stop")
    time.sleep(0.3)  # in which a server that does not wait would be gone
    assert server.process.poll() is None
    server.signal()
    assert server.wait() == 2
    assert "told to stop again" in server.log
    assert is_unanswered(connection)


def test_drain_timeout(busy):
    server, connection = busy("--drain-timeout-ms", 300)
    begun = time.monotonic()
    server.signal()
    assert server.wait() == 2
    assert time.monotonic() - begun >= 0.3
    assert "drain timed out" in server.log
    assert is_unanswered(connection)


def is_unanswered(connection):
    """The peer is gone and has said nothing."""
    with connection:
        try:
            return connection.recv(1) == b""
        except ConnectionResetError:
            return True


def test_restarts_on_the_same_port(start_server, embedder):
    first = start_server(models=[embedder])
    with first.connect() as connection:
        connection.sendall(make_request("/embed", {"inputs": "a"}))
        read_answer(connection)
        first.signal()
        assert first.wait() == 0
    second = start_server(models=[embedder], port=first.port)
    assert ask(second, "/health").status == 200


def refused_start(start_server, *options, models, port=0):
    server = start_server(*options, models=models, wait=False, port=port)
    code = server.wait()
    assert code in (1, 2), f"exit code {code}: {server.log}"
    assert server.port is None
    return server.log


def test_port_in_use(start_server, embedder):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        port = s.getsockname()[1]
        log = refused_start(start_server, models=[embedder], port=port)
    assert f"port {port}" in log and "in use" in log


@pytest.mark.parametrize(
    "options,word",
    [
        (["--host", "0.0.0.0"], "--allow-remote"),
        (["--host", "::"], "--allow-remote"),
        (["--host", "no.such.name", "--allow-remote"], "--host"),
        (["--device", "cuda"], "device cuda"),
        (["--device", "cuda:99"], "device cuda"),
        (["--device", "tpu"], "--device tpu"),
    ],
)
def test_options_that_cannot_be(start_server, embedder, options, word):
    assert word in refused_start(start_server, *options, models=[embedder])


def test_all_interfaces_when_allowed(start_server, embedder):
    server = start_server("--host", "0.0.0.0", "--allow-remote", models=[embedder])
    assert ask(server, "/health").status == 200


def names_of(embedder, tmp_path, what):
    """Models two of which would have one name."""
    other = tmp_path / "other" / "embedder"
    other.parent.mkdir()
    if what == "folders":
        shutil.copytree(embedder, other)
    elif what == "link":
        other = tmp_path / "link"  # its model is called as what it leads to is
        other.symlink_to(embedder)
    return {"given": [f"a={embedder}", f"a={embedder}"], "one": [embedder, f"a={embedder}", f"embedder={embedder}"],
            "folders": [embedder, other], "link": [embedder, other]}[what]


@pytest.mark.parametrize("what", ["given", "one", "folders", "link"])
def test_two_of_one_name_are_refused_before_any_is_loaded(start_server, embedder, tmp_path, what):
    log = refused_start(start_server, models=names_of(embedder, tmp_path, what))
    assert f"two models are named {'a' if what == 'given' else 'embedder'}, " in log and "NAME=PATH" in log
    assert "loaded in" not in log


def test_models_that_cannot_be_are_refused_before_others_are_loaded(start_server, embedder, tmp_path):
    long = shutil.copytree(embedder, tmp_path / ("n" * 128))
    for bad, word in ((tmp_path / "nowhere", "nowhere: No such file"), (long, "at most 127 bytes")):
        log = refused_start(start_server, models=[embedder, bad])
        assert word in log and "loaded in" not in log
    server = start_server(models=[embedder, f"short={long}"])
    assert ask(server, "/embed", {"inputs": "a", "model": "short"}).status == 200


def test_bad_models(start_server, embedder, tmp_path):
    assert "nowhere" in refused_start(start_server, models=[tmp_path / "nowhere"])
    assert "NAME" in refused_start(start_server, models=[f"={embedder}"])


def test_a_start_from_the_cache(start_server, embedder, reader, tmp_path):
    """The second server finds both models packed, says so, and answers with the same bytes."""
    plans = tmp_path / "plans"
    plans.mkdir(mode=0o700)
    answers = []
    for kept in (False, True):
        server = start_server("--cache-dir", plans, models=[embedder, reader])
        plan = [model["plan"] for model in ask(server, "/info").json()["models"]]
        assert [p["from_cache"] for p in plan] == [kept, kept]
        assert server.log.count(" from the cache") == 2 * kept
        answers.append([ask(server, "/embed", {"inputs": "a text"}).body,
                        ask(server, "/span", {"inputs": {"question": "who?", "context": "Ann did it."}}).body])
    assert answers[0] == answers[1]


def test_a_file_that_may_not_grow_ends_nobody(start_server, embedder, tmp_path):
    """A plan is larger than `ulimit -f` lets a file be: the write fails, as on a full disk, and no signal ends the process."""
    plans = tmp_path / "plans"
    plans.mkdir(mode=0o700)
    limited = ("bash", "-c", 'ulimit -f 8; exec "$@"', "bash")
    server = start_server("--cache-dir", plans, models=[embedder], prefix=limited)
    assert " is not written: cannot be written: File too large" in server.log
    assert ask(server, "/embed", {"inputs": "a text"}).status == 200
    assert not list(plans.iterdir())


def test_ipv6(start_server, embedder):
    try:
        socket.socket(socket.AF_INET6).bind(("::1", 0))
    except OSError:
        pytest.skip("no IPv6 here")
    server = start_server("--host", "::1", models=[embedder])
    assert f"http://[::1]:{server.port}" in server.log
    with socket.create_connection(("::1", server.port), timeout=HANG) as connection:
        connection.sendall(make_request("/health"))
        assert read_answer(connection)[0].status == 200


def test_the_log_says_how_a_graph_was_proven(start_server):
    golden = ROOT / "tests/golden/onnx/bert-dynamo-18-sdpa"
    server = start_server(models=[golden])
    server.wait_log("model bert-dynamo-18-sdpa: from ONNX, gives what the graph gives: largest difference ")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams(start_server, embedder, closed):
    """What the server opens does not get their numbers: libuv refuses to close those, and the log would go into it."""
    port = free_port()
    server = start_server("--log-level", "debug", models=[embedder], port=port, wait=False,
                          prefix=("sh", "-c", f'exec "$@" {closed}', "sh"))
    wait_for(lambda: get(port, "/health"), "the server")  # whose line that it listens may be lost
    server.port = port
    for _ in range(10):
        assert ask(server, "/embed", {"inputs": "a"}).status == 200
    server.signal()
    assert server.wait() == 0


def serves(server, count):
    return all(ask(server, "/embed", {"inputs": "a"}).status == 200 for _ in range(count))


def test_a_log_that_nobody_reads_holds_up_nobody(start_server, embedder):
    """Lines are lost and counted, which the log says when somebody reads it again."""
    server = start_server("--log-level", "debug", models=[embedder], deaf=True)
    lost = "querent_log_lines_lost_total"
    wait_for(lambda: ask(server, "/embed", {"inputs": "a"}).status == 200 and metric(server, lost) > 0, "lost lines")
    assert serves(server, 20)
    server.hear()
    wait_for(lambda: ask(server, "/health").status == 200 and "lines lost while stderr was full: " in server.log, "the notice")
    assert serves(server, 20)


def test_a_log_that_nobody_reads_does_not_keep_it_from_stopping(start_server, embedder):
    server = start_server("--log-level", "debug", models=[embedder], deaf=True)
    wait_for(lambda: serves(server, 10) and metric(server, "querent_log_lines_lost_total") > 0, "lost lines")
    server.signal()
    assert server.process.wait(HANG) == 0
