"""Every answer under chaos against the one of a single thread, byte for byte.

    QUERENT=build-chaos/querent python tests/chaos/compare_bytes.py --seconds 40

For 1 to 4 workers in turn a server of the chaos build (random delays at every hand-over, helpers refused at random) answers
clients that ask a fixed set of questions, embeddings of 9 to 384 tokens and spans, in random order: 8 clients keep every worker at
work, 2 leave some to help the others. The expected bytes come from a server with one worker, asked by one client. A difference, a
missing answer or another code than 200 is printed and fails; so does an answer that --verify-ppm finds wrong.
"""
import argparse
import collections
import json
import random
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path += [str(ROOT / "tests"), str(ROOT / "tests" / "server"), str(ROOT / "tools")]

from make_model import make_model  # noqa: E402
from program import HANG  # noqa: E402
from serving import Server, make_request, metric, read_answer  # noqa: E402

CLIENTS = (8, 2)
LENGTHS = (9, 9, 10, 12, 16, 17, 24, 33, 64, 100, 128, 200, 256, 384)  # tokens, two of them [CLS] and [SEP]
NAMES = ("Ada", "Berta", "Carla", "Dora", "Emma", "Frida", "Greta", "Hilda")


def questions(seed):
    """(path, body) pairs: ids, so that lengths are exact whatever the vocabulary, and a question with a growing passage."""
    draw = random.Random(seed)
    asked = []
    for length in LENGTHS:
        for _ in range(3):
            ids = [101] + [draw.randrange(1000, 20000) for _ in range(length - 2)] + [102]
            asked.append(("/embed", {"inputs": [ids]}))
    asked.append(("/embed", {"inputs": [[101, draw.randrange(1000, 20000), 102] for _ in range(40)]}))
    for n, name in enumerate(NAMES):
        passage = " ".join(f"{other} lives in house number {k * 7}." for k, other in enumerate(NAMES * (1 + 2 * n)))
        asked.append(("/span", {"inputs": {"question": f"Where does {name} live?", "context": passage}}))
    return asked


def ask_all(server, asked):
    with server.connect(2 * HANG) as connection:
        rest, answers = b"", []
        for path, body in asked:
            connection.sendall(make_request(path, body))
            answer, rest = read_answer(connection, rest)
            assert answer is not None and answer.status == 200, (path, answer and answer.status)
            answers.append(answer.body)
        return answers


class Client(threading.Thread):
    def __init__(self, server, asked, expected, seed, end):
        super().__init__(daemon=True)
        self.server, self.asked, self.expected, self.end = server, asked, expected, end
        self.draw = random.Random(seed)
        self.answered, self.faults = 0, []

    def run(self):
        rest, connection = b"", None
        try:
            while time.monotonic() < self.end:
                if connection is None:
                    connection, rest = self.server.connect(2 * HANG), b""
                i = self.draw.randrange(len(self.asked))
                path, body = self.asked[i]
                connection.sendall(make_request(path, body))
                answer, rest = read_answer(connection, rest)
                if answer is None:
                    self.faults.append(f"question {i}: no answer")
                    return
                self.answered += 1
                if answer.status != 200:
                    self.faults.append(f"question {i}: {answer.status}")
                elif answer.body != self.expected[i]:
                    self.faults.append(f"question {i} ({path}): the bytes differ")
                if answer.headers.get("connection") == "close":
                    connection.close()
                    connection = None
        except OSError as error:
            self.faults.append(f"{error!r}")


def run_clients(server, asked, expected, count, seed, seconds):
    """(answers, faults) of `count` clients at once."""
    end = time.monotonic() + seconds
    clients = [Client(server, asked, expected, f"{seed} {count} {n}", end) for n in range(count)]
    for client in clients:
        client.start()
    faults = []
    for client in clients:
        client.join(seconds + HANG)
        faults += client.faults + (["a client waits for ever"] if client.is_alive() else [])
    return sum(client.answered for client in clients), faults


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=40)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2, 3, 4])
    given = parser.parse_args()
    print(f"compare_bytes: --seed {given.seed}")
    asked = questions(given.seed)
    total, faults = 0, []
    with tempfile.TemporaryDirectory() as folder:
        make_model(Path(folder), layers=4, hidden=128, heads=4, feed_forward=512, vocab=30522, positions=512)
        models = [folder, ROOT / "models" / "squad-3l"]
        options = ("--budget-ms", 600000, "--precision", "auto", "--cache-bytes", 0)
        alone = Server(models, *options, "--threads", 1)
        expected = ask_all(alone, asked)
        assert ask_all(alone, asked) == expected, "a single thread differs from itself"
        alone.stop()
        for workers in given.workers:
            server = Server(models, *options, "--threads", workers, "--verify-ppm", 20000)
            for count in CLIENTS:
                answered, mine = run_clients(server, asked, expected, count, f"{given.seed} {workers}",
                                             given.seconds / len(given.workers) / len(CLIENTS))
                total += answered
                faults += mine
                print(f"compare_bytes: {workers} workers, {count} clients: {answered} answers, {len(mine)} faults", flush=True)
                for fault, times in collections.Counter(mine).most_common(8):
                    print(f"    {times} x {fault}")
            wrong = metric(server, "querent_verify_mismatches_total ")
            faults += [f"verify: {wrong} answers differ"] * (wrong > 0)
            if faults:
                print(server.log)
                server.process.kill()
                break
            server.stop()
    print(json.dumps({"answers": total, "faults": len(faults)}))
    return 1 if faults or total == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
