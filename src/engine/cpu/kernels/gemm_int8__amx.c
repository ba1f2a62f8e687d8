/* engine/cpu/kernels/gemm_int8__amx.c: u8 activations x s8 weights by TDPBUSD. Sums are exact, as
 * gemm_int8__avx512vnni.c's, so the results have the same bits. */
#include "engine/cpu/kernels/vec_avx512f.h"

#define QR_GEMM_INT8           1
#define QR_GEMM_MAC(sum, a, b) _tile_dpbusd(sum, a, b)
#include "engine/cpu/kernels/gemm_amx_body.h"

/* Of so few rows the weights' way from the caches is all that counts, and vectors with their
 * prefetch read 5 % faster than tiles do. */
#define FEW_ROWS 12u

void qr__gemm_int8__amx(const qr__gemm_task *task) {
    if (task->rows <= FEW_ROWS)
        qr__gemm_int8__avx512vnni(task);
    else
        multiply_tiles(task);
}
