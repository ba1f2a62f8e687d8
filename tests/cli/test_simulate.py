"""`querent simulate`: what it takes and prints. What the simulation does with a load is tested with costs of our own, in tests/unit;
here they are this machine's, so nothing is asserted of them."""

import json
import xml.etree.ElementTree as ElementTree

import pytest
from cli_tool import json_lines, querent

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def queries(tmp_path):
    path = tmp_path / "queries.txt"
    path.write_text("how tall is everest\n\nwho wrote it and when and why\n")
    return path


def simulate(model, queries, *arguments):
    return querent("simulate", "--model", model, "--queries", queries, "--workers", "2", *arguments)


def circles(path):
    """The picture's dots by their class, of a well-formed picture."""
    root = ElementTree.parse(path).getroot()
    assert root.tag == SVG + "svg" and root.get("viewBox")
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {"svg", "title", "style", "rect", "path", "text", "circle"}
    found = {}
    for dot in root.iter(SVG + "circle"):
        found[dot.get("class")] = found.get(dot.get("class"), 0) + 1
    return found


def texts(path):
    return [element.text for element in ElementTree.parse(path).getroot().iter(SVG + "text")]


def test_json(embedder, queries):
    (found,) = json_lines(
        simulate(embedder, queries, "--rate", "50", "--seconds", "2", "--arrival", "uniform", "--budget-ms", "600000", "--json")
    )
    assert (found["workers"], found["budget_ms"], found["rate"], found["seconds"]) == (2, 600000, 50, 2)
    assert (found["loop"], found["arrival"], found["model"]) == ("open", "uniform", "embedder")
    assert found["offered"] == found["ok"] == found["latency_ms"]["count"] == 100
    assert found["refused"] == found["late"] == found["miss_share"] == 0
    assert found["p50_ms"] == found["latency_ms"]["p50"] and found["p99_ms"] == found["latency_ms"]["p99"]
    assert 0 < found["p50_ms"] <= found["latency_ms"]["p90"] <= found["p99_ms"] <= found["latency_ms"]["p99.9"]
    assert 0 < found["goodput"] <= 50
    assert found["costs"].keys() == {"alone", "team", "team_workers"}
    assert found["costs"]["alone"].keys() == {"fixed_us", "token_us", "square_us"}
    assert 1 <= found["costs"]["team_workers"] <= 2


def test_what_is_around_the_batches_is_an_option(embedder, queries):
    (found,) = json_lines(simulate(embedder, queries, "--rate", "20", "--seconds", "1", "--overhead-us", "70000", "--answer-us", "9000", "--json"))
    assert found["ok"] == found["offered"] and found["p50_ms"] > 79
    assert (found["overhead_us"], found["answer_us"]) == ([70000], 9000)


def test_single_requests_may_be_held_up(embedder, queries):
    """Half of them for 1 ms, a tenth for 300 ms and more, the worst for 600."""
    load = ["--rate", "200", "--seconds", "10", "--overhead-us", "1000,300000,500000,600000", "--answer-us", "0", "--json"]
    (found,) = json_lines(simulate(embedder, queries, *load))
    assert found["overhead_us"] == [1000, 300000, 500000, 600000] and found["ok"] == found["offered"]
    latency = found["latency_ms"]
    assert latency["p90"] > 250 and latency["p99"] > 400 and latency["max"] >= 500
    assert json_lines(simulate(embedder, queries, *load))[0]["offered"] == found["offered"]


def test_who_is_late_is_a_miss(embedder, queries):
    """The way to the scheduler alone takes longer than the budget."""
    (found,) = json_lines(simulate(embedder, queries, "--rate", "100", "--seconds", "1", "--budget-ms", "1", "--overhead-us", "2000", "--json"))
    assert found["offered"] == found["late"] > 50
    assert found["ok"] == found["goodput"] == found["p50_ms"] == 0 and found["miss_share"] == 1


def test_more_workers_than_cores(embedder, queries):
    (found,) = json_lines(simulate(embedder, queries, "--rate", "20", "--seconds", "1", "--workers", "200", "--json"))
    assert found["workers"] == 200 and found["costs"]["team_workers"] < 200 and found["ok"] == found["offered"]


def test_text(embedder, queries):
    done = simulate(embedder, queries, "--rate", "50", "--seconds", "2", "--arrival", "uniform")
    assert done.returncode == 0, done.stderr.decode()
    text = done.stdout.decode()
    for part in ("embedder, ", "2 workers, budget 1000 ms", "on one worker", "requests 100: ok 100, refused 0, late 0; missed 0.00 %",
                 "good answers a second", "p99.9"):  # fmt: skip
        assert part in text


def test_a_sweep_has_a_row_a_rate(embedder, queries):
    arguments = ["--sweep", "20,50,100.5", "--seconds", "0.5", "--warmup", "0"]
    done = simulate(embedder, queries, *arguments)
    assert done.returncode == 0, done.stderr.decode()
    rows = [line.split() for line in done.stdout.decode().splitlines()][2:]
    assert rows[0][:2] == ["offered/s", "goodput/s"] and [float(row[0]) for row in rows[1:]] == [20, 50, 100.5]
    found = json_lines(simulate(embedder, queries, *arguments, "--json"))
    assert [one["rate"] for one in found] == [20, 50, 100.5]
    assert all(one["ok"] == one["offered"] > 0 for one in found)


def test_the_picture(embedder, queries, tmp_path):
    picture = tmp_path / "sweep.svg"
    picture.write_text("what was there before")
    done = simulate(embedder, queries, "--sweep", "20,50,100", "--seconds", "0.5", "--budget-ms", "700", "--svg", picture)
    assert done.returncode == 0, done.stderr.decode()
    assert circles(picture) == {"dot p50 run0": 3, "dot p99 run0": 3, "dot good run0": 3}
    shown = texts(picture)
    assert shown[0].startswith("embedder, ") and shown[0].endswith("2 workers, budget 700 ms")
    for part in ("latency, ms", "p50", "p99", "goodput, good answers a second", "offered load, requests a second", "100"):
        assert part in shown
    assert sorted(path.name for path in tmp_path.iterdir()) == ["queries.txt", "sweep.svg"]


def measured(rate, **changes):
    latency = {"p50": 1.5, "p90": 2, "p99": 3, "p99.9": 4, "max": 4, "mean": 2, "count": 90}
    return {"rate": rate, "requests": 100, "achieved_rps": 0.9 * rate, "latency_ms": latency} | changes


def test_a_measured_sweep_stands_beside_it(embedder, queries, tmp_path):
    picture, file = tmp_path / "both.svg", tmp_path / "measured.jsonl"
    file.write_text("".join(json.dumps(measured(rate)) + "\n" for rate in (20, 70)))
    done = simulate(embedder, queries, "--sweep", "20,50,100", "--seconds", "0.5", "--svg", picture, "--beside", file)
    assert done.returncode == 0, done.stderr.decode()
    assert circles(picture) == {f"dot {name} run{run}": count for run, count in ((0, 3), (1, 2)) for name in ("p50", "p99", "good")}
    assert "p99, measured" in texts(picture)


@pytest.mark.parametrize(
    "line", ["{}", "[]", "nonsense", json.dumps(measured(0)), json.dumps(measured(5, requests=0)), json.dumps(measured(5, latency_ms=7))]
)
def test_what_is_no_measured_sweep_is_named(embedder, queries, tmp_path, line):
    file = tmp_path / "measured.jsonl"
    file.write_text(json.dumps(measured(20)) + "\n" + line + "\n")
    done = simulate(embedder, queries, "--sweep", "20", "--svg", tmp_path / "x.svg", "--beside", file)
    assert done.returncode == 1 and done.stdout == b""
    assert "measured.jsonl, line 2" in done.stderr.decode()


@pytest.mark.parametrize("path", ["/nonexistent/sweep.svg", "/dev/full", "/dev"])
def test_a_picture_that_cannot_be_written_is_a_fault(embedder, queries, path):
    done = simulate(embedder, queries, "--sweep", "20", "--seconds", "0.5", "--svg", path)
    assert done.returncode == 1 and f"cannot write {path}" in done.stderr.decode()


@pytest.mark.parametrize(
    "arguments,named",
    [
        ([], "either --rate or --sweep"),
        (["--rate", "1", "--sweep", "1,2"], "either --rate or --sweep"),
        (["--rate", "-1"], "--rate -1"),
        (["--rate", "1", "--overhead-us", ",5"], ",5: : must be a whole number in 0..1000000"),
        (["--rate", "1", "--overhead-us", "5,"], "must be a whole number in 0..1000000"),
        (["--rate", "1", "--overhead-us", "5,x"], "5,x: x: must be a whole number"),
        (["--rate", "1", "--overhead-us", "5,1000001"], "must be a whole number in 0..1000000"),
        (["--rate", "1", "--overhead-us", "5,4"], "figures must not fall"),
        (["--rate", "1", "--overhead-us", "1,2,3,4,5"], "more than 4 figures"),
        (["--sweep", "1,,2"], "--sweep 1,,2"),
        (["--sweep", "1,"], "--sweep 1,"),
        (["--sweep", "0,1"], "must be a rate above 0"),
        (["--sweep", "nan"], "nan: must be a rate"),
        (["--sweep", "1e300"], "at most 1000000"),
        (["--sweep", "5x"], "5x: must be a rate"),
        (["--sweep", "5,5"], "rates must rise"),
        (["--sweep", ",".join(map(str, range(1, 66)))], "more than 64 rates"),
        (["--rate", "1", "--svg", "x.svg"], "need --sweep"),
        (["--sweep", "1", "--beside", "x"], "--beside needs --svg"),
        (["--rate", "1", "--seconds", "0"], "--seconds"),
        (["--rate", "1", "--arrival", "often"], "--arrival often"),
        (["--rate", "1", "--workers", "0"], "--workers 0"),
        (["--rate", "1", "--workers", "257"], "--workers 257"),
        (["--rate", "1", "--budget-ms", "0"], "--budget-ms 0"),
    ],
)
def test_a_bad_command_line_is_named(embedder, queries, arguments, named):
    done = simulate(embedder, queries, *arguments)
    assert done.returncode == 2 and done.stdout == b""
    assert named in done.stderr.decode() and "querent simulate --help" in done.stderr.decode()


def test_missing_things_are_named(embedder, queries, tmp_path):
    for missing in ("model", "queries", "workers"):
        given = {"model": embedder, "queries": queries, "workers": 1}
        del given[missing]
        done = querent("simulate", "--rate", "1", *(word for name, value in given.items() for word in (f"--{name}", value)))
        assert done.returncode == 2 and f"--{missing}" in done.stderr.decode()
    done = simulate(embedder, tmp_path / "nothing.txt", "--rate", "1")
    assert done.returncode == 1 and "nothing.txt" in done.stderr.decode()
    done = simulate(tmp_path, queries, "--rate", "1")
    assert done.returncode == 1 and str(tmp_path) in done.stderr.decode()
    done = simulate(embedder, queries, "--rate", "1000000", "--seconds", "3600")
    assert done.returncode == 1 and "simulate fewer seconds" in done.stderr.decode()
