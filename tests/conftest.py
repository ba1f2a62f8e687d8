"""Models for every test: the two real ones, and tiny ones, each made once."""
import functools
import os
import shutil
import tempfile

import pytest
from program import ROOT, make_tiny


def pytest_configure(config):
    """Proofs of models from ONNX are kept in a cache of this run's own, and no real GPU is seen: what is tested is the same
    on every machine. (The fake driver does not look at the variable.)"""
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp()


def pytest_unconfigure(config):
    shutil.rmtree(os.environ["XDG_CACHE_HOME"], ignore_errors=True)


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
