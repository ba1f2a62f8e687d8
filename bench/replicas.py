#!/usr/bin/env python3
"""Replicas behind the proxies of deploy/: what a proxy adds, what a killed replica and a rolling restart cost, and whether two
replicas hold what `querent simulate` says of one; and what a replica's first request takes.

    bench/replicas.py --model models/minilm --queries queries.txt [--only way] [--rounds 3] [--budget-ms 100]

Debian's HAProxy and nginx are unpacked under build/ with the shipped files; replicas have one worker each. Proxy, replicas and the
client share this machine's cores, so an idle machine with two cores is the least. Figures stand in docs/SPEED.md.
"""

import argparse
import itertools
import json
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
for folder in ("tests", "tests/server", "tests/deploy", "tools"):
    sys.path.insert(0, str(ROOT / folder))

import behind_haproxy  # noqa: E402
import behind_nginx  # noqa: E402
from budgets import bench_http, codes, interruptions, spread, table  # noqa: E402
from make_model import make_model  # noqa: E402
from plan_capacity import bearable  # noqa: E402
from program import BINARY  # noqa: E402
from proxied import REPLICAS, again  # noqa: E402
from serving import Server, make_request, read_answer  # noqa: E402
from simulate import ask  # noqa: E402

WAYS = ("TCP", "UNIX socket", "HAProxy", "nginx")
DRAIN = ("--drain-delay-ms", "5000")  # what the manifests set
RESTARTS = 5
STARTS = 15
SHARES = [0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0]
TRIES = 3  # of a rate: what the host takes away in a burst is no sign of too much load
MISS_SHARE = 0.01
# BERT-base's width and depth, or long texts: so much work a request that proxy and client, which are on the same cores and not in the
# simulation, take a small part of them.
LONG = 12
LARGE = {"layers": 12, "hidden": 768, "heads": 12, "feed_forward": 3072}


def load(port, options, *args, queries=None, seconds=5.0, warmup=0.0):
    """The JSON of `bench http` against that port."""
    return bench_http(BINARY, f"http://127.0.0.1:{port}", queries or options.queries, "--budget-ms", options.budget_ms, *args,
                      seconds=seconds, warmup=warmup)  # fmt: skip


def failed(result):
    """Requests with neither a result nor the word that there was no time for one."""
    return result["requests"] - codes(result, 200) - late(result)


def late(result):
    """504: too late; 429: refused at the door."""
    return codes(result, 504) + codes(result, 429)


def half_load(here, options):
    """Half of what twelve clients get who ask one after the other."""
    return 0.5 * load(here.port, options, "--concurrency", 12, seconds=4, warmup=1)["achieved_rps"]


# ---- What a proxy adds -------------------------------------------------------------------------------------------------------


def times(connect, request, count):
    """ms of `count` requests on a kept connection each way, the ways in another order each time, so that all meet the same machine."""
    dice, seen = random.Random(1), {way: [] for way in connect}
    connections = {way: new() for way, new in connect.items()}
    for _ in range(count):
        for way in dice.sample(list(connect), len(connect)):
            begun = time.perf_counter()
            connections[way].sendall(request(way))
            answer, _ = read_answer(connections[way])
            seen[way].append(1000 * (time.perf_counter() - begun))
            assert answer.status == 200, f"{way}: {answer.status} {answer.body[:200]}"
            if answer.headers.get("connection") == "close":  # nginx, after a thousand
                connections[way].close()
                connections[way] = connect[way]()
    for connection in connections.values():
        connection.close()
    return {way: statistics.quantiles(found, n=100) for way, found in seen.items()}


def ways(options, folder):
    queries = options.queries.read_text(encoding="utf-8").splitlines()
    no_cache = ("--cache-bytes", "0")
    for name in ("haproxy", "nginx"):
        (folder / name).mkdir()
    haproxy = behind_haproxy.Behind(behind_haproxy.unpack_haproxy(), options.model, folder / "haproxy", *no_cache)
    nginx = behind_nginx.Behind(behind_nginx.unpack_nginx(), options.model, folder / "nginx", *no_cache)
    direct = Server([options.model], *REPLICAS, *no_cache, "--uds", folder / "querent.sock")
    turns = dict.fromkeys(WAYS, 0)

    def embed(way):  # each way gets the same queries in the same order
        turns[way] += 1
        return make_request("/embed", {"inputs": queries[turns[way] % len(queries)]})

    connect = dict(zip(WAYS, (direct.connect, direct.connect_uds, lambda: direct.connect(port=haproxy.port), lambda: direct.connect(port=nginx.port))))
    kept = {}
    for what, request in (("GET /info", lambda way: make_request("/info")), ("POST /embed", embed)):
        times(connect, request, 200)
        kept[what] = [times(connect, request, options.requests) for _ in range(options.rounds)]
    rows = []
    for what, rounds in kept.items():
        for way in WAYS:
            more = [spread([1000 * (found[way][p] - found["TCP"][p]) for found in rounds], 0) if way != "TCP" else "" for p in (49, 98)]
            rows.append((what, way, *(spread([found[way][p] for found in rounds], 3) for p in (49, 98)), *more))
    table(f"One request at a time, {options.requests} a round each way", ("", "by", "p50, ms", "p99, ms", "more than TCP at p50, us", "at p99, us"), rows)
    for one in (haproxy, nginx, direct):
        one.stop()


# ---- A replica killed, all restarted -------------------------------------------------------------------------------------------


def killed(options, folder):
    """kill -9 of one of three at half load, a second into a load of three; the next begins two seconds behind the kill."""
    rows = []
    for _ in range(options.rounds):
        here = behind_haproxy.Behind(behind_haproxy.unpack_haproxy(), options.model, folder)
        rate = half_load(here, options)
        before = load(here.port, options, "--rate", f"{rate:.0f}", warmup=1)
        threading.Timer(1.0, here.servers[0].process.kill).start()
        during = load(here.port, options, "--rate", f"{rate:.0f}", seconds=3)
        after = load(here.port, options, "--rate", f"{rate:.0f}")
        rows.append((f"{rate:.0f}", *(f"{failed(r)} of {r['requests']}, {late(r)} late, p99 {r['latency_ms']['p99']:.1f} ms" for r in (before, during, after))))
        here.servers[0].process.wait()
        here.stop()
    table(f"kill -9 of one of three at half load, budget {options.budget_ms} ms", ("requests a second", "before", "around it", "from 2 s behind it"), rows)


def restarted(options, folder):
    here = behind_haproxy.Behind(behind_haproxy.unpack_haproxy(), options.model, folder, *DRAIN)
    rate = half_load(here, options)
    rows = []
    for round_ in range(RESTARTS):
        results, over = [], threading.Event()

        def keep_loading():
            while not over.is_set():
                results.append(load(here.port, options, "--rate", f"{rate:.0f}", seconds=2))
        client = threading.Thread(target=keep_loading)
        client.start()
        for place, server in enumerate(here.servers):
            server.signal()
            server.wait()
            here.servers[place] = again(server, options.model, *DRAIN)
            here.wait_up()
        over.set()
        client.join()
        total = sum(r["requests"] for r in results)
        gone = sum(late(r) for r in results)
        rows.append((round_ + 1, total, sum(failed(r) for r in results), f"{gone} ({100 * gone / total:.3f} %)", f"{max(r['latency_ms']['p99'] for r in results):.1f}"))
    here.stop()
    table(f"Rolling restart of all three at {rate:.0f} requests a second (half load), budget {options.budget_ms} ms",
          ("restart", "requests", "failed", "late or refused", "the worst 2 s, p99 ms"), rows)  # fmt: skip


# ---- Two replicas beside `simulate` ---------------------------------------------------------------------------------------------


def simulated(options, model, texts):
    """What one replica holds alone, and the rates that were tried, by `querent simulate` and its defaults."""
    command = [BINARY, "bench", "engine", "--model", model, "--precision", "auto", "--queries", texts, "--threads", 1, "--lengths", 9,
               "--seconds", 2, "--json"]  # fmt: skip
    most = ask(*command)["throughput_qps"]
    rates = [most * share for share in SHARES]
    command = [BINARY, "simulate", "--model", model, "--queries", texts, "--workers", 1, "--budget-ms", options.budget_ms, "--json",
               "--sweep", ",".join(f"{rate:.1f}" for rate in rates)]  # fmt: skip
    printed = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, text=True, check=True).stdout
    return bearable([json.loads(line) for line in printed.splitlines()], MISS_SHARE), rates


def misses(port, options, texts, rate):
    """The least share of several tries, the second and third only if need be."""
    least = 1.0
    for attempt in range(TRIES):
        result = load(port, options, "--rate", f"{rate:.1f}", "--seed", attempt + 1, queries=texts, seconds=8, warmup=1)
        least = min(least, 1 - codes(result, 200) / result["requests"])
        if least <= MISS_SHARE:
            break
    return least


def capacity(options, folder):
    large = make_model(folder / "large", **LARGE, vocab_from=ROOT / "models" / "squad-3l", positions=512, pooling="mean")
    queries, long_texts = options.queries.read_text(encoding="utf-8").splitlines(), folder / "long.txt"
    long_texts.write_text("".join(" ".join(queries[at : at + LONG]) + "\n" for at in range(0, len(queries), LONG)), encoding="utf-8")
    rows = []
    for name, model, texts in (("12 x 768, random weights; queries", large, options.queries),
                               (f"{options.model.name}; {LONG} queries a text", options.model, long_texts)):  # fmt: skip
        says, holds = [], []
        for _ in range(options.rounds):
            one, rates = simulated(options, model, texts)
            says.append(2 * one)
            here = behind_haproxy.Behind(behind_haproxy.unpack_haproxy(), model, folder, "--cache-bytes", "0", count=2)
            # One after the other: no rate is tried behind the first that is too much.
            rows_of_rates = ({"rate": 2 * rate, "miss_share": misses(here.port, options, texts, 2 * rate)} for rate in rates)
            holds.append(bearable(rows_of_rates, MISS_SHARE))
            here.stop()
        rows.append((name, spread(says, 0), spread(holds, 0), spread([b / a for a, b in zip(says, holds)])))
    table(f"Two replicas of one worker behind HAProxy: the last rate of which {100 * MISS_SHARE:.0f} % at most missed {options.budget_ms} ms",
          ("model and texts", "twice what is simulated of one", "served", "ratio"), rows)  # fmt: skip


# ---- The first request ----------------------------------------------------------------------------------------------------------


def first(options, folder):
    """A client's first request after ready, beside the median of its next two hundred; each a query of its own."""
    queries = itertools.cycle(options.queries.read_text(encoding="utf-8").splitlines())
    ratios, firsts, medians = [], [], []
    for _ in range(STARTS):
        server = Server([options.model], *REPLICAS, "--cache-bytes", "0")
        found = []
        with server.connect() as connection:
            for _ in range(201):
                begun = time.perf_counter()
                connection.sendall(make_request("/embed", {"inputs": next(queries)}))
                read_answer(connection)
                found.append(1000 * (time.perf_counter() - begun))
        server.stop()
        firsts.append(found[0])
        medians.append(statistics.median(found[1:]))
        ratios.append(firsts[-1] / medians[-1])
    table(f"The first request of {STARTS} starts", ("first, ms", "median of the next 200, ms", "ratio"), [(spread(firsts), spread(medians), spread(ratios))])


SUBJECTS = {"first": first, "way": ways, "kill": killed, "restart": restarted, "capacity": capacity}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="the directory of an embedding model")
    parser.add_argument("--queries", type=Path, required=True, help="queries, one a line")
    parser.add_argument("--budget-ms", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--requests", type=int, default=2000, help="of each round and way of `way` [default 2000]")
    parser.add_argument("--only", action="append", choices=SUBJECTS, help="this subject; may be given again")
    options = parser.parse_args()
    interruptions()
    for name, subject in SUBJECTS.items():
        if not options.only or name in options.only:
            with tempfile.TemporaryDirectory() as folder:
                subject(options, Path(folder))


if __name__ == "__main__":
    main()
