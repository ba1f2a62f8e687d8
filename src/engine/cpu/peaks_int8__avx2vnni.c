/* engine/cpu/peaks_int8__avx2vnni.c: the rate of VPDPBUSD on 32 bytes. */
#include <immintrin.h>

#define QR_PEAK_NAME           qr__peak_int8__avx2vnni
#define QR_PEAK_VECTOR         __m256i
#define QR_PEAK_START          _mm256_set1_epi8(3)
#define QR_PEAK_MAC(sum, a, b) _mm256_dpbusd_avx_epi32(sum, a, b)
#define QR_PEAK_REGISTER(v)    "+x"(v)
#define QR_PEAK_FLOAT(sum)     ((float)_mm_cvtsi128_si32(_mm256_castsi256_si128(sum)))
#include "engine/cpu/peaks_loop.h"
