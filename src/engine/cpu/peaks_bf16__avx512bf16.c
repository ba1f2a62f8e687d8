/* engine/cpu/peaks_bf16__avx512bf16.c: the rate of VDPBF16PS. */
#include <immintrin.h>

#define QR_PEAK_NAME           qr__peak_bf16__avx512bf16
#define QR_PEAK_VECTOR         __m512
#define QR_PEAK_START          _mm512_castsi512_ps(_mm512_set1_epi16(0x3f00)) /* 0.5s */
#define QR_PEAK_MAC(sum, a, b) _mm512_dpbf16_ps(sum, (__m512bh)(a), (__m512bh)(b))
#define QR_PEAK_REGISTER(v)    "+v"(v)
#define QR_PEAK_FLOAT(sum)     _mm512_cvtss_f32(sum)
#include "engine/cpu/peaks_loop.h"
