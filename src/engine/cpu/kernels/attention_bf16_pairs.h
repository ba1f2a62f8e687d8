/* engine/cpu/kernels/attention_bf16_pairs.h: how attention in bf16 lays out keys, queries and
 * powers, whoever multiplies them (include kernels.h and vec_math.h first). */
#ifndef QR_ENGINE_CPU_ATTENTION_BF16_PAIRS_H
#define QR_ENGINE_CPU_ATTENTION_BF16_PAIRS_H

#include "engine/cpu/kernels/attention_groups.h"
#include "engine/cpu/kernels/vec_transpose.h"

/* 16 dwords of two bf16: low[i] below high[i]. */
ALWAYS_INLINE __m512i qr__side_by_side(__m512 low, __m512 high) {
    const __m512i order =
        _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                         21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    return _mm512_permutexvar_epi16(order, (__m512i)_mm512_cvtne2ps_pbh(high, low));
}

/* row[D] in bf16; D is a multiple of 16. */
ALWAYS_INLINE void qr__pack_key(uint16_t *row, const float *k, size_t D) {
    for (size_t d = 0; d < D; d += 16)
        _mm256_storeu_si256((__m256i *)(row + d),
                            (__m256i)_mm512_cvtneps_pbh(_mm512_loadu_ps(k + d)));
}

/* qt[D/2][16][2] of up to 16 queries, zeros behind them: 32 values of each row at a time are 16
 * pairs. */
ALWAYS_INLINE void qr__pack_queries(uint32_t *qt, const qr__attention *a, const float *q,
                                    size_t queries) {
    for (size_t d = 0; d < a->D; d += 32) {
        size_t columns = qr_min(a->D - d, 32) / 2;
        __m512 rows[16];
        for (size_t r = 0; r < 16; r++) {
            rows[r] = _mm512_setzero_ps();
            if (r < queries) {
                const float *x = q + r * a->ld_q + d;
                __m512 high = columns == 16 ? _mm512_loadu_ps(x + 16) : _mm512_setzero_ps();
                rows[r] = (__m512)_mm512_cvtne2ps_pbh(high, _mm512_loadu_ps(x));
            }
        }
        qr__vec_transpose(rows);
        for (size_t c = 0; c < columns; c++)
            _mm512_storeu_ps(qt + (d / 2 + c) * QR_ATTENTION_LANES, rows[c]);
    }
}

#endif
