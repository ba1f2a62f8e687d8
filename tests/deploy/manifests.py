"""Manifests as kubectl would see them: the files of a kustomization, with its JSON patches applied.

The kustomizations of deploy/kubernetes are limited to `resources` and JSON patches, so that these few
lines are all of kustomize that is needed; anything else in one is refused here.
"""
import copy

import yaml
from options_table import parse_help, read_help
from program import ROOT

KUBERNETES = ROOT / "deploy" / "kubernetes"
KSERVE = ROOT / "deploy" / "kserve"
BASE = KUBERNETES / "base"
OVERLAYS = sorted(path.parent for path in KUBERNETES.glob("overlays/*/kustomization.yaml"))


def documents(path):
    return [one for one in yaml.safe_load_all(path.read_text(encoding="utf-8")) if one is not None]


def kustomization(folder):
    (found,) = documents(folder / "kustomization.yaml")
    assert found.keys() <= {"apiVersion", "kind", "resources", "patches"}, f"{folder}: {sorted(found)}"
    return found


def render(folder):
    """All resources of a kustomization."""
    rules = kustomization(folder)
    made = []
    for name in rules["resources"]:
        path = (folder / name).resolve()
        made += render(path) if path.is_dir() else documents(path)
    for patch in rules.get("patches", ()):
        assert patch.keys() == {"path", "target"}, f"{folder}: a patch has a path and a target alone"
        targets = [one for one in made if one["kind"] == patch["target"]["kind"]
                   and one["metadata"]["name"] == patch["target"]["name"]]
        assert targets, f"{folder}: nothing is {patch['target']}"
        for target in targets:
            (operations,) = documents(folder / patch["path"])
            apply_patch(target, operations)
    return made


def apply_patch(target, operations):
    """RFC 6902's add, replace, remove and test, in place. What is replaced or removed has to be there, and what
    is added has not (but at the end of a list): a patch that no longer fits its base is a fault."""
    for operation in operations:
        *way, last = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
        place = target
        for part in way:
            place = place[int(part)] if isinstance(place, list) else place[part]
        key = last if isinstance(place, dict) or last == "-" else int(last)
        there = key in place if isinstance(place, dict) else key != "-" and key < len(place)
        action, value = operation["op"], copy.deepcopy(operation.get("value"))
        assert action in ("add", "replace", "remove", "test"), f"no patch is {action} here"
        assert there == (action != "add") or isinstance(place, list), f"{operation['path']} does not fit its base"
        if action == "add" and isinstance(place, list):
            place.insert(len(place) if key == "-" else key, value)
        elif action == "remove":
            del place[key]
        elif action == "test":
            assert place[key] == value, f"{operation['path']} is {place[key]}"
        else:
            place[key] = value


def of_kind(resources, kind):
    return [one for one in resources if one["kind"] == kind]


def only(resources, kind):
    (found,) = of_kind(resources, kind)
    return found


def pod_of(resources):
    return only(resources, "Deployment")["spec"]["template"]


def container_of(resources):
    (container,) = pod_of(resources)["spec"]["containers"]
    return container


def environment(resources):
    """The variables of the Deployment's container: those of its ConfigMap, then its own."""
    found = {}
    container = container_of(resources)
    for source in container.get("envFrom", ()):
        (config,) = [one for one in of_kind(resources, "ConfigMap")
                     if one["metadata"]["name"] == source["configMapRef"]["name"]]
        found |= config["data"]
    return found | {one["name"]: one["value"] for one in container.get("env", ())}


def option_variables():
    """QUERENT_PORT and its kin, from `querent serve --help`."""
    return {"QUERENT_" + name.upper().replace("-", "_") for name, *_ in parse_help(read_help())}


def check_variables(variables):
    """All are options', and their values are strings (Kubernetes refuses a number, Compose guesses)."""
    assert variables.keys() <= option_variables(), sorted(variables.keys() - option_variables())
    assert all(isinstance(value, str) for value in variables.values()), variables
    assert variables["QUERENT_HOST"] == "0.0.0.0" and variables["QUERENT_ALLOW_REMOTE"] == "true"


def drain_seconds(variables):
    """From SIGTERM to the exit at the latest."""
    assert int(variables["QUERENT_DRAIN_DELAY_MS"]) == 5000
    return (int(variables["QUERENT_DRAIN_DELAY_MS"]) + int(variables["QUERENT_DRAIN_TIMEOUT_MS"])) / 1000
