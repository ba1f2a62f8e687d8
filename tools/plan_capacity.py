#!/usr/bin/env python3
"""From a day's query log and a latency budget to a number of replicas (docs/CAPACITY.md).

    tools/plan_capacity.py log --queries queries.txt --a-day 20000000 >day.tsv   # a log to try it with
    tools/plan_capacity.py plan --log day.tsv --model models/minilm --budget-ms 50 --workers 4

A log has a line a query: seconds since 1970, a tab, the query. `plan` reads the busiest minute and the repetitions
from it, plays the log through caches as replicas have them, asks `querent simulate` what one replica bears on this
machine, starts one server to see its memory, and adds up. `log` writes a log by one seed: queries drawn by Zipf's law
over a list and over made-up mixtures of it, at a rate that swings through the day.
"""

import argparse
import bisect
import collections
import hashlib
import itertools
import json
import math
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SIMULATED_SHARES = [0.3, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0]
RING_POINTS = 100  # a replica's places on the ring of consistent hashing


# ---- A log to try it with --------------------------------------------------------------------------


def vocabulary(queries, size, rng):
    """`size` different queries: the list, then made of pieces of three of it, as a log has rarer ones. Fewer where a short
    list has not so many."""
    found = dict.fromkeys(queries)
    for _ in range(4 * size):
        if len(found) >= size:
            break
        first, second, third = (rng.choice(queries).split() for _ in range(3))
        found[" ".join(first[: (len(first) + 1) // 2] + [rng.choice(second)] + third[len(third) // 2 :])] = None
    return list(found)[:size]


def write_log(queries, a_day, minutes, seed, out):
    """`minutes` of the day around its peak (at 20:00), which is 1.5 times the mean."""
    rng = random.Random(seed)
    per_minute = a_day / 1440
    words = vocabulary(queries, max(len(queries), int(per_minute * minutes / 3)), rng)
    weights = list(itertools.accumulate(1 / (rank + 1) for rank in range(len(words))))  # Zipf's law, exponent 1
    first = 20 * 60 - minutes // 2
    for minute in range(first, first + minutes):
        count = round(per_minute * (1 + 0.5 * math.cos((minute - 20 * 60) / 1440 * 2 * math.pi)))
        for query in rng.choices(words, cum_weights=weights, k=count):
            out.write(f"{minute * 60 + rng.random() * 60:.3f}\t{query}\n")


# ---- What the log says -----------------------------------------------------------------------------


def read_log(path):
    """(second, query) of every line, in the order of time."""
    entries = []
    for number, line in enumerate(open(path, encoding="utf-8"), 1):
        second, tab, query = line.rstrip("\n").partition("\t")
        if not tab or not re.fullmatch(r"\d+(\.\d+)?", second):
            sys.exit(f"{path}:{number}: a line is seconds since 1970, a tab and a query")
        if query.strip():
            entries.append((float(second), query))
    if not entries:
        sys.exit(f"{path}: there is no query in it")
    return sorted(entries, key=lambda entry: entry[0])


def peak_rate(entries):
    """Queries a second in the busiest minute."""
    return max(collections.Counter(int(second // 60) for second, _ in entries).values()) / 60


def place(text):
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def make_ring(replicas):
    return sorted((place(f"{replica}#{point}"), replica) for replica in range(replicas) for point in range(RING_POINTS))


def by_hash(replicas):
    """A query's replica by consistent hashing, as a proxy chooses it."""
    ring = make_ring(replicas)
    return lambda _, query: ring[bisect.bisect(ring, (place(query),)) % len(ring)][1]


def in_turn(replicas):
    return lambda turn, _: turn % replicas


def hit_share(entries, replicas, kept, choose):
    """Share of the log's second half that is found in caches of `kept` results each, least recently used out first.
    The first half fills them."""
    caches = [collections.OrderedDict() for _ in range(replicas)]
    hits, half = 0, len(entries) // 2
    for turn, (_, query) in enumerate(entries):
        cache = caches[choose(turn, query)]
        if query in cache:
            cache.move_to_end(query)
            hits += turn >= half
            continue
        cache[query] = None
        if len(cache) > kept:
            cache.popitem(last=False)
    return hits / (len(entries) - half)


# ---- What one replica bears and needs --------------------------------------------------------------


def simulate(arguments, queries, rates):
    command = [arguments.binary, "simulate", "--model", arguments.model, "--queries", queries, "--workers", arguments.workers,
               "--budget-ms", arguments.budget_ms, "--seconds", arguments.seconds, "--json",
               "--sweep", ",".join(f"{rate:.3f}" for rate in rates)]  # fmt: skip
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr)
    return [json.loads(line) for line in done.stdout.splitlines()]


def bearable(rows, miss_share):
    """The highest rate up to which no row misses more than `miss_share`; 0: not even the lowest."""
    found = 0.0
    for row in rows:
        if row["miss_share"] > miss_share:
            break
        found = row["rate"]
    return found


def replica_rate(arguments, queries):
    """(requests a second that one replica answers within the budget, but for --miss-share of them; what a cached result
    costs, as a share of one that is computed). The rates that are tried are shares of twice what its workers could do with
    one query at a time: batches cost less a query."""
    (first,) = simulate(arguments, queries, [1])
    alone_s = first["latency_ms"]["p50"] / 1e3
    limit = 2 * int(arguments.workers) / alone_s
    rate = bearable(simulate(arguments, queries, [share * limit for share in SIMULATED_SHARES]), arguments.miss_share)
    return rate, min(1, first["answer_us"] / 1e6 * rate / int(arguments.workers))


def metric(url, name):
    page = urllib.request.urlopen(url + "/metrics", timeout=60).read().decode()
    return sum(float(line.rsplit(" ", 1)[1]) for line in page.splitlines() if line.split(" ")[0].split("{")[0] == name)


def replica_memory(arguments, queries):
    """(bytes of a server that has answered some queries, without its cache; bytes of its cache a result)."""
    command = [arguments.binary, "serve", "--model", arguments.model, "--port", 0, "--threads", arguments.workers,
               "--log-level", "warn"]  # fmt: skip
    server = subprocess.Popen([str(word) for word in command], stderr=subprocess.PIPE, text=True)
    url = None
    for line in server.stderr:
        found = re.match(r"querent: listening on (http://\S+)", line)
        if found:
            url = found[1]
            break
    if url is None:
        sys.exit("the server did not start")
    some = list(dict.fromkeys(queries))[:1000]
    for query in some:
        body = json.dumps({"inputs": query}).encode()
        urllib.request.urlopen(urllib.request.Request(url + "/embed", body, {"Content-Type": "application/json"}), timeout=60).read()
    cache = metric(url, "querent_cache_bytes")
    resident = metric(url, "querent_process_resident_memory_bytes")
    server.send_signal(signal.SIGTERM)
    server.wait()
    return resident - cache, cache / len(some)


# ---- The sum ---------------------------------------------------------------------------------------


def replicas_for(rate, a_replica, zones):
    """(replicas that bear the rate; replicas of which the rest bears it when a zone is lost), spread evenly."""
    needed = max(1, math.ceil(rate / a_replica))
    total = needed
    while zones > 1 and total - math.ceil(total / zones) < needed:
        total += 1
    return needed, total


def plan(arguments):
    entries = read_log(arguments.log)
    queries = [query for _, query in entries]
    different = len(set(queries))
    busiest = peak_rate(entries)
    peak = busiest * arguments.growth
    print(f"log: {len(entries)} queries, {different} different; the busiest minute had {busiest:.1f} a second")
    if arguments.growth != 1:
        print(f"growth: times {arguments.growth:g}, so {peak:.1f} a second")
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
        file.write("\n".join(random.Random(1).sample(queries, min(len(queries), 2000))) + "\n")
        file.flush()
        a_replica, cost_of_hit = replica_rate(arguments, file.name)
    if a_replica == 0:
        sys.exit(f"one replica of {arguments.workers} workers keeps no budget of {arguments.budget_ms} ms here")
    memory, result = replica_memory(arguments, queries)
    kept = int(arguments.cache_mb * 1e6 / result)
    print(f"one replica of {arguments.workers} workers: {a_replica:.0f} a second within {arguments.budget_ms} ms, "
          f"but for {100 * arguments.miss_share:g} % (querent simulate)")  # fmt: skip
    print(f"its memory: {memory / 1e6:.0f} MB and a cache of {arguments.cache_mb:g} MB, which holds {kept} results of {result:.0f} bytes")
    needed, total = replicas_for(peak, a_replica, arguments.zones)
    print(f"a cached result costs {100 * cost_of_hit:.0f} % of one that is computed")
    print(f"without a cache: {needed} replicas for the peak, {total} so that one of {arguments.zones} zones may be lost, "
          f"{total + 1} with one for a deploy")  # fmt: skip
    for name, choose in (("in turn", in_turn), ("by hash of the query", by_hash)):
        share = hit_share(entries, needed, kept, choose(needed))
        fewer, sure = replicas_for(peak * (1 - share + share * cost_of_hit), a_replica, arguments.zones)
        print(f"{name}: {100 * share:.1f} % of the queries meet a cached result, {peak * (1 - share):.0f} a second are computed: "
              f"{fewer} for the peak, {sure} with a zone to lose, {sure + 1} with one for a deploy")  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    log = commands.add_parser("log")
    log.add_argument("--queries", required=True)
    log.add_argument("--a-day", type=float, required=True)
    log.add_argument("--minutes", type=int, default=1440)
    log.add_argument("--seed", type=int, default=1)
    log.set_defaults(run=lambda a: write_log(
        [line.strip() for line in open(a.queries, encoding="utf-8") if line.strip()], a.a_day, a.minutes, a.seed, sys.stdout))
    planning = commands.add_parser("plan")
    planning.add_argument("--log", required=True)
    planning.add_argument("--model", required=True)
    planning.add_argument("--budget-ms", type=int, required=True)
    planning.add_argument("--workers", type=int, required=True, help="of one replica: its whole CPUs")
    planning.add_argument("--zones", type=int, default=3)
    planning.add_argument("--growth", type=float, default=1.0)
    planning.add_argument("--cache-mb", type=float, default=64.0)
    planning.add_argument("--miss-share", type=float, default=0.001)
    planning.add_argument("--seconds", type=float, default=10.0, help="simulated at each rate")
    planning.add_argument("--binary", default=os.environ.get("QUERENT", str(ROOT / "build/querent")))
    planning.set_defaults(run=plan)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
