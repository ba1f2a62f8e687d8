/* engine/cpu/peaks_f32__avx2.c: AVX2's rate of f32 multiply-adds, and of reading. */
#include <immintrin.h>

#define QR_PEAK_NAME           qr__peak_f32__avx2
#define QR_PEAK_VECTOR         __m256
#define QR_PEAK_START          _mm256_set1_ps(0.5f)
#define QR_PEAK_MAC(sum, a, b) _mm256_fmadd_ps(a, b, sum)
#define QR_PEAK_REGISTER(v)    "+x"(v)
#define QR_PEAK_FLOAT(sum)     _mm256_cvtss_f32(sum)
#include "engine/cpu/peaks_loop.h"

uint64_t qr__peak_read__avx2(const void *from, size_t bytes) {
    __m256i a = _mm256_setzero_si256(), b = a, c = a, d = a;
    const __m256i *p = from;
    for (const __m256i *end = p + bytes / sizeof *p; p < end; p += 4) {
        a = _mm256_xor_si256(a, _mm256_load_si256(p));
        b = _mm256_xor_si256(b, _mm256_load_si256(p + 1));
        c = _mm256_xor_si256(c, _mm256_load_si256(p + 2));
        d = _mm256_xor_si256(d, _mm256_load_si256(p + 3));
    }
    a = _mm256_xor_si256(_mm256_xor_si256(a, b), _mm256_xor_si256(c, d));
    return (uint64_t)_mm_cvtsi128_si64(_mm256_castsi256_si128(a));
}
