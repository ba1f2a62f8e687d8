/* engine/cpu/kernels/gemm_f32__avx512f.c: f32 by fused multiply-adds, 14 x 32 tiles. */
#include "engine/cpu/kernels/vec_avx512f.h"

#include "engine/cpu/kernels/gemm_list.h"

#define QR_GEMM_ROWS_MAX       14
#define QR_GEMM_STEP_BYTES     128
#define QR_GEMM_INT8           0
#define QR_GEMM_SUM            __m512
#define QR_GEMM_OPERAND        __m512
#define QR_GEMM_ZERO           _mm512_setzero_ps()
#define QR_GEMM_LOAD(p)        _mm512_load_ps(p)
#define QR_GEMM_BROADCAST(p)   _mm512_set1_ps(*(const float *)(const void *)(p))
#define QR_GEMM_MAC(acc, a, w) qr__vec_fma_onto(acc, a, w)
#define QR_GEMM_STORE(p, acc)  _mm512_store_ps(p, acc)
#define QR_GEMM_NAME           qr__gemm_f32__avx512f
#include "engine/cpu/kernels/gemm_tile.h"
