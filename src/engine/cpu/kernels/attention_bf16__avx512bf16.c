/* engine/cpu/kernels/attention_bf16__avx512bf16.c: attention of one sequence and one head with bf16
 * dot products, for plans in bf16 and int8.
 *
 * As attention_body.h, but two values of d, and two keys, are multiplied at once (vdpbf16ps):
 *
 *     k[keys][D]           bf16 rows
 *     v[keys/2][D][2]      two keys' values side by side, zero behind an odd last key
 *     qt[D/2][16][2]       queries, transposed by pairs
 *     p[keys/2][16][2]     powers of 2, two keys side by side
 *
 * Sums are f32. D must be a multiple of 16; others go to the f32 kernel. Operations a key and block
 * of 16 queries: D/2 multiply-adds for the score, about 8 for the power, D/2 for the value. */
#include "engine/cpu/kernels/attention_groups.h"
#include "engine/cpu/kernels/kernel_list.h"
#include "engine/cpu/kernels/vec_math.h"

#include "engine/cpu/kernels/attention_bf16_pairs.h"

#define LANES       QR_ATTENTION_LANES
#define KEYS        12u /* at a time, an even number */
#define OUT_VECTORS 2u
#define OUT_QUERIES 12u

typedef struct block {
    uint32_t *k, *v, *qt, *p; /* pairs of bf16 */
    size_t pairs;             /* of keys, rounded up */
    __m512 reference, total;
} block;

static void pack_keys(const block *b, const qr__attention *a) {
    for (size_t j = 0; j < a->keys; j++)
        qr__pack_key((uint16_t *)b->k + j * a->D, a->k + j * a->ld_kv, a->D);
}

static void pack_values(const block *b, const qr__attention *a) {
    for (size_t j = 0; j < a->keys; j += 2) {
        const float *v = a->v + j * a->ld_kv;
        for (size_t d = 0; d < a->D; d += 16) {
            __m512 next = j + 1 < a->keys ? _mm512_loadu_ps(v + a->ld_kv + d) : _mm512_setzero_ps();
            _mm512_storeu_si512(b->v + j / 2 * a->D + d,
                                qr__side_by_side(_mm512_loadu_ps(v + d), next));
        }
    }
}

/* sum[n] = start + scores of n keys. */
ALWAYS_INLINE void score_keys(const block *b, size_t D, size_t key, size_t n, __m512 start,
                              __m512 sum[KEYS]) {
    const uint32_t *k = b->k + key * D / 2;
    for (size_t j = 0; j < n; j++)
        sum[j] = start;
    for (size_t d = 0; d < D / 2; d++) {
        __m512bh q = (__m512bh)_mm512_loadu_si512(b->qt + d * LANES);
        for (size_t j = 0; j < n; j++)
            sum[j] =
                _mm512_dpbf16_ps(sum[j], q, (__m512bh)_mm512_set1_epi32((int)k[j * (D / 2) + d]));
    }
}

ALWAYS_INLINE void power_keys(block *b, size_t D, size_t key, size_t n, bool first) {
    __m512 power[KEYS];
    score_keys(b, D, key, n,
               first ? _mm512_setzero_ps() : _mm512_sub_ps(_mm512_setzero_ps(), b->reference),
               power);
    if (first) {
        b->reference = power[0];
        for (size_t j = 1; j < n; j++)
            b->reference = _mm512_max_ps(b->reference, power[j]);
        for (size_t j = 0; j < n; j++)
            power[j] = _mm512_sub_ps(power[j], b->reference);
    }
    for (size_t j = 0; j < n; j++) {
        power[j] = qr__vec_exp2_coarse(power[j]);
        b->total = _mm512_add_ps(b->total, power[j]);
    }
    for (size_t j = 0; j < n; j += 2)
        _mm512_storeu_si512(
            b->p + (key + j) / 2 * LANES,
            qr__side_by_side(power[j], j + 1 < n ? power[j + 1] : _mm512_setzero_ps()));
}

ALWAYS_INLINE void largest_of_keys(block *b, size_t D, size_t key, size_t n) {
    __m512 score[KEYS];
    score_keys(b, D, key, n, _mm512_setzero_ps(), score);
    for (size_t j = 0; j < n; j++)
        b->reference = _mm512_max_ps(b->reference, score[j]);
}

ALWAYS_INLINE void all_powers(block *b, size_t keys, size_t D, bool known) {
    b->total = _mm512_setzero_ps();
    size_t group = (qr__attention_group(keys, KEYS) + 1) & ~(size_t)1;
#define GROUP(n) power_keys(b, D, key, n, key == 0 && !known)
    for (size_t key = 0; key < keys; key += group)
        WITH_CONSTANT(qr_min(keys - key, group), GROUP)
#undef GROUP
}

static void find_largest(block *b, size_t keys, size_t D) {
#define GROUP(n) largest_of_keys(b, D, key, n)
    for (size_t key = 0; key < keys; key += KEYS)
        WITH_CONSTANT(qr_min(keys - key, KEYS), GROUP)
#undef GROUP
}

/* out[n][d..d + 16 * vectors) */
ALWAYS_INLINE void mix_values(const block *b, const qr__attention *a, size_t D, size_t query,
                              const float *scale, float *out, size_t d, size_t n, size_t vectors) {
    __m512 sum[OUT_QUERIES][OUT_VECTORS];
    for (size_t q = 0; q < n; q++)
        for (size_t i = 0; i < vectors; i++)
            sum[q][i] = _mm512_setzero_ps();
    for (size_t j = 0; j < b->pairs; j++) {
        __m512bh value[OUT_VECTORS];
        for (size_t i = 0; i < vectors; i++)
            value[i] = (__m512bh)_mm512_loadu_si512(b->v + j * D + d + 16 * i);
        for (size_t q = 0; q < n; q++) {
            __m512bh power = (__m512bh)_mm512_set1_epi32((int)b->p[j * LANES + query + q]);
            for (size_t i = 0; i < vectors; i++)
                sum[q][i] = _mm512_dpbf16_ps(sum[q][i], value[i], power);
        }
    }
    for (size_t q = 0; q < n; q++)
        for (size_t i = 0; i < vectors; i++)
            _mm512_storeu_ps(out + q * a->ld_out + d + 16 * i,
                             _mm512_mul_ps(sum[q][i], _mm512_set1_ps(scale[q])));
}

#include "engine/cpu/kernels/attention_mix_body.h"

/* D is a constant where it is inlined with one. */
ALWAYS_INLINE void attend(const qr__attention *a, size_t D) {
    block b = {.k = a->scratch, .pairs = (a->keys + 1) / 2};
    b.v = b.k + b.pairs * D;
    b.qt = b.v + b.pairs * D;
    b.p = b.qt + D / 2 * LANES;
    pack_keys(&b, a);
    pack_values(&b, a);
    for (size_t first = 0; first < a->queries; first += LANES) {
        size_t queries = qr_min(a->queries - first, LANES);
        qr__pack_queries(b.qt, a, a->q + first * a->ld_q, queries);
        all_powers(&b, a->keys, D, false);
        if (!qr__vec_all_below(b.total, QR_ATTENTION_POWERS_MAX)) {
            find_largest(&b, a->keys, D);
            all_powers(&b, a->keys, D, true);
        }
        mix(&b, a, D, a->out + first * a->ld_out, queries);
    }
}

void qr__attention_bf16__avx512bf16(const qr__attention *a) {
    if (a->D == 32)
        attend(a, 32);
    else if (a->D == 64)
        attend(a, 64);
    else if (a->D % 16 == 0)
        attend(a, a->D);
    else
        qr__attention_f32__avx512f(a);
}
