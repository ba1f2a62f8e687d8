"""deploy/prometheus by Debian's Prometheus (unpacked): the files are valid, each alert fires and keeps silent on made-up
series, its metrics are on a live page, and a real Prometheus that scrapes two replicas makes something of every rule.

How fast the machine is decides nothing: requests with a budget of nothing are late on every machine, and what is waited
for has only the limit of a hang. The live part shrinks the rules' windows to seconds.
"""
import re
import subprocess
import threading

import pytest
import yaml
from live_prometheus import Prometheus, programs
from program import ROOT, free_port
from serving import HANG, Server, ask, wait_for

FOLDER = ROOT / "deploy" / "prometheus"
RUNBOOK = ROOT / "docs" / "RUNBOOK.md"
UNIT_TESTS = sorted((FOLDER / "tests").glob("*_test.yml"))
SHORT = {"1m": "3s", "5m": "3s", "15m": "4s", "30m": "4s", "1h": "5s", "6h": "6s", "3d": "7s"}
LATE = [("X-Request-Budget-Ms", "0")]


def rules(name):
    groups = yaml.safe_load((FOLDER / "rules" / name).read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


ALERTS = {rule["alert"]: rule for rule in rules("alerts.yml")}
RECORDED = [rule["record"] for rule in rules("recording.yml")]


def promtool(*arguments):
    done = subprocess.run([programs() / "promtool", *arguments], capture_output=True, text=True, timeout=10 * HANG)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# ---- The files -------------------------------------------------------------------------------------


def test_files_are_valid():
    promtool("check", "config", FOLDER / "prometheus.yml")
    promtool("check", "rules", *(FOLDER / "rules").glob("*.yml"))


def test_alerts_fire_and_are_silent():
    promtool("test", "rules", *UNIT_TESTS)


def test_every_alert_has_both_cases():
    fires, silent = set(), set()
    for path in UNIT_TESTS:
        for case in yaml.safe_load(path.read_text())["tests"]:
            for check in case["promql_expr_test"]:
                name = re.search(r'alertname="(\w+)"', check["expr"])[1]
                (fires if check["exp_samples"] else silent).add(name)
    assert fires == silent == set(ALERTS)


def test_every_alert_is_explained():
    """A section of the runbook for each and none besides; each with its three parts."""
    sections = dict(re.findall(r"^## (Querent\w+)\n(.*?)(?=^## |\Z)", RUNBOOK.read_text(), re.M | re.S))
    assert set(sections) == set(ALERTS)
    for name, text in sections.items():
        assert [f"**{part}**" for part in ("Means.", "Look at.", "Do.")] == re.findall(r"\*\*[A-Z][\w ]+\.\*\*", text), name
    for name, rule in ALERTS.items():
        assert rule["annotations"]["summary"] and rule["labels"]["severity"] in ("page", "ticket"), name
        assert rule["annotations"]["runbook"] == f"docs/RUNBOOK.md#{name.lower()}"


def test_windows_differ_in_nothing_else():
    """One objective's rules are the same expression; made-up series alone would not tell, as alerts need two windows at once."""
    found = {}
    for rule in rules("recording.yml"):
        if re.search(r"missed|failed", rule["record"]):
            window = rule["record"].rsplit("ratio_rate", 1)[1]
            assert set(re.findall(r"\[(\w+)\]", rule["expr"])) == {window}, rule
            found.setdefault(rule["record"].removesuffix(window), []).append(rule["expr"].replace(f"[{window}]", "[]"))
    assert [len(same) for same in found.values()] == [5, 5]
    assert all(len(set(same)) == 1 for same in found.values()), found


# ---- Live ------------------------------------------------------------------------------------------


def shortened(text):
    """The rules with windows of seconds, which hold the same requests in less time."""
    text = re.sub(r"\[(\w+)\]", lambda found: f"[{SHORT[found[1]]}]", text)
    return re.sub(r"^(\s+for:) [1-9]\w*$", r"\1 1s", text, flags=re.M)


def shipped(folder, servers):
    """The shipped scrape file, and its rules in `folder`; only addresses and times are others."""
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "200ms", "scrape_timeout": "200ms", "evaluation_interval": "200ms"}
    config["scrape_configs"] = [job for job in config["scrape_configs"] if job["job_name"] == "querent"]
    config["scrape_configs"][0]["static_configs"] = [{"targets": [f"127.0.0.1:{s.ops_port}" for s in servers]}]
    (folder / "rules").mkdir()
    for path in (FOLDER / "rules").glob("*.yml"):
        (folder / "rules" / path.name).write_text(shortened(path.read_text()))
    return config


class Load:
    """Requests of all kinds, one after the other, until stopped; every second one with no budget while `overload` is set."""

    def __init__(self, servers):
        self.servers, self.overload, self.stopped, self.fault = servers, threading.Event(), threading.Event(), None
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        turn = 0
        try:
            while not self.stopped.wait(0.02):
                for server in self.servers:
                    self.ask_all(server, turn)
                turn += 1
        except Exception as fault:  # told by stop(): it is another thread's
            self.fault = fault

    def ask_all(self, server, turn):
        assert ask(server, "/embed", {"inputs": ["a query", f"query {turn}"]}).status == 200
        assert ask(server, "/span", {"question": "Who?", "context": f"Ada met Bob {turn}."}).status == 200
        assert ask(server, "/embed", {"inputs": ""}).status == 400
        if self.overload.is_set():
            assert ask(server, "/embed", {"inputs": "late"}, headers=LATE).status == 504

    def stop(self):
        self.stopped.set()
        self.thread.join(HANG)
        assert self.fault is None, self.fault


@pytest.fixture(scope="module")
def replicas(embedder, reader):
    options = ("--threads", 1, "--ops-port", None, "--cache-bytes", 1000000, "--budget-ms", 600000)
    servers = [Server([embedder, reader], *[free_port() if o is None else o for o in options]) for _ in range(2)]
    yield servers
    for server in servers:
        server.stop()


@pytest.fixture(scope="module")
def load(replicas):
    running = Load(replicas)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory, replicas, load):
    folder = tmp_path_factory.mktemp("prometheus")
    running = Prometheus(folder, shipped(folder, replicas))
    yield running
    running.stop()


def not_here(servers):
    """The metrics that a machine without a memory limit does not show; tests/server/test_machine.py makes one."""
    found = [ask(one, "/info").json()["machine"]["memory_limit_bytes"] for one in servers]
    return {"querent_memory_limit_bytes"} if None in found else set()


def test_metrics_of_the_rules_exist(replicas, load):
    """By name, and the labels by which they are chosen. Recorded series have a colon in theirs; they are made by the rules."""
    def page():
        return ask(replicas[0], "/metrics", port=replicas[0].ops_port).body.decode()

    wait_for(lambda: 'code="400"' in page(), "the load's first round")
    names = set(re.findall(r"^(querent_\w+)", page(), re.M)) | not_here(replicas)
    for rule in rules("alerts.yml") + rules("recording.yml"):
        used = re.findall(r"(?<![\w:])([a-z]+:querent_\w+:\w+|[a-z_]+:querent_\w+:\w+|querent_\w+)(?:\{([^}]*)\})?", rule["expr"])
        assert used or "up{" in rule["expr"], rule
        for name, chosen in used:
            if ":" in name:
                assert name in RECORDED, name
                continue
            assert name in names, name
            for label in re.findall(r"(\w+)(?:=~|!=|=)\"", chosen):
                assert re.search(rf'^{name}\{{[^}}]*\b{label}="', page(), re.M), f"{name} has no label {label}"


def test_every_recording_rule_yields_a_value(prometheus, replicas):
    for name in RECORDED:
        wait_for(lambda: any(value == value for _, value in prometheus.query(name)), f"a number from {name}")
    # A rate needs two scrapes, so a replica that has been scraped once is not there yet.
    busy = "instance:querent_worker_busy:ratio_rate5m"
    wanted = {f"127.0.0.1:{server.ops_port}" for server in replicas}
    wait_for(lambda: {labels["instance"] for labels, _ in prometheus.query(busy)} == wanted, "a value for both replicas")


def test_overload_burns_the_budget(prometheus, load):
    """Pending, firing, and over when the cause is. That it was pending is looked up behind it, so that nothing is missed."""
    series = 'ALERTS{alertname="QuerentBudgetBurnsFast",alertstate="%s"}'
    wait_for(lambda: prometheus.query("job:querent_budget_missed:ratio_rate5m == 0"), "a service that keeps its budgets")
    assert not prometheus.query(f"max_over_time({series % 'firing'}[1h])")
    load.overload.set()
    wait_for(lambda: prometheus.query(series % "firing"), "the alert")
    load.overload.clear()
    assert prometheus.query(f"max_over_time({series % 'pending'}[1h])")
    wait_for(lambda: prometheus.query("job:querent_budget_missed:ratio_rate5m == 0") and not prometheus.query(series % "firing"),
             "its end, with the ratio still there")
    assert not prometheus.query("max_over_time(job:querent_failed:ratio_rate5m[1h]) > 0"), "late answers are no failures"
