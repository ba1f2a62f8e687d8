/* engine/cpu/kernels/gemm_int8__neoni8mm.c: u8 activations x s8 weights by USMMLA, 6 x 16 tiles.
 * Sums are exact, as gemm_int8__avx2vnni.c's, and codes are u8, as there. */
#include "engine/cpu/kernels/vec_neon.h"

#include "engine/cpu/kernels/gemm_list.h"
#include "engine/cpu/kernels/quantize.h"

static inline void store(float *p, int32x4_t sums) {
    vst1q_s32((int32_t *)(void *)p, sums);
}

#define QR_GEMM_PAIRS
#define QR_GEMM_ROWS_MAX       6
#define QR_GEMM_STEP_BYTES     128
#define QR_GEMM_INT8           1
#define QR_GEMM_SUM            int32x4_t
#define QR_GEMM_ZERO           vdupq_n_s32(0)
#define QR_GEMM_MAC(acc, a, w) vusmmlaq_s32(acc, a, vreinterpretq_s8_u8(w))
#define QR_GEMM_STORE(p, acc)  store(p, acc)
#define QR_GEMM_NAME           qr__gemm_int8__neoni8mm
#include "engine/cpu/kernels/gemm_tile.h"

void qr__quantize_int8__neoni8mm(const qr__gemm_shape *shape, const float *x, size_t ldx,
                                 size_t rows, void *operand) {
    quantize_int8(shape, x, ldx, rows, operand);
}
