"""deploy/grafana without a Grafana, which Debian does not have: the board's build, and each of its expressions on a real
Prometheus (test_prometheus.py's) with the variables filled in."""
import itertools
import json
import re

import yaml
from program import ROOT
from serving import wait_for
from test_prometheus import RECORDED, load, not_here, prometheus, replicas, rules  # noqa: F401 (fixtures)

FOLDER = ROOT / "deploy" / "grafana"
BOARD = json.loads((FOLDER / "dashboards" / "querent.json").read_text())
PANELS = BOARD["panels"]
VARIABLES = {variable["name"]: variable for variable in BOARD["templating"]["list"]}
RULES = rules("alerts.yml") + rules("recording.yml")
TARGETS = [(panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"]]


def filled(expression, replica=".*", model=".*"):
    for name, value in {"replica": replica, "model": model, "__rate_interval": "5s"}.items():
        expression = expression.replace(f"${name}", value)
    assert "$" not in expression, expression
    return expression


def test_every_panel_says_what_it_shows():
    assert len({panel["id"] for panel in PANELS}) == len({panel["title"] for panel in PANELS}) == len(PANELS)
    for panel in PANELS:
        assert panel["fieldConfig"]["defaults"]["unit"] and len(panel["description"]) > 10, panel["title"]
        assert panel["targets"] and len({t["refId"] for t in panel["targets"]}) == len(panel["targets"]), panel["title"]


# What no panel and no rule reads, and why.
UNWATCHED = {
    "querent_deadline_misses_total": "the outcome `late` of querent_budget_requests_total says it",
}


def test_every_metric_is_watched():
    """By the board or a rule, so that one that is added is thought of here too; the contract's table has them all."""
    table = (ROOT / "docs" / "METRICS.md").read_text().split("## The metrics")[1].split("## Labels")[0]
    contract = set(re.findall(r"^\| `(querent_\w+)` \|", table, re.M))
    read = "\n".join([expression for _, expression in TARGETS] + [rule["expr"] for rule in RULES])
    names = {re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(r"(?<![\w:])querent_\w+", read)}
    assert len(contract) > 40 and names <= contract, names - contract
    assert contract - names == set(UNWATCHED)


def test_no_panel_covers_another():
    for panel in PANELS:
        place = panel["gridPos"]
        assert place["w"] > 0 and place["h"] > 0 and place["x"] >= 0 and place["x"] + place["w"] <= 24, panel["title"]
    for a, b in itertools.combinations([panel["gridPos"] | {"title": panel["title"]} for panel in PANELS], 2):
        apart = (a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"] or a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"])
        assert apart, (a, b)


def test_variables_choose():
    """The data source is one, and the filters reach every series that is not recorded of all replicas."""
    assert list(VARIABLES) == ["datasource", "replica", "model"] and VARIABLES["datasource"]["type"] == "datasource"
    for panel in PANELS:
        for part in [panel, *panel["targets"]]:
            assert part["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, panel["title"]
    for title, expression in TARGETS:
        for name, chosen in re.findall(r"(?<![\w:])([\w:]*querent_[\w:]+)(\{[^}]*\})?", expression):
            assert name in RECORDED or 'instance=~"$replica"' in chosen, f"{title}: {name}"
    assert any("$model" in expression for _, expression in TARGETS)


def test_provisioning_finds_the_board():
    source, = yaml.safe_load((FOLDER / "provisioning/datasources/prometheus.yml").read_text())["datasources"]
    interval = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())["global"]["scrape_interval"]
    assert source["type"] == "prometheus" and source["jsonData"]["timeInterval"] == interval
    provider, = yaml.safe_load((FOLDER / "provisioning/dashboards/querent.yml").read_text())["providers"]
    assert provider["type"] == "file" and provider["options"]["path"] == "/var/lib/grafana/dashboards"


def test_every_expression_returns_data(prometheus, load, replicas):  # noqa: F811
    """With all replicas and models, and with each alone. Late requests come too, so that there are 504s."""
    load.overload.set()
    offered = {}
    for name in ("replica", "model"):
        metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", VARIABLES[name]["query"]["query"]).groups()
        found = set()  # of all queries so far: one scrape that failed takes nothing away
        wait_for(lambda: found.update(labels[label] for labels, _ in prometheus.query(metric)) or len(found) == 2, name + "s, two")
        offered[name] = sorted(found)
    choices = [(".*", ".*"), *itertools.product(offered["replica"], offered["model"])]
    absent = not_here(replicas)
    assert sum(any(name in expression for name in absent) for _, expression in TARGETS) == len(absent)
    for title, expression in TARGETS:
        if any(name in expression for name in absent):
            continue
        for choice in choices:
            asked = filled(expression, *choice)
            wait_for(lambda: any(value == value for _, value in prometheus.query(asked)), f"data of {title}: {asked}")
    assert not prometheus.query(filled(TARGETS[0][1], replica="nobody"))
