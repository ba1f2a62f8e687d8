/* engine/cpu/kernels/gemm_bf16__neoni8mm.c: bf16 x bf16 by BFMMLA into f32 sums, 6 x 16 tiles. The
 * instruction takes denormals as zero and rounds to odd, whatever rounding FPCR asks for: each
 * addition is off by less than a unit of the last place, where nearest even is by half of one. */
#include "engine/cpu/kernels/vec_neon.h"

#include "engine/cpu/kernels/gemm_list.h"

#define QR_GEMM_PAIRS
#define QR_GEMM_ROWS_MAX       6
#define QR_GEMM_STEP_BYTES     128
#define QR_GEMM_INT8           0
#define QR_GEMM_SUM            float32x4_t
#define QR_GEMM_ZERO           vdupq_n_f32(0)
#define QR_GEMM_MAC(acc, a, w) vbfmmlaq_f32(acc, vreinterpretq_bf16_u8(a), vreinterpretq_bf16_u8(w))
#define QR_GEMM_STORE(p, acc)  vst1q_f32(p, acc)
#define QR_GEMM_NAME           qr__gemm_bf16__neoni8mm
#include "engine/cpu/kernels/gemm_tile.h"

/* Rounded to nearest even. */
static inline bfloat16x8_t narrow(qr__vec v) {
    return vcvtq_high_bf16_f32(vcvtq_low_bf16_f32(v.low), v.high);
}

static void convert_row(const qr__gemm_shape *shape, const float *x, void *row) {
    const size_t K = shape->K, whole = K / QR_VEC_LANES * QR_VEC_LANES;
    bfloat16_t *out = row;
    for (size_t k = 0; k < whole; k += QR_VEC_LANES)
        vst1q_bf16(out + k, narrow(qr__vec_load(x + k)));
    if (whole < K) /* zeros behind x: the last step of four may need some */
        vst1q_bf16(out + whole, narrow(qr__vec_load_first(x + whole, K - whole)));
}

void qr__quantize_bf16__neoni8mm(const qr__gemm_shape *shape, const float *x, size_t ldx,
                                 size_t rows, void *operand) {
    qr__quantize_each(shape, x, ldx, rows, operand, convert_row);
}
