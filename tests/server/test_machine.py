"""The cores that a server was given: by its affinity mask, and by a cgroup's quota where one can be made."""
import os
import re
from pathlib import Path

import pytest
from serving import ask

CPU = Path("/sys/fs/cgroup/cpu")
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


@pytest.fixture
def group():
    """A cgroup of the test's own with a quota: limit(CORES), then whoever is started is in it."""
    v2 = (UNIFIED / "cgroup.controllers").exists()
    path = (UNIFIED if v2 else CPU) / f"querent-test-{os.getpid()}"
    line = [part for part in open("/proc/self/cgroup").read().split("\n") if (part[:3] == "0::" if v2 else ":cpu" in part)]
    home = (UNIFIED if v2 else CPU) / line[0].split(":", 2)[2].lstrip("/") if line else path.parent
    try:
        path.mkdir()
    except OSError as error:
        pytest.skip(f"no cgroup can be made: {error}")

    def limit(cores):
        try:
            (path / ("cpu.max" if v2 else "cpu.cfs_quota_us")).write_text(f"{int(cores * 100000)}" + (" 100000" if v2 else ""))
            (path / "cgroup.procs").write_text(str(os.getpid()))
        except OSError as error:
            pytest.skip(f"a cgroup cannot be limited: {error}")

    yield limit
    try:
        (home / "cgroup.procs").write_text(str(os.getpid()))
    finally:
        path.rmdir()


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
