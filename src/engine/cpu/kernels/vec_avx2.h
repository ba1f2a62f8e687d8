/* engine/cpu/kernels/vec_avx2.h: eight floats, under the names that vec_avx512f.h gives to sixteen,
 * so that a loop is written once and built for both. Included by *__avx2*.c files only. */
#ifndef QR_ENGINE_CPU_VEC_AVX2_H
#define QR_ENGINE_CPU_VEC_AVX2_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

typedef __m256 qr__vec;
#define QR_VEC_LANES ((size_t)8)
#define QR_VEC_TABLE 8 /* floats that qr__vec_lookup chooses among */

static inline __m256i qr__vec_mask(size_t n) { /* n in 0..8 */
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

static inline qr__vec qr__vec_load(const float *p) {
    return _mm256_loadu_ps(p);
}

/* The first n lanes (0..8) from p, zeros behind them; p[n] and on are not read. */
static inline qr__vec qr__vec_load_first(const float *p, size_t n) {
    return _mm256_maskload_ps(p, qr__vec_mask(n));
}

static inline void qr__vec_store(float *p, qr__vec v) {
    _mm256_storeu_ps(p, v);
}

static inline void qr__vec_store_first(float *p, qr__vec v, size_t n) {
    _mm256_maskstore_ps(p, qr__vec_mask(n), v);
}

static inline qr__vec qr__vec_set(float f) {
    return _mm256_set1_ps(f);
}

static inline qr__vec qr__vec_add(qr__vec a, qr__vec b) {
    return _mm256_add_ps(a, b);
}

static inline qr__vec qr__vec_sub(qr__vec a, qr__vec b) {
    return _mm256_sub_ps(a, b);
}

static inline qr__vec qr__vec_mul(qr__vec a, qr__vec b) {
    return _mm256_mul_ps(a, b);
}

/* a * b + c, rounded once. */
static inline qr__vec qr__vec_fma(qr__vec a, qr__vec b, qr__vec c) {
    return _mm256_fmadd_ps(a, b, c);
}

/* sum + a * b, rounded once, in the register of the sum. Of the instruction's forms gcc also takes
 * those that overwrite a factor, and loops of many sums end in moves and spills. */
static inline qr__vec qr__vec_fma_onto(qr__vec sum, qr__vec a, qr__vec b) {
    __asm__("vfmadd231ps %2, %1, %0" : "+x"(sum) : "x"(a), "x"(b));
    return sum;
}

/* min and max give b where a lane holds a NaN. */
static inline qr__vec qr__vec_min(qr__vec a, qr__vec b) {
    return _mm256_min_ps(a, b);
}

static inline qr__vec qr__vec_max(qr__vec a, qr__vec b) {
    return _mm256_max_ps(a, b);
}

static inline qr__vec qr__vec_abs(qr__vec a) {
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a);
}

/* b in the lanes of the first n, a in the others. */
static inline qr__vec qr__vec_blend_first(qr__vec a, qr__vec b, size_t n) {
    return _mm256_blendv_ps(a, b, _mm256_castsi256_ps(qr__vec_mask(n)));
}

static inline float qr__vec_min_lane(qr__vec a) {
    __m128 m = _mm_min_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    m = _mm_min_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_min_ss(m, _mm_movehdup_ps(m)));
}

static inline float qr__vec_max_lane(qr__vec a) {
    __m128 m = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    m = _mm_max_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
}

/* table[i] for i in the low three bits of each lane. */
static inline qr__vec qr__vec_lookup(const float table[QR_VEC_TABLE], qr__vec index) {
    return _mm256_permutevar8x32_ps(_mm256_load_ps(table), _mm256_castps_si256(index));
}

/* Integers in lanes, as floats. */
static inline qr__vec qr__vec_from_i32(const int32_t *p) {
    return _mm256_cvtepi32_ps(_mm256_loadu_si256((const __m256i *)p));
}

/* Rounds to nearest even, clamps to 0..255 (from above; the caller's lanes are not below 0). In
 * f32: what is too large for an integer becomes the least of all. */
static inline void qr__vec_store_u8(uint8_t *p, qr__vec v) {
    __m256i i = _mm256_cvtps_epi32(_mm256_min_ps(v, _mm256_set1_ps(255.0f)));
    __m128i words = _mm_packus_epi32(_mm256_castsi256_si128(i), _mm256_extracti128_si256(i, 1));
    _mm_storel_epi64((__m128i *)p, _mm_packus_epi16(words, words));
}

/* The same of four vectors: 32 codes side by side. */
static inline void qr__vec_store4_u8(uint8_t *p, const qr__vec v[4]) {
    __m256i i[4];
    for (int k = 0; k < 4; k++)
        i[k] = _mm256_cvtps_epi32(_mm256_min_ps(v[k], _mm256_set1_ps(255.0f)));
    /* Packed within halves: fours of codes come out as 0, 2, 4, 6, then 1, 3, 5, 7. */
    const __m256i codes =
        _mm256_packus_epi16(_mm256_packs_epi32(i[0], i[1]), _mm256_packs_epi32(i[2], i[3]));
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    _mm256_storeu_si256((__m256i *)p, _mm256_permutevar8x32_epi32(codes, order));
}

#endif
