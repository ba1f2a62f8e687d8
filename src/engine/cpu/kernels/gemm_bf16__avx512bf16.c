/* engine/cpu/kernels/gemm_bf16__avx512bf16.c: bf16 x bf16 by VDPBF16PS into f32 sums, 14 x 32
 * tiles. The instruction takes denormals as zero and rounds to nearest even, whatever MXCSR says.
 */
#include "engine/cpu/kernels/vec_avx512f.h"

#include "engine/cpu/kernels/gemm_list.h"

#include <string.h>

static inline __m512i broadcast(const char *p) {
    int32_t pair;
    memcpy(&pair, p, sizeof pair);
    return _mm512_set1_epi32(pair);
}

#define QR_GEMM_ROWS_MAX       14
#define QR_GEMM_STEP_BYTES     128
#define QR_GEMM_INT8           0
#define QR_GEMM_SUM            __m512
#define QR_GEMM_OPERAND        __m512i
#define QR_GEMM_ZERO           _mm512_setzero_ps()
#define QR_GEMM_LOAD(p)        _mm512_load_si512(p)
#define QR_GEMM_BROADCAST(p)   broadcast(p)
#define QR_GEMM_MAC(acc, a, w) _mm512_dpbf16_ps(acc, (__m512bh)(a), (__m512bh)(w))
#define QR_GEMM_STORE(p, acc)  _mm512_store_ps(p, acc)
#define QR_GEMM_NAME           qr__gemm_bf16__avx512bf16
#include "engine/cpu/kernels/gemm_tile.h"

static void convert_row(const qr__gemm_shape *shape, const float *x, void *row) {
    const size_t K = shape->K, whole = K / QR_VEC_LANES * QR_VEC_LANES;
    const size_t padded = shape->steps * 2;
    uint16_t *out = row;
    for (size_t k = 0; k < whole; k += QR_VEC_LANES)
        _mm256_storeu_si256((__m256i *)(void *)(out + k),
                            (__m256i)_mm512_cvtneps_pbh(_mm512_loadu_ps(x + k)));
    for (size_t k = whole; k < padded; k += QR_VEC_LANES) { /* zeros behind x, to whole steps */
        const size_t left = k < K ? K - k : 0;
        _mm256_storeu_si256((__m256i *)(void *)(out + k),
                            (__m256i)_mm512_cvtneps_pbh(qr__vec_load_first(x + k, left)));
    }
}

void qr__quantize_bf16__avx512bf16(const qr__gemm_shape *shape, const float *x, size_t ldx,
                                   size_t rows, void *operand) {
    qr__quantize_each(shape, x, ldx, rows, operand, convert_row);
}
