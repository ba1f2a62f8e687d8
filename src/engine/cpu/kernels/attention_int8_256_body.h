/* engine/cpu/kernels/attention_int8_256_body.h: all of attention in int8 on vectors of 32 bytes;
 * attention_int8_codes_body.h says what the codes mean, in what order they stand, and how powers
 * are rounded.
 *
 *     #define QUERY_MOST 63                    // the largest code of a query
 *     #define LOG2_MOST 6.977280f              // of the largest power
 *     #define CARRY_STEP 0.25f                 // between what the four places of keys begin with
 *     #define GROUP_MOST 4u                    // keys or queries at a time
 *     add_products(sum, u8, s8)                // four products a lane; exact
 *
 * A block's 16 queries are two vectors, its 16 columns of values as well. */
#include "engine/cpu/kernels/kernel_list.h"
#include "engine/cpu/kernels/vec_transpose.h"

typedef struct pair_of_ints {
    __m256i half[2];
} pair_of_ints;

typedef struct pair_of_floats {
    __m256 half[2];
} pair_of_floats;

#define QR_ATTENTION_INTS   pair_of_ints
#define QR_ATTENTION_FLOATS pair_of_floats
#include "engine/cpu/kernels/attention_int8_block_body.h"

/* The lowest bytes of four vectors side by side. */
ALWAYS_INLINE __m256i side_by_side(__m256i a, __m256i b, __m256i c, __m256i d) {
    __m256i even = _mm256_blend_epi16(a, _mm256_slli_epi32(c, 16), 0xaa);
    __m256i odd = _mm256_blend_epi16(b, _mm256_slli_epi32(d, 16), 0xaa);
    even = _mm256_and_si256(even, _mm256_set1_epi16(0xff));
    return _mm256_or_si256(even, _mm256_slli_epi16(odd, 8));
}

/* x [keys][D]. A channel with a NaN gets the scale NaN: min and max may miss it. */
ALWAYS_INLINE void find_channels(const float *x, size_t ld, size_t keys, size_t D,
                                 const channels *out) {
    const __m256 half = _mm256_set1_ps(0.5f), codes = _mm256_set1_ps(1 / 254.0f);
    for (size_t d = 0; d < D; d += 8) {
        __m256 low = _mm256_loadu_ps(x + d), high = low, poison = _mm256_setzero_ps();
        for (size_t j = 0; j < keys; j++) {
            __m256 value = _mm256_loadu_ps(x + j * ld + d);
            low = _mm256_min_ps(low, value);
            high = _mm256_max_ps(high, value);
            poison = _mm256_fmadd_ps(value, _mm256_setzero_ps(), poison);
        }
        __m256 range = _mm256_sub_ps(high, low), scale = _mm256_mul_ps(range, codes);
        __m256 some = _mm256_cmp_ps(range, _mm256_set1_ps(LEAST), _CMP_GE_OQ);
        __m256 inverse = _mm256_div_ps(_mm256_set1_ps(1), scale);
        _mm256_storeu_ps(out->middle + d, _mm256_fmadd_ps(half, low, _mm256_mul_ps(half, high)));
        _mm256_storeu_ps(out->scale + d, _mm256_add_ps(_mm256_and_ps(some, scale), poison));
        _mm256_storeu_ps(out->inverse + d, _mm256_and_ps(some, inverse));
    }
}

/* Codes of x[8], -127 to 127. */
ALWAYS_INLINE __m256i codes_of(const float *x, const channels *c, size_t d) {
    __m256 offset = _mm256_sub_ps(_mm256_loadu_ps(x + d), _mm256_loadu_ps(c->middle + d));
    return _mm256_cvtps_epi32(_mm256_mul_ps(offset, _mm256_loadu_ps(c->inverse + d)));
}

ALWAYS_INLINE void pack_keys(const block *b, const qr__attention *a, size_t D) {
    const __m256i middle = _mm256_set1_epi16(128);
    find_channels(a->k, a->ld_kv, a->keys, D, &b->keys);
    for (size_t j = 0; j < a->keys; j++)
        for (size_t d = 0; d < D; d += 16) {
            const float *k = a->k + j * a->ld_kv;
            __m256i words =
                _mm256_packs_epi32(codes_of(k, &b->keys, d), codes_of(k, &b->keys, d + 8));
            words = _mm256_add_epi16(words, middle); /* 0-3 and 8-11, then 4-7 and 12-15 */
            __m128i codes =
                _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
            _mm_storeu_si128((__m128i *)(void *)(b->k + j * D + d),
                             _mm_shuffle_epi32(codes, _MM_SHUFFLE(3, 1, 2, 0)));
        }
}

ALWAYS_INLINE void pack_values(const block *b, const qr__attention *a, size_t D) {
    find_channels(a->v, a->ld_kv, a->keys, D, &b->values);
    for (size_t j = 0; j < a->keys; j += 4)
        for (size_t d = 0; d < D; d += 8) {
            __m256i codes[4];
            for (size_t i = 0; i < 4; i++)
                codes[i] = j + i < a->keys ? codes_of(a->v + (j + i) * a->ld_kv, &b->values, d)
                                           : _mm256_setzero_si256();
            _mm256_storeu_si256((__m256i *)(void *)(b->v + j / 4 * D + d),
                                side_by_side(codes[0], codes[1], codes[2], codes[3]));
        }
}

/* Eight queries of a block: half h. A query's scale is the largest magnitude of its channels; as
 * integers, so that NaN is largest. */
ALWAYS_INLINE void pack_half(block *b, const qr__attention *a, const float *q, size_t queries,
                             size_t D, size_t h) {
    const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);
    __m256i largest = _mm256_setzero_si256();
    for (size_t d = 0; d < D; d += 8) {
        qr__vec rows[QR_VEC_LANES];
        for (size_t r = 0; r < 8; r++)
            rows[r] = 8 * h + r < queries ? _mm256_loadu_ps(q + (8 * h + r) * a->ld_q + d)
                                          : _mm256_setzero_ps();
        qr__vec_transpose(rows);
        for (size_t c = 0; c < 8; c++) {
            __m256 value = _mm256_mul_ps(rows[c], _mm256_set1_ps(b->keys.scale[d + c]));
            largest =
                _mm256_max_epu32(largest, _mm256_and_si256(_mm256_castps_si256(value), magnitude));
            _mm256_storeu_ps(b->wide + (d + c) * LANES + 8 * h, value);
        }
    }
    __m256 most = _mm256_castsi256_ps(largest), codes = _mm256_set1_ps(QUERY_MOST);
    __m256 some = _mm256_cmp_ps(most, _mm256_set1_ps(LEAST), _CMP_GE_OQ);
    __m256 inverse = _mm256_and_ps(some, _mm256_div_ps(codes, most));
    for (size_t d = 0; d < D; d += 4) {
        __m256i four[4];
        for (size_t i = 0; i < 4; i++) {
            __m256 value = _mm256_loadu_ps(b->wide + (d + i) * LANES + 8 * h);
            four[i] = _mm256_cvtps_epi32(_mm256_mul_ps(value, inverse));
        }
        _mm256_storeu_si256((__m256i *)(void *)(b->q + d / 4 * LANES + 8 * h),
                            side_by_side(four[0], four[1], four[2], four[3]));
    }
    b->q_scale.half[h] = _mm256_div_ps(most, codes);
    b->most.half[h] = _mm256_set1_epi32(INT32_MIN);
}

ALWAYS_INLINE void pack_queries(block *b, const qr__attention *a, const float *q, size_t queries,
                                size_t D) {
    pack_half(b, a, q, queries, D, 0);
    pack_half(b, a, q, queries, D, 1);
}

/* Scores of n keys (n is a constant where it is inlined). */
ALWAYS_INLINE void score_keys(block *b, size_t D, size_t key, size_t n) {
    const uint8_t *k = b->k + key * D;
    __m256i sum[GROUP_MOST][2];
    for (size_t j = 0; j < n; j++)
        sum[j][0] = sum[j][1] = _mm256_setzero_si256();
    for (size_t d = 0; d < D; d += 4) {
        const __m256i *q = (const __m256i *)(const void *)(b->q + d / 4 * LANES);
        const __m256i first = _mm256_loadu_si256(q), second = _mm256_loadu_si256(q + 1);
        for (size_t j = 0; j < n; j++) {
            int32_t four;
            memcpy(&four, k + j * D + d, sizeof four);
            sum[j][0] = add_products(sum[j][0], _mm256_set1_epi32(four), first);
            sum[j][1] = add_products(sum[j][1], _mm256_set1_epi32(four), second);
        }
    }
    for (size_t j = 0; j < n; j++)
        for (size_t h = 0; h < 2; h++) {
            int32_t *score = b->score + (key + j) * LANES + 8 * h;
            b->most.half[h] = _mm256_max_epi32(b->most.half[h], sum[j][h]);
            _mm256_storeu_si256((__m256i *)(void *)score, sum[j][h]);
        }
}

ALWAYS_INLINE void all_scores(block *b, size_t keys, size_t D) {
    size_t group = qr__attention_group(keys, GROUP_MOST);
#define GROUP(n) score_keys(b, D, key, qr_min(n, GROUP_MOST))
    for (size_t key = 0; key < keys; key += group)
        WITH_CONSTANT(qr_min(keys - key, group), GROUP)
#undef GROUP
}

/* 2^x for x of at most 8, as qr__vec_exp2_coarse: adding 1.5 * 2^23 leaves x's nearest integer in
 * the lowest bits, from where it is added to the polynomial's exponent. NaN stays. */
ALWAYS_INLINE __m256 power_of(__m256 x) {
    const __m256 rounder = _mm256_set1_ps(0x1.8p23f);
    x = _mm256_max_ps(_mm256_set1_ps(-125.0f), x);
    __m256 shifted = _mm256_add_ps(x, rounder);
    __m256 r = _mm256_sub_ps(x, _mm256_sub_ps(shifted, rounder));
    __m256 p = qr__vec_exp2_coarse_part(r);
    __m256i exponent = _mm256_slli_epi32(_mm256_castps_si256(shifted), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(p), exponent));
}

/* Powers of the keys from `key` on, n (1 to 4) of them, for half h. carry[i] is what the last key
 * of the place i lost by rounding. Adding 1.5 * 2^23 rounds to nearest even, keeps NaN, and leaves
 * the integer in the lowest byte. */
ALWAYS_INLINE void power_keys(block *b, size_t key, size_t n, size_t h, __m256 offset,
                              __m256 carry[4]) {
    const __m256 rounder = _mm256_set1_ps(0x1.8p23f);
    __m256i codes[4];
    for (size_t i = 0; i < 4; i++) {
        codes[i] = _mm256_setzero_si256();
        if (i >= n)
            continue;
        __m256 score = qr__vec_from_i32(b->score + (key + i) * LANES + 8 * h);
        __m256 power = power_of(_mm256_fmadd_ps(score, b->q_scale.half[h], offset));
        __m256 wanted = _mm256_add_ps(power, carry[i]), shifted = _mm256_add_ps(wanted, rounder);
        __m256 rounded = _mm256_sub_ps(shifted, rounder);
        carry[i] = _mm256_sub_ps(wanted, rounded);
        b->total.half[h] = _mm256_add_ps(b->total.half[h], rounded);
        codes[i] = _mm256_castps_si256(shifted);
    }
    _mm256_storeu_si256((__m256i *)(void *)(b->p + key / 4 * LANES + 8 * h),
                        side_by_side(codes[0], codes[1], codes[2], codes[3]));
}

static void all_powers(block *b, size_t keys) {
    for (size_t h = 0; h < 2; h++) {
        __m256 most = _mm256_cvtepi32_ps(b->most.half[h]);
        __m256 offset = _mm256_fnmadd_ps(most, b->q_scale.half[h], _mm256_set1_ps(LOG2_MOST));
        __m256 carry[4];
        for (size_t i = 0; i < 4; i++)
            carry[i] = _mm256_set1_ps(CARRY_STEP * ((float)i - 1.5f));
        size_t key = 0;
        b->total.half[h] = _mm256_setzero_ps();
        for (; key + 4 <= keys; key += 4)
            power_keys(b, key, 4, h, offset, carry);
        if (key < keys)
            power_keys(b, key, keys - key, h, offset, carry);
    }
}

/* out[n][d..d + 16) of the n queries from `query` on. */
ALWAYS_INLINE void mix_values(const block *b, const qr__attention *a, size_t D, size_t query,
                              const float *scale, float *out, size_t d, size_t n) {
    __m256i sum[GROUP_MOST][2];
    for (size_t q = 0; q < n; q++)
        sum[q][0] = sum[q][1] = _mm256_setzero_si256();
    for (size_t j = 0; j < (a->keys + 3) / 4; j++) {
        const __m256i *v = (const __m256i *)(const void *)(b->v + j * D + d);
        const __m256i first = _mm256_loadu_si256(v), second = _mm256_loadu_si256(v + 1);
        for (size_t q = 0; q < n; q++) {
            const __m256i power = _mm256_set1_epi32((int)b->p[j * LANES + query + q]);
            sum[q][0] = add_products(sum[q][0], power, first);
            sum[q][1] = add_products(sum[q][1], power, second);
        }
    }
    for (size_t h = 0; h < 2; h++) {
        const __m256 step = _mm256_loadu_ps(b->values.scale + d + 8 * h);
        const __m256 middle = _mm256_loadu_ps(b->values.middle + d + 8 * h);
        for (size_t q = 0; q < n; q++) {
            __m256 mean = _mm256_mul_ps(_mm256_cvtepi32_ps(sum[q][h]), _mm256_set1_ps(scale[q]));
            _mm256_storeu_ps(out + q * a->ld_out + d + 8 * h, _mm256_fmadd_ps(mean, step, middle));
        }
    }
}

ALWAYS_INLINE void mix(const block *b, const qr__attention *a, size_t D, float *out,
                       size_t queries) {
    float scale[LANES];
    for (size_t h = 0; h < 2; h++)
        _mm256_storeu_ps(scale + 8 * h, _mm256_div_ps(_mm256_set1_ps(1.0f), b->total.half[h]));
    size_t group = qr__attention_group(queries, GROUP_MOST);
#define GROUP(n) mix_values(b, a, D, q, scale + q, out + q * a->ld_out, d, qr_min(n, GROUP_MOST))
    for (size_t q = 0; q < queries; q += group)
        for (size_t d = 0; d < D; d += 16)
            WITH_CONSTANT(qr_min(queries - q, group), GROUP)
#undef GROUP
}
