"""The GPU's module beside the real program: where it is looked for and where not, and a whole run through it on the fake driver.

Needs the release build with its tests: build/tests/cuda has a module and a libcuda.so.1 of the tests' own.
"""
import json
import os
import re
import shutil
import subprocess
import sys

import pytest
from program import BINARY, ROOT

MODULE = ROOT / "build/tests/cuda/libquerent_cuda.so"
DRIVER = ROOT / "build/tests/cuda/driver"
pytestmark = pytest.mark.skipif("QUERENT" in os.environ or not MODULE.exists(), reason="about the release build with its tests")


@pytest.fixture
def prefix(tmp_path):
    """An installed program without a module: prefix/bin/querent."""
    (tmp_path / "bin").mkdir()
    shutil.copy(BINARY, tmp_path / "bin/querent")
    return tmp_path


def run(prefix, *arguments, stdin="", cwd=None, driver=True, **environment):
    """Output and messages of the program in that prefix."""
    paths = [str(MODULE.parent), *([str(DRIVER)] if driver else [])]
    env = {**os.environ, "LD_LIBRARY_PATH": ":".join(paths), "QR_FAKE_CUDA_LEAKS": "1", **environment}
    done = subprocess.run([prefix / "bin/querent", *arguments], input=stdin, capture_output=True, text=True, env=env, cwd=cwd,
                          timeout=120)
    return done.returncode, done.stdout, done.stderr


def inspect(prefix, model, device="cuda", **options):
    return run(prefix, "inspect", str(model), "--device", device, "--precision", "f32", **options)


def test_the_module_is_not_looked_for_by_the_loaders_path_or_the_working_directory(prefix, embedder, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copy(MODULE, elsewhere)
    code, _, told = inspect(prefix, embedder, cwd=elsewhere)  # LD_LIBRARY_PATH has the module's folder too
    assert code != 0 and "this build has no GPU part" in told


def test_what_the_program_was_called_by_is_not_looked_at(prefix, embedder, tmp_path):
    """A loader tells a program's own name as its caller gave it."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copy(MODULE, elsewhere)
    called = elsewhere / "libquerent.so.0"
    called.write_text("")
    done = subprocess.run([called, "inspect", str(embedder), "--device", "cuda"], executable=prefix / "bin/querent",
                          capture_output=True, text=True, timeout=60)
    assert done.returncode != 0 and "this build has no GPU part" in done.stderr and str(elsewhere) not in done.stderr


def test_beside_the_program(prefix, embedder):
    shutil.copy(MODULE, prefix / "bin")
    code, out, told = inspect(prefix, embedder)
    assert code == 0, told
    assert "sm_90" in out and "f32" in out


def test_in_the_installed_library_folder(prefix, embedder):
    _, _, told = inspect(prefix, embedder)
    place = re.search(r"nor (\S+) is there", told)[1]
    (prefix / "bin" / os.path.relpath(place, prefix / "bin")).parent.mkdir(parents=True)
    shutil.copy(MODULE, place)
    assert inspect(prefix, embedder)[0] == 0


def test_a_module_that_cannot_be_loaded_is_told_of(prefix, embedder):
    (prefix / "bin/libquerent_cuda.so").write_text("no library")
    code, _, told = inspect(prefix, embedder)
    assert code != 0 and "the GPU module cannot be loaded" in told and str(prefix) in told


def test_without_a_driver_the_message_says_so_and_auto_serves(prefix, embedder):
    shutil.copy(MODULE, prefix / "bin")
    code, _, told = inspect(prefix, embedder, driver=False)
    assert code != 0 and "there is no NVIDIA driver" in told
    code, out, _ = inspect(prefix, embedder, device="auto", driver=False)
    assert code == 0 and "sm_90" not in out


def test_vectors_are_those_of_the_cpu(prefix, embedder):
    shutil.copy(MODULE, prefix / "bin")
    texts = "where is the station\n\nnine words that are one text for the model\nx\n"
    vectors = []
    for device in ("cuda", "cpu"):
        code, out, told = run(prefix, "embed", "--model", str(embedder), "--device", device, "--precision", "f32", stdin=texts)
        assert code == 0, told
        vectors.append([json.loads(line) for line in out.splitlines()])
    assert len(vectors[0]) == 4
    for gpu, cpu in zip(*vectors):
        assert max(abs(a - b) for a, b in zip(gpu, cpu)) < 1e-5


IN_PYTHON = """
import ctypes, sys
sys.path.insert(0, sys.argv[1])
import library as ours
library, model, error = ours.open_library(), ours.c_void_p(), ours.Error()
options = ours.LoadOptions(struct_size=ours.sizeof(ours.LoadOptions), device=b"cuda")
failed = library.qr_lib_model_load(sys.argv[2].encode(), ours.byref(options), ours.byref(model), ours.byref(error))
info = ours.Info(struct_size=ours.sizeof(ours.Info))
if not failed:
    library.qr_lib_model_get_info(model, ours.byref(info), ours.byref(error))
    library.qr_lib_model_destroy(model)
print(error.message.decode() if failed else info.target.decode())
"""


def test_the_library_looks_beside_itself(tmp_path, embedder):
    """Not beside the program that loaded it, which is Python."""
    shutil.copy(ROOT / "build/libquerent.so.0", tmp_path)

    def told():
        env = {**os.environ, "LIBQUERENT": str(tmp_path / "libquerent.so.0"), "LD_LIBRARY_PATH": f"{MODULE.parent}:{DRIVER}"}
        command = [sys.executable, "-c", IN_PYTHON, str(ROOT / "examples"), str(embedder)]
        return subprocess.run(command, capture_output=True, text=True, env=env, timeout=120, check=True).stdout

    assert "this build has no GPU part" in told()
    assert f"{tmp_path}/libquerent_cuda.so" in told()
    shutil.copy(MODULE, tmp_path)
    assert told() == "sm_90\n"
