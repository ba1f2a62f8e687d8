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


def stamped():
    """The files that cmake/CudaStamp.cmake hashes."""
    patterns = re.search(r"set\(patterns ([^)]*)\)", (ROOT / "cmake/CudaStamp.cmake").read_text())[1].split()
    return {path for pattern in patterns for path in ROOT.glob(pattern)}


def test_all_that_the_module_is_made_of_is_in_its_stamp():
    sources = [*(ROOT / "src/engine/cuda/module").iterdir(), *(ROOT / "src/engine/cuda/kernels").iterdir(),
               ROOT / "src/engine/model_info.c"]
    seen = set()
    while sources:
        path = sources.pop()
        if path in seen or not path.exists():  # a header of the emulator's
            continue
        seen.add(path)
        sources += [ROOT / "src" / header for header in re.findall(r'#include "([^"]+)"', path.read_text())]
    assert len(seen) > 60 and seen - stamped() == set()


def make_stamp(root, out):
    subprocess.run(["cmake", f"-DOUT={out}", "-P", root / "cmake/CudaStamp.cmake"], check=True, timeout=60)
    return re.search(r'"(\w{16})"', out.read_text())[1]


def test_a_stamp_is_of_contents_alone(tmp_path):
    """Another folder and another day: the same. Another word in a header of the seam: another."""
    for path in [*stamped(), ROOT / "cmake/CudaStamp.cmake"]:
        copy = tmp_path / "checkout" / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    stamp = make_stamp(ROOT, tmp_path / "here.c")
    assert make_stamp(tmp_path / "checkout", tmp_path / "there.c") == stamp
    header = tmp_path / "checkout/src/engine/backend.h"
    header.write_text(header.read_text().replace("QR_MATRIX_QKV = 1", "QR_MATRIX_QKV = 2"))
    assert make_stamp(tmp_path / "checkout", tmp_path / "there.c") != stamp


def test_a_module_of_another_checkout_is_refused(prefix, embedder, tmp_path):
    """Of the same version and sizes: only its stamp is another."""
    stamp = make_stamp(ROOT, tmp_path / "stamp.c").encode()
    code = MODULE.read_bytes()
    assert code.count(stamp) == 1
    (prefix / "bin/libquerent_cuda.so").write_bytes(code.replace(stamp, b"0123456789abcdef"))
    code, _, told = inspect(prefix, embedder)
    assert code != 0 and f"{prefix}/bin/libquerent_cuda.so was built from other sources than this program (0123456789abcdef" in told
    code, out, _ = inspect(prefix, embedder, device="auto")
    assert code == 0 and "sm_90" not in out


def test_a_command_ends_though_the_gpu_does_not(prefix, embedder):
    """What libcuda does when a process ends may wait for the kernel; the fake one ends with a signal there."""
    shutil.copy(MODULE, prefix / "bin")
    code, out, told = run(prefix, "embed", "--model", str(embedder), "--device", "cuda", "--precision", "f32", stdin="a text\n",
                          QR_FAKE_CUDA_FAIL="cuGraphLaunch:1:endless", QUERENT_CUDA_WAIT_MS="1")
    assert code == 1 and out == "" and "is lost (a batch: it does not end)" in told, told


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
