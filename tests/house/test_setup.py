"""tools/setup names the Debian package of every program that the build runs, of every library on a
link line, and of every header that a compiler read.

A machine that has a package for another reason hides that nobody asked for it. Here the build's own
record (ninja's commands and dependencies) says what was used, and dpkg whose it is.
"""

import functools
import os
import re
import shutil
import subprocess

import pytest
from program import ROOT

TREE = ROOT / "build"

pytestmark = pytest.mark.skipif(
    not (TREE / ".ninja_deps").exists() or shutil.which("dpkg-query") is None, reason="build/ is not built, or this is no Debian"
)


def output(*command):
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def named(goal):
    return set(output("tools/setup", goal, "--list").split())


def library(name, folders):
    """The file that the linker takes for -lNAME: in a -L folder, else where the compiler looks; shared before static."""
    for end in (".so", ".a"):
        for folder in folders:
            if os.path.exists(f"{folder}/lib{name}{end}"):
                return f"{folder}/lib{name}{end}"
        found = output("cc", f"-print-file-name=lib{name}{end}").strip()
        if os.path.isabs(found):
            return found
    raise AssertionError(f"-l{name}: no such library")


def libraries(link_line):
    words = link_line.split()
    folders = [word[2:] for word in words if word.startswith("-L")]
    return {word if os.path.isabs(word) else library(word[2:], folders)
            for word in words if re.fullmatch(r"/\S+\.(so|a)|-l\S+", word)}  # fmt: skip


@functools.cache
def used():
    """{goal: files outside of this tree}: querent is of the goal `build`, what else is built of `test`."""
    files = {"build": set(), "test": set()}
    commands = output("ninja", "-C", str(TREE), "-t", "commands")
    for goal, text in ("build", output("ninja", "-C", str(TREE), "-t", "commands", "querent")), ("test", commands):
        files[goal] |= set(re.findall(r"(?:^|[ =])(/usr/bin/\S+)", text, re.MULTILINE))
    for line in commands.splitlines():
        program = re.search(r" -o (\S+) .*\.a\b", line)
        if program:
            files["build" if program[1] == "querent" else "test"] |= libraries(line)
    goal = None  # while a linker's record is read: it has what the libraries are linked with themselves
    for line in output("ninja", "-C", str(TREE), "-t", "deps").splitlines():
        if line.startswith("    /") and goal is not None:
            files[goal].add(line.strip())
        elif line and not line.startswith(" "):
            goal = None if ".o: #deps" not in line else "build" if line.startswith("src/") else "test"
    # A compiler's own headers and tools come with it; NVIDIA's toolkit, where one is, is no package of Debian's.
    own = re.escape(str(ROOT)) + r"/|/usr/lib/gcc/|/usr/include/(c\+\+/|[^/]*/c\+\+/)|/usr/local/cuda[^/]*/"
    own += r"|/usr/bin/(ar|ranlib|objcopy|ccache|nvcc)$"
    return {goal: {path for path in found if not re.match(own, path)} for goal, found in files.items()}


def spellings(path):
    """What dpkg may call it: /lib may be a link to /usr/lib, and an alternative is a link to a link."""
    found = []
    while True:
        path = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
        found += [path, path.removeprefix("/usr"), "/usr" + path]
        if not os.path.islink(path):
            return found
        path = os.path.join(os.path.dirname(path), os.readlink(path))


@functools.cache
def files_of(package):
    return set(output("dpkg-query", "-L", package).splitlines())


def owner(path):
    """The package of the first spelling that dpkg knows: of a link to a library it is the one for development."""
    for name in spellings(path):
        done = subprocess.run(["dpkg-query", "-S", name], capture_output=True, text=True)
        if done.returncode == 0:
            return re.match(r"[^:,]+", done.stdout)[0]
    raise AssertionError(f"{path}: belongs to no Debian package")


def unnamed(goal, names):
    """A complaint for each package that is used but not among `names`."""
    left = {path: set(spellings(path)) for path in sorted(used()[goal])}
    faults = []
    for package in sorted(names):
        left = {path: known for path, known in left.items() if not known & files_of(package)}
    while left:
        path = next(iter(left))
        package = owner(path)
        faults.append(f"tools/setup {goal}: {package} is not named, but {path} is used")
        left = {path: known for path, known in left.items() if not known & files_of(package)}
    return faults


@pytest.mark.parametrize("goal", ["build", "test"])
def test_every_package_is_named(goal):
    faults = unnamed(goal, named(goal))
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("goal,package", [("build", "libyaml-dev"), ("build", "libuv1-dev"), ("build", "libopenblas-pthread-dev"),
                                          ("build", "libc6-dev"), ("build", "protobuf-compiler"), ("build", "cmake"),
                                          ("test", "libcriterion-dev")])
def test_a_missing_name_is_seen(goal, package):
    assert [fault for fault in unnamed(goal, named(goal) - {package}) if package in fault]


def test_a_library_by_name_is_found():
    assert libraries("cc a.o -o a x/liby.a -lm") == {library("m", [])}
    with pytest.raises(AssertionError, match="-lno_such_library"):
        libraries("cc a.o -o a -lno_such_library")


def test_goals_contain_each_other():
    assert named("build") < named("run") < named("test") < named("lint") < named("long")
    assert named("test") < named("coverage") < named("long")
    assert named("build") < named("cuda") and "g++" in named("cuda")
    assert subprocess.run(["tools/setup", "holiday"], cwd=ROOT, capture_output=True).returncode == 2


# ---- nvcc from PyPI ---------------------------------------------------------------------------------------------

GPU = "/proc/driver/nvidia/version"
PLACES = r"/usr/local/cuda\b"
LIST = "tools/nvcc-requirements.txt"


@pytest.fixture
def machine(tmp_path):
    """A checkout on a machine with nothing to install: its dpkg says so, its pip writes down what it is asked for, and fails
    while a file `offline` is there. machine(GOAL, nvcc=RELEASE) runs tools/setup; the GPU is the file `gpu`."""
    programs = tmp_path / "programs"
    for folder in (programs, tmp_path / "tools", tmp_path / ".venv/bin", tmp_path / "tests"):
        folder.mkdir(parents=True)
    text = (ROOT / "tools/setup").read_text(encoding="utf-8")
    assert GPU in text and re.search(PLACES, text)
    text = re.sub(PLACES, str(tmp_path / "none"), text.replace(GPU, str(tmp_path / "gpu")))
    shutil.copy(ROOT / LIST, tmp_path / LIST)
    for path, body in ((tmp_path / "tools/setup", text), (programs / "dpkg-query", "#!/bin/sh\necho install ok installed\n"),
                       (programs / "dpkg", "#!/bin/sh\necho arm64\n"), (tmp_path / "tests/requirements.txt", ""),
                       (tmp_path / ".venv/bin/pip", f'#!/bin/sh\necho "$*" >> {tmp_path}/asked\n! [ -e {tmp_path}/offline ]\n')):
        path.write_text(body, encoding="utf-8")
        path.chmod(0o755)

    def run(goal, nvcc=None):
        (programs / "nvcc").unlink(missing_ok=True)
        if nvcc:
            (programs / "nvcc").write_text(f"#!/bin/sh\necho Cuda compilation tools, release {nvcc}, V{nvcc}.88\n", encoding="utf-8")
            (programs / "nvcc").chmod(0o755)
        done = subprocess.run([tmp_path / "tools/setup", goal], env={"PATH": f"{programs}:/usr/bin:/bin"}, capture_output=True, text=True)
        asked = (tmp_path / "asked").read_text(encoding="utf-8") if (tmp_path / "asked").exists() else ""
        (tmp_path / "asked").unlink(missing_ok=True)
        return done.returncode, done.stdout + done.stderr, f"--no-deps --require-hashes -r {LIST}\n" in asked

    run.folder = tmp_path
    return run


def test_nvcc_is_fetched_once(machine):
    assert machine("cuda")[::2] == (0, True) and machine("cuda")[::2] == (0, False)
    (machine.folder / LIST).write_text("another==1\n", encoding="utf-8")
    assert machine("cuda")[::2] == (0, True)
    (machine.folder / "offline").touch()
    (machine.folder / LIST).write_text("another==2\n", encoding="utf-8")
    assert machine("cuda")[0] != 0 and machine("cuda")[2], "a failure is one, and is no installation"


def test_a_machine_with_a_gpu_gets_nvcc(machine):
    assert machine("build") == (0, "", False)
    (machine.folder / "gpu").touch()
    for goal in ("format", "build"):
        assert machine(goal, nvcc="13.0") == (0, "", False) and machine(goal, nvcc="12.4") == (0, "", False)
    assert not machine("format")[2]
    code, said, fetched = machine("build", nvcc="11.8")
    assert code == 0 and fetched and "NVIDIA GPU" in said and "no GPU part" not in said
    assert machine("build") == (0, "", False), "it is there now"
    (machine.folder / ".venv/nvcc.installed").unlink()
    assert machine("test")[2]


def test_without_a_network_the_build_goes_on(machine):
    (machine.folder / "gpu").touch()
    (machine.folder / "offline").touch()
    code, said, fetched = machine("build")
    assert code == 0 and fetched and "no GPU part" in said
    (machine.folder / LIST).unlink()
    assert machine("build") == (0, "", False), "an image's build without the list"


def test_the_list_of_nvcc_is_pinned():
    """One release of all, and a sum for each of both architectures."""
    text = (ROOT / LIST).read_text(encoding="utf-8")
    pinned = dict(re.findall(r"^([\w-]+)==([\d.]+)", text, re.M))
    assert pinned.keys() == {"nvidia-cuda-nvcc", "nvidia-cuda-crt", "nvidia-nvvm", "nvidia-cuda-runtime"}
    assert {version.rsplit(".", 1)[0] for version in pinned.values()} == {"13.0"}
    assert len({pinned[name] for name in pinned if name != "nvidia-cuda-runtime"}) == 1
    assert len(set(re.findall(r"--hash=sha256:([0-9a-f]{64})\b", text))) == 2 * len(pinned)
