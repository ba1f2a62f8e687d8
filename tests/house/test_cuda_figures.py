"""tools/cuda_figures.py: what it reads of ptxas, its sums against cases counted by hand, and docs/CUDA.md's table against the last
build with nvcc, where there was one."""

import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import cuda_figures  # noqa: E402

REPORT = """ptxas info    : Compiling entry function 'qr_cuda_a' for 'sm_80'
ptxas info    : Function properties for qr_cuda_a
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 98 registers, used 1 barriers, 384 bytes cmem[0]
ptxas info    : Compile time = 15.469 ms
ptxas info    : Compiling entry function 'qr_cuda_a' for 'sm_90a'
ptxas info    : Function properties for qr_cuda_a
    8 bytes stack frame, 4 bytes spill stores, 4 bytes spill loads
ptxas info    : Used 40 registers, used 1 barriers, 128 bytes smem, 384 bytes cmem[0]
"""
KERNELS = {"a": (256, 73728)}


def test_report():
    assert cuda_figures.read_report(REPORT) == {("a", "sm_80"): (98, 0, 0), ("a", "sm_90a"): (40, 16, 128)}


def test_list():
    kernels = cuda_figures.read_list(cuda_figures.LIST.read_text())
    assert kernels["embed_f16"] == (256, 64) and kernels["gemm_bf16_128"] == (256, 73728) and "linear_f32" in kernels


def test_blocks():
    assert cuda_figures.by_registers(98, 256) == 2    # 3328 a warp: 4 in each quarter, 16 of the 8 of a block
    assert cuda_figures.by_registers(255, 1024) == 0  # 8 warps for blocks of 32
    assert cuda_figures.by_shared(73728, "sm_80") == 2 and cuda_figures.by_shared(73728, "sm_90a") == 3
    assert cuda_figures.blocks(16, 0, 32, "sm_80") == 32 and cuda_figures.blocks(16, 0, 1024, "sm_80") == 2


def test_complaints():
    report = cuda_figures.read_report(REPORT)
    assert cuda_figures.complaints(report, KERNELS) == ["a for sm_90a: 16 bytes of stack and spills"]
    assert any("not compiled" in fault for fault in cuda_figures.complaints({}, KERNELS))
    assert any("not in cuda" in fault for fault in cuda_figures.complaints(report, {}))
    large = cuda_figures.complaints(report, {"a": (256, 164 << 10)})
    assert any("sm_80: a block cannot" in fault for fault in large) and not any("sm_90a: a block" in fault for fault in large)


def test_compare():
    table = cuda_figures.make_table({("a", target): (98, 0, 0) for target in cuda_figures.TARGETS}, KERNELS, "13.0")
    assert cuda_figures.compare(table, table)[1] is False
    assert cuda_figures.compare(table.replace("98", "99"), table)[1] is True
    assert cuda_figures.compare("", table)[1] is True
    assert cuda_figures.compare(table.replace("13.0", "12.9"), table)[1] is False


def test_page():
    """The page has what the last build's ptxas said."""
    sources = list((ROOT / "src/engine/cuda/kernels").iterdir())
    report = cuda_figures.REPORT
    if not report.exists() or report.stat().st_mtime < max(path.stat().st_mtime for path in sources):
        pytest.skip("no build with nvcc that is newer than the kernels")
    text = report.read_text()
    found, kernels = cuda_figures.read_report(text), cuda_figures.read_list(cuda_figures.LIST.read_text())
    assert cuda_figures.complaints(found, kernels) == []
    version = cuda_figures.VERSION.search(text)[1]
    page = cuda_figures.split_page(cuda_figures.PAGE.read_text())[1]
    said, is_fault = cuda_figures.compare(page, cuda_figures.make_table(found, kernels, version))
    assert not is_fault, said
