"""One allocation of libquerent's fails, each of a load's and a job's in turn: NO_MEMORY or the right answer, never a crash."""
import mmap
import os
import shutil
import subprocess

import pytest
from library_tool import run
from program import HANG, ROOT


@pytest.fixture(scope="session")
def each_allocation(installed, pkg_config, tmp_path_factory):
    """each_allocation(model): how many allocations a load and a job have."""
    if shutil.which("cc") is None:
        pytest.skip("nothing compiles what is preloaded")
    folder = tmp_path_factory.mktemp("each_allocation")
    preloaded, program, order = folder / "fail_allocation.so", folder / "each_allocation", folder / "order"
    run("cc", "-shared", "-fPIC", "-O1", ROOT / "tests/server/fail_allocation.c", "-o", preloaded)
    run("cc", "-O1", ROOT / "tests/library/each_allocation.c", *pkg_config("--cflags", "--libs"), "-o", program)

    def ask(model):
        order.write_bytes(bytes(mmap.PAGESIZE))
        env = {**os.environ, "LD_LIBRARY_PATH": str(installed.lib), "LD_PRELOAD": str(preloaded), "FAIL_ALLOCATION": str(order),
               "FAIL_ALLOCATION_OF": "libquerent.so"}  # what jansson and OpenBLAS do without memory is not ours to say
        done = subprocess.run([program, model, order, "3000", "7"], env=env, capture_output=True, text=True, timeout=10 * HANG)
        assert (done.returncode, done.stdout) == (0, ""), done.stderr[-9:]
        return int(done.stderr.split()[-1])

    return ask


@pytest.mark.parametrize("name", ["embedder", "reader", "reranker"])
def test_a_model_of_safetensors(each_allocation, tiny, name):
    assert each_allocation(tiny(name)) > 50


@pytest.mark.parametrize("name", ["sentence-torchscript-mean", "distilbert-tf2onnx-span"])
def test_a_model_of_onnx(each_allocation, name):
    """All that opens it and finds a BERT in it; not all of the proof's thousands, which are many times the same."""
    assert each_allocation(ROOT / "tests/golden/onnx" / name) > 3000
