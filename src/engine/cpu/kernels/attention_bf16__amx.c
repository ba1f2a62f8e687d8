/* engine/cpu/kernels/attention_bf16__amx.c: attention of one sequence and one head with bf16 dot
 * products by AMX tiles (TDPBF16PS), for plans in bf16.
 *
 *     k[keys][D]           bf16 rows: left factors of the scores
 *     qt[D/2][16][2]       a block of 16 queries, transposed by pairs: the right factor
 *     score[keys][16]      f32
 *     p[keys/2][16][2]     powers of 2, two keys side by side: the right factor of the values
 *     vt[D][keys]          bf16 columns of v: left factors
 *     out[D][16]           turned over as it is stored
 *
 * The largest score of a query is subtracted from all, so no power passes 1. Keys are taken 64 at a
 * time for scores and 32 for values; behind the last, scores are never read, and powers and values
 * are 0 (a NaN times 0 would spoil the sum). Sums are f32. D must be a multiple of 32; other heads,
 * and few keys, go to other kernels. */
#include "engine/cpu/kernels/attention_groups.h"
#include "engine/cpu/kernels/kernel_list.h"
#include "engine/cpu/kernels/vec_math.h"
#include "engine/cpu/kernels/vec_tiles_amx.h"

#include "engine/cpu/kernels/attention_bf16_pairs.h"

#define LANES QR_ATTENTION_LANES
#define KEYS  QR_ATTENTION_TILE_KEYS

/* Below, f32 is as fast. */
#define FEWEST_KEYS 32u

typedef struct block {
    float *score;
    uint32_t *p, *qt;
    uint16_t *k, *vt;
    size_t whole; /* keys, rounded up to KEYS */
    __m512 most, total;
} block;

static void pack_keys(const block *b, const qr__attention *a) {
    for (size_t j = 0; j < a->keys; j++)
        qr__pack_key(b->k + j * a->D, a->k + j * a->ld_kv, a->D);
}

/* 32 keys of 16 channels become 16 rows of 32 keys. */
static void turn_values(const block *b, const qr__attention *a, size_t key, size_t d) {
    __m512 half[2][16];
    for (size_t h = 0; h < 2; h++) {
        for (size_t i = 0; i < 16; i++) {
            const size_t j = key + 16 * h + i;
            half[h][i] =
                j < a->keys ? _mm512_loadu_ps(a->v + j * a->ld_kv + d) : _mm512_setzero_ps();
        }
        qr__vec_transpose(half[h]);
    }
    for (size_t i = 0; i < 16; i++)
        _mm512_storeu_si512(b->vt + (d + i) * b->whole + key,
                            (__m512i)_mm512_cvtne2ps_pbh(half[1][i], half[0][i]));
}

static void pack_values(const block *b, const qr__attention *a) {
    for (size_t d = 0; d < a->D; d += 16)
        for (size_t key = 0; key < a->keys; key += 32)
            turn_values(b, a, key, d);
}

/* Scores of 64 keys. */
ALWAYS_INLINE void score_keys(const block *b, size_t D, size_t key) {
    const uint16_t *k = b->k + key * D;
    const size_t stride = D * sizeof *k;
    float *score = b->score + key * LANES;
    qr__tiles_zero();
    for (size_t d = 0; d < D; d += 32) {
        _tile_loadd(QR_TILE_B0, b->qt + d / 2 * LANES, LANES * 4);
        _tile_loadd(QR_TILE_A0, k + d, stride);
        _tile_dpbf16ps(QR_TILE_SUM00, QR_TILE_A0, QR_TILE_B0);
        _tile_loadd(QR_TILE_A1, k + 16 * D + d, stride);
        _tile_dpbf16ps(QR_TILE_SUM01, QR_TILE_A1, QR_TILE_B0);
        _tile_loadd(QR_TILE_A0, k + 32 * D + d, stride);
        _tile_dpbf16ps(QR_TILE_SUM10, QR_TILE_A0, QR_TILE_B0);
        _tile_loadd(QR_TILE_A1, k + 48 * D + d, stride);
        _tile_dpbf16ps(QR_TILE_SUM11, QR_TILE_A1, QR_TILE_B0);
    }
    qr__tiles_store(score, 16 * LANES * 4, LANES * 4);
}

ALWAYS_INLINE void all_scores(block *b, size_t keys, size_t D) {
    qr__tiles_sync();
    for (size_t key = 0; key < keys; key += KEYS)
        score_keys(b, D, key);
    qr__tiles_sync();
    b->most = _mm512_loadu_ps(b->score);
    for (size_t key = 1; key < keys; key++)
        b->most = _mm512_max_ps(b->most, _mm512_loadu_ps(b->score + key * LANES));
}

/* The power of a key, 0 behind the last. */
ALWAYS_INLINE __m512 power_of(block *b, size_t key, size_t keys) {
    if (key >= keys)
        return _mm512_setzero_ps();
    const __m512 score = _mm512_loadu_ps(b->score + key * LANES);
    const __m512 power = qr__vec_exp2_coarse(_mm512_sub_ps(score, b->most));
    b->total = _mm512_add_ps(b->total, power);
    return power;
}

static void all_powers(block *b, size_t keys) {
    b->total = _mm512_setzero_ps();
    for (size_t key = 0; key < qr_round_up(keys, 32); key += 2) {
        const __m512 first = power_of(b, key, keys), second = power_of(b, key + 1, keys);
        _mm512_storeu_si512(b->p + key / 2 * LANES, qr__side_by_side(first, second));
    }
}

/* sums[64][16]: values [d, d + 16 * tiles), tiles being 2 or 4, times powers. */
ALWAYS_INLINE void mix_values(const block *b, size_t keys, size_t d, size_t tiles, float *sums) {
    const size_t stride = b->whole * sizeof *b->vt;
    const uint16_t *vt = b->vt + d * b->whole;
    qr__tiles_zero();
    for (size_t key = 0; key < keys; key += 32) {
        _tile_loadd(QR_TILE_B0, b->p + key / 2 * LANES, LANES * 4);
        _tile_loadd(QR_TILE_A0, vt + key, stride);
        _tile_dpbf16ps(QR_TILE_SUM00, QR_TILE_A0, QR_TILE_B0);
        _tile_loadd(QR_TILE_A1, vt + 16 * b->whole + key, stride);
        _tile_dpbf16ps(QR_TILE_SUM01, QR_TILE_A1, QR_TILE_B0);
        if (tiles > 2) {
            _tile_loadd(QR_TILE_A0, vt + 32 * b->whole + key, stride);
            _tile_dpbf16ps(QR_TILE_SUM10, QR_TILE_A0, QR_TILE_B0);
            _tile_loadd(QR_TILE_A1, vt + 48 * b->whole + key, stride);
            _tile_dpbf16ps(QR_TILE_SUM11, QR_TILE_A1, QR_TILE_B0);
        }
    }
    qr__tiles_store(sums, 16 * LANES * 4, LANES * 4);
}

ALWAYS_INLINE void mix(const block *b, const qr__attention *a, size_t D, float *out,
                       size_t queries) {
    _Alignas(64) float sums[64 * LANES];
    const __m512 scale = _mm512_div_ps(_mm512_set1_ps(1.0f), b->total);
    for (size_t first = 0; first < D; first += 64) {
        const size_t width = qr_min(D - first, 64);
        qr__tiles_sync();
        mix_values(b, a->keys, first, width / 16, sums);
        qr__tiles_sync();
        for (size_t d = 0; d < width; d += 16) {
            __m512 rows[16];
            for (size_t i = 0; i < 16; i++)
                rows[i] = _mm512_mul_ps(_mm512_load_ps(sums + (d + i) * LANES), scale);
            qr__vec_transpose(rows);
            for (size_t q = 0; q < queries; q++)
                _mm512_storeu_ps(out + q * a->ld_out + first + d, rows[q]);
        }
    }
}

/* D is a constant where it is inlined with one. */
ALWAYS_INLINE void attend(const qr__attention *a, size_t D) {
    block b = {.whole = qr_round_up(a->keys, KEYS), .score = a->scratch};
    b.p = (uint32_t *)(void *)(b.score + b.whole * LANES);
    b.qt = b.p + b.whole / 2 * LANES;
    b.k = (uint16_t *)(void *)(b.qt + D / 2 * LANES);
    b.vt = b.k + b.whole * D;
    pack_keys(&b, a);
    pack_values(&b, a);
    for (size_t first = 0; first < a->queries; first += LANES) {
        const size_t queries = qr_min(a->queries - first, LANES);
        qr__pack_queries(b.qt, a, a->q + first * a->ld_q, queries);
        all_scores(&b, a->keys, D);
        all_powers(&b, a->keys);
        mix(&b, a, D, a->out + first * a->ld_out, queries);
    }
}

void qr__attention_bf16__amx(const qr__attention *a) {
    if (a->D % 32 != 0 || a->keys < FEWEST_KEYS) {
        qr__attention_f32__avx512f(a);
        return;
    }
    const qr__tile_config config = qr__tiles_whole();
    qr__tiles_load(&config);
    if (a->D == 32)
        attend(a, 32);
    else if (a->D == 64)
        attend(a, 64);
    else
        attend(a, a->D);
    _tile_release();
}
