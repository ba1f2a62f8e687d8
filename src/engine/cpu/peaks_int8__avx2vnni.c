/* engine/cpu/peaks_int8__avx2vnni.c: the rate of VPDPBUSD on 32 bytes. */
#include <immintrin.h>

/* From the intrinsic gcc 12 makes a loop that keeps half of the sums on the stack, at half of
 * the rate. */
static inline __m256i multiply_add(__m256i sum, __m256i a, __m256i b) {
    __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(a), "x"(b));
    return sum;
}

#define QR_PEAK_NAME           qr__peak_int8__avx2vnni
#define QR_PEAK_VECTOR         __m256i
#define QR_PEAK_START          _mm256_set1_epi8(3)
#define QR_PEAK_MAC(sum, a, b) multiply_add(sum, a, b)
#define QR_PEAK_REGISTER(v)    "+x"(v)
#define QR_PEAK_FLOAT(sum)     ((float)_mm_cvtsi128_si32(_mm256_castsi256_si128(sum)))
#include "engine/cpu/peaks_loop.h"
