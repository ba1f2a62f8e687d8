"""docker/Dockerfile built for real, from a builder that docker/make-base makes, and its images run by podman:
as 65532, on a read-only root, without capabilities, as PID 1 (containers.py)."""
import re
import shutil
import stat
import subprocess
import time

import pytest
from containers import Engine, Failed
from manifests import documents
from program import ROOT, free_port, make_tiny
from serving import ask, wait_for
from test_dockerfile import CONTEXT, MODEL_SUMS

pytestmark = pytest.mark.deploy

MOST_BYTES = 90e6
MOST_BYTES_CUDA = 60e6
USER = "65532"
# Nothing that runs, builds or installs another program.
PROGRAMS = re.compile(r"(ba|da|z|k|c|fi)?sh|busybox|toybox|apt.*|dpkg.*|[gc]cc?|[gc]\+\+|clang.*|ld(\.\w+)?|as|ar|make"
                      r"|perl.*|python.*|curl|wget|su|sudo|mount")  # fmt: skip
LAID_OUT = r"/usr/(bin/querent$|lib(64)?/\S+\.so[.\d]*$|share/doc/[^/]+/copyright$|share/common-licenses/)"
# What the engine puts into every container.
ENGINES = re.compile(r"/(proc|sys|dev|etc/(hosts|hostname|resolv\.conf)|run/\.containerenv)\b")
SECRETS = re.compile(r".*(\.(key|pem|p12|crt|env|netrc)|id_\w+|shadow|authorized_keys|credentials.*|pip\.conf)$")
# Left in the folders that an image is built from, as somebody might.
DECOYS = ("models/minilm/api.key", "models/squad-3l/.env", "src/id_rsa", "secret.pem", ".git/config")
REVISION = "0123abcd"


@pytest.fixture(scope="module")
def engine():
    engine = Engine()
    try:
        yield engine
    finally:
        engine.end()


@pytest.fixture(scope="module")
def context(engine, minilm):
    """What .dockerignore lets in, and what it or Dockerfile must keep out. Only root may read any of it."""
    folder = engine.folder / "context"
    for name in [*CONTEXT, "docker/Dockerfile", ".dockerignore"]:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, target) if source.is_dir() else shutil.copy2(source, target)
    for path in (folder / "models").rglob("*.*"):
        path.chmod(0o600)
    for name in DECOYS:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("secret\n", encoding="ascii")
    return folder


@pytest.fixture(scope="module")
def builder(engine):
    """The image to compile in. It also tells whether containers run here at all."""
    tar = engine.folder / "builder.tar"
    try:
        engine.run(ROOT / "docker/make-base", tar, "cuda")
    except Failed as failed:
        if re.search(r"Could not resolve|Failed to fetch|Could not connect|Unable to connect", str(failed)):
            pytest.skip(f"Debian's packages are not reached: {str(failed).splitlines()[-1]}")
        raise
    engine.take("querent-builder", tar)
    tar.unlink()
    return "localhost/querent-builder"


@pytest.fixture(scope="module")
def slim(engine, context, builder):
    engine.build(context, "slim", "slim", BUILDER=builder, REVISION=REVISION)
    return engine.image("slim")


@pytest.fixture(scope="module")
def slim_model(engine, context, builder, slim):
    engine.build(context, "slim-model", "slim-model", BUILDER=builder, REVISION=REVISION)
    return engine.image("slim-model")


@pytest.fixture(scope="module")
def wheels():
    """The files of tools/nvcc-requirements.txt, which building `cuda` installs; kept under build/ from run to run."""
    folder = ROOT / "build/nvcc-wheels"
    done = subprocess.run([ROOT / ".venv/bin/pip", "download", "-q", "--no-deps", "--require-hashes", "--dest", folder,
                           "-r", ROOT / "tools/nvcc-requirements.txt"], capture_output=True, text=True)  # fmt: skip
    if done.returncode != 0 and re.search("No matching distribution|connection|Retrying", done.stderr, re.I):
        pytest.skip(f"PyPI is not reached: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def cuda(engine, context, builder, wheels):
    """Built without PyPI: pip is told to look into the mounted folder alone."""
    base = engine.folder / "pip"
    (base / "etc").mkdir(parents=True)
    (base / "etc/pip.conf").write_text("[global]\nno-index = true\nfind-links = /wheels\n", encoding="ascii")
    engine.take("querent-builder-pip", base, over=builder)
    engine.build(context, "cuda", "cuda", "--volume", f"{wheels}:/wheels:ro", BUILDER="localhost/querent-builder-pip", REVISION=REVISION)
    return engine.image("cuda")


@pytest.fixture(scope="module")
def cuda_model(engine, context, wheels, cuda):
    engine.build(context, "cuda-model", "cuda-model", "--volume", f"{wheels}:/wheels:ro", BUILDER="localhost/querent-builder-pip", REVISION=REVISION)
    return engine.image("cuda-model")


@pytest.fixture(scope="module")
def fake_driver(tmp_path_factory):
    """A folder as NVIDIA's toolkit would mount one: the tests' libcuda.so.1, and what that is linked with."""
    libcuda = ROOT / "build/tests/cuda/driver/libcuda.so.1"
    if not libcuda.exists():
        pytest.skip("build/ is built without its tests")
    folder = tmp_path_factory.mktemp("driver")
    folder.chmod(0o755)
    linked = subprocess.run(["ldd", libcuda], capture_output=True, text=True, check=True).stdout
    for path in [libcuda, *re.findall(r"=> (\S+/lib(?:stdc\+\+|gcc_s)\S+)", linked)]:
        shutil.copy(path, folder)
    return folder


@pytest.fixture(scope="module")
def podman(engine, builder):
    """The engine, once it has run a container that is not ours."""
    try:
        container = engine.start(builder, words=("true",))
    except Failed as failed:
        pytest.skip(f"podman runs no container here: {str(failed).strip().splitlines()[-1]}")
    container.remove()
    return engine


@pytest.fixture
def start(podman):
    started = []

    def start(image, *options, **more):
        started.append(podman.start(image.name, *options, **more))
        return started[-1]

    yield start
    for container in started:
        container.remove()


@pytest.fixture(scope="module")
def mounted(tmp_path_factory):
    """A folder of models that anybody may read."""
    folder = tmp_path_factory.mktemp("mounted")
    make_tiny(folder, "embedder")
    folder.chmod(0o755)
    return folder


# ---- What is in them ----------------------------------------------------------------------------


def check_files(image, folders):
    """The program, libraries, licences and `folders`, and nothing else; nothing by which to become another user."""
    for path in image.paths():
        mode = path.lstat().st_mode
        name = "/" + str(path.relative_to(image.root))
        assert not mode & (stat.S_ISUID | stat.S_ISGID), name
        assert stat.S_ISLNK(mode) or not mode & stat.S_IWOTH, f"{name}: anybody may write"
        assert not PROGRAMS.fullmatch(path.name) and not SECRETS.fullmatch(path.name), name
        if stat.S_ISLNK(mode):
            assert name in ("/lib", "/lib64") or name.startswith("/usr/share/common-licenses/"), name
        elif stat.S_ISREG(mode):
            assert re.match(f"{LAID_OUT}|{folders}", name), name
            assert name == "/usr/share/doc/querent/copyright" or mode & stat.S_IROTH, f"{name}: {USER} cannot read it"
            assert name == "/usr/bin/querent" or ".so" in name or not mode & 0o111, f"{name}: can be run"
        else:
            assert stat.S_ISDIR(mode), name


def test_the_files_of_slim(slim):
    check_files(slim, "(?!)")
    assert (slim.root / "usr/bin/querent").stat().st_mode & 0o777 == 0o755
    assert b"debug_info" not in (slim.root / "usr/bin/querent").read_bytes()
    size = sum(path.lstat().st_size for path in slim.paths() if not path.is_dir())
    print(f"slim: {size / 1e6:.1f} MB unpacked")
    assert size <= MOST_BYTES


def test_the_files_of_slim_model(slim_model):
    check_files(slim_model, r"/models/(minilm|squad-3l)/")
    listed = {line.split("  ", 1)[1] for line in MODEL_SUMS.read_text(encoding="ascii").splitlines()}
    models = slim_model.root / "models"
    assert {str(path.relative_to(models)) for path in models.rglob("*") if path.is_file()} == listed


def test_the_files_of_cuda(slim, cuda):
    """slim's, the module, and what a driver is linked with; no library of CUDA's."""
    check_files(cuda, "(?!)")

    def files(image):
        return {str(path.relative_to(image.root)) for path in image.paths() if not path.is_dir()}

    more = files(cuda) - files(slim)
    assert files(slim) <= files(cuda) and "usr/lib/querent/libquerent_cuda.so" in more
    (folder,) = {path.rsplit("/", 1)[0] for path in files(slim) if path.endswith("/libc.so.6")}
    assert more == {"usr/lib/querent/libquerent_cuda.so", *(f"{folder}/{name}" for name in ("libdl.so.2", "libpthread.so.0", "librt.so.1"))}
    assert (slim.root / "usr/bin/querent").read_bytes() == (cuda.root / "usr/bin/querent").read_bytes()
    size = sum(path.lstat().st_size for path in cuda.paths() if not path.is_dir())
    print(f"cuda: {size / 1e6:.1f} MB unpacked")
    assert size <= MOST_BYTES_CUDA
    assert cuda.environment["NVIDIA_VISIBLE_DEVICES"] == "all" and cuda.environment["NVIDIA_DRIVER_CAPABILITIES"] == "compute,utility"


def test_the_files_of_cuda_model(slim_model, cuda_model):
    check_files(cuda_model, r"/models/(minilm|squad-3l)/")
    assert cuda_model.environment["QUERENT_MODEL"] == slim_model.environment["QUERENT_MODEL"]


def test_what_the_images_say(slim, slim_model, cuda, cuda_model):
    for image in (slim, slim_model, cuda, cuda_model):
        config = image.config
        assert config["User"] == f"{USER}:{USER}" and not config["Volumes"] and list(config["ExposedPorts"]) == ["8080/tcp"]
        assert config["Entrypoint"] == ["/usr/bin/querent", "serve"] and not config["Cmd"] and config["StopSignal"] == "SIGTERM"
        assert config["Healthcheck"]["Test"] == ["CMD", "/usr/bin/querent", "health"]
        labels = {name.removeprefix("org.opencontainers.image."): text for name, text in config["Labels"].items()}
        assert labels["title"] == "querent" and labels["licenses"] == "Apache-2.0" and labels["revision"] == REVISION
        assert image.environment["PATH"] == "/usr/bin"
        assert not any(re.search("key|secret|token|password", line, re.I) for line in config["Env"])


def test_the_label_is_the_version(start, slim):
    container = start(slim, "--entrypoint", "/usr/bin/querent", words=("version",))
    wait_for(lambda: not container.state()["Running"], "the version")
    assert container.log() == f"querent {slim.config['Labels']['org.opencontainers.image.version']}\n"


def test_a_base_of_ones_own_keeps_its_files(engine, start, context, builder, slim, mounted):
    """Laid over a root file system with /usr merged, as Debian 12 is."""
    base = engine.folder / "base"
    (base / "etc").mkdir(parents=True)
    (base / "etc/passwd").write_text(f"querent:x:{USER}:{USER}::/:/nonexistent\n", encoding="ascii")
    for name in ("lib", "lib64"):
        (base / "usr" / name / "own").mkdir(parents=True)
        (base / name).symlink_to(f"usr/{name}")
    engine.take("own-base", base)
    engine.build(context, "slim", "slim-on-base", BUILDER=builder, BASE="localhost/own-base")
    image = engine.image("slim-on-base")
    assert (image.root / "etc/passwd").is_file() and (image.root / "usr/lib/own").is_dir() and (image.root / "lib").is_symlink()
    assert_serves(start(image, "--volume", f"{mounted}:/models:ro", env=(env := ports(QUERENT_MODEL="/models/embedder"))), image, env, 64)


def test_a_changed_model_is_refused(engine, context, builder):
    weights = context / "models/squad-3l/model.safetensors"
    right = weights.read_bytes()
    try:
        weights.write_bytes(right[:5000] + bytes([right[5000] ^ 1]) + right[5001:])
        with pytest.raises(Failed, match="squad-3l/model.safetensors: FAILED"):
            engine.build(context, "slim-model", "changed", BUILDER=builder)
    finally:
        weights.write_bytes(right)


# ---- How they run -------------------------------------------------------------------------------


def ports(**more):
    """Nobody else's: the container has this machine's network."""
    return {"QUERENT_PORT": str(free_port()), **more}


def health_words(image):
    assert image.config["Healthcheck"]["Test"][0] == "CMD"
    return image.config["Healthcheck"]["Test"][1:]


def assert_serves(container, image, env, length):
    """Once the image's own HEALTHCHECK says so."""
    wait_for(lambda: container.healthy(health_words(image)), "the container to be healthy")
    answer = ask(container, "/embed", {"inputs": "red shoes"}, port=int(env["QUERENT_PORT"]))
    assert answer.status == 200 and len(answer.json()[0]) == length, answer.body


def assert_confined(container):
    """One process, PID 1, that is 65532 without any right, and no folder of it that can be written."""
    (status,) = container.processes().values()
    assert status["NSpid"].split()[-1] == "1" and status["Uid"].split() == status["Gid"].split() == [USER] * 4
    assert {status[f"Cap{which}"] for which in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {"0" * 16}
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2" and not status["State"].startswith("Z")
    writable = {path for path, options in container.mounts().items() if "rw" in options and not ENGINES.match(path)}
    assert not writable
    assert "ro" in container.mounts()["/"]


def test_slim_serves_a_mounted_model(start, slim, mounted):
    env = ports(QUERENT_MODEL="/models/embedder")
    container = start(slim, "--volume", f"{mounted}:/models:ro", env=env)
    assert_serves(container, slim, env, 64)
    assert_confined(container)
    assert "ro" in container.mounts()["/models"]
    assert container.stop() == 0
    assert "drained: every admitted request is answered" in container.log()


def plan(container, env):
    return ask(container, "/info", port=int(env["QUERENT_PORT"])).json()["models"][0]["plan"]


def test_cuda_without_a_gpu_serves_on_the_cpu_and_says_why(start, cuda, mounted):
    env = ports(QUERENT_MODEL="/models/embedder")
    container = start(cuda, "--volume", f"{mounted}:/models:ro", env=env)
    assert_serves(container, cuda, env, 64)
    assert_confined(container)
    assert plan(container, env)["device"] == "cpu" and "there is no NVIDIA driver" in plan(container, env)["passed_over"]
    assert container.stop() == 0


def test_cuda_by_name_without_a_gpu_ends(start, cuda, mounted):
    container = start(cuda, "--volume", f"{mounted}:/models:ro", env=ports(QUERENT_MODEL="/models/embedder", QUERENT_DEVICE="cuda"))
    wait_for(lambda: not container.state()["Running"], "the server to give up")
    assert container.state()["ExitCode"] == 1 and "there is no NVIDIA driver" in container.log(), container.log()


def test_cuda_serves_on_the_driver_that_is_mounted(start, cuda, mounted, fake_driver):
    """The fake one, where one of the toolkits has it; the module is the image's own, with nvcc's image of the kernels."""
    env = ports(QUERENT_MODEL="/models/embedder", QUERENT_DEVICE="cuda")
    container = start(cuda, "--volume", f"{mounted}:/models:ro", "--volume", f"{fake_driver}:/usr/local/nvidia/lib64:ro", env=env)
    assert_serves(container, cuda, env, 64)
    assert_confined(container)
    assert plan(container, env)["device"] == "cuda" and plan(container, env)["passed_over"] == ""
    assert container.stop() == 0


def test_health_tells_what_is_not_there(start, slim, mounted):
    """A check that always says yes would pass all the others."""
    env = ports(QUERENT_MODEL="/models/embedder")
    container = start(slim, "--volume", f"{mounted}:/models:ro", env=env)
    wait_for(lambda: container.healthy(health_words(slim)), "the container to be healthy")
    assert not container.healthy(["/usr/bin/querent", "health", "--url", f"http://127.0.0.1:{free_port()}"])
    assert not container.healthy(["/bin/sh", "-c", "true"])
    assert len(container.processes()) == 1, "what was run inside is gone, and reaped"


def start_and_ask(start, image, env):
    """The container; prints how long the first answer took, which is no verdict."""
    began = time.monotonic()
    container = start(image, env=env)

    def answered():
        try:
            return ask(container, "/embed", {"inputs": "red shoes", "model": "minilm"}, port=int(env["QUERENT_PORT"])).status == 200
        except OSError:
            return False

    wait_for(answered, "an answer")
    print(f"{time.monotonic() - began:.2f} s from `podman run` to the first answer of slim-model, QUERENT_MODEL={env.get('QUERENT_MODEL', 'both')}")
    return container


def test_slim_model_serves_one_of_its_models(start, slim_model):
    env = ports(QUERENT_MODEL="minilm=/models/minilm")
    container = start_and_ask(start, slim_model, env)
    assert [model["name"] for model in ask(container, "/info", port=int(env["QUERENT_PORT"])).json()["models"]] == ["minilm"]
    assert container.stop() == 0


def test_slim_model_serves_by_itself(start, slim_model):
    env = ports()
    container = start_and_ask(start, slim_model, env)
    assert_serves(container, slim_model, env, 384)
    question = {"question": "How tall is it?", "context": "It is 8,849 metres tall."}
    answer = ask(container, "/span", {"inputs": question}, port=int(env["QUERENT_PORT"]))
    assert answer.status == 200 and "8,849" in answer.json()["answer"], answer.body
    assert_confined(container)
    assert container.stop() == 0


def test_a_replica_of_compose(start, slim_model):
    """Its variables and its own health check, which finds the program by the image's PATH."""
    (compose,) = documents(ROOT / "docker/compose.yaml")
    service = compose["services"]["querent-1"]
    env = {**service["environment"], "QUERENT_PORT": str(free_port()), "QUERENT_OPS_PORT": str(free_port())}
    container = start(slim_model, "--user", service["user"], env=env)
    wait_for(lambda: container.healthy(service["healthcheck"]["test"][1:]), "the replica to be healthy")
    assert ask(container, "/embed", {"inputs": "a", "model": "minilm"}, port=int(env["QUERENT_PORT"])).status == 200
    assert ask(container, "/v2/health/ready", port=int(env["QUERENT_OPS_PORT"])).status == 200


def test_a_pod_of_kserve(start, slim, mounted):
    """The runtime's arguments, as they stand, are options of the image's entry point."""
    (runtime,) = [one for path in (ROOT / "deploy/kserve").glob("*.yaml") for one in documents(path) if one["kind"] == "ServingRuntime"]
    (given,) = runtime["spec"]["containers"]
    env = {**{one["name"]: one["value"] for one in given["env"]}, "QUERENT_PORT": str(free_port())}
    words = [word.replace("{{.Name}}", "embedding") for word in given["args"]]
    container = start(slim, "--volume", f"{mounted / 'embedder'}:/mnt/models:ro", words=words, env=env)
    wait_for(lambda: container.healthy(health_words(slim)), "the pod to be healthy")
    assert ask(container, "/v2/models/embedding/ready", port=int(env["QUERENT_PORT"])).status == 200
