"""docker/compose.yaml: limits, healthchecks, read-only roots, ports, mounts; and that the replicas'
variables start the real program. Compose itself was never run (docs/DEPLOY.md)."""
import importlib.util
import json
import re
import sys

import pytest
from manifests import check_variables, documents, drain_seconds
from program import ROOT, free_port
from serving import Server, ask
from wheels import unpacked_wheel

PATH = ROOT / "docker" / "compose.yaml"
GPU = ROOT / "docker" / "compose.gpu.yaml"
REPLICAS = ["querent-1", "querent-2", "querent-3"]
# What has a port on the host, and which.
PUBLISHED = {
    "haproxy": "${QUERENT_BIND:-127.0.0.1}:8080:8080",
    "prometheus": "127.0.0.1:9090:9090",
    "grafana": "127.0.0.1:3000:3000",
}


def compose():
    (found,) = documents(PATH)
    return found


def services():
    return compose()["services"]


def merged(one, other):
    """A second file laid over the first, as far as ours need it: maps are joined, anything else is replaced."""
    if not (isinstance(one, dict) and isinstance(other, dict)):
        return other
    return {**one, **{key: merged(one[key], value) if key in one else value for key, value in other.items()}}


def with_gpu():
    (over,) = documents(GPU)
    return merged(compose(), over)


def test_the_services():
    assert sorted(services()) == sorted([*REPLICAS, *PUBLISHED])
    assert services()["querent-1"] == services()["querent-2"] == services()["querent-3"]


@pytest.mark.parametrize("name", [*REPLICAS, *PUBLISHED])
def test_every_service_is_limited_checked_and_read_only(name):
    service = services()[name]
    assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory", "pids"}
    assert service["healthcheck"]["test"][0] == "CMD" and service["healthcheck"].keys() >= {"interval", "timeout", "retries"}
    assert service["read_only"] is True and service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "network_mode", "cap_add", "pid"} & service.keys()
    assert service.get("ports", []) == ([PUBLISHED[name]] if name in PUBLISHED else [])
    image = service["image"]
    assert "." not in image.split("/")[0].split(":")[0] and not image.endswith(":latest") and ":" in image, image


@pytest.mark.parametrize("name", REPLICAS)
def test_a_replica(name):
    service = services()[name]
    variables = service["environment"]
    check_variables(variables)
    assert service["healthcheck"]["test"][1:] == ["querent", "health", "--ready"]
    assert service["user"] == "65532:65532" and "volumes" not in service and "tmpfs" not in service
    assert float(service["stop_grace_period"].removesuffix("s")) > drain_seconds(variables)
    assert re.fullmatch("[1-9][0-9]*", service["deploy"]["resources"]["limits"]["cpus"]), "a fraction is a quota that pauses"
    networks = compose()["networks"]
    assert service["networks"] == ["inside"] and networks["inside"]["internal"] is True
    assert networks["inside"]["ipam"]["config"][0]["subnet"] == variables["QUERENT_TRUST_PROXY"]


@pytest.mark.parametrize("name", PUBLISHED)
def test_mounts_are_read_only_and_ours_lead_somewhere(name):
    mounts = [mount.split(":", 1) for mount in services()[name]["volumes"]]
    volumes = [(source, rest) for source, rest in mounts if source not in compose()["volumes"]]
    assert volumes
    for source, rest in volumes:
        assert source.startswith("../deploy/") and rest.endswith(":ro"), source
    for source, _ in volumes:
        assert (PATH.parent / source).exists(), f"{source} is not there"


def test_every_volume_is_somebodys():
    used = {mount.split(":")[0] for service in services().values() for mount in service.get("volumes", ())}
    assert set(compose()["volumes"]) <= used


def test_haproxy_knows_the_replicas():
    """By their names and ports here, and listens on the port that is published."""
    text = (ROOT / "deploy/haproxy/haproxy.cfg").read_text(encoding="utf-8")
    variables = services()["querent-1"]["environment"]
    ops = rf"\bport {variables['QUERENT_OPS_PORT']}\b"
    addresses = re.findall(r"^\s*server\s+\S+\s+(\S+)", text, re.M)
    assert {f"{name}:{variables['QUERENT_PORT']}" for name in REPLICAS} <= set(addresses), addresses
    assert re.search(rf"^\s*(server|default-server)\b.*{ops}", text, re.M), "checks ask the port of the probes"
    assert re.search(r"^\s*bind \S*:8080\b", text, re.M)


def test_prometheus_knows_the_replicas():
    (config,) = documents(ROOT / "deploy/prometheus/prometheus.yml")
    targets = {job["job_name"]: [one for static in job["static_configs"] for one in static["targets"]]
               for job in config["scrape_configs"]}
    port = services()["querent-1"]["environment"]["QUERENT_OPS_PORT"]
    assert targets["querent"] == [f"{name}:{port}" for name in REPLICAS]
    assert {target.split(":")[0] for found in targets.values() for target in found} <= services().keys()


def test_the_dockerfile_has_the_target():
    text = (ROOT / "docker/Dockerfile").read_text(encoding="utf-8")
    build = services()["querent-1"]["build"]
    assert build["dockerfile"] == "docker/Dockerfile" and (PATH.parent / build["context"]).resolve() == ROOT
    assert re.search(rf"^FROM .* AS {build['target']}$", text, re.M | re.I)


def test_a_replica_with_a_gpu():
    """What the second file changes of a replica, and that it changes nothing else."""
    made, plain = (json.loads(json.dumps(one)) for one in (with_gpu(), compose()))  # without what their aliases share
    text = (ROOT / "docker/Dockerfile").read_text(encoding="utf-8")
    for name in REPLICAS:
        service, before = made["services"].pop(name), plain["services"].pop(name)
        assert re.search(rf"^FROM .* AS {service['build']['target']}$", text, re.M)
        assert service["image"] == f"querent:{service['build'].pop('target')}" and before["build"].pop("target")
        check_variables(service["environment"])
        assert service["environment"].pop("QUERENT_DEVICE") == "cuda"
        (device,) = service["deploy"]["resources"].pop("reservations")["devices"]
        assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}
        limits = service["deploy"]["resources"].pop("limits")
        assert re.fullmatch("[1-9][0-9]*", limits["cpus"]) and limits.keys() == before["deploy"]["resources"].pop("limits").keys()
        assert service | {"image": ""} == before | {"image": ""}
    assert made == plain


def test_a_replica_starts_with_these_variables(embedder):
    variables = services()["querent-1"]["environment"]
    server = Server([embedder], "--ops-port", free_port(), env=variables)
    try:
        assert ask(server, "/embed", {"inputs": "a"}).status == 200
        assert ask(server, "/v2/health/ready", port=server.ops_port).status == 200
    finally:
        server.process.kill()  # its drain takes the file's seconds
        server.wait()


@pytest.mark.deploy
def test_the_published_schema():
    """The models that compose-viz generates from compose's published schema (of August 2025); unknown keys are refused."""
    from pydantic import ValidationError

    path = unpacked_wheel("compose-viz") / "compose_viz/spec/compose_spec.py"
    spec = importlib.util.spec_from_file_location("compose_spec_models", path)
    models = sys.modules["compose_spec_models"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(models)
    models.ComposeSpecification.model_validate(compose())
    models.ComposeSpecification.model_validate(documents(GPU)[0])
    models.ComposeSpecification.model_validate(with_gpu())
    wrong = compose()
    wrong["services"]["haproxy"]["helthcheck"] = wrong["services"]["haproxy"].pop("healthcheck")
    with pytest.raises(ValidationError):
        models.ComposeSpecification.model_validate(wrong)
