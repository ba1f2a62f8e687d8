/* engine/cpu/peaks_f32__avx512f.c: AVX-512's rate of f32 multiply-adds, and of reading. */
#include <immintrin.h>

#define QR_PEAK_NAME           qr__peak_f32__avx512f
#define QR_PEAK_VECTOR         __m512
#define QR_PEAK_START          _mm512_set1_ps(0.5f)
#define QR_PEAK_MAC(sum, a, b) _mm512_fmadd_ps(a, b, sum)
#define QR_PEAK_REGISTER(v)    "+v"(v)
#define QR_PEAK_FLOAT(sum)     _mm512_cvtss_f32(sum)
#include "engine/cpu/peaks_loop.h"

uint64_t qr__peak_read__avx512f(const void *from, size_t bytes) {
    __m512i a = _mm512_setzero_si512(), b = a, c = a, d = a;
    for (const char *p = from, *end = p + bytes; p < end; p += 256) {
        a = _mm512_xor_si512(a, _mm512_load_si512(p));
        b = _mm512_xor_si512(b, _mm512_load_si512(p + 64));
        c = _mm512_xor_si512(c, _mm512_load_si512(p + 128));
        d = _mm512_xor_si512(d, _mm512_load_si512(p + 192));
    }
    a = _mm512_xor_si512(_mm512_xor_si512(a, b), _mm512_xor_si512(c, d));
    return (uint64_t)_mm_cvtsi128_si64(_mm512_castsi512_si128(a));
}
