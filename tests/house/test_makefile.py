"""`make help` and the Makefile say the same, and every target leads to programs that are there. What
the quick ones do is done by tests/run-all, what the others do by tests/check-long."""

import os
import re
import subprocess

import pytest
from program import ROOT

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = re.findall(r"^([a-z-]+):", MAKEFILE, re.M)
UNLISTED = {"setup-test"}  # a step of others


def make(*arguments):
    return subprocess.run(["make", "--no-print-directory", *arguments], cwd=ROOT, capture_output=True, text=True)


def test_help_lists_every_target():
    listed = re.findall(r"^  make ([a-z-]+) +\S", make("help").stdout, re.M)
    assert set(listed) == set(TARGETS) - UNLISTED
    assert set(re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.M)[1].split()) == set(TARGETS)


def scripts(recipe):
    """The programs of this repository that a recipe runs."""
    return set(re.findall(r"(?<![\w/.])(?:tools|tests|bench)/[\w-]+(?![\w/.-])", recipe))


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_leads_to_programs_that_are_there(target):
    done = make("-n", target)
    assert done.returncode == 0, done.stderr
    for script in scripts(done.stdout):
        assert os.access(ROOT / script, os.X_OK), f"make {target} runs {script}"


def test_a_script_that_is_not_there_is_seen():
    assert scripts("\ttools/setup build && tests/run-nowhere build\n\tbuild/bench/kernels") == {"tools/setup", "tests/run-nowhere"}
    assert not (ROOT / "tests/run-nowhere").exists()
