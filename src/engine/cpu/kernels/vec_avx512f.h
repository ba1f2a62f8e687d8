/* engine/cpu/kernels/vec_avx512f.h: sixteen floats, under the names that vec_avx2.h gives to eight,
 * so that a loop is written once and built for both. Included by *__avx512*.c files only. */
#ifndef QR_ENGINE_CPU_VEC_AVX512F_H
#define QR_ENGINE_CPU_VEC_AVX512F_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

typedef __m512 qr__vec;
#define QR_VEC_LANES ((size_t)16)
#define QR_VEC_TABLE 16 /* floats that qr__vec_lookup chooses among */

static inline __mmask16 qr__vec_mask(size_t n) {
    return (__mmask16)((1u << n) - 1); /* n in 0..16 */
}

static inline qr__vec qr__vec_load(const float *p) {
    return _mm512_loadu_ps(p);
}

/* The first n lanes (0..16) from p, zeros behind them; p[n] and on are not read. */
static inline qr__vec qr__vec_load_first(const float *p, size_t n) {
    return _mm512_maskz_loadu_ps(qr__vec_mask(n), p);
}

static inline void qr__vec_store(float *p, qr__vec v) {
    _mm512_storeu_ps(p, v);
}

static inline void qr__vec_store_first(float *p, qr__vec v, size_t n) {
    _mm512_mask_storeu_ps(p, qr__vec_mask(n), v);
}

static inline qr__vec qr__vec_set(float f) {
    return _mm512_set1_ps(f);
}

static inline qr__vec qr__vec_add(qr__vec a, qr__vec b) {
    return _mm512_add_ps(a, b);
}

static inline qr__vec qr__vec_sub(qr__vec a, qr__vec b) {
    return _mm512_sub_ps(a, b);
}

static inline qr__vec qr__vec_mul(qr__vec a, qr__vec b) {
    return _mm512_mul_ps(a, b);
}

/* a * b + c, rounded once. */
static inline qr__vec qr__vec_fma(qr__vec a, qr__vec b, qr__vec c) {
    return _mm512_fmadd_ps(a, b, c);
}

/* sum + a * b, rounded once, in the register of the sum. Of the instruction's forms gcc also takes
 * those that overwrite a factor, and loops of many sums end in moves and spills. */
static inline qr__vec qr__vec_fma_onto(qr__vec sum, qr__vec a, qr__vec b) {
    __asm__("vfmadd231ps %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
    return sum;
}

/* min and max give b where a lane holds a NaN. */
static inline qr__vec qr__vec_min(qr__vec a, qr__vec b) {
    return _mm512_min_ps(a, b);
}

static inline qr__vec qr__vec_max(qr__vec a, qr__vec b) {
    return _mm512_max_ps(a, b);
}

static inline qr__vec qr__vec_abs(qr__vec a) {
    return _mm512_abs_ps(a);
}

/* The smaller of |a| and |b|; b where a is NaN. */
static inline qr__vec qr__vec_abs_min(qr__vec a, qr__vec b) {
    enum { LEAST_MAGNITUDE = 2, POSITIVE = 2 << 2 };
    return _mm512_range_ps(a, b, LEAST_MAGNITUDE | POSITIVE);
}

/* a less the nearest integer. */
static inline qr__vec qr__vec_off_integer(qr__vec a) {
    return _mm512_reduce_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* b in the lanes of the first n, a in the others. */
static inline qr__vec qr__vec_blend_first(qr__vec a, qr__vec b, size_t n) {
    return _mm512_mask_mov_ps(a, qr__vec_mask(n), b);
}

static inline float qr__vec_min_lane(qr__vec a) {
    return _mm512_reduce_min_ps(a);
}

static inline float qr__vec_max_lane(qr__vec a) {
    return _mm512_reduce_max_ps(a);
}

/* table[i] for i in the low four bits of each lane. */
static inline qr__vec qr__vec_lookup(const float table[QR_VEC_TABLE], qr__vec index) {
    return _mm512_permutexvar_ps(_mm512_castps_si512(index), _mm512_load_ps(table));
}

/* Integers in lanes, as floats. */
static inline qr__vec qr__vec_from_i32(const int32_t *p) {
    return _mm512_cvtepi32_ps(_mm512_loadu_si512(p));
}

/* Rounds to nearest even, clamps to 0..255 (from above; the caller's lanes are not below 0). */
static inline void qr__vec_store_u8(uint8_t *p, qr__vec v) {
    _mm_storeu_si128((__m128i *)p, _mm512_cvtusepi32_epi8(_mm512_cvtps_epi32(v)));
}

#endif
