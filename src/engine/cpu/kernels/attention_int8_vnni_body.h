/* engine/cpu/kernels/attention_int8_vnni_body.h: the two products of attention in int8 by VPDPBUSD.
 *
 * Operations a key and block of 16 queries: D/4 for the score, D/4 for the value. Two blocks are
 * scored at once: each four bytes of a key are then read for two operations, not for one, and a
 * core reads no more in a cycle than it multiplies. */
#include "engine/cpu/kernels/attention_int8_codes_body.h"

#define BLOCKS      2u  /* of queries that are scored at a time */
#define KEYS        12u /* at a time */
#define OUT_VECTORS 2u
#define OUT_QUERIES 12u

/* sum + four products a lane. The empty `asm` keeps a sum in its register: else gcc 12 moves all of
 * them twice a step. */
ALWAYS_INLINE __m512i add_products(__m512i sum, __m512i u, __m512i s) {
    sum = _mm512_dpbusd_epi32(sum, u, s);
    __asm__("" : "+v"(sum));
    return sum;
}

/* Scores of n keys and `blocks` blocks of queries (constants where it is inlined). */
ALWAYS_INLINE void score_keys(block *b, size_t blocks, size_t D, size_t key, size_t n) {
    const uint8_t *k = b[0].k + key * D;
    __m512i sum[BLOCKS][KEYS], q[BLOCKS];
    for (size_t i = 0; i < blocks; i++)
        for (size_t j = 0; j < n; j++)
            sum[i][j] = _mm512_setzero_si512();
    for (size_t d = 0; d < D; d += 4) {
        for (size_t i = 0; i < blocks; i++)
            q[i] = _mm512_loadu_si512(b[i].q + d / 4 * LANES);
        for (size_t j = 0; j < n; j++) {
            int32_t four;
            memcpy(&four, k + j * D + d, sizeof four);
            for (size_t i = 0; i < blocks; i++)
                sum[i][j] = add_products(sum[i][j], _mm512_set1_epi32(four), q[i]);
        }
    }
    for (size_t i = 0; i < blocks; i++) {
        __m512i most = b[i].most;
        for (size_t j = 0; j < n; j++) {
            most = _mm512_max_epi32(most, sum[i][j]);
            _mm512_storeu_si512(b[i].score + (key + j) * LANES, sum[i][j]);
        }
        b[i].most = most;
    }
}

ALWAYS_INLINE void all_scores(block *b, size_t blocks, size_t keys, size_t D) {
    size_t group = qr__attention_group(keys, KEYS);
    for (size_t key = 0; key < keys; key += group)
        if (blocks == BLOCKS) {
#define GROUP(n) score_keys(b, BLOCKS, D, key, n)
            WITH_CONSTANT(qr_min(keys - key, group), GROUP)
#undef GROUP
        } else {
#define GROUP(n) score_keys(b, 1, D, key, n)
            WITH_CONSTANT(qr_min(keys - key, group), GROUP)
#undef GROUP
        }
}

/* out[n][d..d + 16 * vectors) */
ALWAYS_INLINE void mix_values(const block *b, const qr__attention *a, size_t D, size_t query,
                              const float *scale, float *out, size_t d, size_t n, size_t vectors) {
    __m512i sum[OUT_QUERIES][OUT_VECTORS];
    for (size_t q = 0; q < n; q++)
        for (size_t i = 0; i < vectors; i++)
            sum[q][i] = _mm512_setzero_si512();
    for (size_t j = 0; j < (a->keys + 3) / 4; j++) {
        __m512i value[OUT_VECTORS];
        for (size_t i = 0; i < vectors; i++)
            value[i] = _mm512_loadu_si512(b->v + j * D + d + 16 * i);
        for (size_t q = 0; q < n; q++) {
            __m512i power = _mm512_set1_epi32((int)b->p[j * LANES + query + q]);
            for (size_t i = 0; i < vectors; i++)
                sum[q][i] = add_products(sum[q][i], power, value[i]);
        }
    }
    for (size_t i = 0; i < vectors; i++) {
        __m512 step = _mm512_loadu_ps(b->values.scale + d + 16 * i);
        __m512 middle = _mm512_loadu_ps(b->values.middle + d + 16 * i);
        for (size_t q = 0; q < n; q++) {
            __m512 mean = _mm512_mul_ps(_mm512_cvtepi32_ps(sum[q][i]), _mm512_set1_ps(scale[q]));
            _mm512_storeu_ps(out + q * a->ld_out + d + 16 * i, _mm512_fmadd_ps(mean, step, middle));
        }
    }
}

#include "engine/cpu/kernels/attention_mix_body.h"
