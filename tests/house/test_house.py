"""The rules of the house on the real tree. What each rule is: house_rules.py, name_rules.py, text_rules.py."""

import shutil
import subprocess

import house_rules
import name_rules
import pytest
import text_rules

RULES = {
    name.removeprefix("check_"): value
    for module in (house_rules, name_rules, text_rules)
    for name, value in vars(module).items()
    if name.startswith("check_")
}


@pytest.fixture(scope="session")
def tree():
    found = house_rules.read_tree()
    assert len(found) > 100 and "src/base/base.h" in found, "the tree was not found"
    return found


@pytest.mark.parametrize("rule", RULES)
def test_rule(tree, rule):
    faults = RULES[rule](tree)
    assert not faults, f"{len(faults)} faults\n" + "\n".join(faults)


def test_format(tree):
    if shutil.which("clang-format-19") is None:
        pytest.skip("clang-format-19 is not installed")
    paths = sorted(house_rules.c_files(tree))
    done = subprocess.run(["clang-format-19", "--dry-run", "-Werror", *paths], cwd=house_rules.ROOT, capture_output=True, text=True)
    bad = sorted({line.split(":")[0] for line in done.stderr.splitlines() if ": error:" in line})
    assert done.returncode == 0, "run `make format`: " + " ".join(bad)
