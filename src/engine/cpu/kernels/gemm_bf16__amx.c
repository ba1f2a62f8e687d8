/* engine/cpu/kernels/gemm_bf16__amx.c: bf16 x bf16 by TDPBF16PS into f32 sums. The instruction
 * takes denormals as zero and rounds to nearest even, whatever MXCSR says. */
#include "engine/cpu/kernels/vec_avx512f.h"

#define QR_GEMM_INT8           0
#define QR_GEMM_MAC(sum, a, b) _tile_dpbf16ps(sum, a, b)
#include "engine/cpu/kernels/gemm_amx_body.h"

void qr__gemm_bf16__amx(const qr__gemm_task *task) {
    multiply_tiles(task);
}
