"""tools/plan_capacity.py: its sums against cases that can be counted by hand, and the whole way with a tiny model."""

import io
import re
import subprocess
import sys

import pytest
from program import BINARY, ROOT

import plan_capacity as tool

TOOL = ROOT / "tools/plan_capacity.py"


def run(*arguments):
    return subprocess.run([sys.executable, str(TOOL), *map(str, arguments)], capture_output=True, text=True)


@pytest.mark.parametrize(
    ("rate", "a_replica", "zones", "expected"),
    [(900, 100, 3, (9, 14)), (100, 100, 3, (1, 2)), (101, 100, 1, (2, 2)), (0, 100, 3, (1, 2)), (400, 100, 2, (4, 8))],
)
def test_replicas(rate, a_replica, zones, expected):
    """Of 14 over three zones a zone has at most 5, and 9 are left."""
    assert tool.replicas_for(rate, a_replica, zones) == expected


def test_the_busiest_minute():
    assert tool.peak_rate([(0.0, "a"), (59.9, "b"), (60.0, "c"), (61.0, "c"), (119.0, "d"), (120.0, "e")]) == 3 / 60


def test_hits_are_counted_in_the_second_half():
    log = [(float(i), query) for i, query in enumerate("aabb" "abca")]
    assert tool.hit_share(log, 1, 2, tool.in_turn(1)) == 2 / 4  # a, b hit; c throws a out; a misses
    assert tool.hit_share(log, 1, 3, tool.in_turn(1)) == 3 / 4


def test_hashing_keeps_more_than_turns():
    """Twelve queries over and over, three caches of four: a query's own cache keeps it, another one's does not."""
    log = [(float(i), f"query {i * 7 % 12}") for i in range(1200)]
    assert tool.hit_share(log, 3, 12, tool.by_hash(3)) == 1
    turns = tool.hit_share([(0.0, f"query {i // 3 % 12}") for i in range(1200)], 3, 4, tool.in_turn(3))
    hashed = tool.hit_share([(0.0, f"query {i // 3 % 12}") for i in range(1200)], 3, 8, tool.by_hash(3))
    assert turns == 0 and hashed == 1


def test_a_lost_replica_moves_its_own_queries():
    queries = [f"query {i}" for i in range(3000)]
    three, two = tool.by_hash(3), tool.by_hash(2)
    moved = [query for query in queries if three(0, query) != two(0, query)]
    assert all(three(0, query) == 2 for query in moved) and 0.2 < len(moved) / len(queries) < 0.45


def test_what_is_bearable_ends_at_the_first_row_that_misses():
    rows = [{"rate": rate, "miss_share": miss} for rate, miss in ((1, 0), (2, 0.001), (3, 0.002), (4, 0))]
    assert tool.bearable(rows, 0.001) == 2
    assert tool.bearable(rows[2:], 0.001) == 0


def test_a_log_is_the_same_by_its_seed(tmp_path):
    first, again, other = io.StringIO(), io.StringIO(), io.StringIO()
    for seed, out in ((1, first), (1, again), (2, other)):
        tool.write_log(["one two", "three four five"], 86400, 3, seed, out)
    assert first.getvalue() == again.getvalue() != other.getvalue()
    path = tmp_path / "log.tsv"
    path.write_text(first.getvalue())
    entries = tool.read_log(path)
    assert len(entries) == 270 and entries == sorted(entries, key=lambda entry: entry[0])


@pytest.mark.parametrize("line", ["no tab", "x\tquery", "-1\tquery", "1e3\tquery"])
def test_a_bad_log_is_refused_with_its_line(tmp_path, line):
    path = tmp_path / "log.tsv"
    path.write_text("1.5\tgood\n" + line + "\n")
    done = run("plan", "--log", path, "--model", "nowhere", "--budget-ms", 50, "--workers", 1)
    assert done.returncode == 1 and f"{path}:2: " in done.stderr


def test_the_whole_way(tmp_path, embedder):
    log = tmp_path / "log.tsv"
    made = run("log", "--queries", ROOT / "tests/golden/queries.txt", "--a-day", 1000000, "--minutes", 2)
    log.write_text(made.stdout)
    done = run("plan", "--log", log, "--model", embedder, "--budget-ms", 60000, "--workers", 1, "--seconds", 1, "--binary", BINARY)
    assert done.returncode == 0, done.stderr
    for pattern in (r"log: 2084 queries, \d+ different", r"one replica of 1 workers: \d+ a second within 60000 ms",
                    r"its memory: \d+ MB and a cache of 64 MB, which holds \d+ results of \d+ bytes",
                    r"without a cache: \d+ replicas", r"in turn: [\d.]+ %", r"by hash of the query: [\d.]+ %"):  # fmt: skip
        assert re.search(pattern, done.stdout), (pattern, done.stdout)
