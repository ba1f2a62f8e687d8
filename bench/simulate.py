#!/usr/bin/env python3
"""`querent simulate` beside a real server: the same load at the same moments, rate by rate.

    bench/simulate.py --model models/minilm --queries queries.txt --rates 200,500,1000,1500,2000,2500 --budget-ms 100
    bench/simulate.py ... --tune                          # first measures what this machine takes around a batch
    bench/simulate.py ... --svg docs/schedule.svg         # one picture, simulated and measured

Starts `querent serve` (without its cache: repeated queries would not be computed), loads it with `querent bench http --sweep`, stops it,
simulates the same sweep, and prints both. Arrivals are drawn from the same seed, so both sides get the same requests. The client runs on
the server's machine, and the simulation knows nothing of other programs: on a busy machine the ratios say so.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
START_S = 120
SHARES = ("p50", "p90", "p99", "p99.9")  # of requests, as --overhead-us has them
FITS = 6  # the percentiles of a sum are not the sums of percentiles, so a correction is never all of it


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--querent", default=ROOT / "build" / "querent", help="the binary [default build/querent]")
    parser.add_argument("--model", required=True, help="the model's directory")
    parser.add_argument("--queries", required=True, help="queries, one a line")
    parser.add_argument("--rates", required=True, help="requests a second: R,R,...")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)), help="[default one a core]")
    parser.add_argument("--budget-ms", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=10, help="of each rate [default 10]")
    parser.add_argument("--arrival", choices=("poisson", "uniform"), default="poisson")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--connections", type=int, default=512, help="of the client, at most [default 512]")
    parser.add_argument("--svg", help="draw both into this file")
    parser.add_argument("--tune", action="store_true", help="measure --overhead-us and --answer-us first, instead of the defaults")
    parser.add_argument("--simulate", default="", help='more options of `querent simulate`: "--overhead-us 90"')
    return parser.parse_args()


def start_server(arguments):
    """The server and its URL, once it listens."""
    command = [arguments.querent, "serve", "--model", arguments.model, "--port", "0", "--threads", str(arguments.workers),
               "--precision", arguments.precision, "--budget-ms", str(arguments.budget_ms), "--cache-bytes", "0",
               "--log-level", "warn"]  # fmt: skip
    server = subprocess.Popen([str(word) for word in command], stderr=subprocess.PIPE, text=True)
    signal.alarm(START_S)  # SIGALRM ends this program: a server that never listens is a fault
    for line in server.stderr:
        found = re.search(r"listening on (http://\S+)", line)
        if found:
            signal.alarm(0)
            return server, found[1]
        sys.stderr.write(line)
    sys.exit(f"the server ended: {server.wait()}")


def run_lines(what, command):
    """Runs a command that prints JSON lines, shows that it goes on, and returns its output."""
    with subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True) as process:
        lines = []
        for line in process.stdout:
            lines.append(line)
            print(f"{what}: {json.loads(line)['rate']:g} requests a second", file=sys.stderr)
    if process.returncode != 0:
        sys.exit(f"not {what}: exit code {process.returncode}")
    return "".join(lines)


def load_options(arguments):
    return ["--queries", arguments.queries, "--sweep", arguments.rates, "--arrival", arguments.arrival, "--seed", str(arguments.seed),
            "--seconds", str(arguments.seconds), "--budget-ms", str(arguments.budget_ms), "--json"]  # fmt: skip


def ask(*command):
    """The JSON that a command prints last."""
    printed = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
    return json.loads(printed.stdout.splitlines()[-1])


def fit_overhead(simulated, measured):
    """The ways with which the simulation of a load has the percentiles of a measured one, as --overhead-us has them."""
    ways = [0] * len(SHARES)
    for _ in range(FITS):
        model = ask(*simulated, "--overhead-us", ",".join(map(str, ways)))["latency_ms"]
        missing = [1e3 * (measured[share] - model[share]) for share in SHARES]
        ways = [max(0, round(way + us)) for way, us in zip(ways, missing)]
        ways = [max(ways[: i + 1]) for i in range(len(ways))]
    return ",".join(map(str, ways))


def tune(arguments, url):
    """What a request takes around its batch. On its way: fitted to an open loop at a tenth of what four clients a worker get, where
    hardly anybody waits for anybody. Of the cores: what a request takes of them when these clients keep them busy, less what the
    engine's own loop takes. (With more clients requests share wake-ups and take less, but an open load has as many under way only when
    it is too much.)"""
    q, model, queries = arguments.querent, ["--model", arguments.model, "--precision", arguments.precision], ["--queries", arguments.queries]
    http = [q, "bench", "http", "--url", url, *queries, "--warmup", "1", "--json"]
    busy = ask(*http, "--seconds", 3, "--concurrency", 4 * arguments.workers)
    engine = ask(q, "bench", "engine", *model, *queries, "--threads", arguments.workers, "--lengths", 9, "--seconds", 3, "--json")
    answer_us = max(0, 1e6 * arguments.workers * (1 / busy["achieved_rps"] - 1 / engine["throughput_qps"]))
    few = ["--rate", f"{busy['achieved_rps'] / 10:.0f}", "--seconds", "20"]
    calm = ask(*http, *few)
    answer = ["--answer-us", f"{answer_us:.0f}"]
    simulated = [q, "simulate", *model, *queries, "--workers", arguments.workers, *answer, *few, "--json"]
    return ["--overhead-us", fit_overhead(simulated, calm["latency_ms"]), *answer]


def measure(arguments):
    server, url = start_server(arguments)
    try:
        if arguments.tune:
            options = tune(arguments, url)
            print("tuned:", *options, file=sys.stderr)
            arguments.simulate = " ".join(options) + " " + arguments.simulate
        return run_lines("measured", [str(arguments.querent), "bench", "http", "--url", url, "--connections", str(arguments.connections)]
                         + load_options(arguments))  # fmt: skip
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()


def simulate(arguments, measured_file):
    command = [str(arguments.querent), "simulate", "--model", arguments.model, "--workers", str(arguments.workers),
               "--precision", arguments.precision] + load_options(arguments) + arguments.simulate.split()  # fmt: skip
    if arguments.svg:
        command += ["--svg", arguments.svg, "--beside", measured_file]
    return run_lines("simulated", command)


def print_table(measured, simulated):
    print("offered/s | goodput/s  simulated | missed  simulated | p50 ms  simulated | p99 ms  simulated  ratio")
    for real, model in zip(measured, simulated):
        good = real["latency_ms"]["count"]
        missed = 1 - good / real["requests"]
        p50, p99 = real["latency_ms"]["p50"], real["latency_ms"]["p99"]
        ratio = model["p99_ms"] / p99 if p99 > 0 else float("nan")
        print(f"{real['rate']:9.0f} | {real['achieved_rps']:9.0f} {model['goodput']:10.0f} | {100 * missed:5.1f} % "
              f"{100 * model['miss_share']:7.1f} % | {p50:6.2f} {model['p50_ms']:10.2f} | {p99:6.2f} {model['p99_ms']:10.2f} "
              f"{ratio:6.2f}")  # fmt: skip


def main():
    arguments = parse_arguments()
    measured = measure(arguments)
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        file.write(measured)
        file.flush()
        simulated = simulate(arguments, file.name)
    print_table(*([json.loads(line) for line in text.splitlines()] for text in (measured, simulated)))


if __name__ == "__main__":
    main()
