"""Answers of a server on one machine beside those of another: tests/check-arm64 says of which.

    answers.py record FILE     asks a server here, and writes what was asked and answered
    answers.py compare FILE    asks a server here the same, and says what differs

Asked is every example of /openapi.json, so every route of every dialect, and a batch of texts of many lengths. The server
has to have its whole sandbox. Models compute in f32, whose numbers differ between instruction sets by the order of their sums:
by 5e-7 where this was measured (AVX2 beside AVX-512).
"""
import json
import math
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path += [str(ROOT / "tests"), str(ROOT / "tests" / "server")]

from program import make_tiny  # noqa: E402
from serving import Server, ask  # noqa: E402

PATIENCE = 1200  # seconds: a start, or an answer, on an emulated machine that has little of a core; a hang ends then
TOLERANCE = 1e-5  # of numbers above 1 by their size
UNIQUE = {"id", "created", "modified_at", "total_duration", "size"}  # numbers of answers; when it was, and how long; packed weights
TINY = ("embedder", "sentiment", "reranker", "tagger")  # the reader is a trained one: where spans of a random one begin is a toss-up
OPTIONS = ("--sandbox", "on", "--device", "cpu", "--precision", "f32", "--cache-bytes", 0, "--budget-ms", 600000)
WORDS = "the lighthouse of a small harbour was built by an engineer after three ships had been lost on its rocks ".split()
TEXTS = [" ".join(WORDS[(i + k) % len(WORDS)] for k in range(length)) for i, length in enumerate((1, 2, 3, 7, 8, 15, 16, 31, 33, 64, 100, 200))]


def questions(server):
    """[method, path, body] of every route, each under every name it has."""
    document = ask(server, "/openapi.json").json()
    asked = [["POST", "/embed", {"inputs": TEXTS}], ["POST", "/embed", {"inputs": TEXTS[8], "normalize": False}]]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            example = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")
            for name in (path, *operation.get("x-aliases", [])):
                asked.append([method.upper(), name.replace("{model}", "embedder"), example])
    return asked


def answer(server, method, path, body):
    """What can be compared: of what is no JSON, or tells about machine and process, only that it came."""
    got = ask(server, path, body, method=method, timeout=PATIENCE)
    kind = got.headers.get("content-type", "").split(";")[0]
    return [got.status, kind, got.json() if kind == "application/json" and path != "/info" else None]


def leaves(wanted, found, where):
    """(place, wanted, found) of each value; of lists or objects that have another shape, of the whole."""
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        for i, pair in enumerate(zip(wanted, found)):
            yield from leaves(*pair, f"{where}[{i}]")
    elif isinstance(wanted, dict) and isinstance(found, dict) and list(wanted) == list(found):
        for key in wanted.keys() - UNIQUE:
            yield from leaves(wanted[key], found[key], f"{where}.{key}")
    else:
        yield where, wanted, found


def distance(wanted, found):
    """Of numbers, of which one is no integer, their difference; of others 0 where they are equal."""
    if float in (type(wanted), type(found)) and {type(wanted), type(found)} <= {int, float}:
        return abs(wanted - found) / max(1, abs(wanted))
    return 0 if type(wanted) is type(found) and wanted == found else math.inf


def start(folder):
    reader = ROOT / "models" / "squad-3l"
    server = Server([*(make_tiny(Path(folder), name) for name in TINY), f"reader={reader}"], *OPTIONS, wait=False)
    server.ready.wait(PATIENCE)
    server.wait_ready()
    return server


def main():
    command, path = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        server = start(folder)
        if command == "record":
            asked = [[question, answer(server, *question)] for question in questions(server)]
            Path(path).write_text(json.dumps(asked), encoding="utf-8")
        else:
            asked = json.loads(Path(path).read_text(encoding="utf-8"))
        places = [place for question, wanted in asked
                  for place in leaves(wanted, answer(server, *question), " ".join(question[:2]) + " ")]  # fmt: skip
        server.stop()
    posts = [question for question, wanted in asked if question[0] == "POST" and wanted[0] == 200]
    faults = [f"{where}: {str(found)[:80]}, not {str(wanted)[:80]}" for where, wanted, found in places
              if not distance(wanted, found) <= TOLERANCE]  # fmt: skip
    print("\n".join([line for line in server.lines if "sandbox: " in line or "info  model" in line] + faults))
    print(f"answers: {command}: {len(asked)} questions, {len(posts)} of them to models; {len(places)} values, "
          f"{max(distance(*values) for _, *values in places):.1e} apart at most; {len(faults)} differ")  # fmt: skip
    return 1 if faults or len(posts) < 20 else 0


if __name__ == "__main__":
    sys.exit(main())
