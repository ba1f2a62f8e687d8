/* engine/cpu/kernels/gemm_bf16__neon.c: f32 x bf16 for machines without BFMMLA: weights widen as
 * they are read, so that half the bytes stream; activations and sums stay f32. 6 x 16 tiles. */
#include "engine/cpu/kernels/vec_neon.h"

#include "engine/cpu/kernels/gemm_list.h"

static inline qr__vec widen(const char *p) {
    const uint16x8_t halves = vld1q_u16((const uint16_t *)(const void *)p);
    return (qr__vec){vreinterpretq_f32_u32(vshll_n_u16(vget_low_u16(halves), 16)),
                     vreinterpretq_f32_u32(vshll_high_n_u16(halves, 16))};
}

static inline qr__vec broadcast(const char *p) {
    const float32x4_t four = vld1q_dup_f32((const float *)(const void *)p);
    return (qr__vec){four, four};
}

#define QR_GEMM_ROWS_MAX       6
#define QR_GEMM_STEP_BYTES     32
#define QR_GEMM_INT8           0
#define QR_GEMM_SUM            qr__vec
#define QR_GEMM_OPERAND        qr__vec
#define QR_GEMM_ZERO           qr__vec_set(0)
#define QR_GEMM_LOAD(p)        widen(p)
#define QR_GEMM_BROADCAST(p)   broadcast(p)
#define QR_GEMM_MAC(acc, a, w) qr__vec_fma(a, w, acc)
#define QR_GEMM_STORE(p, acc)  qr__vec_store(p, acc)
#define QR_GEMM_NAME           qr__gemm_bf16__neon
#include "engine/cpu/kernels/gemm_tile.h"
