"""Every expression of rules, board and scaling by a parser of PromQL: each series that it selects is on a live page or is
recorded, and has the labels by which it is chosen. The quick tests look for names by patterns, so that they need no parser."""
import re

import pytest
from manifests import KUBERNETES, documents
from serving import ask, wait_for
from test_grafana import TARGETS, filled
from test_prometheus import RECORDED, load, not_here, replicas, rules  # noqa: F401 (fixtures)

OF_SCRAPES = {"instance", "job", "namespace", "pod"}  # labels that a scrape adds
OF_OTHERS = {"up", "ALERTS"}

pytestmark = pytest.mark.deploy


def expressions():
    """(where, expression) of everything that asks Prometheus."""
    found = [(rule.get("alert") or rule["record"], rule["expr"]) for name in ("alerts.yml", "recording.yml") for rule in rules(name)]
    found += [(title, filled(expression)) for title, expression in TARGETS]
    for scaled in documents(KUBERNETES / "overlays/keda/scaledobject.yaml"):
        found += [("keda", trigger["metadata"]["query"]) for trigger in scaled["spec"]["triggers"]]
    return found


def selectors(expression):
    """(name, labels) of every series that is selected."""
    parser = pytest.importorskip("promql_parser", reason="promql-parser is missing: tools/setup deploy")
    found = []

    def visit(node):
        if isinstance(node, parser.VectorSelector):
            found.append((node.name, {matcher.name for matcher in node.matchers.matchers}))
    parser.walk(parser.parse(expression), visit)
    return found


def test_every_selector_finds_its_series(replicas, load):  # noqa: F811
    def page():
        return ask(replicas[0], "/metrics", port=replicas[0].ops_port).body.decode()

    load.overload.set()
    wait_for(lambda: 'code="504"' in page() and 'code="400"' in page(), "answers of each kind")
    labels = {}
    for name, chosen in re.findall(r"^(\w+)(?:\{(.*)\})? ", page(), re.M):
        labels.setdefault(name, set(OF_SCRAPES)).update(re.findall(r'(\w+)="', chosen))
    labels |= dict.fromkeys(not_here(replicas), OF_SCRAPES)
    asked = expressions()
    assert len(asked) > 60 and {"keda", "QuerentNotReady"} <= {where for where, _ in asked}, asked
    for where, expression in asked:
        found = selectors(expression)
        assert found, f"{where}: {expression}"
        for name, chosen in found:
            known = name in RECORDED or name in OF_OTHERS or name in labels and chosen <= labels[name]
            assert known, f"{where}: {name} {chosen}"
