/* engine/cpu/kernels/gemm_bf16__avx2.c: f32 x bf16: weights widen as they are read, so that half
 * the bytes stream; activations and sums stay f32. 6 x 16 tiles. */
#include "engine/cpu/kernels/vec_avx2.h"

#include "engine/cpu/kernels/gemm_list.h"

static inline __m256 widen(const char *p) {
    const __m256i bits = _mm256_cvtepu16_epi32(_mm_load_si128((const __m128i *)(const void *)p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(bits, 16));
}

#define QR_GEMM_ROWS_MAX       6
#define QR_GEMM_STEP_BYTES     32
#define QR_GEMM_INT8           0
#define QR_GEMM_SUM            __m256
#define QR_GEMM_OPERAND        __m256
#define QR_GEMM_ZERO           _mm256_setzero_ps()
#define QR_GEMM_LOAD(p)        widen(p)
#define QR_GEMM_BROADCAST(p)   _mm256_broadcast_ss((const float *)(const void *)(p))
#define QR_GEMM_MAC(acc, a, w) qr__vec_fma_onto(acc, a, w)
#define QR_GEMM_STORE(p, acc)  _mm256_store_ps(p, acc)
#define QR_GEMM_NAME           qr__gemm_bf16__avx2
#include "engine/cpu/kernels/gemm_tile.h"
