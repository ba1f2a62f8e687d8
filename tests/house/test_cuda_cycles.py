"""tools/cuda_cycles.py: what it reads of cuobjdump's listing."""

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import cuda_cycles  # noqa: E402

# Two instructions of a real kernel (stalls of 1 and 13), a barrier (3), a branch back to the first of a loop (15), an end (5).
LISTING = """
		Function : qr_cuda_widen_f16
	.headerflags	@"EF_CUDA_SM90"
        /*0000*/                   LDC R1, c[0x0][0x28] ;                        /* 0x00000a00ff017b82 */
                                                                                 /* 0x000e220000000800 */
        /*0010*/                   ACQBULK ;                                     /* 0x000000000000782e */
                                                                                 /* 0x000fda0000000000 */
        /*0020*/                   BAR.SYNC.DEFER_BLOCKING 0x0 ;                 /* 0x0000000000007b1d */
                                                                                 /* 0x000fe60000010000 */
        /*0030*/              @!P0 BRA 0x20 ;                                    /* 0xfffffff900008947 */
                                                                                 /* 0x000fde000383ffff */
        /*0040*/                   EXIT ;                                        /* 0x000000000000794d */
                                                                                 /* 0x000fea0003800000 */
        /*0050*/                   BRA 0x50;                                     /* 0xfffffffc00fc7947 */
"""


def test_parts_end_where_warps_meet_and_where_loops_do():
    code = cuda_cycles.read(LISTING)
    assert list(code) == ["widen_f16"] and [row[2] for row in code["widen_f16"]] == [1, 13, 3, 15, 5]
    assert cuda_cycles.parts(code["widen_f16"]) == [("grid_wait", 0x10, 2, 14), ("block_sync", 0x20, 1, 3),
                                                    ("back to 20", 0x30, 1, 15), ("end", 0x40, 1, 5)]
