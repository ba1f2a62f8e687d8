#!/usr/bin/env python3
"""What a server keeps of its promises: capacity, overload, queries beside spans, repeated queries, one client.

    budgets.py --minilm models/minilm --spans models/squad-3l --queries queries.txt [--querent build/querent] [--only zipf] [--json FILE]

Starts servers of its own on this machine, loads them with `querent bench http`, whose client runs on the same cores, and prints
a table a subject (docs/SPEED.md has the figures and says what they mean). Every figure is a median over --rounds, with the lowest
and the highest round.
"""

import argparse
import http.client
import json
import multiprocessing
import os
import random
import re
import statistics
import subprocess
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

BUDGET_MS = 10
# With fewer connections than fit into a budget the client queues, not the server; that one takes 1,024.
OVERLOAD = ("--connections", 900)
SPAN_TOKENS = 384
ZIPF_DISTINCT = 100_000
ZIPF_DRAWS = 400_000
ZIPF_CACHE = 16 << 20  # smaller than all answers together, so that what it keeps matters


def bench_http(querent, url, queries, *args, route="/embed", seconds=3.0, warmup=0.5):
    """The JSON of `bench http`."""
    command = [querent, "bench", "http", "--url", url, "--route", route, "--queries", str(queries), "--json"]
    command += ["--seconds", str(seconds), "--warmup", str(warmup), *map(str, args)]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False).stdout)


class Server:
    """`querent serve`, from ready to SIGTERM."""

    def __init__(self, querent, *args):
        self.querent = querent
        self.process = subprocess.Popen([querent, "serve", "--port", "0", *map(str, args)], stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:
            if found := re.search(r"listening on (http://\S+)", line):
                self.url = found[1]
                threading.Thread(target=lambda: [None for _ in self.process.stderr], daemon=True).start()
                return
        raise SystemExit("budgets: the server did not start")

    def load(self, queries, *args, **how):
        return bench_http(self.querent, self.url, queries, *args, **how)

    def rss_mib(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024

    def metric(self, name):
        page = urllib.request.urlopen(self.url + "/metrics", timeout=10).read().decode()
        return sum(float(value) for value in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", page, re.M))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


def spread(values, digits=2):
    """Median (lowest..highest)."""
    middle = statistics.median(values)
    return f"{middle:.{digits}f} ({min(values):.{digits}f}..{max(values):.{digits}f})"


def table(title, heads, rows):
    print(f"\n{title}\n\n| {' | '.join(heads)} |\n|{'---|' * len(heads)}", flush=True)
    for row in rows:
        print(f"| {' | '.join(map(str, row))} |", flush=True)


def watch(core, seconds, gaps):
    """On one core: the times for which a loop that does nothing else did not run."""
    os.sched_setaffinity(0, {core})
    end, last = time.monotonic() + seconds, time.monotonic()
    found = []
    while last < end:
        now = time.monotonic()
        if now - last > 0.001:
            found.append(1000 * (now - last))
        last = now
    gaps.put(found)


def interruptions(seconds=3):
    """What a virtual machine's host, or other programs, take away while all cores are busy: no latency can be steadier than this."""
    cores, queue = sorted(os.sched_getaffinity(0)), multiprocessing.Queue()
    loops = [multiprocessing.Process(target=watch, args=(core, seconds, queue)) for core in cores]
    for loop in loops:
        loop.start()
    gaps = [gap for _ in loops for gap in queue.get()]
    for loop in loops:
        loop.join()
    lost = sum(gaps) / (1000 * seconds * len(cores))
    print(f"{len(cores)} cores, all busy for {seconds} s: {100 * lost:.1f} % lost in {len(gaps)} gaps of over 1 ms, the longest of {max(gaps, default=0):.1f} ms")
    return {"lost": lost, "gaps_ms": gaps}


def good(result):
    """Answers with a result a second: late ones are 504, so these were in time."""
    return codes(result, 200) / result["seconds"]


def codes(result, code):
    return result["status"].get(str(code), 0)


# ---- One client ------------------------------------------------------------------------------------------------------------


def nine_tokens(options, folder):
    """A file with one query of 9 tokens."""
    for query in options.queries.read_text().splitlines():
        line = subprocess.run([options.querent, "tokenize", "--model", options.minilm], input=query + "\n", capture_output=True, text=True)
        if len(json.loads(line.stdout.splitlines()[0])["ids"]) == 9:
            path = folder / "nine.txt"
            path.write_text(query + "\n")
            return path
    raise SystemExit("budgets: no query of 9 tokens")


def engine(options):
    """The JSON of `bench engine`, with the plan that the server takes."""
    command = [options.querent, "bench", "engine", "--model", options.minilm, "--precision", "auto", "--threads", str(options.threads)]
    command += ["--queries", str(options.queries), "--lengths", "9", "--seconds", "1", "--json"]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


def parts(server, query, pause_s, count=200):
    """Medians of what the answers' Server-Timing says, in ms, at a request every so often."""
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"))
    body = json.dumps({"inputs": query.read_text().strip()})
    seen = {}
    for _ in range(count):
        time.sleep(pause_s)
        connection.request("POST", "/embed", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        for name, ms in re.findall(r"(\w+);dur=([\d.]+)", answer.headers["Server-Timing"]):
            seen.setdefault(name, []).append(float(ms))
    return {name: statistics.median(values) for name, values in seen.items()}


def alone(options, folder):
    query = nine_tokens(options, folder)
    seen = {name: [] for name in ("engine", "closed", "open", "health")}
    with Server(options.querent, "--model", options.minilm, "--cache-bytes", 0) as server:
        for _ in range(options.rounds):
            seen["engine"].append(engine(options)["latency_ms"]["9"]["p50"])
            seen["closed"].append(server.load(query, "--concurrency", 1)["latency_ms"]["p50"])
            seen["open"].append(server.load(query, "--rate", 50, "--arrival", "uniform")["latency_ms"]["p50"])
            seen["health"].append(server.load(query, "--concurrency", 1, route="/health")["latency_ms"]["p50"])
        timing = {pause: parts(server, query, pause) for pause in (0, 0.02)}
    ratios = {name: [a / b for a, b in zip(seen[name], seen["engine"])] for name in ("closed", "open")}
    table(
        f"One query of 9 tokens, {options.threads} threads, nothing else",
        ("", "p50, ms", "against the engine"),
        [
            ("engine alone", spread(seen["engine"], 3), ""),
            ("HTTP, one client after the other", spread(seen["closed"], 3), spread(ratios["closed"])),
            ("HTTP, 50 a second", spread(seen["open"], 3), spread(ratios["open"])),
            ("HTTP, the empty route", spread(seen["health"], 3), ""),
        ],
    )
    names = list(timing[0])
    table(
        "Where the server spends it (Server-Timing, medians, ms)",
        ("", *names),
        [("one after the other", *timing[0].values()), ("20 ms after the last", *timing[0.02].values())],
    )
    return {**seen, "ratio": ratios, "parts": {str(k): v for k, v in timing.items()}}


# ---- Capacity and overload ---------------------------------------------------------------------------------------------------


def find_capacity(options, server):
    """The highest rate whose p99 stays within the budget, to 3 %."""
    low, high = 100.0, None
    while high is None or high / low > 1.03:
        rate = low * 2 if high is None else (low * high) ** 0.5
        result = server.load(options.queries, "--rate", f"{rate:.1f}", seconds=2)
        kept = result["latency_ms"]["p99"] <= options.budget_ms and codes(result, 200) >= 0.99 * result["requests"]
        low, high = (rate, high) if kept else (low, rate)
    return low


def capacity(options, folder):
    rates, shares = [], []
    with Server(options.querent, "--model", options.minilm, "--cache-bytes", 0) as server:
        for _ in range(options.rounds):
            rates.append(find_capacity(options, server))
            shares.append(rates[-1] / engine(options)["throughput_qps"])
    table(
        f"Capacity: the highest rate with p99 <= {options.budget_ms} ms",
        ("queries a second", "share of the engine's own"),
        [(spread(rates, 0), spread(shares))],
    )
    return {"capacity": rates, "share": shares}


def overload(options, folder):
    rows, seen = [], {}
    with Server(options.querent, "--model", options.minilm, "--cache-bytes", 0) as server:
        peak = options.capacity or find_capacity(options, server)
        before = server.rss_mib()
        for factor in (0.5, 1, 2, 4):
            runs = [server.load(options.queries, "--rate", factor * peak, "--budget-ms", options.budget_ms, *OVERLOAD) for _ in range(options.rounds)]
            admitted = [codes(r, 200) + codes(r, 504) for r in runs]
            rows.append(
                (
                    f"{factor} x {peak:.0f}",
                    spread([good(r) for r in runs], 0),
                    spread([good(r) * r["seconds"] / max(n, 1) for r, n in zip(runs, admitted)], 3),
                    spread([r.get("refused_latency_ms", {}).get("p99", 0) for r in runs]),
                    spread([r["latency_ms"]["p99"] for r in runs]),
                )
            )
            seen[factor] = runs
        after, calm = server.rss_mib(), server.load(options.queries, "--rate", 0.5 * peak, seconds=2, warmup=0)
    table(
        f"Overload, budget {options.budget_ms} ms; memory {before:.0f} MiB before, {after:.0f} after; p99 of the 2 s behind it, at half the capacity: {calm['latency_ms']['p99']:.2f} ms",
        ("offered", "good answers a second", "admitted that were in time", "refusals, p99 ms", "good ones, p99 ms"),
        rows,
    )
    return {str(k): v for k, v in seen.items()}


# ---- Queries beside spans ----------------------------------------------------------------------------------------------------


def passages(options, folder):
    """Lines of which the nine that `bench http` makes a span request of come to about SPAN_TOKENS tokens."""
    queries = options.queries.read_text().splitlines()
    path = folder / "passages.txt"
    words = " ".join(queries).split()
    per_line = int(SPAN_TOKENS / 9 / 1.3)  # a word is about 1.3 tokens
    path.write_text("\n".join(" ".join(words[i : i + per_line]) for i in range(0, min(len(words), 20000), per_line)) + "\n")
    return path


def mixed(options, folder):
    lines = passages(options, folder)
    rows, seen = [], {}
    with Server(options.querent, "--model", f"minilm={options.minilm}", "--model", f"spans={options.spans}", "--cache-bytes", 0) as server:
        rates = options.mixed_rates or [find_capacity(options, server) * share for share in (0.1, 0.2, 0.3)]
        for rate in rates:
            seen[rate] = {"without": [], "with": [], "spans": []}
            for _ in range(options.rounds):
                seen[rate]["without"].append(server.load(options.queries, "--rate", rate)["latency_ms"])
                spans = []
                load = threading.Thread(target=lambda: spans.append(server.load(lines, "--rate", rate / 9, route="/span", seconds=3.5, warmup=0)))
                load.start()
                seen[rate]["with"].append(server.load(options.queries, "--rate", rate)["latency_ms"])
                load.join()
                seen[rate]["spans"].append(spans[0]["latency_ms"])
            kept = seen[rate]
            rows.append(
                (
                    f"{rate:.0f} + {rate / 9:.0f}",
                    *(spread([r[p] for r in kept[side]]) for side in ("without", "with") for p in ("p50", "p99")),
                    spread([b["p99"] / a["p99"] for a, b in zip(kept["without"], kept["with"])]),
                    spread([r["p50"] for r in kept["spans"]]),
                )
            )
    table(
        f"Queries beside spans of about {SPAN_TOKENS} tokens, a tenth of all requests, ms",
        ("queries + spans a second", "p50 without", "p99 without", "p50 with", "p99 with", "ratio of p99", "spans, p50"),
        rows,
    )
    return {str(k): v for k, v in seen.items()}


# ---- Repeated queries --------------------------------------------------------------------------------------------------------


def zipf_file(options, folder):
    """Draws by Zipf's law (s = 1) from so many distinct queries, and the hit share of the best cache of N entries that knows how
    often each will be asked (the most frequent N; first askings miss)."""
    dice = random.Random(1)
    queries = options.queries.read_text().splitlines()
    words = [word for query in queries for word in query.split()]
    distinct = list(dict.fromkeys(queries))
    while len(distinct) < ZIPF_DISTINCT:
        distinct.append(" ".join(dice.choice(words) for _ in range(len(dice.choice(queries).split()))) + f" {len(distinct)}")
    draws = dice.choices(range(ZIPF_DISTINCT), [1 / (rank + 1) for rank in range(ZIPF_DISTINCT)], k=ZIPF_DRAWS)
    path = folder / "zipf.txt"
    path.write_text("\n".join(distinct[i] for i in draws) + "\n")
    return path, draws


def best_share(draws, entries):
    """Of the first len(draws) requests; entries: how many fit."""
    counts = {}
    for i in draws:
        counts[i] = counts.get(i, 0) + 1
    kept = sorted(counts.values(), reverse=True)[:entries]
    return sum(count - 1 for count in kept) / len(draws)


def zipf(options, folder):
    path, draws = zipf_file(options, folder)
    rows, seen = [], {}
    for cache in (0, ZIPF_CACHE, 256 << 20):
        rates, shares, best = [], [], 0
        for _ in range(options.rounds):
            with Server(options.querent, "--model", options.minilm, "--cache-bytes", cache) as server:
                result = server.load(path, "--concurrency", 16, seconds=10, warmup=0)
                rates.append(good(result))
                if cache > 0:
                    hits, misses = server.metric("querent_cache_hits_total"), server.metric("querent_cache_misses_total")
                    asked = int(hits + misses)
                    shares.append(hits / asked)
                    held = misses - server.metric("querent_cache_evictions_total")
                    best = best_share(draws[:asked], int(held))
        rows.append((f"{cache >> 20} MiB", spread(rates, 0), spread(shares, 3) if shares else "", f"{best:.3f}" if shares else ""))
        seen[cache] = {"rates": rates, "hits": shares, "best": best}
    table(
        f"Repeated queries: Zipf, s = 1, {ZIPF_DISTINCT} distinct, 16 clients for 10 s from an empty cache",
        ("--cache-bytes", "answers a second", "share of hits", "of the best cache of as many entries"),
        rows,
    )
    return seen


SUBJECTS = {"alone": alone, "capacity": capacity, "overload": overload, "mixed": mixed, "zipf": zipf}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--querent", default="build/querent")
    parser.add_argument("--minilm", default="models/minilm")
    parser.add_argument("--spans", default="models/squad-3l")
    parser.add_argument("--queries", type=Path, default=Path("tests/golden/queries.txt"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--budget-ms", type=int, default=BUDGET_MS, help="of capacity and overload")
    parser.add_argument("--capacity", type=float, help="of overload, instead of finding it")
    parser.add_argument("--mixed-rates", type=lambda text: [float(part) for part in text.split(",")], help="queries a second of mixed")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=SUBJECTS, action="append", help="a subject; may be repeated")
    parser.add_argument("--json", type=Path, help="write all results there")
    options = parser.parse_args()
    results = {"interruptions": interruptions()}
    with tempfile.TemporaryDirectory() as folder:
        results |= {name: SUBJECTS[name](options, Path(folder)) for name in options.only or SUBJECTS}
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
