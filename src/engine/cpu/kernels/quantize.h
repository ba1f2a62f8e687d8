/* engine/cpu/kernels/quantize.h: one row of activations to u8, over qr__vec (include vec_avx2.h or
 * vec_neon.h first; AVX-512 has quantize_512_body.h).
 *
 * Asymmetric by the row's own least and greatest value: x = scale * u8 + offset, offset = min,
 * scale = (max - min) / 255. The offset stays a float: no zero point is rounded, a constant row is
 * exact, and one side of zero (after GELU) wastes no codes. The error of a value is at most scale /
 * 2 and a rounding. */
#ifndef QR_ENGINE_CPU_QUANTIZE_H
#define QR_ENGINE_CPU_QUANTIZE_H

#include "engine/cpu/kernels/gemm.h"

#include <string.h>

/* x[k...], times its factors if there are any. */
static inline qr__vec scaled_load(const float *x, const float *factors, size_t k) {
    const qr__vec v = qr__vec_load(x + k);
    return factors == NULL ? v : qr__vec_mul(v, qr__vec_load(factors + k));
}

/* The same of the first n. */
static inline qr__vec scaled_load_first(const float *x, const float *factors, size_t k, size_t n) {
    const qr__vec v = qr__vec_load_first(x + k, n);
    return factors == NULL ? v : qr__vec_mul(v, qr__vec_load_first(factors + k, n));
}

/* Vectors taken at once: AVX2 packs the codes of four by as many shuffles as one takes, and has a
 * fourth of the latency to wait for. */
#if defined(__AVX2__)
#define QR_QUANTIZE_VECTORS ((size_t)4)
#define store_codes(p, v)   qr__vec_store4_u8(p, v)
#else
#define QR_QUANTIZE_VECTORS ((size_t)1)
#define store_codes(p, v)   qr__vec_store_u8(p, (v)[0])
#endif
#define QR_QUANTIZE_BLOCK (QR_QUANTIZE_VECTORS * QR_VEC_LANES)

/* The least and the greatest of x[K], times its factors. */
static inline __attribute__((always_inline)) void find_range(const float *x, const float *factors,
                                                             size_t K, float *low, float *high) {
    const size_t blocks = K / QR_QUANTIZE_BLOCK * QR_QUANTIZE_BLOCK;
    const qr__vec first = qr__vec_set(factors == NULL ? x[0] : x[0] * factors[0]);
    qr__vec least[QR_QUANTIZE_VECTORS], most[QR_QUANTIZE_VECTORS];
    for (size_t i = 0; i < QR_QUANTIZE_VECTORS; i++)
        least[i] = most[i] = first;
    for (size_t k = 0; k < blocks; k += QR_QUANTIZE_BLOCK)
        for (size_t i = 0; i < QR_QUANTIZE_VECTORS; i++) {
            const qr__vec v = scaled_load(x, factors, k + i * QR_VEC_LANES);
            least[i] = qr__vec_min(least[i], v);
            most[i] = qr__vec_max(most[i], v);
        }
    for (size_t k = blocks; k < K; k += QR_VEC_LANES) {
        const size_t n = qr_min(K - k, QR_VEC_LANES);
        const qr__vec v = scaled_load_first(x, factors, k, n);
        least[0] = qr__vec_min(least[0], qr__vec_blend_first(first, v, n));
        most[0] = qr__vec_max(most[0], qr__vec_blend_first(first, v, n));
    }
    for (size_t i = 1; i < QR_QUANTIZE_VECTORS; i++) {
        least[0] = qr__vec_min(least[0], least[i]);
        most[0] = qr__vec_max(most[0], most[i]);
    }
    *low = qr__vec_min_lane(least[0]);
    *high = qr__vec_max_lane(most[0]);
}

/* The conversion itself; `factors` is NULL or not where it is inlined. */
static inline __attribute__((always_inline)) void
quantize_scaled(const qr__gemm_shape *shape, const float *x, const float *factors, void *row) {
    const size_t K = shape->K, blocks = K / QR_QUANTIZE_BLOCK * QR_QUANTIZE_BLOCK;
    float low, high;
    find_range(x, factors, K, &low, &high);
    /* Divided apart: the range of two huge values would overflow. A range next to nothing is taken
     * as constant. */
    float scale = high / 255.0f - low / 255.0f;
    if (!(scale > QR__SCALE_TINY))
        scale = 0.0f;
    const float inverse = scale > 0.0f ? 1.0f / scale : 0.0f;
    const qr__vec offset = qr__vec_set(low), factor = qr__vec_set(inverse);
    uint8_t *out = row;
    for (size_t k = 0; k < blocks; k += QR_QUANTIZE_BLOCK) {
        qr__vec codes[QR_QUANTIZE_VECTORS];
        for (size_t i = 0; i < QR_QUANTIZE_VECTORS; i++) {
            const qr__vec v = scaled_load(x, factors, k + i * QR_VEC_LANES);
            codes[i] = qr__vec_mul(qr__vec_sub(v, offset), factor);
        }
        store_codes(out + k, codes);
    }
    /* The zeros behind x become some code; weights there are 0. */
    for (size_t k = blocks; k < K; k += QR_VEC_LANES) {
        const qr__vec v = scaled_load_first(x, factors, k, qr_min(K - k, QR_VEC_LANES));
        qr__vec_store_u8(out + k, qr__vec_mul(qr__vec_sub(v, offset), factor));
    }
    const qr__gemm_row constants = {scale, low};
    memcpy(out + shape->row_at, &constants, sizeof constants);
}

/* Codes of x[K], then their scale and offset. */
static inline void quantize_row(const qr__gemm_shape *shape, const float *x, void *row) {
    if (shape->factors == NULL)
        quantize_scaled(shape, x, NULL, row);
    else
        quantize_scaled(shape, x, shape->factors, row);
}

/** A kernel's conversion of rows (gemm.h). */
static inline void quantize_int8(const qr__gemm_shape *shape, const float *x, size_t ldx,
                                 size_t rows, void *operand) {
    qr__quantize_each(shape, x, ldx, rows, operand, quantize_row);
}

#endif
