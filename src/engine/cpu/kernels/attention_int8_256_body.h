/* engine/cpu/kernels/attention_int8_256_body.h: all of attention in int8 on vectors of 32 bytes,
 * AVX2's or two of NEON's; attention_int8_codes_body.h says what the codes mean, in what order they
 * stand, and how powers are rounded.
 *
 *     #include "engine/cpu/kernels/vec_ints_avx2.h"
 *     #define QUERY_MOST 63                    // the largest code of a query
 *     #define LOG2_MOST 6.977280f              // of the largest power
 *     #define CARRY_STEP 0.25f                 // between what the four places of keys begin with
 *     #define GROUP_MOST 4u                    // keys or queries at a time
 *     #define SIGNED_ONLY 0                    // products take s8 * s8 instead of u8 * s8
 *     #define FOURS 1u                         // of a key at a time: 1 or 4
 *     add_products(sum, fours, i, s8)          // four products a lane; exact
 *
 * Where products are of signed codes, keys are not moved up by 128, powers are moved down by it,
 * and sums begin with what that leaves out, 128 times the sum of the other factor's codes: so they
 * end the same. A block's 16 queries are two vectors, its 16 columns of values as well. */
#include "engine/cpu/kernels/kernel_list.h"
#include "engine/cpu/kernels/vec_exp2_floor.h"
#include "engine/cpu/kernels/vec_transpose.h"

typedef struct pair_of_ints {
    qr__ints half[2];
} pair_of_ints;

typedef struct pair_of_floats {
    qr__vec half[2];
} pair_of_floats;

#define QR_ATTENTION_INTS   pair_of_ints
#define QR_ATTENTION_FLOATS pair_of_floats
#include "engine/cpu/kernels/attention_int8_block_body.h"

/* x [keys][D]. A channel with a NaN gets the scale NaN: min and max may miss it. */
ALWAYS_INLINE void find_channels(const float *x, size_t ld, size_t keys, size_t D,
                                 const channels *out) {
    const qr__vec half = qr__vec_set(0.5f), codes = qr__vec_set(1 / 254.0f);
    for (size_t d = 0; d < D; d += 8) {
        qr__vec low = qr__vec_load(x + d), high = low, poison = qr__vec_set(0);
        for (size_t j = 0; j < keys; j++) {
            qr__vec value = qr__vec_load(x + j * ld + d);
            low = qr__vec_min(low, value);
            high = qr__vec_max(high, value);
            poison = qr__vec_fma(value, qr__vec_set(0), poison);
        }
        qr__vec range = qr__vec_sub(high, low), scale = qr__vec_mul(range, codes);
        qr__vec least = qr__vec_set(LEAST), inverse = qr__vec_div(qr__vec_set(1), scale);
        qr__vec_store(out->middle + d, qr__vec_fma(half, low, qr__vec_mul(half, high)));
        qr__vec_store(out->scale + d, qr__vec_add(qr__vec_keep(scale, range, least), poison));
        qr__vec_store(out->inverse + d, qr__vec_keep(inverse, range, least));
    }
}

/* Codes of x[8], -127 to 127. */
ALWAYS_INLINE qr__ints codes_of(const float *x, const channels *c, size_t d) {
    qr__vec offset = qr__vec_sub(qr__vec_load(x + d), qr__vec_load(c->middle + d));
    return qr__ints_round(qr__vec_mul(offset, qr__vec_load(c->inverse + d)));
}

ALWAYS_INLINE void pack_keys(const block *b, const qr__attention *a, size_t D) {
    const qr__ints middle = qr__ints_set(SIGNED_ONLY ? 0 : 128);
    find_channels(a->k, a->ld_kv, a->keys, D, &b->keys);
    for (size_t j = 0; j < a->keys; j++)
        for (size_t d = 0; d < D; d += 16) {
            const float *k = a->k + j * a->ld_kv;
            qr__ints first = codes_of(k, &b->keys, d), second = codes_of(k, &b->keys, d + 8);
            qr__ints_store_bytes(b->k + j * D + d, qr__ints_add(first, middle),
                                 qr__ints_add(second, middle));
        }
}

ALWAYS_INLINE void pack_values(const block *b, const qr__attention *a, size_t D) {
    find_channels(a->v, a->ld_kv, a->keys, D, &b->values);
    if (SIGNED_ONLY)
        memset(b->v_start, 0, D * sizeof *b->v_start);
    for (size_t j = 0; j < a->keys; j += 4)
        for (size_t d = 0; d < D; d += 8) {
            qr__ints codes[4], sum = qr__ints_set(0);
            for (size_t i = 0; i < 4; i++) {
                codes[i] = j + i < a->keys ? codes_of(a->v + (j + i) * a->ld_kv, &b->values, d)
                                           : qr__ints_set(0);
                sum = qr__ints_add(sum, codes[i]);
            }
            qr__ints_store(b->v + j / 4 * D + d,
                           qr__ints_low_bytes(codes[0], codes[1], codes[2], codes[3]));
            if (SIGNED_ONLY)
                qr__ints_store(b->v_start + d,
                               qr__ints_add(qr__ints_load(b->v_start + d), qr__ints_shift(sum, 7)));
        }
}

/* Eight queries of a block: half h. A query's scale is the largest magnitude of its channels; as
 * integers, so that NaN is largest. */
ALWAYS_INLINE void pack_half(block *b, const qr__attention *a, const float *q, size_t queries,
                             size_t D, size_t h) {
    qr__ints largest = qr__ints_set(0), sum = qr__ints_set(0);
    for (size_t d = 0; d < D; d += 8) {
        qr__vec rows[QR_VEC_LANES];
        for (size_t r = 0; r < 8; r++)
            rows[r] =
                8 * h + r < queries ? qr__vec_load(q + (8 * h + r) * a->ld_q + d) : qr__vec_set(0);
        qr__vec_transpose(rows);
        for (size_t c = 0; c < 8; c++) {
            qr__vec value = qr__vec_mul(rows[c], qr__vec_set(b->keys.scale[d + c]));
            largest = qr__ints_max(largest, qr__ints_of_bits(qr__vec_abs(value)));
            qr__vec_store(b->wide + (d + c) * LANES + 8 * h, value);
        }
    }
    qr__vec most = qr__vec_of_bits(largest), codes = qr__vec_set(QUERY_MOST);
    qr__vec inverse = qr__vec_keep(qr__vec_div(codes, most), most, qr__vec_set(LEAST));
    for (size_t d = 0; d < D; d += 4) {
        qr__ints four[4];
        for (size_t i = 0; i < 4; i++) {
            qr__vec value = qr__vec_load(b->wide + (d + i) * LANES + 8 * h);
            four[i] = qr__ints_round(qr__vec_mul(value, inverse));
            sum = qr__ints_add(sum, four[i]);
        }
        qr__ints_store(b->q + d / 4 * LANES + 8 * h,
                       qr__ints_low_bytes(four[0], four[1], four[2], four[3]));
    }
    b->q_scale.half[h] = qr__vec_div(most, codes);
    b->q_start.half[h] = SIGNED_ONLY ? qr__ints_shift(sum, 7) : qr__ints_set(0);
    b->most.half[h] = qr__ints_set(INT32_MIN);
}

ALWAYS_INLINE void pack_queries(block *b, const qr__attention *a, const float *q, size_t queries,
                                size_t D) {
    pack_half(b, a, q, queries, D, 0);
    pack_half(b, a, q, queries, D, 1);
}

/* Scores of n keys (n is a constant where it is inlined). */
ALWAYS_INLINE void score_keys(block *b, size_t D, size_t key, size_t n) {
    const uint8_t *keys = b->k + key * D;
    qr__ints sum[GROUP_MOST][2];
    for (size_t j = 0; j < n; j++)
        for (size_t h = 0; h < 2; h++)
            sum[j][h] = SIGNED_ONLY ? b->q_start.half[h] : qr__ints_set(0);
    for (size_t d = 0; d < D; d += 4 * FOURS) {
        qr__fours k[GROUP_MOST];
        for (size_t j = 0; j < n; j++)
            k[j] = qr__fours_at(keys + j * D + d);
        QR_ATTENTION_UNROLL
        for (size_t i = 0; i < FOURS; i++) {
            const uint32_t *q = b->q + (d / 4 + i) * LANES;
            const qr__ints first = qr__ints_load(q), second = qr__ints_load(q + 8);
            for (size_t j = 0; j < n; j++) {
                sum[j][0] = add_products(sum[j][0], k[j], i, first);
                sum[j][1] = add_products(sum[j][1], k[j], i, second);
            }
        }
        if (FOURS > 1) /* or gcc reads all of the next turn ahead, and lacks the registers */
            __asm__ volatile("" ::: "memory");
    }
    for (size_t j = 0; j < n; j++)
        for (size_t h = 0; h < 2; h++) {
            b->most.half[h] = qr__ints_max(b->most.half[h], sum[j][h]);
            qr__ints_store(b->score + (key + j) * LANES + 8 * h, sum[j][h]);
        }
}

ALWAYS_INLINE void all_scores(block *b, size_t keys, size_t D) {
    size_t group = qr__attention_group(keys, GROUP_MOST);
#define GROUP(n) score_keys(b, D, key, qr_min(n, GROUP_MOST))
    for (size_t key = 0; key < keys; key += group)
        WITH_CONSTANT(qr_min(keys - key, group), GROUP)
#undef GROUP
}

/* 2^x for x of at most 8, as attention_int8_codes_body.h has it: adding 1.5 * 2^23 leaves the floor
 * of x in the lowest bits, from where it is added to the polynomial's exponent. NaN stays. */
ALWAYS_INLINE qr__vec power_of(qr__vec x) {
    x = qr__vec_max(qr__vec_set(-125.0f), x);
    qr__vec floor = qr__vec_floor(x), p = qr__vec_exp2_above_floor(qr__vec_sub(x, floor));
    qr__ints shifted = qr__ints_of_bits(qr__vec_add(floor, qr__vec_set(0x1.8p23f)));
    return qr__vec_of_bits(qr__ints_add(qr__ints_of_bits(p), qr__ints_shift(shifted, 23)));
}

/* The sum of four integers, each a byte above the one before. */
ALWAYS_INLINE qr__ints bytes_apart(const qr__ints a[4]) {
    const qr__ints low = qr__ints_add(a[0], qr__ints_shift(a[1], 8));
    const qr__ints high = qr__ints_add(a[2], qr__ints_shift(a[3], 8));
    return qr__ints_add(low, qr__ints_shift(high, 16));
}

/* Adds the powers of the keys from `key` on, n (1 to 4) of them, for half h, to sum[i], the place
 * i's, as attention_int8_codes_body.h does. */
ALWAYS_INLINE void power_keys(block *b, size_t key, size_t n, size_t h, qr__vec offset,
                              qr__vec sum[4], qr__ints *before) {
    qr__ints rounded[4];
    for (size_t i = 0; i < 4; i++) {
        if (i < n) {
            qr__vec score = qr__vec_from_i32(b->score + (key + i) * LANES + 8 * h);
            qr__vec power = power_of(qr__vec_fma(score, b->q_scale.half[h], offset));
            sum[i] = qr__vec_add(sum[i], power);
        }
        rounded[i] = qr__ints_of_bits(qr__vec_add(sum[i], qr__vec_set(0x1.8p23f)));
    }
    const qr__ints now = bytes_apart(rounded);
    qr__ints codes = qr__ints_sub(now, *before);
    if (SIGNED_ONLY) /* 128 less */
        codes = qr__ints_xor(codes, qr__ints_set((int32_t)0x80808080));
    qr__ints_store(b->p + key / 4 * LANES + 8 * h, codes);
    *before = now;
}

static void all_powers(block *b, size_t keys) {
    const qr__vec rounder = qr__vec_set(0x1.8p23f);
    for (size_t h = 0; h < 2; h++) {
        qr__vec most = qr__vec_sub(qr__vec_set(0), qr__vec_of_ints(b->most.half[h]));
        qr__vec offset = qr__vec_fma(most, b->q_scale.half[h], qr__vec_set(LOG2_MOST));
        qr__ints zero[4];
        qr__vec sum[4];
        for (size_t i = 0; i < 4; i++) {
            sum[i] = qr__vec_set(CARRY_STEP * ((float)i - 1.5f));
            zero[i] = qr__ints_of_bits(rounder);
        }
        qr__ints before = bytes_apart(zero);
        size_t key = 0;
        for (; key + 4 <= keys; key += 4)
            power_keys(b, key, 4, h, offset, sum, &before);
        if (key < keys)
            power_keys(b, key, keys - key, h, offset, sum, &before);
        b->total.half[h] = qr__vec_set(0);
        for (size_t i = 0; i < 4; i++) {
            qr__vec rounded = qr__vec_sub(qr__vec_add(sum[i], rounder), rounder);
            b->total.half[h] = qr__vec_add(b->total.half[h], rounded);
        }
    }
}

/* out[n][d..d + 16) of the n queries from `query` on (fours in a register: 4 at most, from 12 at
 * most, so that 16 bytes of powers are there). */
ALWAYS_INLINE void mix_values(const block *b, const qr__attention *a, size_t D, size_t query,
                              const float *scale, float *out, size_t d, size_t n) {
    qr__ints sum[GROUP_MOST][2];
    for (size_t q = 0; q < n; q++)
        for (size_t h = 0; h < 2; h++)
            sum[q][h] = SIGNED_ONLY ? qr__ints_load(b->v_start + d + 8 * h) : qr__ints_set(0);
    for (size_t j = 0; j < (a->keys + 3) / 4; j++) {
        const uint32_t *v = b->v + j * D + d;
        const qr__ints first = qr__ints_load(v), second = qr__ints_load(v + 8);
        const qr__fours powers = qr__fours_at(b->p + j * LANES + query);
        for (size_t q = 0; q < n; q++) {
            sum[q][0] = add_products(sum[q][0], powers, q, first);
            sum[q][1] = add_products(sum[q][1], powers, q, second);
        }
    }
    QR_ATTENTION_UNROLL
    for (size_t h = 0; h < 2; h++) {
        const qr__vec step = qr__vec_load(b->values.scale + d + 8 * h);
        const qr__vec middle = qr__vec_load(b->values.middle + d + 8 * h);
        QR_ATTENTION_UNROLL
        for (size_t q = 0; q < n; q++) {
            qr__vec mean = qr__vec_mul(qr__vec_of_ints(sum[q][h]), qr__vec_set(scale[q]));
            qr__vec_store(out + q * a->ld_out + d + 8 * h, qr__vec_fma(mean, step, middle));
        }
    }
}

ALWAYS_INLINE void mix(const block *b, const qr__attention *a, size_t D, float *out,
                       size_t queries) {
    float scale[LANES];
    for (size_t h = 0; h < 2; h++)
        qr__vec_store(scale + 8 * h, qr__vec_div(qr__vec_set(1.0f), b->total.half[h]));
    size_t group = qr__attention_group(queries, GROUP_MOST);
#define GROUP(n) mix_values(b, a, D, q, scale + q, out + q * a->ld_out, d, qr_min(n, GROUP_MOST))
    for (size_t q = 0; q < queries; q += group)
        for (size_t d = 0; d < D; d += 16)
            WITH_CONSTANT(qr_min(queries - q, group), GROUP)
#undef GROUP
}
