/* engine/cpu/kernels/vec_ints_avx2.h: eight integers in the lanes of vec_avx2.h's eight floats,
 * and fours of bytes that all lanes are given alike (include vec_math.h first).
 *
 *     qr__ints codes = qr__ints_round(x);
 *     qr__fours key = qr__fours_at(bytes);    // a product says which four of it
 *
 * Fours stay in memory, as many as there are: an instruction gives one to all lanes. */
#ifndef QR_ENGINE_CPU_VEC_INTS_AVX2_H
#define QR_ENGINE_CPU_VEC_INTS_AVX2_H

#include <string.h>

typedef __m256i qr__ints;

typedef const char *qr__fours;

static inline qr__fours qr__fours_at(const void *p) {
    return (const char *)p;
}

/* Four number i in every lane. */
static inline __m256i qr__fours_spread(qr__fours a, size_t i) {
    int32_t four;
    memcpy(&four, a + 4 * i, sizeof four);
    return _mm256_set1_epi32(four);
}

static inline qr__ints qr__ints_set(int32_t i) {
    return _mm256_set1_epi32(i);
}

static inline qr__ints qr__ints_load(const void *p) {
    return _mm256_loadu_si256((const __m256i *)p);
}

static inline void qr__ints_store(void *p, qr__ints a) {
    _mm256_storeu_si256((__m256i *)p, a);
}

static inline qr__ints qr__ints_add(qr__ints a, qr__ints b) {
    return _mm256_add_epi32(a, b);
}

static inline qr__ints qr__ints_sub(qr__ints a, qr__ints b) {
    return _mm256_sub_epi32(a, b);
}

static inline qr__ints qr__ints_max(qr__ints a, qr__ints b) {
    return _mm256_max_epi32(a, b);
}

static inline qr__ints qr__ints_xor(qr__ints a, qr__ints b) {
    return _mm256_xor_si256(a, b);
}

/* a * 2^n */
#define qr__ints_shift(a, n) _mm256_slli_epi32(a, n)

static inline qr__vec qr__vec_floor(qr__vec a) {
    return _mm256_floor_ps(a);
}

/* To nearest even. */
static inline qr__ints qr__ints_round(qr__vec a) {
    return _mm256_cvtps_epi32(a);
}

static inline qr__vec qr__vec_of_ints(qr__ints a) {
    return _mm256_cvtepi32_ps(a);
}

static inline qr__ints qr__ints_of_bits(qr__vec a) {
    return _mm256_castps_si256(a);
}

static inline qr__vec qr__vec_of_bits(qr__ints a) {
    return _mm256_castsi256_ps(a);
}

/* a where x is `least` or more, else 0. */
static inline qr__vec qr__vec_keep(qr__vec a, qr__vec x, qr__vec least) {
    return _mm256_and_ps(a, _mm256_cmp_ps(x, least, _CMP_GE_OQ));
}

/* The lowest bytes of four vectors side by side. */
static inline qr__ints qr__ints_low_bytes(qr__ints a, qr__ints b, qr__ints c, qr__ints d) {
    __m256i even = _mm256_blend_epi16(a, _mm256_slli_epi32(c, 16), 0xaa);
    __m256i odd = _mm256_blend_epi16(b, _mm256_slli_epi32(d, 16), 0xaa);
    even = _mm256_and_si256(even, _mm256_set1_epi16(0xff));
    return _mm256_or_si256(even, _mm256_slli_epi16(odd, 8));
}

/* 16 lanes of 0 to 255 as bytes, to p[16]. Packed within halves: lanes 0-3 and 8-11, 4-7 and
 * 12-15. */
static inline void qr__ints_store_bytes(uint8_t *p, qr__ints a, qr__ints b) {
    __m256i words = _mm256_packs_epi32(a, b);
    __m128i bytes =
        _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    _mm_storeu_si128((__m128i *)(void *)p, _mm_shuffle_epi32(bytes, _MM_SHUFFLE(3, 1, 2, 0)));
}

#endif
