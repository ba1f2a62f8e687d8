/* engine/cpu/kernels/attention_body.h: attention of one sequence and one head in f32, for the
 * instruction set of the including file.
 *
 * Sixteen queries at a time stand in the lanes, so that softmax is vertical (no sums across lanes)
 * and keys and values are read where the matrix product left them:
 *
 *     qt[D][16]       the queries, transposed once
 *     p[keys][16]     2^(score - reference), score = sum over d of k[key][d] * qt[d]
 *     out[16][D]      sum over keys of p[key][query] * v[key], divided by the query's sum of powers
 *
 * The reference is usually the largest score in the first group of keys, so that powers are taken
 * while the scores are still in registers. A later score may be larger; only when the sum of powers
 * comes near f32's end is the block done again with the largest of all. Sums run over d and over
 * keys first to last in one accumulator, so a query's numbers depend on its sequence only. */
#include "engine/cpu/kernels/attention_groups.h"
#include "engine/cpu/kernels/kernels.h"
#include "engine/cpu/kernels/vec_math.h"

#include "engine/cpu/kernels/vec_transpose.h"

#define QV          (QR_ATTENTION_LANES / QR_VEC_LANES) /* vectors that hold a block's queries */
#define LANES       QR_ATTENTION_LANES
#define KEYS        (12u / QV) /* keys at a time: 12 sums in registers */
#define OUT_VECTORS 2u         /* of a value row at a time */
#define OUT_QUERIES                                                                                \
    (QV == 1 ? 12u : 5u) /* queries at a time: 24 sums in 32 registers, or 10 in 16 */

/* qt[D][16] of `queries` rows; lanes beyond are zero. */
ALWAYS_INLINE void transpose(float *qt, const float *q, size_t ld, size_t queries, size_t D) {
    for (size_t d = 0; d < D; d += QR_VEC_LANES) {
        size_t columns = qr_min(D - d, QR_VEC_LANES);
        for (size_t i = 0; i < QV; i++) {
            qr__vec rows[QR_VEC_LANES];
            for (size_t r = 0; r < QR_VEC_LANES; r++)
                rows[r] = i * QR_VEC_LANES + r < queries
                              ? qr__vec_load_first(q + (i * QR_VEC_LANES + r) * ld + d, columns)
                              : qr__vec_set(0);
            qr__vec_transpose(rows);
            for (size_t c = 0; c < columns; c++)
                qr__vec_store(qt + (d + c) * LANES + i * QR_VEC_LANES, rows[c]);
        }
    }
}

typedef struct block {
    float *qt, *p;
    qr__vec reference[QV], total[QV];
} block;

/* sum[n][QV] = start + scores of n keys (n is a constant where it is inlined). */
ALWAYS_INLINE void score_keys(const block *b, const qr__attention *a, size_t key, size_t n,
                              const qr__vec *start, qr__vec sum[KEYS][QV]) {
    const float *k = a->k + key * a->ld_kv;
    for (size_t j = 0; j < n; j++)
        for (size_t i = 0; i < QV; i++)
            sum[j][i] = start[i];
    for (size_t d = 0; d < a->D; d++) {
        qr__vec q[QV];
        for (size_t i = 0; i < QV; i++)
            q[i] = qr__vec_load(b->qt + d * LANES + i * QR_VEC_LANES);
        QR_ATTENTION_UNROLL
        for (size_t j = 0; j < n; j++) {
            qr__vec value = qr__vec_set(k[j * a->ld_kv + d]);
            for (size_t i = 0; i < QV; i++)
                sum[j][i] = qr__vec_fma(value, q[i], sum[j][i]);
        }
    }
}

/* Powers of n keys, with the reference found among them when they are the `first`. */
ALWAYS_INLINE void power_keys(block *b, const qr__attention *a, size_t key, size_t n, bool first) {
    qr__vec sum[KEYS][QV], start[QV];
    for (size_t i = 0; i < QV; i++)
        start[i] = first ? qr__vec_set(0) : qr__vec_sub(qr__vec_set(0), b->reference[i]);
    score_keys(b, a, key, n, start, sum);
    QR_ATTENTION_UNROLL
    for (size_t i = 0; i < QV; i++) {
        if (first) {
            b->reference[i] = sum[0][i];
            for (size_t j = 1; j < n; j++)
                b->reference[i] = qr__vec_max(b->reference[i], sum[j][i]);
            for (size_t j = 0; j < n; j++)
                sum[j][i] = qr__vec_sub(sum[j][i], b->reference[i]);
        }
        QR_ATTENTION_UNROLL
        for (size_t j = 0; j < n; j++) {
            qr__vec power = qr__vec_exp2(sum[j][i]);
            qr__vec_store(b->p + (key + j) * LANES + i * QR_VEC_LANES, power);
            b->total[i] = qr__vec_add(b->total[i], power);
        }
    }
}

ALWAYS_INLINE void largest_of_keys(block *b, const qr__attention *a, size_t key, size_t n) {
    qr__vec sum[KEYS][QV], start[QV];
    for (size_t i = 0; i < QV; i++)
        start[i] = qr__vec_set(0);
    score_keys(b, a, key, n, start, sum);
    for (size_t j = 0; j < n; j++)
        for (size_t i = 0; i < QV; i++)
            b->reference[i] = qr__vec_max(b->reference[i], sum[j][i]);
}

static void all_powers(block *b, const qr__attention *a, bool known) {
    for (size_t i = 0; i < QV; i++)
        b->total[i] = qr__vec_set(0);
#define GROUP(n) power_keys(b, a, key, qr_min(n, KEYS), key == 0 && !known)
    for (size_t key = 0; key < a->keys; key += KEYS)
        WITH_CONSTANT(qr_min(a->keys - key, KEYS), GROUP)
#undef GROUP
}

static void find_largest(block *b, const qr__attention *a) {
#define GROUP(n) largest_of_keys(b, a, key, qr_min(n, KEYS))
    for (size_t key = 0; key < a->keys; key += KEYS)
        WITH_CONSTANT(qr_min(a->keys - key, KEYS), GROUP)
#undef GROUP
}

ALWAYS_INLINE bool in_range(const block *b) {
    bool below = true;
    for (size_t i = 0; i < QV; i++)
        below = below && qr__vec_all_below(b->total[i], QR_ATTENTION_POWERS_MAX);
    return below;
}

/* out[n][d..] of the n queries whose powers are p[.][0..n). `last`: lanes of the last vector that
 * exist. */
ALWAYS_INLINE void mix_values(const qr__attention *a, const float *p, const float *scale,
                              float *out, size_t d, size_t n, size_t vectors, size_t last) {
    qr__vec sum[OUT_QUERIES][OUT_VECTORS];
    for (size_t q = 0; q < n; q++)
        for (size_t i = 0; i < vectors; i++)
            sum[q][i] = qr__vec_set(0);
    const float *v = a->v + d;
    for (size_t j = 0; j < a->keys; j++, v += a->ld_kv) {
        qr__vec value[OUT_VECTORS];
        for (size_t i = 0; i < vectors; i++)
            value[i] = i + 1 < vectors || last == QR_VEC_LANES
                           ? qr__vec_load(v + i * QR_VEC_LANES)
                           : qr__vec_load_first(v + i * QR_VEC_LANES, last);
        for (size_t q = 0; q < n; q++) {
            qr__vec power = qr__vec_set(p[j * LANES + q]);
            for (size_t i = 0; i < vectors; i++)
                sum[q][i] = qr__vec_fma(power, value[i], sum[q][i]);
        }
    }
    for (size_t q = 0; q < n; q++) {
        float *row = out + q * a->ld_out + d;
        for (size_t i = 0; i < vectors; i++) {
            qr__vec mixed = qr__vec_mul(sum[q][i], qr__vec_set(scale[q]));
            qr__vec_store_first(row + i * QR_VEC_LANES, mixed,
                                i + 1 < vectors ? QR_VEC_LANES : last);
        }
    }
}

ALWAYS_INLINE void mix_columns(const qr__attention *a, const float *p, const float *scale,
                               float *out, size_t n) {
    size_t d = 0;
    for (; d + OUT_VECTORS * QR_VEC_LANES <= a->D; d += OUT_VECTORS * QR_VEC_LANES)
        mix_values(a, p, scale, out, d, n, OUT_VECTORS, QR_VEC_LANES);
    for (; d < a->D; d += QR_VEC_LANES)
        mix_values(a, p, scale, out, d, n, 1, qr_min(a->D - d, QR_VEC_LANES));
}

static void mix(const block *b, const qr__attention *a, float *out, size_t queries) {
    float scale[LANES];
    for (size_t i = 0; i < QV; i++)
        qr__vec_store(scale + i * QR_VEC_LANES, qr__vec_div(qr__vec_set(1.0f), b->total[i]));
    size_t group = qr__attention_group(queries, OUT_QUERIES);
#define GROUP(n) mix_columns(a, b->p + q, scale + q, out + q * a->ld_out, qr_min(n, OUT_QUERIES))
    for (size_t q = 0; q < queries; q += group)
        WITH_CONSTANT(qr_min(queries - q, group), GROUP)
#undef GROUP
}

ALWAYS_INLINE void attend(const qr__attention *a) {
    block b = {.qt = a->scratch};
    b.p = b.qt + a->D * LANES;
    for (size_t first = 0; first < a->queries; first += LANES) {
        size_t queries = qr_min(a->queries - first, LANES);
        transpose(b.qt, a->q + first * a->ld_q, a->ld_q, queries, a->D);
        all_powers(&b, a, false);
        if (!in_range(&b)) {
            find_largest(&b, a);
            all_powers(&b, a, true);
        }
        mix(&b, a, a->out + first * a->ld_out, queries);
    }
}
