/* engine/cpu/peaks_int8__avx512vnni.c: the rate of VPDPBUSD on 64 bytes. */
#include <immintrin.h>

#define QR_PEAK_NAME           qr__peak_int8__avx512vnni
#define QR_PEAK_VECTOR         __m512i
#define QR_PEAK_START          _mm512_set1_epi8(3)
#define QR_PEAK_MAC(sum, a, b) _mm512_dpbusd_epi32(sum, a, b)
#define QR_PEAK_REGISTER(v)    "+v"(v)
#define QR_PEAK_FLOAT(sum)     ((float)_mm_cvtsi128_si32(_mm512_castsi512_si128(sum)))
#include "engine/cpu/peaks_loop.h"
