/* engine/cpu/kernels/gemm_bf16__avx512f.c: f32 x bf16 for machines without AVX512_BF16: weights
 * widen as they are read, so that half the bytes stream; activations and sums stay f32. 14 x 32
 * tiles. */
#include "engine/cpu/kernels/vec_avx512f.h"

#include "engine/cpu/kernels/gemm_list.h"

static inline __m512 widen(const char *p) {
    const __m512i bits = _mm512_cvtepu16_epi32(_mm256_load_si256((const __m256i *)(const void *)p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(bits, 16));
}

#define QR_GEMM_ROWS_MAX       14
#define QR_GEMM_STEP_BYTES     64
#define QR_GEMM_INT8           0
#define QR_GEMM_SUM            __m512
#define QR_GEMM_OPERAND        __m512
#define QR_GEMM_ZERO           _mm512_setzero_ps()
#define QR_GEMM_LOAD(p)        widen(p)
#define QR_GEMM_BROADCAST(p)   _mm512_set1_ps(*(const float *)(const void *)(p))
#define QR_GEMM_MAC(acc, a, w) qr__vec_fma_onto(acc, a, w)
#define QR_GEMM_STORE(p, acc)  _mm512_store_ps(p, acc)
#define QR_GEMM_NAME           qr__gemm_bf16__avx512f
#include "engine/cpu/kernels/gemm_tile.h"
