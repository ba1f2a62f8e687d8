"""tests/run-units: what it says of programs that stand in for unit tests."""

import os
import subprocess

import pytest
from program import ROOT


@pytest.fixture
def run_units(tmp_path):
    def run(tree, last_line, **environment):
        program = tmp_path / tree / "tests" / "test_x"
        program.parent.mkdir(parents=True)
        program.write_text(f"#!/bin/sh\necho '{last_line}'\n")
        program.chmod(0o755)
        command = [ROOT / "tests/run-units", tmp_path / tree, "x"]
        return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True)

    return run


@pytest.mark.parametrize("tree,line", [("build", "[====] Synthesis: Tested: {} | Passing: {} | Failing: 0 | Crashing: 0 "),
                                       ("build-asan", "{} passed, 0 failed")])  # fmt: skip
def test_a_filter_has_to_match_something(run_units, tree, line):
    done = run_units(tree, line.format(0, 0), FILTER="attic")
    assert done.returncode == 1 and "no test matches attic" in done.stdout
    assert run_units(tree + "-2", line.format(10, 10), FILTER="attic").returncode == 0
    assert run_units(tree + "-3", line.format(0, 0), FILTER="").returncode == 0
