"""Models for every test: the two real ones, and tiny ones, each made once."""
import functools

import pytest
from program import ROOT, make_tiny


@pytest.fixture(scope="session")
def minilm():
    path = ROOT / "models" / "minilm"
    if not (path / "config.json").exists():
        pytest.skip("models/minilm is missing: tools/fetch-model")
    return path


@pytest.fixture(scope="session")
def squad():
    return ROOT / "models" / "squad-3l"


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """tiny("reader"): the directory of that tiny model (program.TINY)."""
    folder = tmp_path_factory.mktemp("models")
    return functools.cache(lambda name: make_tiny(folder, name))


@pytest.fixture(scope="session")
def embedder(tiny):
    return tiny("embedder")


@pytest.fixture(scope="session")
def reader(tiny):
    return tiny("reader")
