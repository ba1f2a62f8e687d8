"""Our own declarations of the driver's calls and of cuBLASLt's against NVIDIA's headers, where they are: tests/cuda/host/calls_check.cpp
is all static_assert, so compiling it is the check."""

import os
import pathlib
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHECK = ROOT / "tests/cuda/host/calls_check.cpp"
HOMES = [os.environ.get("CUDA_HOME"), os.environ.get("CUDA_PATH"), "/usr/local/cuda"]
HEADERS = next((path for path in (pathlib.Path(home) / "include" for home in HOMES if home) if (path / "cublasLt.h").exists()), None)
needs_headers = pytest.mark.skipif(not (HEADERS and shutil.which("g++")), reason="about CUDA's headers, which are not here")


def compile_check(source):
    command = ["g++", "-std=c++17", "-fsyntax-only", "-Wall", "-Wextra", "-I", str(source), "-isystem", str(HEADERS), str(CHECK)]
    return subprocess.run(command, capture_output=True, text=True)


@needs_headers
def test_declarations_are_nvidias():
    done = compile_check(ROOT / "src")
    assert done.returncode == 0, done.stderr


@needs_headers
@pytest.mark.parametrize("header,right,wrong", [
    ("driver_calls.h", "QR__CU_MULTIPROCESSORS = 16", "QR__CU_MULTIPROCESSORS = 15"),
    ("driver_calls.h", "size_t bytes, unsigned flags", "unsigned bytes, unsigned flags"),
    ("driver_calls.h", "uint64_t qr__cu_pointer", "uint32_t qr__cu_pointer"),
    ("driver_calls.h", "char pad[64];", "char pad[56];"),
    ("lt_calls.h", "QR__LT_BIAS_TYPE = 26", "QR__LT_BIAS_TYPE = 25"),
    ("lt_calls.h", "uint64_t rows, uint64_t columns", "int rows, uint64_t columns"),
])
def test_a_wrong_one_is_seen(tmp_path, header, right, wrong):
    folder = tmp_path / "engine/cuda/module"
    shutil.copytree(ROOT / "src/engine/cuda/module", folder)
    text = (folder / header).read_text()
    assert right in text
    (folder / header).write_text(text.replace(right, wrong))
    assert compile_check(tmp_path).returncode != 0
