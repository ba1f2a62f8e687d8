"""docs/METRICS.md against the live page, both ways, and the page against the rules of the text format."""
import math
import re
from pathlib import Path

import pytest
from program import ROOT, SANITIZED
from serving import ask, wait_for
from spoiled_model import spoil

PAGE = ROOT / "docs" / "METRICS.md"
NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"'
SAMPLE = re.compile(rf"({NAME})(?:\{{((?:{LABEL})(?:,{LABEL})*)?\}})? (\S+)$")


def parse(text):
    """{family: {"type", "samples": [(name, labels, value)]}}; fails on what the format does not allow."""
    families, current, seen = {}, None, set()
    assert text.endswith("\n")
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            name = line.split(" ", 3)[2]
            assert name not in families, "two HELP lines for " + name
            current = families[name] = {"type": None, "samples": []}
            current_name = name
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name == current_name and kind in ("counter", "gauge", "histogram")
            current["type"] = kind
        else:
            found = SAMPLE.match(line)
            assert found, "not a sample: " + line
            name, labels = found[1], re.findall(LABEL, found[2] or "")
            assert len({key for key, _ in labels}) == len(labels), "a label twice: " + line
            base = re.sub(r"_(bucket|sum|count)$", "", name) if current["type"] == "histogram" else name
            assert base == current_name, f"{name} among {current_name}"
            key = (name, tuple(sorted(labels)))
            assert key not in seen, "a series twice: " + line
            seen.add(key)
            current["samples"].append((name, dict(labels), float(found[found.lastindex])))
    return families


def live(server):
    answer = ask(server, "/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return parse(answer.body.decode())


def documented():
    rows = {}
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `querent_"):
            rows[cells[0].strip("`")] = (cells[1], set(re.findall(r"`(\w+)`", cells[2])), cells[3])
    return rows


def use(server):
    ask(server, "/embed", {"inputs": ["a query", "another"]})
    ask(server, "/span", {"question": "Who?", "context": "Ada met Bob."})
    ask(server, "/embed", {"inputs": ""})
    ask(server, "/nowhere")
    ask(server, "/health")


def test_page_and_document_agree(server):
    use(server)
    page, rows = live(server), documented()
    absent = {"querent_memory_limit_bytes"} if ask(server, "/info").json()["machine"]["memory_limit_bytes"] is None else set()
    assert set(page) == set(rows) - absent and absent <= set(rows)
    for name, (kind, labels, meaning) in rows.items():
        if name in absent:
            continue
        assert page[name]["type"] == kind, name
        assert meaning, name
        assert page[name]["samples"], name + " has no series"
        for _, found, _ in page[name]["samples"]:
            assert set(found) - {"le"} == labels, name


@pytest.mark.isa
@pytest.mark.skipif(SANITIZED, reason="the slow model has too few layers there for int8 to spoil it")
def test_a_model_that_int8_spoils_serves_on_a_fallback_plan(start_server, tiny, tmp_path):
    """Where int8 is the fastest; named, it is no fallback, and from a saved plan it still is one."""
    spoiled, kept = spoil(tiny("slow"), tmp_path / "spoiled"), tmp_path / "plans"
    kept.mkdir(mode=0o700)

    def plans(*options):
        server = start_server(*options, models=[tiny("slow"), spoiled])
        shown = {labels["model"]: value for _, labels, value in live(server)["querent_model_plan_fallback"]["samples"]}
        found = {model["name"]: (model["plan"]["precision"], model["plan"]["from_cache"], shown.pop(model["name"]))
                 for model in ask(server, "/info").json()["models"]}
        assert not shown
        server.stop()
        return found["slow"], found["spoiled"]

    (fast, _, no), (slower, from_cache, fell_back) = plans("--cache-dir", kept)
    assert (no, from_cache, fell_back) == (0, False, int(fast != slower))
    assert fast != "int8" or slower in ("bf16", "f32")
    if fast == "int8":
        assert plans("--cache-dir", kept)[1] == (slower, True, 1)
        assert plans("--precision", "int8")[1] == ("int8", False, 0)
    assert plans("--precision", "f32") == (("f32", False, 0), ("f32", False, 0))


def test_names_and_units(server):
    for name, family in live(server).items():
        assert name.startswith("querent_")
        assert name.endswith("_total") == (family["type"] == "counter"), name
        assert not re.search(r"_(ms|us|ns|milliseconds|kb|mb)(_|$)", name), name


def test_histograms_are_consistent(server):
    use(server)
    for name, family in live(server).items():
        if family["type"] != "histogram":
            continue
        groups = {}
        for sample, labels, value in family["samples"]:
            key = tuple(sorted((k, v) for k, v in labels.items() if k != "le"))
            groups.setdefault(key, {"buckets": []})
            if sample.endswith("_bucket"):
                groups[key]["buckets"].append((float(labels["le"]), value))
            else:
                groups[key][sample.rsplit("_", 1)[1]] = value
        for group in groups.values():
            edges = [edge for edge, _ in group["buckets"]]
            counts = [count for _, count in group["buckets"]]
            assert edges == sorted(set(edges)) and math.isinf(edges[-1])
            assert counts == sorted(counts)
            assert counts[-1] == group["count"]
            assert (group["sum"] == 0) == (group["count"] == 0)
            if name.endswith("_seconds"):
                assert edges[0] == 0.0001
                assert {0.005, 0.01, 0.02, 0.05} <= set(edges)


def test_counts_follow_requests(server):
    def count(page, **wanted):
        return sum(
            value
            for name, labels, value in page["querent_request_duration_seconds"]["samples"]
            if name.endswith("_count") and all(labels[k] == v for k, v in wanted.items())
        )

    before = live(server)
    for _ in range(3):
        ask(server, "/embed", {"inputs": "a query"})
    ask(server, "/embed", {"inputs": "a query", "dimensions": 0})
    ask(server, "/secret-path-of-a-client")
    after = live(server)
    assert count(after, route="/embed", model="embedder", code="200") - count(before, route="/embed", model="embedder", code="200") == 3
    assert count(after, route="/embed", code="422") - count(before, route="/embed", code="422") == 1
    assert count(after, route="other", model="", code="") - count(before, route="other", model="", code="") == 2, "with the first page"
    assert count(after, route="other", code="404") == 0, "what is in no table has one series"

    def only(page, name, **wanted):
        return sum(v for _, labels, v in page[name]["samples"] if wanted.items() <= labels.items())

    for name, wanted, least in [
        ("querent_rejections_total", {"reason": "no_route"}, 1),
        ("querent_rejections_total", {"reason": "bad_request"}, 1),
        ("querent_model_items_total", {"model": "embedder"}, 3),
        ("querent_model_tokens_total", {"model": "embedder"}, 12),
        ("querent_process_cpu_seconds_total", {}, 0),
    ]:
        assert only(after, name, **wanted) - only(before, name, **wanted) >= least, name
    page = ask(server, "/metrics").body.decode()
    assert "secret-path" not in page


def test_labels_come_from_tables(server):
    use(server)
    for method, path in [("PUT", "/embed"), ("GET", "/embed?x=1"), ("POST", "/metrics"), ("GET", "/%41")]:
        ask(server, path, method=method, body={} if method == "POST" else None)
    page = live(server)
    api = (ROOT / "docs" / "API.md").read_text()
    for _, labels, _ in page["querent_request_duration_seconds"]["samples"]:
        assert labels["route"] == "other" or f"`{labels['route']}`" in api
        assert labels["model"] in ("", "embedder", "reader", "other")
        assert re.fullmatch(r"\d{3}" if labels["route"] != "other" else r"|other", labels["code"])
    assert sum(len(f["samples"]) for f in page.values()) < 2000


def total(page, name, **wanted):
    return sum(value for _, labels, value in page[name]["samples"] if wanted.items() <= labels.items())


def test_probes_have_one_series(server):
    """However many there are and however they are answered."""
    paths = ("/health", "/v2/health/live", "/v2/health/ready", "/metrics", "/nowhere")
    def counts(page):
        samples = page["querent_request_duration_seconds"]["samples"]
        return {tuple(labels.values()): value for name, labels, value in samples if name.endswith("_count")}

    before = counts(live(server))
    for path in paths:
        ask(server, path)
    ask(server, "/health", {})
    after = counts(live(server))
    assert not {route for route, _, _ in after} & set(paths)
    assert {key for key in after if key[0] == "other"} <= {("other", "", ""), ("other", "other", "other")}
    assert after["other", "", ""] - before.get(("other", "", ""), 0) == len(paths) + 2


def test_budgets_are_counted_once(server):
    """met and late are counted; what is wrong with a request, or needs no model, is no outcome."""
    def outcomes(page):
        return [total(page, "querent_budget_requests_total", outcome=o) for o in ("met", "late", "refused", "gone")]

    before = live(server)
    for _ in range(3):
        assert ask(server, "/embed", {"inputs": "a query"}).status == 200
    assert ask(server, "/embed", {"inputs": "a"}, headers=[("X-Request-Budget-Ms", "0")]).status == 504
    assert ask(server, "/embed", {"inputs": ""}).status == 400
    assert ask(server, "/embed", {"inputs": "a"}, headers=[("X-Request-Budget-Ms", "soon")]).status == 400
    assert ask(server, "/info").status == 200
    assert [b - a for a, b in zip(outcomes(before), outcomes(live(server)))] == [3, 1, 0, 0]


def test_the_autoscalers_signal(start_server, embedder):
    """What is offered grows with each arrival that has to be computed; one that finds its result costs nothing. A lone worker has
    no help, so each of its batches is compared with what was expected."""
    def count(page, name):
        return sum(value for sample, _, value in page[name]["samples"] if sample.endswith("_count"))

    server = start_server("--cache-bytes", 1000000, "--threads", 1, models=[embedder])
    pages = [live(server)]
    for text in ("a query", "a query", "another"):
        assert ask(server, "/embed", {"inputs": text}).status == 200
        pages.append(live(server))
    offered = [total(page, "querent_offered_compute_seconds_total", model="embedder") for page in pages]
    assert offered[0] == 0 and offered[1] > 0 and offered[2] == offered[1] < offered[3]
    assert [total(page, "querent_workers") for page in pages] == [1] * 4
    busy = [total(page, "querent_worker_busy_seconds_total") for page in pages]
    assert 0 < busy[0] and busy == sorted(busy)
    wait_for(lambda: total(live(server), "querent_worker_busy_seconds_total") > busy[0], "the work to be counted, behind the answer")
    for name in ("querent_slack_seconds", "querent_predicted_ratio"):
        counts = [count(page, name) for page in pages]
        assert [b - a for a, b in zip(counts, counts[1:])] == [1, 0, 1], name


def test_model_info(server):
    samples = live(server)["querent_model_info"]["samples"]
    assert {(labels["model"], labels["kind"]) for _, labels, _ in samples} == {("embedder", "embedding"), ("reader", "span")}
    assert all(value == 1 and labels["precision"] in ("f32", "bf16", "int8") and labels["isa"] for _, labels, value in samples)
