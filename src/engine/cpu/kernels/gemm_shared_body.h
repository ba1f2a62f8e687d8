/* engine/cpu/kernels/gemm_shared_body.h: what the bodies of matrix products share: unrolling,
 * prefetching, and how int8's sums become numbers. Over qr__vec: include vec_avx512f.h, vec_avx2.h
 * or vec_neon.h first.
 *
 *     prefetch ahead = {panel + panel_bytes, blocks, blocks};
 *     prefetch_share(&ahead, STEP_BYTES);                     // at every step
 *     y = scaled(qr__vec_from_i32(sums), scale, column_sum, bias, &row); */
#include "engine/cpu/kernels/gemm.h"

#if defined(__clang__)
#define QR_UNROLL _Pragma("clang loop unroll(full)")
#else
#define QR_UNROLL _Pragma("GCC unroll 16")
#endif
#define QR_INLINE       static inline __attribute__((always_inline))

#define QR_GEMM_COLUMNS (2 * QR_VEC_LANES) /* of a panel, and of sums */

/* What is asked for ahead of its use, into L2. A block of rows that reads a panel alone asks for
 * what it will read QR_GEMM_AHEAD bytes on. Where several blocks read a panel, the next one comes
 * meanwhile: each `every`-th request is made, so that its way from L3 has the time of all blocks,
 * not of the first. */
typedef struct prefetch {
    const char *at;
    size_t every; /* as many as there are blocks */
    size_t left;  /* requests up to the next that is made */
} prefetch;

/* Bytes; 8 to 32 KB measure alike. */
#define QR_GEMM_AHEAD 16384

QR_INLINE void prefetch_lines(const char *at, const size_t bytes) {
    QR_UNROLL
    for (size_t line = 0; line < bytes; line += 64)
        __builtin_prefetch(at + line, 0, 2);
}

QR_INLINE void prefetch_share(prefetch *ahead, const size_t bytes) {
    if (--ahead->left > 0)
        return;
    prefetch_lines(ahead->at, bytes);
    ahead->at += bytes;
    ahead->left = ahead->every;
}

/* x * w of int8, plus the bias: x = s * u8 + o, so x * w = s * (u8 * w) + o * sum(w). */
QR_INLINE qr__vec scaled(qr__vec sum, qr__vec scale, qr__vec column_sum, qr__vec bias,
                         const qr__gemm_row *row) {
    const qr__vec value = qr__vec_mul(sum, scale);
    return qr__vec_fma(value, qr__vec_set(row->scale),
                       qr__vec_fma(qr__vec_set(row->offset), column_sum, bias));
}
