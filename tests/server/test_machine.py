"""The cores and the memory that a server was given: by its affinity mask, and by cgroups' limits where one can be made."""
import os
import re
import signal
from pathlib import Path

import pytest
from make_model import make_model
from program import BINARY, SANITIZED, WORDS
from serving import Server, ask, make_request, metric, wait_for

UNIFIED = Path("/sys/fs/cgroup")


def machine(start_server, model, *options):
    server = start_server(*options, models=[model])
    found = ask(server, "/info").json()["machine"]
    line = re.search(r"machine: (\d+) cores of the mask, cgroup quota (none|[\d.]+ cores), (\d+) workers that (spin|sleep)", server.log)
    assert line and (int(line[1]), int(line[3])) == (found["mask_cores"], found["workers"])
    assert (line[2] == "none") == (found["quota_cores"] is None)
    server.stop()
    return found, line[4]


def on_one_core(then):
    """What `taskset -c N` does, to what is started within `then`."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        return then()
    finally:
        os.sched_setaffinity(0, before)


def test_one_core_of_the_mask_is_one_worker(start_server, embedder):
    found, _ = on_one_core(lambda: machine(start_server, embedder))
    assert (found["mask_cores"], found["workers"]) == (1, 1)


def test_workers_are_no_more_than_cores_unless_asked_for(start_server, embedder):
    found, _ = machine(start_server, embedder)
    assert found["mask_cores"] == len(os.sched_getaffinity(0))
    assert found["workers"] == max(1, min(found["mask_cores"], int(found["quota_cores"] or found["mask_cores"])))
    assert on_one_core(lambda: machine(start_server, embedder, "--threads", 2))[0]["workers"] == 2


def make_group(controller):
    """A cgroup of the test's own with that controller: (its path, whether it is of version 2, what takes this process out again)."""
    v2 = (UNIFIED / "cgroup.controllers").exists()
    mount = UNIFIED if v2 else UNIFIED / controller
    path = mount / f"querent-test-{os.getpid()}"
    lines = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().split("\n") if line]
    homes = [mount / where.lstrip("/") for number, names, where in lines
             if (number == "0" if v2 else controller in names.split(","))]
    try:
        path.mkdir()
    except OSError as error:
        pytest.skip(f"no cgroup can be made: {error}")

    def remove():
        try:
            for process in (path / "cgroup.procs").read_text().split():
                (homes[0] / "cgroup.procs").write_text(process)
        finally:
            path.rmdir()

    return path, v2, remove


def write_limit(path, files):
    """Puts this process, and whatever it starts from now on, into a group with these limits."""
    try:
        for name, value in files.items():
            (path / name).write_text(value)
        (path / "cgroup.procs").write_text(str(os.getpid()))
    except OSError as error:
        pytest.skip(f"a cgroup cannot be limited: {error}")


@pytest.fixture
def group():
    """A cgroup with a quota: group(CORES)."""
    path, v2, remove = make_group("cpu")
    yield lambda cores: write_limit(path, {"cpu.max": f"{int(cores * 100000)} 100000"} if v2
                                    else {"cpu.cfs_quota_us": f"{int(cores * 100000)}"})
    remove()


@pytest.fixture
def memory_group():
    """A cgroup with a limit of its memory: memory_group(MEGABYTES). Which limit it has can be changed."""
    if SANITIZED:
        pytest.skip("what a sanitizer holds is no part of the sums")
    path, v2, remove = make_group("memory")
    yield lambda megabytes: write_limit(path, {"memory.max" if v2 else "memory.limit_in_bytes": str(megabytes * 10**6)})
    remove()


@pytest.mark.parametrize("cores", [1.0, 0.5])
def test_a_quota_is_what_workers_are_made_by(start_server, embedder, group, cores):
    group(cores)
    found, waiting = machine(start_server, embedder)
    assert (found["quota_cores"], found["workers"]) == (cores, 1)
    assert waiting == ("sleep" if cores < found["mask_cores"] else "spin")


def test_a_quota_as_large_as_the_mask_spins(start_server, embedder, group):
    group(1.0)
    found, waiting = on_one_core(lambda: machine(start_server, embedder))
    assert (found["mask_cores"], found["quota_cores"], found["workers"], waiting) == (1, 1.0, 1, "spin")


# ---- Memory -------------------------------------------------------------------------------------------------------

BIG = {"layers": 2, "hidden": 384, "heads": 12, "feed_forward": 1536, "vocab_from": WORDS["vocab_from"], "positions": 512}
CHARGED_TO_OTHERS = 10  # MB that this process itself may have in the group
REQUESTS = 17  # MB for requests in flight, at the least


@pytest.fixture(scope="module")
def big(tmp_path_factory):
    """A model whose load takes some 150 MB: what else is in the group is small beside it."""
    return make_model(tmp_path_factory.mktemp("models") / "big", **BIG)


def refusal(start_server, *options, models):
    server = start_server(*options, models=models, wait=False)
    assert server.wait() == 1 and server.port is None, server.log
    return server.log


def sum_of(log):
    """(all, limit, parts) of the message, in MB; the parts are those that are said."""
    found = re.search(r"takes? (\d+) MB, and memory\S+ of its cgroup is (\d+) MB \(.*?\): (.*)$", log, re.M)
    assert found, log
    parts = [int(part) for part in re.findall(r"(\d+) MB", found[3])]
    assert abs(sum(parts) - int(found[1])) <= len(parts), "the sum is that of its parts, rounded"
    return int(found[1]), int(found[2]), found[3]


def test_a_model_that_cannot_fit_is_refused_at_start(start_server, big, memory_group):
    memory_group(100)
    log = refusal(start_server, models=[f"first={big}"])
    total, limit, parts = sum_of(log)
    assert total > limit and 99 <= limit <= 100
    assert re.fullmatch(r"\d+ MB in use \+ \d+ MB first while it is loaded", parts)
    memory_group(total + CHARGED_TO_OTHERS)
    log = run_plain(big)
    assert "listening on" in log and "if the gate refuses the first plan, loading the models may take" in log
    memory_group(1000)
    assert "may take" not in run_plain(big)


def test_models_that_cannot_fit_together_are_refused_before_the_first_is_read(start_server, big, memory_group):
    memory_group(100)
    alone, _, _ = sum_of(refusal(start_server, "--precision", "f32", models=[f"first={big}"]))
    memory_group(alone + REQUESTS + CHARGED_TO_OTHERS)
    start_server("--precision", "f32", models=[f"first={big}"]).stop()
    log = refusal(start_server, "--precision", "f32", models=[f"first={big}", f"second={big}"])
    assert re.fullmatch(r"\d+ MB in use \+ \d+ MB first \+ \d+ MB second while it is loaded", sum_of(log)[2])
    assert "loaded in" not in log


def test_a_cache_that_was_asked_for_is_had_whole_or_refused(start_server, big, memory_group):
    memory_group(400)
    start_server("--cache-bytes", 10**8, models=[f"first={big}"]).stop()
    total, _, parts = sum_of(refusal(start_server, "--cache-bytes", 10**9, models=[f"first={big}"]))
    assert total > 1000 and re.fullmatch(r"\d+ MB in use \+ \d+ MB first \+ \d+ MB requests in flight \+ 1000 MB --cache-bytes", parts)
    assert "QUERENT_CACHE_BYTES" in sum_of(run_plain(big, QUERENT_CACHE_BYTES="1000000000"))[2]


def run_plain(model, **env):
    """A server without the options that all others here have: its log, once it serves or has left."""
    server = Server([f"first={model}"], env=env, wait=False)
    wait_for(lambda: server.ready.is_set(), "it to serve or to leave")
    server.stop()
    return server.log


def test_the_cache_of_the_default_takes_what_is_left(start_server, big, memory_group):
    """The limit is just what loading takes and requests need: of that less stays, but not 67 MB less."""
    memory_group(100)
    alone, _, _ = sum_of(refusal(start_server, "--precision", "f32", models=[f"first={big}"]))
    memory_group(alone + REQUESTS + CHARGED_TO_OTHERS)
    log = run_plain(big, QUERENT_PRECISION="f32")
    found = re.search(r"warn  the cache gets (\d+) MB, not 67 MB: memory", log)
    assert found and int(found[1]) < 67 and "listening on" in log, log
    memory_group(1000)
    assert "the cache gets" not in run_plain(big, QUERENT_PRECISION="f32")


def test_the_cache_keeps_to_what_it_was_told(memory_group, start_server, tmp_path):
    """Filled with what nobody asked before, until something has to go: by numbers of a hundred labels for each token."""
    tagger = make_model(tmp_path / "tagger", **BIG, head="tokens", label_names=["O"] + [f"B-{i}" for i in range(99)])
    memory_group(100)
    alone, _, _ = sum_of(refusal(start_server, "--precision", "f32", models=[f"first={tagger}"]))
    memory_group(alone + REQUESTS + CHARGED_TO_OTHERS)
    server = Server([f"first={tagger}"], "--precision", "f32", "--budget-ms", 600000)
    left = int(re.search(r"the cache gets (\d+) MB", server.log)[1])
    held = 0
    for turn in range(1000):
        texts = [f"{turn} {i} " + "a " * 200 for i in range(8)]
        assert ask(server, "/token_classification", {"inputs": texts}).status == 200
        held = metric(server, "querent_cache_bytes")
        if metric(server, "querent_cache_evictions_total") > 0 or held > (left + 1) * 10**6:
            break
    server.stop()
    assert 0 < held <= (left + 1) * 10**6


def test_a_reload_that_cannot_fit_is_refused(start_server, big, memory_group):
    memory_group(100)
    alone, _, _ = sum_of(refusal(start_server, models=[f"first={big}"]))
    memory_group(alone + REQUESTS + CHARGED_TO_OTHERS)
    server = start_server(models=[f"first={big}"])
    server.signal(signal.SIGHUP)
    server.wait_log("unload it first")
    assert metric(server, 'querent_reloads_total{model="first",outcome="refused"}') == 1
    assert ask(server, "/embed", {"inputs": "the old one goes on"}).status == 200
    server.stop()


def test_requests_must_fit_beside_the_models(start_server, big, memory_group):
    memory_group(100)
    alone, _, _ = sum_of(refusal(start_server, "--precision", "f32", models=[f"first={big}"]))
    memory_group(alone + CHARGED_TO_OTHERS)
    log = refusal(start_server, "--precision", "f32", models=[f"first={big}"])
    parts = sum_of(log[log.index("cannot start"):])[2]  # behind the warning of what loading may take
    assert re.fullmatch(r"\d+ MB in use \+ \d+ MB first \+ 17 MB requests in flight", parts)
    memory_group(400)
    parts = sum_of(refusal(start_server, "--inflight-bytes", 10**9, models=[f"first={big}"]))[2]
    assert re.fullmatch(r"\d+ MB in use \+ \d+ MB first \+ 1000 MB --inflight-bytes", parts)


def test_requests_do_not_have_it_killed(start_server, embedder, memory_group):
    """Forty clients whose answers would take three times the limit, and who do not read them."""
    memory_group(200)
    server = start_server(models=[embedder])
    request = make_request("/tokenize", {"inputs": "a " * 250000})
    clients = []
    for _ in range(40):
        clients.append(server.connect())
        clients[-1].sendall(request)
    assert {client.recv(12) for client in clients} <= {b"HTTP/1.1 200", b"HTTP/1.1 503"}
    assert metric(server, "querent_inflight_limit_bytes ") <= 50 * 10**6
    assert ask(server, "/embed", {"inputs": "still there"}).status == 200
    for client in clients:
        client.close()
    server.stop()


def test_what_the_limit_is_stands_in_info_and_log(start_server, embedder, memory_group):
    memory_group(1000)
    server = start_server(models=[embedder])
    found = ask(server, "/info").json()["machine"]["memory_limit_bytes"]
    assert 999e6 <= found <= 1000e6 and "memory limit 1000 MB" in server.log
    assert metric(server, "querent_memory_limit_bytes ") == found
    server.stop()
