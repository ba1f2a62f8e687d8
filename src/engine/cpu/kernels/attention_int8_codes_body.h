/* engine/cpu/kernels/attention_int8_codes_body.h: all of attention in int8 but its two products:
 * codes of keys, values and queries, and powers (attention_int8_body.h says what for).
 *
 *     k[keys][D]          u8: (k - middle[d]) / scale[d] + 128
 *     v[keys/4][D][4]     s8: (v - middle[d]) / scale[d], four keys side by side
 *     q[D/4][16][4]       s8: a block of 16 queries, transposed, times k's scale[d] / its own
 *     score[keys][16]     s32, exact
 *     p[keys/4][16][4]    u8: 254 * 2^(score - the query's largest)
 *     out[16][D]          sum of p * v / sum of p, times scale[d], plus middle[d]
 *
 * Keys and values have a scale a channel, over the sequence's tokens, and use all codes: what is
 * added to every key alike (their middle, 128) changes no softmax, and what is taken from every
 * value comes back whole, since weights sum to 1. What rounding a power leaves is carried on to the
 * key four places behind, and the sum is that of the rounded powers, so that many small weights are
 * neither lost nor overrated: a code is what the sum of its place's powers, rounded, grows by; such
 * sums stay below 2^22. Sums of products are exact, so a query's numbers depend on its sequence
 * only. */
#include "engine/cpu/kernels/vec_math.h"

#define QR_ATTENTION_INTS   __m512i
#define QR_ATTENTION_FLOATS __m512
#include "engine/cpu/kernels/attention_int8_block_body.h"
#include "engine/cpu/kernels/kernel_list.h"

#include "engine/cpu/kernels/vec_exp2_floor.h"
#include "engine/cpu/kernels/vec_transpose.h"

#define LOG2_MOST 7.98868469f /* of 254: with half of a carried 1 still a u8 */

/* The lowest bytes of four vectors side by side. */
ALWAYS_INLINE __m512i side_by_side(__m512i a, __m512i b, __m512i c, __m512i d) {
    const __m512i byte = _mm512_set1_epi32(0xff), half = _mm512_set1_epi32(0xffff);
    enum { SELECT = 0xca }; /* bits of the second where the first has ones, else of the third */
    __m512i low = _mm512_ternarylogic_epi32(byte, a, _mm512_slli_epi32(b, 8), SELECT);
    __m512i high = _mm512_ternarylogic_epi32(byte, c, _mm512_slli_epi32(d, 8), SELECT);
    return _mm512_ternarylogic_epi32(half, low, _mm512_slli_epi32(high, 16), SELECT);
}

/* x [keys][D]. A channel with a NaN gets the scale NaN: min and max may miss it. */
ALWAYS_INLINE void set_channels(__m512 low, __m512 high, __m512 poison, size_t d,
                                const channels *out) {
    const __m512 half = _mm512_set1_ps(0.5f), codes = _mm512_set1_ps(1 / 254.0f);
    __m512 range = _mm512_sub_ps(high, low), scale = _mm512_mul_ps(range, codes);
    __mmask16 some = _mm512_cmp_ps_mask(range, _mm512_set1_ps(LEAST), _CMP_GE_OQ);
    _mm512_storeu_ps(out->middle + d, _mm512_fmadd_ps(half, low, _mm512_mul_ps(half, high)));
    _mm512_storeu_ps(out->scale + d, _mm512_add_ps(_mm512_maskz_mov_ps(some, scale), poison));
    _mm512_storeu_ps(out->inverse + d, _mm512_maskz_div_ps(some, _mm512_set1_ps(1), scale));
}

/* Channels [d, d + 16 * n), n being 1 or 2: those of a cache line together, and two rows at once,
 * for none to wait for the one before. Of an odd number the last row counts twice. */
ALWAYS_INLINE void find_ranges(const float *x, size_t ld, size_t keys, size_t d, size_t n,
                               const channels *out) {
    __m512 low[2][2], high[2][2], poison[2][2];
    for (size_t i = 0; i < n; i++) {
        low[0][i] = low[1][i] = high[0][i] = high[1][i] = _mm512_loadu_ps(x + d + 16 * i);
        poison[0][i] = poison[1][i] = _mm512_setzero_ps();
    }
    for (size_t j = 0; j < keys; j += 2)
        for (size_t r = 0; r < 2; r++)
            for (size_t i = 0; i < n; i++) {
                const size_t row = qr_min(j + r, keys - 1);
                const __m512 value = _mm512_loadu_ps(x + row * ld + d + 16 * i);
                low[r][i] = _mm512_min_ps(low[r][i], value);
                high[r][i] = _mm512_max_ps(high[r][i], value);
                poison[r][i] = _mm512_fmadd_ps(value, _mm512_setzero_ps(), poison[r][i]);
            }
    for (size_t i = 0; i < n; i++)
        set_channels(_mm512_min_ps(low[0][i], low[1][i]), _mm512_max_ps(high[0][i], high[1][i]),
                     _mm512_add_ps(poison[0][i], poison[1][i]), d + 16 * i, out);
}

ALWAYS_INLINE void find_channels(const float *x, size_t ld, size_t keys, size_t D,
                                 const channels *out) {
    size_t d = 0;
    for (; d + 32 <= D; d += 32)
        find_ranges(x, ld, keys, d, 2, out);
    if (d < D)
        find_ranges(x, ld, keys, d, 1, out);
}

/* Codes of x[16], -127 to 127. */
ALWAYS_INLINE __m512i codes_of(const float *x, const channels *c, size_t d) {
    __m512 offset = _mm512_sub_ps(_mm512_loadu_ps(x + d), _mm512_loadu_ps(c->middle + d));
    return _mm512_cvtps_epi32(_mm512_mul_ps(offset, _mm512_loadu_ps(c->inverse + d)));
}

ALWAYS_INLINE void pack_keys(const block *b, const qr__attention *a, size_t D) {
    find_channels(a->k, a->ld_kv, a->keys, D, &b->keys);
    for (size_t j = 0; j < a->keys; j++)
        for (size_t d = 0; d < D; d += 16) {
            __m512i codes = codes_of(a->k + j * a->ld_kv, &b->keys, d);
            codes = _mm512_add_epi32(codes, _mm512_set1_epi32(128));
            _mm_storeu_si128((__m128i *)(b->k + j * D + d), _mm512_cvtepi32_epi8(codes));
        }
}

ALWAYS_INLINE void pack_values(const block *b, const qr__attention *a, size_t D) {
    find_channels(a->v, a->ld_kv, a->keys, D, &b->values);
    for (size_t j = 0; j < a->keys; j += 4)
        for (size_t d = 0; d < D; d += 16) {
            __m512i codes[4];
            for (size_t i = 0; i < 4; i++)
                codes[i] = j + i < a->keys ? codes_of(a->v + (j + i) * a->ld_kv, &b->values, d)
                                           : _mm512_setzero_si512();
            _mm512_storeu_si512(b->v + j / 4 * D + d,
                                side_by_side(codes[0], codes[1], codes[2], codes[3]));
        }
}

/* A query's scale is the largest magnitude of its channels; as integers, so that NaN is largest. */
ALWAYS_INLINE void pack_queries(block *b, const qr__attention *a, const float *q, size_t queries,
                                size_t D) {
    const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
    __m512i largest = _mm512_setzero_si512();
    for (size_t d = 0; d < D; d += 16) {
        __m512 rows[16];
        for (size_t r = 0; r < 16; r++)
            rows[r] = r < queries ? _mm512_loadu_ps(q + r * a->ld_q + d) : _mm512_setzero_ps();
        qr__vec_transpose(rows);
        for (size_t c = 0; c < 16; c++) {
            __m512 value = _mm512_mul_ps(rows[c], _mm512_set1_ps(b->keys.scale[d + c]));
            largest =
                _mm512_max_epu32(largest, _mm512_and_si512(_mm512_castps_si512(value), magnitude));
            _mm512_storeu_ps(b->wide + (d + c) * LANES, value);
        }
    }
    __m512 most = _mm512_castsi512_ps(largest), codes = _mm512_set1_ps(127);
    __mmask16 some = _mm512_cmp_ps_mask(most, _mm512_set1_ps(LEAST), _CMP_GE_OQ);
    __m512 inverse = _mm512_maskz_div_ps(some, codes, most);
    for (size_t d = 0; d < D; d += 4) {
        __m512i four[4];
        for (size_t i = 0; i < 4; i++)
            four[i] = _mm512_cvtps_epi32(
                _mm512_mul_ps(_mm512_loadu_ps(b->wide + (d + i) * LANES), inverse));
        _mm512_storeu_si512(b->q + d / 4 * LANES, side_by_side(four[0], four[1], four[2], four[3]));
    }
    b->q_scale = _mm512_div_ps(most, codes);
    b->most = _mm512_set1_epi32(INT32_MIN);
}

/* 2^x for x of at most 8; NaN stays. */
ALWAYS_INLINE __m512 power_of(__m512 x) {
    const __m512 part = _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
    return _mm512_scalef_ps(qr__vec_exp2_above_floor(part), x); /* which takes the floor of x */
}

/* The sum of four integers, each a byte above the one before. */
ALWAYS_INLINE __m512i bytes_apart(const __m512i a[4]) {
    const __m512i low = _mm512_add_epi32(a[0], _mm512_slli_epi32(a[1], 8));
    const __m512i high = _mm512_add_epi32(a[2], _mm512_slli_epi32(a[3], 8));
    return _mm512_add_epi32(low, _mm512_slli_epi32(high, 16));
}

/* Adds the powers of the keys from `key` on, n (1 to 4) of them, to sum[i], the place i's; what the
 * rounded sums grow by are their codes. Adding 1.5 * 2^23 rounds to nearest even, keeps NaN, and
 * leaves the integer in the lowest bits; `before` is the four of them as so far, a byte apart. */
ALWAYS_INLINE void power_keys(block *b, size_t key, size_t n, __m512 offset, __m512 sum[4],
                              __m512i *before) {
    const __m512 rounder = _mm512_set1_ps(0x1.8p23f);
    __m512i rounded[4];
    for (size_t i = 0; i < 4; i++) {
        if (i < n) {
            __m512 score = _mm512_cvtepi32_ps(_mm512_loadu_si512(b->score + (key + i) * LANES));
            __m512 power = power_of(_mm512_fmadd_ps(score, b->q_scale, offset));
            sum[i] = _mm512_add_ps(sum[i], power);
        }
        rounded[i] = _mm512_castps_si512(_mm512_add_ps(sum[i], rounder));
    }
    const __m512i now = bytes_apart(rounded);
    _mm512_storeu_si512(b->p + key / 4 * LANES, _mm512_sub_epi32(now, *before));
    *before = now;
}

static void all_powers(block *b, size_t keys) {
    const __m512 rounder = _mm512_set1_ps(0x1.8p23f);
    __m512 most = _mm512_cvtepi32_ps(b->most);
    __m512 offset = _mm512_fnmadd_ps(most, b->q_scale, _mm512_set1_ps(LOG2_MOST));
    __m512i zero[4];
    __m512 sum[4];
    for (size_t i = 0; i < 4; i++) {
        sum[i] = _mm512_setzero_ps();
        zero[i] = _mm512_castps_si512(rounder);
    }
    __m512i before = bytes_apart(zero);
    size_t key = 0;
    for (; key + 4 <= keys; key += 4)
        power_keys(b, key, 4, offset, sum, &before);
    if (key < keys)
        power_keys(b, key, keys - key, offset, sum, &before);
    b->total = _mm512_setzero_ps();
    for (size_t i = 0; i < 4; i++) {
        __m512 rounded = _mm512_sub_ps(_mm512_add_ps(sum[i], rounder), rounder);
        b->total = _mm512_add_ps(b->total, rounded);
    }
}
