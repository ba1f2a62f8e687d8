/* engine/cpu/peaks_int8__avx2.c: the rate of int8 without VNNI: for each 8 values of k two
 * VPMADDUBSW on 32 bytes, added in 16 bits, and VPMADDWD by ones, added in 32.
 *
 * Each sum is an operand of its own products, or the compiler would compute the same product once
 * for all sums. */
#include <immintrin.h>

#define QR_PEAK_NAME   qr__peak_int8__avx2
#define QR_PEAK_VECTOR __m256i
#define QR_PEAK_START  _mm256_set1_epi8(3)
#define QR_PEAK_MAC(sum, a, b)                                                                     \
    _mm256_add_epi32(                                                                              \
        sum, _mm256_madd_epi16(                                                                    \
                 _mm256_add_epi16(_mm256_maddubs_epi16(sum, a), _mm256_maddubs_epi16(a, sum)), b))
#define QR_PEAK_REGISTER(v) "+x"(v)
#define QR_PEAK_FLOAT(sum)  ((float)_mm_cvtsi128_si32(_mm256_castsi256_si128(sum)))
#include "engine/cpu/peaks_loop.h"
