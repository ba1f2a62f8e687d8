"""querent beside ONNX Runtime on the same .onnx files, and beside itself on the same model's safetensors.

    python bench/exports.py --querent build/querent --safetensors models/minilm --queries queries.txt FILE.onnx...

Measured as bench/peers.py does it, whose words these are: every engine a process of its own, rounds in shuffled order, ratios of
values of the same round. Latency of one sequence of N tokens; queries a second of all queries' ids, each engine driven the best of
its ways. ONNX Runtime gets the file as it is, with all its own optimizations on. querent reads the file too, and takes from it the
plan that is named; the plan from safetensors should be as fast, for it is the same. FILE.onnx needs a tokenizer.json beside it.
"""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

import peers

OWN = ("f32", "int8")


def start(arguments, file, threads, queries):
    """{name: worker}: "ort", and "onnx-f32", "safetensors-f32", ... of querent."""
    python = [sys.executable, __file__, "--worker", file.name, "--queries", queries, "--threads", threads, file.parent]
    workers = {"ort": peers.Worker([str(part) for part in python], threads)}
    for source, model in (("onnx", file), ("safetensors", arguments.safetensors)):
        for precision in OWN:
            command = [arguments.querent, "bench", "engine", "--model", model, "--queries", queries, "--threads", threads,
                       "--precision", precision, "--interactive"]
            workers[f"querent-{source}-{precision}"] = peers.Worker([str(part) for part in command], threads)
    return workers


def ratios(engines, own, other):
    return peers.spread([mine / theirs for mine, theirs in zip(engines[own], engines[other])])


def print_file(file, threads, values):
    """values: of peers.measure."""
    print(f"\n### {file}, {threads} thread{'s' if threads > 1 else ''}\n")
    head = ["ONNX Runtime"] + [f"querent {precision}" for precision in OWN] + [f"{precision} / ONNX Runtime" for precision in OWN]
    head += [f"{precision} from ONNX / from safetensors" for precision in OWN]
    print("| | " + " | ".join(head) + " |\n|---|" + "---|" * len(head))
    best = {}  # ONNX Runtime's best way to be driven
    for question, engines in values.items():
        if question[3] == "qps" and (not best or statistics.median(engines["ort"]) > statistics.median(best["ort"])):
            best = engines
    rows = [(f"{question[0]} tokens, ms", 3, engines) for question, engines in values.items() if question[3] != "qps"]
    if best:
        rows.append(("queries a second", 0, best))
    for name, digits, engines in rows:
        cells = [f"{statistics.median(engines['ort']):.{digits}f}"]
        cells += [f"{statistics.median(engines[f'querent-onnx-{precision}']):.{digits}f}" for precision in OWN]
        cells += [ratios(engines, f"querent-onnx-{precision}", "ort") for precision in OWN]
        cells += [ratios(engines, f"querent-onnx-{precision}", f"querent-safetensors-{precision}") for precision in OWN]
        print(f"| {name} | " + " | ".join(cells) + " |")
    sys.stdout.flush()


def parse_arguments():
    numbers = lambda text: tuple(int(part) for part in text.split(","))  # noqa: E731
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE.onnx")
    parser.add_argument("--querent", type=Path, default="build/querent")
    parser.add_argument("--safetensors", type=Path, default="models/minilm", help="directory of the same model")
    parser.add_argument("--queries", type=Path, default="tests/golden/queries.txt")
    parser.add_argument("--lengths", type=numbers, default=(9, 128))
    parser.add_argument("--threads", type=numbers, default=(1, 2))
    parser.add_argument("--throughput-threads", type=numbers, default=(2,))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--slice", type=float, default=0.25, help="seconds a latency measurement takes")
    parser.add_argument("--settle", type=float, default=0.02, help="seconds of rest before each")
    parser.add_argument("--statistic", choices=("p50", "min"), default="p50")
    parser.add_argument("--count", type=int, default=1024, help="queries of the file that are used")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    return parser.parse_args()


def work(arguments):
    from tokenizers import Tokenizer

    [directory] = arguments.files
    tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    ids = [encoding.ids for encoding in tokenizer.encode_batch(peers.read_queries(arguments.queries, None))]
    peers.MAKERS["ort"] = lambda *how: peers.OnnxRuntime(how[0], arguments.worker, *how[1:])
    peers.peer_worker("ort", directory, arguments.threads[0], ids)


def main():
    arguments = parse_arguments()
    if arguments.worker:
        work(arguments)
        return
    print(f"## {peers.cpu()[0]}")
    with tempfile.TemporaryDirectory() as scratch:
        queries = Path(scratch) / "queries.txt"
        chosen = peers.read_queries(arguments.queries, arguments.count)
        queries.write_text("".join(query + "\n" for query in chosen), encoding="utf-8")
        for file in arguments.files:
            for threads in arguments.threads:
                workers = {}
                try:
                    workers = start(arguments, file, threads, queries)
                    values = peers.measure(workers, peers.questions_for(threads, arguments), arguments.rounds, arguments.settle)
                finally:
                    for worker in workers.values():
                        worker.close()
                print_file(file, threads, values)


if __name__ == "__main__":
    main()
