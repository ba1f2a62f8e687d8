/* engine/cpu/kernels/vec_math.h: what the vector kernels need beyond vec_avx512f.h, vec_avx2.h or
 * vec_neon.h, whichever fits the including file's instruction set: halves, division, sums across
 * lanes (in one fixed order), and e^x. */
#ifndef QR_ENGINE_CPU_VEC_MATH_H
#define QR_ENGINE_CPU_VEC_MATH_H

#if defined(__aarch64__)
#include "engine/cpu/kernels/vec_neon.h"
#elif defined(__AVX512F__)
#include "engine/cpu/kernels/vec_avx512f.h"
#else
#include "engine/cpu/kernels/vec_avx2.h"
#endif

#include <stdbool.h>

#if defined(__aarch64__)

#include "engine/cpu/kernels/vec_neon_exp2.h"

#else

static inline float qr__vec_sum_256(__m256 a) {
    __m128 sum = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    sum = _mm_add_ps(sum, _mm_movehl_ps(sum, sum));
    return _mm_cvtss_f32(_mm_add_ss(sum, _mm_movehdup_ps(sum)));
}

#if defined(__AVX512F__)

static inline float qr__vec_sum(qr__vec a) {
    return qr__vec_sum_256(_mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1)));
}

/* a in the first n lanes, zeros behind them. */
static inline qr__vec qr__vec_first(qr__vec a, size_t n) {
    return _mm512_maskz_mov_ps(qr__vec_mask(n), a);
}

static inline qr__vec qr__vec_div(qr__vec a, qr__vec b) {
    return _mm512_div_ps(a, b);
}

static inline qr__vec qr__vec_load_f16(const uint16_t *p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}

static inline void qr__vec_store_f16(uint16_t *p, qr__vec v) {
    _mm256_storeu_si256((__m256i *)p,
                        _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}

static inline qr__vec qr__vec_round(qr__vec a) {
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* What qr__vec_scale2 needs of an exponent: nothing. */
static inline qr__vec qr__vec_bound2(qr__vec n) {
    return n;
}

/* a * 2^n, n integral. */
static inline qr__vec qr__vec_scale2(qr__vec a, qr__vec n) {
    return _mm512_scalef_ps(a, n);
}

static inline bool qr__vec_all_below(qr__vec a, float limit) {
    return _mm512_cmp_ps_mask(a, _mm512_set1_ps(limit), _CMP_LT_OQ) == 0xffff;
}

#else

static inline float qr__vec_sum(qr__vec a) {
    return qr__vec_sum_256(a);
}

static inline qr__vec qr__vec_first(qr__vec a, size_t n) {
    return _mm256_and_ps(a, _mm256_castsi256_ps(qr__vec_mask(n)));
}

static inline qr__vec qr__vec_div(qr__vec a, qr__vec b) {
    return _mm256_div_ps(a, b);
}

static inline qr__vec qr__vec_load_f16(const uint16_t *p) {
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
}

static inline void qr__vec_store_f16(uint16_t *p, qr__vec v) {
    _mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}

static inline qr__vec qr__vec_round(qr__vec a) {
    return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

static inline qr__vec qr__vec_bound2(qr__vec n) {
    return _mm256_max_ps(_mm256_set1_ps(-126.0f), _mm256_min_ps(_mm256_set1_ps(126.0f), n));
}

static inline bool qr__vec_all_below(qr__vec a, float limit) {
    return _mm256_movemask_ps(_mm256_cmp_ps(a, _mm256_set1_ps(limit), _CMP_LT_OQ)) == 0xff;
}

static inline qr__vec qr__vec_scale2(qr__vec a, qr__vec n) { /* n in -126..127 */
    __m256i exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
    return _mm256_mul_ps(a, _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23)));
}

#endif
#endif

/* 2^x. x = n + r with |r| <= 1/2, and a polynomial of degree 5 in r, minimax for the relative
 * error: at most 2.2e-7 of the result, rounding included. Far below -126 the result is 0 or at
 * most 1.2e-38, far above 126 it is at least 8e37 or infinite. */
static inline __attribute__((always_inline)) qr__vec qr__vec_exp2(qr__vec x) {
    x = qr__vec_bound2(x);
    qr__vec n = qr__vec_round(x), r = qr__vec_sub(x, n);
    qr__vec p = qr__vec_fma(qr__vec_set(0.00132647f), r, qr__vec_set(0.009671534f));
    p = qr__vec_fma(p, r, qr__vec_set(0.05550734f));
    p = qr__vec_fma(p, r, qr__vec_set(0.24022242f));
    p = qr__vec_fma(p, r, qr__vec_set(0.693147f));
    p = qr__vec_fma(p, r, qr__vec_set(1.0f));
    return qr__vec_scale2(p, n);
}

/* As qr__vec_exp2, to degree 3: at most 1.1e-4 of the result, a twentieth of a bf16's rounding. */
static inline __attribute__((always_inline)) qr__vec qr__vec_exp2_coarse(qr__vec x) {
    x = qr__vec_bound2(x);
    qr__vec n = qr__vec_round(x), r = qr__vec_sub(x, n);
    qr__vec p = qr__vec_fma(qr__vec_set(0.055008736f), r, qr__vec_set(0.24221176f));
    p = qr__vec_fma(p, r, qr__vec_set(0.693283f));
    return qr__vec_scale2(qr__vec_fma(p, r, qr__vec_set(1.0f)), n);
}

/* tanh(x) = 1 - 2 / (1 + e^(2x)); absolute error at most 4e-7. */
static inline qr__vec qr__vec_tanh(qr__vec x) {
    const qr__vec one = qr__vec_set(1.0f);
    x = qr__vec_max(qr__vec_set(-10.0f), qr__vec_min(qr__vec_set(10.0f), x));
    qr__vec e = qr__vec_exp2(qr__vec_mul(x, qr__vec_set(2.88539008f)));
    return qr__vec_sub(one, qr__vec_div(qr__vec_set(2.0f), qr__vec_add(one, e)));
}

#endif
