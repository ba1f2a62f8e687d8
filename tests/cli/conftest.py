"""Fixtures of the command line's tests."""

import json

import pytest
from cli_tool import ROOT


@pytest.fixture(scope="session")
def golden():
    def read(name):
        return json.loads((ROOT / "tests/golden" / name).read_text(encoding="utf-8"))

    return read


@pytest.fixture(scope="session")
def minilm():
    path = ROOT / "models/minilm"
    assert (path / "config.json").exists(), f"{path} is missing: run tools/fetch-model"
    return path


@pytest.fixture(scope="session")
def squad():
    return ROOT / "models/squad-3l"
