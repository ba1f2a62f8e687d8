"""Fixtures of the command line's tests."""

import json

import pytest
from program import ROOT


@pytest.fixture(scope="session")
def golden():
    def read(name):
        return json.loads((ROOT / "tests/golden" / name).read_text(encoding="utf-8"))

    return read
