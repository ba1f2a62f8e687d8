"""`querent bench engine`: the shape of what it prints, and its faults. How fast it is stands in docs/SPEED.md."""

import json
import subprocess

import pytest
from cli_tool import json_lines, querent
from program import BINARY, HANG


@pytest.fixture
def queries(tmp_path):
    path = tmp_path / "queries.txt"
    path.write_text("".join(f"how tall is mountain number {n}\n" for n in range(40)))
    return path


def bench(model, queries, *arguments):
    return querent("bench", "engine", "--model", model, "--queries", queries, "--seconds", "0.05", *arguments)


def test_json(reader, queries):
    (found,) = json_lines(bench(reader, queries, "--lengths", "9,32,512", "--threads", "2", "--json"))
    assert list(found["latency_ms"]) == ["9", "32", "512"]
    for one in found["latency_ms"].values():
        assert 0 < one["min"] <= one["p50"] <= one["p99"]
        assert one["floor"] > 0
        assert one["share"] * one["p50"] == pytest.approx(one["floor"], abs=0.001 * one["p50"] + 0.0001)  # both are rounded
        assert one["calls"] >= 20
    # the least of many, and fifty times the work: no machine is so busy that this turns round
    assert found["latency_ms"]["9"]["min"] < found["latency_ms"]["512"]["min"]
    assert found["throughput_qps"] > 0 and found["throughput"]["queries"] >= 40
    # specials are counted, nothing is cut: [CLS] how tall is mountain number N [SEP]
    assert found["throughput"]["tokens"] >= 8 * found["throughput"]["queries"]
    assert found["peaks"]["f32_gflops"] > 0 and found["peaks"]["read_gb_s"] > 0
    assert (found["precision"], found["threads"]) == ("f32", 2)
    assert found["isa"] in found["rates"]  # the row of the plan's own instruction set


def test_a_length_may_exceed_max_seq_length(embedder, queries):
    (found,) = json_lines(bench(embedder, queries, "--lengths=512", "--threads=2", "--json"))
    assert found["latency_ms"]["512"]["p50"] > 0


def test_text(reader, queries):
    done = bench(reader, queries, "--threads", "1")
    assert done.returncode == 0
    text = done.stdout.decode()
    for part in ("f32 on ", "1 thread\n", "\nrates of ", "peaks: ", "floor ms", "queries a second"):
        assert part in text
    assert [line.split()[0] for line in text.splitlines() if line.endswith("%")] == ["9", "32", "128"]


@pytest.mark.parametrize("lengths", ["0", "513", "9,,32", "9,", "nine", "-9", ",".join("9" * 33)])
def test_bad_lengths(reader, queries, lengths):
    done = bench(reader, queries, f"--lengths={lengths}")
    assert done.returncode == 2 and done.stdout == b""
    assert "--lengths" in done.stderr.decode()


def test_missing_things_are_named(reader, queries, tmp_path):
    done = querent("bench", "engine", "--model", reader)
    assert done.returncode == 2 and "--queries" in done.stderr.decode()
    done = bench(reader, tmp_path / "nothing.txt")
    assert done.returncode == 1 and "nothing.txt" in done.stderr.decode()
    (tmp_path / "blank.txt").write_text("\n \n")
    done = bench(reader, tmp_path / "blank.txt")
    assert done.returncode == 1 and "blank.txt" in done.stderr.decode()
    done = bench(tmp_path, queries)
    assert done.returncode == 1 and str(tmp_path) in done.stderr.decode()


def test_interactive(reader, queries):
    command = [BINARY, "bench", "engine", "--model", reader, "--queries", queries, "--threads", "2", "--interactive"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        ask = lambda line: (process.stdin.write(line + "\n"), process.stdin.flush())  # noqa: E731
        assert json.loads(process.stdout.readline()) == {"ready": "querent"}
        ask("latency 9 0.05")
        short = json.loads(process.stdout.readline())
        ask("latency 512 0.05")
        long = json.loads(process.stdout.readline())
        assert 0 < short["min_ms"] <= short["p50_ms"]
        assert short["min_ms"] < long["min_ms"] <= long["p50_ms"]
        ask("throughput 0.05")
        assert json.loads(process.stdout.readline())["qps"] > 0
        process.stdin.close()
        assert process.wait(HANG) == 0


@pytest.mark.parametrize("line", ["latency 513 1", "latency x 1", "dance"])
def test_interactive_faults_end_it(reader, queries, line):
    done = bench(reader, queries, "--interactive", "--threads", "1")
    assert done.returncode == 0  # stdin ended at once
    done = querent("bench", "engine", "--model", reader, "--queries", queries, "--interactive", stdin=line.encode() + b"\n")
    assert done.returncode == 1 and done.stderr != b""
