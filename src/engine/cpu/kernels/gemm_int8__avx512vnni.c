/* engine/cpu/kernels/gemm_int8__avx512vnni.c: u8 activations x s8 weights by VPDPBUSD, 14 x 32
 * tiles. Sums are exact: 255 * 127 * K stays below 2^31 for K up to 66,311. */
#include "engine/cpu/kernels/vec_avx512f.h"

#include "engine/cpu/kernels/gemm_list.h"
#include "engine/cpu/kernels/quantize_512_body.h"

static inline __m512i broadcast(const char *p) {
    int32_t four;
    memcpy(&four, p, sizeof four);
    return _mm512_set1_epi32(four);
}

#define QR_GEMM_ROWS_MAX       14
#define QR_GEMM_STEP_BYTES     128
#define QR_GEMM_INT8           1
#define QR_GEMM_SUM            __m512i
#define QR_GEMM_OPERAND        __m512i
#define QR_GEMM_ZERO           _mm512_setzero_si512()
#define QR_GEMM_LOAD(p)        _mm512_load_si512(p)
#define QR_GEMM_BROADCAST(p)   broadcast(p)
#define QR_GEMM_MAC(acc, a, w) _mm512_dpbusd_epi32(acc, a, w)
#define QR_GEMM_STORE(p, acc)  _mm512_store_si512(p, acc)
#define QR_GEMM_NAME           qr__gemm_int8__avx512vnni
#include "engine/cpu/kernels/gemm_tile.h"

void qr__quantize_int8__avx512vnni(const qr__gemm_shape *shape, const float *x, size_t ldx,
                                   size_t rows, void *operand) {
    quantize_int8(shape, x, ldx, rows, operand);
}
