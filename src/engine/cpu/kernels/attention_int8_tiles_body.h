/* engine/cpu/kernels/attention_int8_tiles_body.h: the two products of attention in int8 by AMX
 * tiles. D is a multiple of 16 up to 64, or of 64. Sums are exact, so the bits are those of
 * attention_int8_vnni_body.h.
 *
 *     score[64 keys][16]   four tiles of k rows times q, which is a right factor as it stands
 *     out[16][64 of D]     powers by query (p turned over, 16 words at once) times v as it is
 *
 * Keys are taken 64 at a time; behind the last, scores are computed of whatever is there and never
 * read, and powers are 0. */
#include "engine/cpu/kernels/attention_int8_codes_body.h"
#include "engine/cpu/kernels/vec_tiles_amx.h"

#define KEYS  QR_ATTENTION_TILE_KEYS
#define WORDS (KEYS / 4)

/* A0 holds k rows, of at most 64 bytes, and B0 queries; A1 powers and B1 values. */
static void configure(size_t D) {
    qr__tile_config config = qr__tiles_whole();
    const size_t bytes = qr_min(D, QR_TILE_BYTES);
    config.row_bytes[QR_TILE_A0] = (uint16_t)bytes;
    config.rows[QR_TILE_B0] = (uint8_t)(bytes / 4);
    qr__tiles_load(&config);
}

/* Scores of 64 keys. */
ALWAYS_INLINE void score_keys(const block *b, size_t D, size_t key) {
    const uint8_t *k = b->k + key * D;
    int32_t *score = b->score + key * LANES;
    qr__tiles_zero();
    for (size_t d = 0; d < D; d += QR_TILE_BYTES) {
        _tile_loadd(QR_TILE_B0, b->q + d / 4 * LANES, LANES * 4);
        _tile_loadd(QR_TILE_A0, k + d, D);
        _tile_dpbusd(QR_TILE_SUM00, QR_TILE_A0, QR_TILE_B0);
        _tile_loadd(QR_TILE_A0, k + 16 * D + d, D);
        _tile_dpbusd(QR_TILE_SUM01, QR_TILE_A0, QR_TILE_B0);
        _tile_loadd(QR_TILE_A0, k + 32 * D + d, D);
        _tile_dpbusd(QR_TILE_SUM10, QR_TILE_A0, QR_TILE_B0);
        _tile_loadd(QR_TILE_A0, k + 48 * D + d, D);
        _tile_dpbusd(QR_TILE_SUM11, QR_TILE_A0, QR_TILE_B0);
    }
    qr__tiles_store(score, 16 * LANES * 4, LANES * 4);
}

ALWAYS_INLINE void all_scores(block *b, size_t keys, size_t D) {
    qr__tiles_sync();
    for (size_t key = 0; key < keys; key += KEYS)
        score_keys(b, D, key);
    qr__tiles_sync();
    for (size_t key = 0; key < keys; key++)
        b->most = _mm512_max_epi32(b->most, _mm512_loadu_si512(b->score + key * LANES));
}

/* p[keys/4][16][4] -> rows[16][keys] */
static void turn_powers(const block *b, size_t keys) {
    for (size_t word = 0; word < b->whole / 4; word += WORDS) {
        __m512 columns[16];
        for (size_t i = 0; i < 16; i++)
            columns[i] = (word + i) * 4 < keys
                             ? _mm512_castsi512_ps(_mm512_loadu_si512(b->p + (word + i) * LANES))
                             : _mm512_setzero_ps();
        qr__vec_transpose(columns);
        for (size_t i = 0; i < 16; i++)
            _mm512_storeu_si512(b->rows + i * b->whole + word * 4, _mm512_castps_si512(columns[i]));
    }
}

/* sums[16][64]: powers times values [d, d + 16 * tiles), tiles being 1 to 4. */
ALWAYS_INLINE void mix_values(const block *b, size_t D, size_t d, size_t tiles, int32_t *sums) {
    const size_t stride = D * sizeof *b->v;
    qr__tiles_zero();
    for (size_t key = 0; key < b->whole; key += KEYS) {
        const uint32_t *v = b->v + key / 4 * D + d;
        _tile_loadd(QR_TILE_A1, b->rows + key, b->whole);
        _tile_loadd(QR_TILE_B1, v, stride);
        _tile_dpbusd(QR_TILE_SUM00, QR_TILE_A1, QR_TILE_B1);
        if (tiles > 1) {
            _tile_loadd(QR_TILE_B1, v + 16, stride);
            _tile_dpbusd(QR_TILE_SUM01, QR_TILE_A1, QR_TILE_B1);
        }
        if (tiles > 2) {
            _tile_loadd(QR_TILE_B1, v + 32, stride);
            _tile_dpbusd(QR_TILE_SUM10, QR_TILE_A1, QR_TILE_B1);
        }
        if (tiles > 3) {
            _tile_loadd(QR_TILE_B1, v + 48, stride);
            _tile_dpbusd(QR_TILE_SUM11, QR_TILE_A1, QR_TILE_B1);
        }
    }
    qr__tiles_store(sums, 16 * 4, 64 * 4);
}

/* out[queries][d..d + 16) = sums / total * scale + middle */
ALWAYS_INLINE void finish_values(const block *b, const qr__attention *a, const int32_t *sums,
                                 size_t d, size_t queries, const float *scale, float *out) {
    const __m512 step = _mm512_loadu_ps(b->values.scale + d);
    const __m512 middle = _mm512_loadu_ps(b->values.middle + d);
    for (size_t q = 0; q < queries; q++) {
        const __m512 sum = _mm512_cvtepi32_ps(_mm512_loadu_si512(sums + q * 64 + d % 64));
        const __m512 mean = _mm512_mul_ps(sum, _mm512_set1_ps(scale[q]));
        _mm512_storeu_ps(out + q * a->ld_out + d, _mm512_fmadd_ps(mean, step, middle));
    }
}

ALWAYS_INLINE void mix(const block *b, const qr__attention *a, size_t D, float *out,
                       size_t queries) {
    float scale[LANES];
    _Alignas(64) int32_t sums[16 * 64];
    _mm512_storeu_ps(scale, _mm512_div_ps(_mm512_set1_ps(1.0f), b->total));
    turn_powers(b, a->keys);
    for (size_t first = 0; first < D; first += 64) {
        const size_t tiles = qr_min(D - first, 64) / 16;
        qr__tiles_sync();
        mix_values(b, D, first, tiles, sums);
        qr__tiles_sync();
        for (size_t d = first; d < first + 16 * tiles; d += 16)
            finish_values(b, a, sums, d, queries, scale, out);
    }
}
