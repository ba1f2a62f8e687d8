/* engine/cpu/kernels/gemm_f32__neon.c: f32 by fused multiply-adds, 6 x 16 tiles: 24 of the 32
 * registers are sums. */
#include "engine/cpu/kernels/vec_neon.h"

#include "engine/cpu/kernels/gemm_list.h"

static inline qr__vec broadcast(const char *p) {
    const float32x4_t four = vld1q_dup_f32((const float *)(const void *)p);
    return (qr__vec){four, four};
}

#define QR_GEMM_ROWS_MAX       6
#define QR_GEMM_STEP_BYTES     64
#define QR_GEMM_INT8           0
#define QR_GEMM_SUM            qr__vec
#define QR_GEMM_OPERAND        qr__vec
#define QR_GEMM_ZERO           qr__vec_set(0)
#define QR_GEMM_LOAD(p)        qr__vec_load((const float *)(const void *)(p))
#define QR_GEMM_BROADCAST(p)   broadcast(p)
#define QR_GEMM_MAC(acc, a, w) qr__vec_fma(a, w, acc)
#define QR_GEMM_STORE(p, acc)  qr__vec_store(p, acc)
#define QR_GEMM_NAME           qr__gemm_f32__neon
#include "engine/cpu/kernels/gemm_tile.h"
