/* engine/cpu/kernels/gemm_f32__avx2.c: f32 by fused multiply-adds, 6 x 16 tiles: 12 of the 16
 * registers are sums. */
#include "engine/cpu/kernels/vec_avx2.h"

#include "engine/cpu/kernels/gemm_list.h"

#define QR_GEMM_ROWS_MAX       6
#define QR_GEMM_STEP_BYTES     64
#define QR_GEMM_INT8           0
#define QR_GEMM_SUM            __m256
#define QR_GEMM_OPERAND        __m256
#define QR_GEMM_ZERO           _mm256_setzero_ps()
#define QR_GEMM_LOAD(p)        _mm256_load_ps((const float *)(const void *)(p))
#define QR_GEMM_BROADCAST(p)   _mm256_broadcast_ss((const float *)(const void *)(p))
#define QR_GEMM_MAC(acc, a, w) qr__vec_fma_onto(acc, a, w)
#define QR_GEMM_STORE(p, acc)  _mm256_store_ps(p, acc)
#define QR_GEMM_NAME           qr__gemm_f32__avx2
#include "engine/cpu/kernels/gemm_tile.h"
