"""tools/setup names the Debian package of every library on a link line, and of every header that a
compiler read.

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
    for line in output("ninja", "-C", str(TREE), "-t", "commands").splitlines():
        program = re.search(r" -o (\S+) .*\.a\b", line)
        if program:
            files["build" if program[1] == "querent" else "test"] |= libraries(line)
    goal = None
    for line in output("ninja", "-C", str(TREE), "-t", "deps").splitlines():
        if line.startswith("    /"):
            files[goal].add(line.strip())
        elif line.strip():
            goal = "build" if line.startswith("src/") else "test"
    # A compiler's own headers come with it; NVIDIA's toolkit, where one is, is no package of Debian's.
    own = re.escape(str(ROOT)) + r"/|/usr/lib/gcc/|/usr/include/(c\+\+/|[^/]*/c\+\+/)|/usr/local/cuda[^/]*/"
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
                                          ("build", "libc6-dev"), ("test", "libcriterion-dev")])
def test_a_missing_name_is_seen(goal, package):
    assert [fault for fault in unnamed(goal, named(goal) - {package}) if package in fault]


def test_a_library_by_name_is_found():
    assert libraries("cc a.o -o a x/liby.a -lm") == {library("m", [])}
    with pytest.raises(AssertionError, match="-lno_such_library"):
        libraries("cc a.o -o a -lno_such_library")


def test_goals_contain_each_other():
    assert named("build") < named("run") < named("test") < named("lint") < named("long")
    assert named("test") < named("coverage") < named("long")
    assert subprocess.run(["tools/setup", "holiday"], cwd=ROOT, capture_output=True).returncode == 2
