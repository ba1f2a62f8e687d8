"""libquerent as it is installed: into a temporary directory, and found there as its users would."""
import os
from types import SimpleNamespace

import pytest
from library_tool import TREE, run


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    """What `make install PREFIX=/opt/querent DESTDIR=...` leaves, of the release build."""
    if "QUERENT" in os.environ or not (TREE / "libquerent.so").exists():
        pytest.skip("about the release build, which is not there or not what is tested")
    stage = tmp_path_factory.mktemp("stage")
    run("cmake", "--install", TREE, "--prefix", "/opt/querent", env={**os.environ, "DESTDIR": str(stage)})
    prefix = stage / "opt/querent"
    pc = next(prefix.rglob("querent.pc"))
    return SimpleNamespace(prefix=prefix, lib=pc.parents[1], pc=pc)


@pytest.fixture(scope="session")
def pkg_config(installed):
    def ask(*arguments):
        return run("pkg-config", *arguments, "querent", env={**os.environ, "PKG_CONFIG_PATH": str(installed.pc.parent)}).split()

    return ask
