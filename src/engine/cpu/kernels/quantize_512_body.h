/* engine/cpu/kernels/quantize_512_body.h: rows of activations to u8 as quantize.h has it, up to
 * four at a time, on AVX-512 (include vec_avx512f.h first).
 *
 * A row alone waits: each of its values for the one before, its range for the way across the lanes
 * and two divisions. Rows together wait for these once, and read the factors once. No row's numbers
 * depend on its group: all that is found across its elements is the least and the greatest of
 * them. */
#ifndef QR_ENGINE_CPU_QUANTIZE_512_BODY_H
#define QR_ENGINE_CPU_QUANTIZE_512_BODY_H

#include "engine/cpu/kernels/gemm.h"

#include <stdbool.h>
#include <string.h>

#define QR_QUANTIZE_ROWS   ((size_t)4)
#define QR_QUANTIZE_INLINE static inline __attribute__((always_inline))

/* Rows of x, and what each is multiplied by; `factors` is NULL or not where this is inlined. */
typedef struct quantized {
    const float *x, *factors;
    size_t ldx;
} quantized;

/* Of each row: scale, its inverse or 0, offset. */
typedef struct quantized_ranges {
    float scale[QR_QUANTIZE_ROWS], inverse[QR_QUANTIZE_ROWS], offset[QR_QUANTIZE_ROWS];
} quantized_ranges;

/* Those of values [k, k + 16) of row r that `some` has, else 0. */
QR_QUANTIZE_INLINE __m512 scaled_load(const quantized *q, size_t r, size_t k, __mmask16 some) {
    const __m512 v = _mm512_maskz_loadu_ps(some, q->x + r * q->ldx + k);
    return q->factors == NULL ? v : _mm512_mul_ps(v, _mm512_maskz_loadu_ps(some, q->factors + k));
}

QR_QUANTIZE_INLINE __m512 either(bool least, __m512 a, __m512 b) {
    return least ? _mm512_min_ps(a, b) : _mm512_max_ps(a, b);
}

/* The least or the greatest number of each of four vectors. */
QR_QUANTIZE_INLINE __m128 across(bool least, const __m512 v[QR_QUANTIZE_ROWS]) {
    const __m512 a = either(least, _mm512_unpacklo_ps(v[0], v[1]), _mm512_unpackhi_ps(v[0], v[1]));
    const __m512 b = either(least, _mm512_unpacklo_ps(v[2], v[3]), _mm512_unpackhi_ps(v[2], v[3]));
    __m512 fours = either(least, _mm512_shuffle_ps(a, b, 0x44), _mm512_shuffle_ps(a, b, 0xee));
    fours = either(least, fours, _mm512_shuffle_f32x4(fours, fours, 0x4e));
    return _mm512_castps512_ps128(either(least, fours, _mm512_shuffle_f32x4(fours, fours, 0xb1)));
}

/* Divided apart: the range of two huge values would overflow. A range next to nothing is taken as
 * constant. */
QR_QUANTIZE_INLINE void set_ranges(__m128 low, __m128 high, quantized_ranges *out) {
    const __m128 codes = _mm_set1_ps(255.0f), one = _mm_set1_ps(1.0f);
    __m128 scale = _mm_sub_ps(_mm_div_ps(high, codes), _mm_div_ps(low, codes));
    const __m128 some = _mm_cmpgt_ps(scale, _mm_set1_ps(QR__SCALE_TINY));
    scale = _mm_and_ps(some, scale);
    _mm_storeu_ps(out->scale, scale);
    _mm_storeu_ps(out->inverse, _mm_and_ps(some, _mm_div_ps(one, scale)));
    _mm_storeu_ps(out->offset, low);
}

/* Of n rows (a constant where it is inlined). */
QR_QUANTIZE_INLINE void find_ranges(const quantized *q, size_t K, size_t n, quantized_ranges *out) {
    __m512 least[QR_QUANTIZE_ROWS], most[QR_QUANTIZE_ROWS];
    for (size_t r = 0; r < n; r++)
        least[r] = most[r] = _mm512_set1_ps(q->x[r * q->ldx] * (q->factors ? q->factors[0] : 1));
    for (size_t k = 0; k + 16 <= K; k += 16)
        for (size_t r = 0; r < n; r++) {
            const __m512 v = scaled_load(q, r, k, 0xffff);
            least[r] = _mm512_min_ps(least[r], v);
            most[r] = _mm512_max_ps(most[r], v);
        }
    const __mmask16 rest = qr__vec_mask(K % 16);
    if (rest != 0)
        for (size_t r = 0; r < n; r++) {
            const __m512 v = scaled_load(q, r, K - K % 16, rest);
            least[r] = _mm512_mask_min_ps(least[r], rest, least[r], v);
            most[r] = _mm512_mask_max_ps(most[r], rest, most[r], v);
        }
    for (size_t r = n; r < QR_QUANTIZE_ROWS; r++)
        least[r] = least[0], most[r] = most[0];
    set_ranges(across(true, least), across(false, most), out);
}

/* Codes and constants of n rows. */
QR_QUANTIZE_INLINE void quantize_group(const qr__gemm_shape *shape, const quantized *q, size_t n,
                                       char *rows) {
    const size_t K = shape->K;
    quantized_ranges ranges;
    find_ranges(q, K, n, &ranges);
    for (size_t k = 0; k < K; k += 16) {
        /* The zeros behind x become some code; weights there are 0. */
        const __mmask16 some = K - k < 16 ? qr__vec_mask(K - k) : 0xffff;
        for (size_t r = 0; r < n; r++) {
            const __m512 above =
                _mm512_sub_ps(scaled_load(q, r, k, some), _mm512_set1_ps(ranges.offset[r]));
            qr__vec_store_u8((uint8_t *)rows + r * shape->stride + k,
                             _mm512_mul_ps(above, _mm512_set1_ps(ranges.inverse[r])));
        }
    }
    for (size_t r = 0; r < n; r++) {
        const qr__gemm_row constants = {ranges.scale[r], ranges.offset[r]};
        memcpy(rows + r * shape->stride + shape->row_at, &constants, sizeof constants);
    }
}

QR_QUANTIZE_INLINE void quantize_groups(const qr__gemm_shape *shape, quantized q, size_t rows,
                                        char *operand) {
    const size_t groups = (rows + QR_QUANTIZE_ROWS - 1) / QR_QUANTIZE_ROWS;
    const size_t group = (rows + groups - 1) / groups; /* as even as can be */
    for (size_t t = 0; t < rows; t += group) {
        switch (qr_min(rows - t, group)) {
        case 1:
            quantize_group(shape, &q, 1, operand);
            break;
        case 2:
            quantize_group(shape, &q, 2, operand);
            break;
        case 3:
            quantize_group(shape, &q, 3, operand);
            break;
        default:
            quantize_group(shape, &q, 4, operand);
        }
        q.x += group * q.ldx;
        operand += group * shape->stride;
    }
}

/** A kernel's conversion of rows (gemm.h): codes of x[K], then their scale and offset. */
static inline void quantize_int8(const qr__gemm_shape *shape, const float *x, size_t ldx,
                                 size_t rows, void *operand) {
    if (shape->factors == NULL)
        quantize_groups(shape, (quantized){.x = x, .ldx = ldx}, rows, operand);
    else
        quantize_groups(shape, (quantized){.x = x, .factors = shape->factors, .ldx = ldx}, rows,
                        operand);
}

#endif
