/* engine/cpu/kernels/attention_body.h: attention of one sequence and one head in f32, for the instruction set of the including file.
 *
 * Sixteen queries at a time stand in the lanes, so that softmax is vertical (no sums across lanes) and keys and values are read where the
 * matrix product left them:
 *
 *     qt[D][16]       the queries, transposed once
 *     p[keys][16]     scores = sum over d of k[key][d] * qt[d]; then powers of 2 of (score - largest)
 *     out[16][D]      sum over keys of p[key][query] * v[key], divided by the query's sum
 *
 * Sums run over d and over keys first to last in one accumulator, so a query's numbers depend on its sequence only. */
#include "engine/cpu/kernels/kernels.h"
#include "engine/cpu/kernels/vec_math.h"

#include "engine/cpu/kernels/vec_transpose.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))
#define LANES         16u                      /* queries of a block */
#define QV            (LANES / QR_VEC_LANES)   /* vectors that hold them */
#define KEYS          (12u / QV)               /* keys at a time: 12 sums in registers */
#define OUT_VECTORS   2u                       /* of a value row at a time */
#define OUT_QUERIES   (8u / QV)                /* queries at a time: 16 sums, or 8 of the 16 registers that AVX2 has */

/* qt[D][16] of `queries` rows; lanes beyond are zero. */
ALWAYS_INLINE void transpose(float *qt, const float *q, size_t ld, size_t queries, size_t D) {
    for (size_t d = 0; d < D; d += QR_VEC_LANES) {
        size_t columns = qr_min(D - d, QR_VEC_LANES);
        for (size_t i = 0; i < QV; i++) {
            qr_vec rows[QR_VEC_LANES];
            for (size_t r = 0; r < QR_VEC_LANES; r++)
                rows[r] = i * QR_VEC_LANES + r < queries
                              ? qr_vec_load_first(q + (i * QR_VEC_LANES + r) * ld + d, columns)
                              : qr_vec_set(0);
            qr_vec_transpose(rows);
            for (size_t c = 0; c < columns; c++)
                qr_vec_store(qt + (d + c) * LANES + i * QR_VEC_LANES, rows[c]);
        }
    }
}

/* scores of `n` keys from k on (n is a constant where it is inlined); returns the largest so far. */
ALWAYS_INLINE void score_keys(const float *qt, const float *k, size_t ld, size_t D, size_t n, float *p, qr_vec largest[QV]) {
    qr_vec sum[KEYS][QV];
    for (size_t j = 0; j < n; j++)
        for (size_t i = 0; i < QV; i++)
            sum[j][i] = qr_vec_set(0);
    for (size_t d = 0; d < D; d++) {
        qr_vec q[QV];
        for (size_t i = 0; i < QV; i++)
            q[i] = qr_vec_load(qt + d * LANES + i * QR_VEC_LANES);
        for (size_t j = 0; j < n; j++) {
            qr_vec key = qr_vec_set(k[j * ld + d]);
            for (size_t i = 0; i < QV; i++)
                sum[j][i] = qr_vec_fma(key, q[i], sum[j][i]);
        }
    }
    for (size_t j = 0; j < n; j++) {
        for (size_t i = 0; i < QV; i++) {
            qr_vec_store(p + j * LANES + i * QR_VEC_LANES, sum[j][i]);
            largest[i] = qr_vec_max(largest[i], sum[j][i]);
        }
    }
}

/* p becomes 2^(p - largest); returns one over their sums. */
ALWAYS_INLINE void soften(float *p, size_t keys, const qr_vec largest[QV], float *scale) {
    for (size_t i = 0; i < QV; i++) {
        qr_vec sum = qr_vec_set(0);
        for (size_t j = 0; j < keys; j++) {
            float *at = p + j * LANES + i * QR_VEC_LANES;
            qr_vec power = qr_vec_exp2(qr_vec_sub(qr_vec_load(at), largest[i]));
            qr_vec_store(at, power);
            sum = qr_vec_add(sum, power);
        }
        qr_vec_store(scale + i * QR_VEC_LANES, qr_vec_div(qr_vec_set(1.0f), sum));
    }
}

/* out[n][d..d + OUT_VECTORS) of the queries whose powers are p[.][0..n). `last`: lanes of the last vector that exist. */
ALWAYS_INLINE void mix_values(const qr_attention *a, const float *p, const float *scale, float *out, size_t d, size_t n,
                              size_t vectors, size_t last) {
    qr_vec sum[OUT_QUERIES][OUT_VECTORS];
    for (size_t q = 0; q < n; q++)
        for (size_t i = 0; i < vectors; i++)
            sum[q][i] = qr_vec_set(0);
    const float *v = a->v + d;
    for (size_t j = 0; j < a->keys; j++, v += a->ld_kv) {
        qr_vec value[OUT_VECTORS];
        for (size_t i = 0; i < vectors; i++)
            value[i] = i + 1 < vectors || last == QR_VEC_LANES ? qr_vec_load(v + i * QR_VEC_LANES)
                                                              : qr_vec_load_first(v + i * QR_VEC_LANES, last);
        for (size_t q = 0; q < n; q++) {
            qr_vec power = qr_vec_set(p[j * LANES + q]);
            for (size_t i = 0; i < vectors; i++)
                sum[q][i] = qr_vec_fma(power, value[i], sum[q][i]);
        }
    }
    for (size_t q = 0; q < n; q++) {
        float *row = out + q * a->ld_out + d;
        for (size_t i = 0; i < vectors; i++) {
            qr_vec mixed = qr_vec_mul(sum[q][i], qr_vec_set(scale[q]));
            qr_vec_store_first(row + i * QR_VEC_LANES, mixed, i + 1 < vectors ? QR_VEC_LANES : last);
        }
    }
}

ALWAYS_INLINE void mix_columns(const qr_attention *a, const float *p, const float *scale, float *out, size_t n) {
    size_t d = 0;
    for (; d + OUT_VECTORS * QR_VEC_LANES <= a->D; d += OUT_VECTORS * QR_VEC_LANES)
        mix_values(a, p, scale, out, d, n, OUT_VECTORS, QR_VEC_LANES);
    for (; d < a->D; d += QR_VEC_LANES)
        mix_values(a, p, scale, out, d, n, 1, qr_min(a->D - d, QR_VEC_LANES));
}

/* Runs `call` with the constant `n`, so that its sums stay in registers. */
#define WITH_CONSTANT(n, call)                                                                     \
    switch (n) {                                                                                   \
        CASE(1, call)                                                                              \
        CASE(2, call)                                                                              \
        CASE(3, call)                                                                              \
        CASE(4, call)                                                                              \
        CASE(5, call)                                                                              \
        CASE(6, call)                                                                              \
        CASE(7, call)                                                                              \
        CASE(8, call)                                                                              \
        CASE(9, call)                                                                              \
        CASE(10, call)                                                                             \
        CASE(11, call)                                                                             \
        CASE(12, call)                                                                             \
    }
#define CASE(count, call)                                                                          \
    case count: call(count); break;

static void scores(const qr_attention *a, const float *qt, float *p, qr_vec largest[QV]) {
    for (size_t j = 0; j < a->keys; j += KEYS) {
        const float *k = a->k + j * a->ld_kv;
#define SCORE(n) score_keys(qt, k, a->ld_kv, a->D, qr_min(n, KEYS), p + j * LANES, largest)
        WITH_CONSTANT(qr_min(a->keys - j, KEYS), SCORE)
#undef SCORE
    }
}

static void mix(const qr_attention *a, const float *p, const float *scale, float *out, size_t queries) {
    for (size_t q = 0; q < queries; q += OUT_QUERIES) {
#define MIX(n) mix_columns(a, p + q, scale + q, out + q * a->ld_out, qr_min(n, OUT_QUERIES))
        WITH_CONSTANT(qr_min(queries - q, OUT_QUERIES), MIX)
#undef MIX
    }
}

ALWAYS_INLINE void attend(const qr_attention *a) {
    float *qt = a->scratch, *p = qt + a->D * LANES;
    for (size_t first = 0; first < a->queries; first += LANES) {
        size_t queries = qr_min(a->queries - first, LANES);
        transpose(qt, a->q + first * a->ld_q, a->ld_q, queries, a->D);
        qr_vec largest[QV];
        for (size_t i = 0; i < QV; i++)
            largest[i] = qr_vec_set(-3.4e38f);
        scores(a, qt, p, largest);
        float scale[LANES];
        soften(p, a->keys, largest, scale);
        mix(a, p, scale, a->out + first * a->ld_out, queries);
    }
}
