"""querent beside ONNX Runtime, OpenVINO, CTranslate2 and llama.cpp: same weights, same ids, same threads, same minutes.

    make_models.py --minilm models/minilm --out /tmp/models
    peers.py --models /tmp/models --queries queries.txt --querent build/querent [--rounds 7] [--json result.json]

Every engine lives in a process of its own that waits on its standard input while others are measured. A round measures one thing
(a length, or queries a second) on every engine in turn, in an order that is shuffled anew each round; a ratio compares values of
the same round, so that a slow minute of the machine hits both sides. Printed are medians over the rounds, and for ratios also
their lowest and highest round.

Latency: one sequence of N tokens (all of them token 2000, as no engine looks at the values), median of the calls in a time slice.
Throughput: the queries' token ids, three ways of driving each peer: batches of 32 in the order of arrival, batches of 32 sorted by
length, and single queries on one-threaded instances, as many as there are cores. querent is driven its own one way.
Tokenization is in nobody's time.

--isa avx2 shows another kind of machine on this one: querent is capped by QUERENT_ISA, CTranslate2 and OpenVINO by their own switches
and those of their matrix products (MKL, oneDNN). ONNX Runtime and llama.cpp have none and are left out, so that the best peer there may
be one that is not here.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import namedtuple
from pathlib import Path

F32_PEERS = ("ort-fp32", "ort-fused-fp32", "openvino-f32", "ct2-fp32")
INT8_PEERS = ("ort-int8", "ct2-int8", "llama-q8")
PEERS = F32_PEERS + ("openvino-bf16",) + INT8_PEERS
QUERENT = ("querent-f32", "querent-bf16", "querent-int8")
LENGTHS = (9, 32, 128, 384)
BATCH = 32
WAYS = ("arrival", "sorted", "single")

# The tables "Figures to reach", one a kind of machine: what querent is held against, and the ratio that it must not exceed
# (latency) or must reach (throughput).
Row = namedtuple("Row", "model what threads peers querent target name")
ANY, BEST_INT8, BEST_F32 = "best peer of any precision, with int8", "best int8 peer, with int8", "best f32 peer, with f32"
BEST_DRIVEN = "best peer however driven, with int8"
ROWS = {
    "vnni": (
        Row("minilm6", 9, 1, F32_PEERS, "querent-f32", 0.70, BEST_F32),
        Row("minilm6", 9, 1, ("openvino-bf16",), "querent-bf16", 0.50, "OpenVINO bf16, with bf16"),
        Row("minilm6", 9, 1, ("ort-int8",), "querent-int8", 0.50, "ONNX Runtime int8, with int8"),
        Row("minilm6", 9, 2, PEERS, "querent-int8", 0.35, ANY),
        Row("bert3", 9, 2, PEERS, "querent-int8", 0.50, ANY),
        Row("minilm6", 128, 1, INT8_PEERS, "querent-int8", 0.65, BEST_INT8),
        Row("minilm6", 128, 1, F32_PEERS, "querent-f32", 1.00, BEST_F32),
        Row("minilm6", 384, 2, INT8_PEERS, "querent-int8", 0.65, BEST_INT8),
        Row("minilm6", "throughput", 2, PEERS, "querent-int8", 3, BEST_DRIVEN),
    ),
    "avx2": (
        Row("minilm6", 9, 1, PEERS, "querent-int8", 0.45, ANY),
        Row("minilm6", 9, 2, PEERS, "querent-int8", 0.50, ANY),
        Row("minilm6", 128, 1, INT8_PEERS, "querent-int8", 0.70, BEST_INT8),
        Row("minilm6", 384, 2, INT8_PEERS, "querent-int8", 0.80, BEST_INT8),
        Row("bert3", 9, 2, PEERS, "querent-int8", 0.55, ANY),
        Row("minilm6", 128, 1, F32_PEERS, "querent-f32", 0.90, BEST_F32),
        Row("minilm6", "throughput", 2, PEERS, "querent-int8", 1.6, BEST_DRIVEN),
    ),
}


def cpu():
    """(name, flags) of this machine's CPU."""
    fields = dict(line.split(":", 1) for line in open("/proc/cpuinfo", encoding="utf-8") if ":" in line)
    fields = {key.strip(): value.strip() for key, value in fields.items()}
    return fields.get("model name", "unknown CPU"), set(fields.get("flags", "").split())


# ---- The peers, each inside a worker process -------------------------------------------------------------------------------


def padded(batch):
    import numpy as np

    ids = np.zeros((len(batch), max(map(len, batch))), np.int64)
    mask = np.zeros_like(ids)
    for row, sequence in enumerate(batch):
        ids[row, : len(sequence)] = sequence
        mask[row, : len(sequence)] = 1
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}


class OnnxRuntime:
    def __init__(self, directory, file, threads, streams):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        session = onnxruntime.InferenceSession(str(directory / file), options, providers=["CPUExecutionProvider"])
        self.inputs = {item.name for item in session.get_inputs()}
        self.lanes = [lambda prepared: session.run(None, prepared)[0]] * streams

    def prepare(self, batch):
        return {name: array for name, array in padded(batch).items() if name in self.inputs}


class OpenVino:
    def __init__(self, directory, precision, threads, streams):
        import openvino

        settings = {"INFERENCE_NUM_THREADS": threads * streams, "INFERENCE_PRECISION_HINT": precision}
        if streams == 1:
            settings["PERFORMANCE_HINT"] = "LATENCY"
        else:  # two one-threaded models would be pinned to the same core; streams of one model are not
            settings |= {"PERFORMANCE_HINT": "THROUGHPUT", "NUM_STREAMS": streams}
        core = openvino.Core()
        compiled = core.compile_model(core.read_model(directory / "model.onnx"), "CPU", settings)
        self.lanes = [self.lane(compiled.create_infer_request()) for _ in range(streams)]

    @staticmethod
    def lane(request):
        return lambda prepared: request.infer(prepared)[0]

    def prepare(self, batch):
        return padded(batch)


class CTranslate2:
    def __init__(self, directory, compute_type, threads, streams):
        import ctranslate2
        import numpy

        encoder = ctranslate2.Encoder(
            str(directory / "ct2"), device="cpu", compute_type=compute_type, intra_threads=threads, inter_threads=streams
        )
        self.lanes = [lambda prepared: numpy.asarray(encoder.forward_batch(prepared).last_hidden_state)] * streams

    def prepare(self, batch):
        return [list(map(int, sequence)) for sequence in batch]


class LlamaCpp:
    """Its library, by the calls that its own embedding server makes. A context is one lane."""

    TOKENS = 4096  # of a batch

    def __init__(self, directory, file, threads, streams):
        import llama_cpp

        self.library = llama_cpp
        quiet = llama_cpp.llama_log_callback(lambda level, text, user: None)
        llama_cpp.llama_log_set(quiet, None)
        self.kept = quiet
        weights = llama_cpp.llama_model_default_params()
        weights.use_extra_bufts = "amx_int8" not in cpu()[1]  # packed for AMX, they end 0.3.36 with a segmentation fault
        model = llama_cpp.llama_model_load_from_file(str(directory / file).encode(), weights)
        how = llama_cpp.llama_context_default_params()
        how.n_ctx = how.n_batch = how.n_ubatch = self.TOKENS
        how.n_seq_max, how.kv_unified = BATCH, True
        how.n_threads = how.n_threads_batch = threads
        how.embeddings, how.pooling_type = True, llama_cpp.LLAMA_POOLING_TYPE_NONE
        self.lanes = [self.lane(llama_cpp.llama_init_from_model(model, how)) for _ in range(streams)]

    def lane(self, context):
        def run(prepared):
            if self.library.llama_encode(context, prepared) != 0:
                raise RuntimeError("llama_encode failed")
            self.library.llama_get_embeddings(context)  # waits for them

        return run

    def prepare(self, batch):
        tokens = sum(map(len, batch))
        prepared = self.library.llama_batch_init(tokens, 0, 1)
        at = 0
        for number, sequence in enumerate(batch):
            for position, token in enumerate(sequence):
                prepared.token[at], prepared.pos[at] = token, position
                prepared.n_seq_id[at], prepared.seq_id[at][0] = 1, number
                prepared.logits[at] = 1
                at += 1
        prepared.n_tokens = tokens
        return prepared


# (directory, threads of one call, calls at once) -> an engine with prepare() and one lane a call
MAKERS = {
    "ort-fp32": lambda *how: OnnxRuntime(how[0], "model.onnx", *how[1:]),
    "ort-fused-fp32": lambda *how: OnnxRuntime(how[0], "model.fused.onnx", *how[1:]),
    "ort-int8": lambda *how: OnnxRuntime(how[0], "model.int8.onnx", *how[1:]),
    "openvino-f32": lambda *how: OpenVino(how[0], "f32", *how[1:]),
    "openvino-bf16": lambda *how: OpenVino(how[0], "bf16", *how[1:]),
    "ct2-fp32": lambda *how: CTranslate2(how[0], "float32", *how[1:]),
    "ct2-int8": lambda *how: CTranslate2(how[0], "int8_float32", *how[1:]),
    "llama-q8": lambda *how: LlamaCpp(how[0], "model.q8_0.gguf", *how[1:]),
}


def time_batches(engine, batches):
    """Seconds to run all batches, shared out among the engine's lanes (one thread each)."""
    prepared = [engine.prepare(batch) for batch in batches]
    turn = iter(prepared)
    lock = threading.Lock()

    def work(lane):
        while True:
            with lock:
                item = next(turn, None)
            if item is None:
                return
            lane(item)

    others = [threading.Thread(target=work, args=(lane,)) for lane in engine.lanes[1:]]
    begin = time.perf_counter()
    for other in others:
        other.start()
    work(engine.lanes[0])
    for other in others:
        other.join()
    return time.perf_counter() - begin


def peer_worker(name, directory, threads, ids):
    """Answers commands on stdin, one JSON line each: "latency LENGTH SECONDS" and "throughput WAY"."""
    engine = MAKERS[name](directory, threads, 1)
    single = None
    print(json.dumps({"ready": name}), flush=True)
    for line in sys.stdin:
        command, *rest = line.split()
        if command == "latency":
            prepared = engine.prepare([[2000] * int(rest[0])])
            run = engine.lanes[0]
            times = []
            for _ in range(3):
                run(prepared)
            end = time.perf_counter() + float(rest[1])
            while time.perf_counter() < end or len(times) < 5:
                begin = time.perf_counter()
                run(prepared)
                times.append(time.perf_counter() - begin)
            answer = {"p50_ms": statistics.median(times) * 1e3, "min_ms": min(times) * 1e3, "calls": len(times)}
        elif rest[0] == "single":
            single = single or MAKERS[name](directory, 1, threads)
            answer = {"qps": len(ids) / time_batches(single, [[sequence] for sequence in ids])}
        else:
            order = sorted(ids, key=len) if rest[0] == "sorted" else ids
            batches = [order[at : at + BATCH] for at in range(0, len(order), BATCH)]
            answer = {"qps": len(ids) / time_batches(engine, batches)}
        print(json.dumps(answer), flush=True)


# ---- The conductor -----------------------------------------------------------------------------------------------------------


class Worker:
    def __init__(self, command, threads):
        environment = dict(os.environ, OMP_NUM_THREADS=str(threads), TOKENIZERS_PARALLELISM="false")
        cores = sorted(os.sched_getaffinity(0))[-threads:]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
        )
        self.read()  # ready, or an exception with the reason on stderr

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.process.args[:3]} ended with {self.process.wait()}")
        return json.loads(line)

    def ask(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self.read()

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()


def start_worker(name, directory, threads, queries_file, querent):
    if name.startswith("querent-"):
        command = [querent, "bench", "engine", "--model", directory, "--queries", queries_file, "--threads", str(threads),
                   "--precision", name.removeprefix("querent-"), "--interactive"]
    else:
        command = [sys.executable, __file__, "--worker", name, "--models", directory, "--queries", queries_file,
                   "--threads", str(threads)]
    return Worker([str(part) for part in command], threads)


def measure(workers, questions, rounds, settle):
    """{question: {engine: [value a round]}}; a question is a command for the workers, and which key of the answer counts."""
    values = {question: {name: [] for name in workers} for question in questions}
    shuffle = random.Random(1)
    for turn in range(rounds + 1):  # round 0 warms up and is dropped
        for question in questions:
            names = list(workers)
            shuffle.shuffle(names)
            for name in names:
                command = question[1] if not name.startswith("querent-") else question[2]
                if command is None:
                    continue
                time.sleep(settle)  # let the previous engine's pool fall asleep
                answer = workers[name].ask(command)
                if turn:
                    values[question][name].append(answer[question[3]])
        print(f"# round {turn} of {rounds}", file=sys.stderr, flush=True)
    return values


def questions_for(threads, arguments):
    found = []
    for length in arguments.lengths:
        command = f"latency {length} {arguments.slice}"
        found.append((length, command, command, arguments.statistic + "_ms"))
    if threads in arguments.throughput_threads:
        for index, way in enumerate(WAYS):
            # querent has one way; it is asked beside each of the peers' three.
            found.append((f"throughput-{way}", f"throughput {way}", "throughput 1", "qps"))
    return found


def spread(values):
    return f"{statistics.median(values):.3f} ({min(values):.3f}..{max(values):.3f})"


def print_medians(model, threads, values):
    print(f"\n### {model}, {threads} thread{'s' if threads > 1 else ''}: medians (ms a query; queries a second)\n")
    questions = list(values)
    print("| engine | " + " | ".join(str(question[0]) for question in questions) + " |")
    print("|---|" + "---|" * len(questions))
    for name in next(iter(values.values())):
        cells = []
        for question in questions:
            rounds = values[question][name]
            cells.append("-" if not rounds else f"{statistics.median(rounds):.{3 if question[3] != 'qps' else 0}f}")
        print(f"| {name} | " + " | ".join(cells) + " |")


def compare(results, row):
    """Best peer and querent's ratio to it, round by round; None where something was not measured."""
    latency = row.what != "throughput"
    candidates, own = [], None
    for question, engines in results.get((row.model, row.threads), {}).items():
        if latency and question[0] != row.what or not latency and question[3] != "qps":
            continue
        for peer in row.peers:
            if engines.get(peer):
                candidates.append((statistics.median(engines[peer]), peer, question))
    if not candidates:
        return None
    best, peer, question = min(candidates) if latency else max(candidates)
    engines = results[(row.model, row.threads)][question]
    own = engines.get(row.querent)
    label = peer if latency else f"{peer} {question[0].removeprefix('throughput-')}"
    if not own:
        return label, best, None, None
    return label, best, statistics.median(own), [mine / theirs for mine, theirs in zip(own, engines[peer])]


def print_rows(results, rows):
    print("\n### Figures to reach\n")
    print("| model, tokens, threads | against | best peer | querent | ratio (lowest..highest round) | target | reached |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        found = compare(results, row)
        if not found:
            continue
        label, best, own, ratios = found
        latency = row.what != "throughput"
        where = f"{row.model}, {row.what}, {row.threads}"
        digits, unit = (3, "ms") if latency else (0, "q/s")
        goal = f"{'at most' if latency else 'at least'} {row.target}x"
        if own is None:
            print(f"| {where} | {row.name} | {label} {best:.{digits}f} {unit} | - | - | {goal} | - |")
            continue
        ratio = statistics.median(ratios)
        reached = ratio <= row.target if latency else ratio >= row.target
        print(f"| {where} | {row.name} | {label} {best:.{digits}f} {unit} | {own:.{digits}f} {unit} | {spread(ratios)} | {goal} | "
              f"{'yes' if reached else 'NO'} |")


def print_ratios(results):
    """Every length, not only the table's rows: querent's plans against the best peer of the same kind of arithmetic."""
    print("\n### All lengths: querent / best peer of its precision (int8 also against the best of any)\n")
    print("| model | threads | tokens | f32 | bf16 | int8 | int8 against any |")
    print("|---|---|---|---|---|---|---|")
    for (model, threads), values in results.items():
        for question in values:
            if question[3] == "qps":
                continue
            cells = []
            for own, peers in (("querent-f32", F32_PEERS), ("querent-bf16", ("openvino-bf16",)), ("querent-int8", INT8_PEERS),
                               ("querent-int8", PEERS)):
                found = compare(results, Row(model, question[0], threads, peers, own, 0, ""))
                cells.append(spread(found[3]) if found and found[3] else "-")
            print(f"| {model} | {threads} | {question[0]} | " + " | ".join(cells) + " |")


def read_queries(path, count):
    with open(path, encoding="utf-8", errors="replace") as file:
        lines = [line.rstrip("\n") for line in file]
    return [line for line in lines if line.strip()][:count]


def parse_arguments():
    numbers = lambda text: tuple(int(part) for part in text.split(","))  # noqa: E731
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=Path, required=True, help="what make_models.py wrote")
    parser.add_argument("--queries", type=Path, required=True)
    parser.add_argument("--querent", type=Path, help="the binary; without it only the peers are measured")
    parser.add_argument("--model-names", default="minilm6,bert3")
    parser.add_argument("--engines", default=",".join(PEERS + QUERENT))
    parser.add_argument("--lengths", type=numbers, default=LENGTHS)
    parser.add_argument("--threads", type=numbers, default=(1, 2))
    parser.add_argument("--throughput-threads", type=numbers, default=(2,))
    parser.add_argument("--throughput-models", default="minilm6")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--slice", type=float, default=0.25, help="seconds a latency measurement takes")
    parser.add_argument("--statistic", choices=("p50", "min"), default="p50", help="of the calls in a slice; min on a machine that is not idle")
    parser.add_argument("--settle", type=float, default=0.02, help="seconds of rest before each")
    parser.add_argument("--isa", help="cap instruction sets where that can be done: querent's name of one")
    parser.add_argument("--count", type=int, default=1024, help="queries of the file that are used")
    parser.add_argument("--json", type=Path, help="write every round's value here")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    if arguments.worker:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(arguments.models / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.no_truncation()
        ids = [encoding.ids for encoding in tokenizer.encode_batch(read_queries(arguments.queries, None))]
        peer_worker(arguments.worker, arguments.models, arguments.threads[0], ids)
        return
    wanted = [name for name in arguments.engines.split(",") if arguments.querent or not name.startswith("querent-")]
    name, flags = cpu()
    if not flags & {"avx512_bf16", "amx_bf16"}:  # emulated: slower than f32
        wanted = [name for name in wanted if name != "openvino-bf16"]
    if arguments.isa:
        os.environ["QUERENT_ISA"] = arguments.isa
        if arguments.isa == "avx2":
            os.environ |= {"CT2_FORCE_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2", "ONEDNN_MAX_CPU_ISA": "AVX2",
                           "DNNL_MAX_CPU_ISA": "AVX2"}  # fmt: skip
            wanted = [name for name in wanted if not name.startswith(("ort-", "llama-")) and name != "openvino-bf16"]
    kind = "vnni" if "avx512_vnni" in flags and arguments.isa in (None, "avx512vnni", "avx512bf16", "amx") else "avx2"
    print(f"## {name}{f', capped to {arguments.isa}' if arguments.isa else ''}, {time.strftime('%Y-%m-%d')}")
    results = {}
    with tempfile.TemporaryDirectory() as scratch:
        queries = Path(scratch) / "queries.txt"
        queries.write_text("".join(query + "\n" for query in read_queries(arguments.queries, arguments.count)), encoding="utf-8")
        for model in arguments.model_names.split(","):
            for threads in arguments.threads:
                workers = {}
                try:
                    for name in wanted:
                        workers[name] = start_worker(name, arguments.models / model, threads, queries, arguments.querent)
                    questions = questions_for(threads, arguments)
                    if model not in arguments.throughput_models.split(","):
                        questions = [question for question in questions if question[3] != "qps"]
                    results[(model, threads)] = measure(workers, questions, arguments.rounds, arguments.settle)
                finally:
                    for worker in workers.values():
                        worker.close()
                print_medians(model, threads, results[(model, threads)])
                sys.stdout.flush()
    print_ratios(results)
    print_rows(results, ROWS[kind])
    if arguments.json:
        flat = [
            {"model": model, "threads": threads, "what": question[0], "unit": question[3], "engine": name, "rounds": rounds}
            for (model, threads), values in results.items()
            for question, engines in values.items()
            for name, rounds in engines.items()
        ]
        arguments.json.write_text(json.dumps(flat, indent=1) + "\n")


if __name__ == "__main__":
    main()
