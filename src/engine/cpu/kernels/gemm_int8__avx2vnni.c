/* engine/cpu/kernels/gemm_int8__avx2vnni.c: u8 activations x s8 weights by AVX-VNNI's VPDPBUSD, 6 x
 * 16 tiles. Exact, as gemm_int8__avx512vnni.c's. */
#include "engine/cpu/kernels/vec_avx2.h"

#include "engine/cpu/kernels/gemm_list.h"
#include "engine/cpu/kernels/quantize.h"

static inline __m256i broadcast(const char *p) {
    int32_t four;
    memcpy(&four, p, sizeof four);
    return _mm256_set1_epi32(four);
}

#define QR_GEMM_ROWS_MAX       6
#define QR_GEMM_STEP_BYTES     64
#define QR_GEMM_INT8           1
#define QR_GEMM_SUM            __m256i
#define QR_GEMM_OPERAND        __m256i
#define QR_GEMM_ZERO           _mm256_setzero_si256()
#define QR_GEMM_LOAD(p)        _mm256_load_si256((const __m256i *)(const void *)(p))
#define QR_GEMM_BROADCAST(p)   broadcast(p)
#define QR_GEMM_MAC(acc, a, w) _mm256_dpbusd_avx_epi32(acc, a, w)
#define QR_GEMM_STORE(p, acc)  _mm256_store_si256((__m256i *)(void *)(p), acc)
#define QR_GEMM_NAME           qr__gemm_int8__avx2vnni
#include "engine/cpu/kernels/gemm_tile.h"

void qr__quantize_int8__avx2vnni(const qr__gemm_shape *shape, const float *x, size_t ldx,
                                 size_t rows, void *operand) {
    quantize_int8(shape, x, ldx, rows, operand);
}
