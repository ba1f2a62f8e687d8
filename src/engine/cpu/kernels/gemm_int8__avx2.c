/* engine/cpu/kernels/gemm_int8__avx2.c: u8 activations x s8 weights without VNNI, 4 x 16 tiles.
 *
 * VPMADDUBSW adds two products in 16 bits; two of its results are added there as well, and only
 * then VPMADDWD by ones widens them: five operations for what takes four VPMADDWD and four
 * additions otherwise. Nothing saturates because of how the weights are coded (quantize_weights.h),
 * so sums are exact. */
#include "engine/cpu/kernels/vec_avx2.h"

#include "engine/cpu/kernels/gemm_list.h"
#include "engine/cpu/kernels/quantize.h"

static inline __m256i broadcast(const char *p) {
    int32_t four;
    memcpy(&four, p, sizeof four);
    return _mm256_set1_epi32(four);
}

static inline __m256i multiply_add(__m256i sum, __m256i a, __m256i w, __m256i more_a,
                                   __m256i more_w) {
    const __m256i fours =
        _mm256_add_epi16(_mm256_maddubs_epi16(a, w), _mm256_maddubs_epi16(more_a, more_w));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(fours, _mm256_set1_epi16(1)));
}

#define QR_GEMM_ROWS_MAX      4
#define QR_GEMM_STEP_BYTES    64
#define QR_GEMM_PARTS         2
#define QR_GEMM_INT8          1
#define QR_GEMM_SUM           __m256i
#define QR_GEMM_OPERAND       __m256i
#define QR_GEMM_ZERO          _mm256_setzero_si256()
#define QR_GEMM_LOAD(p)       _mm256_load_si256((const __m256i *)(const void *)(p))
#define QR_GEMM_BROADCAST(p)  broadcast(p)
#define QR_GEMM_MAC           multiply_add
#define QR_GEMM_STORE(p, acc) _mm256_store_si256((__m256i *)(void *)(p), acc)
#define QR_GEMM_NAME          qr__gemm_int8__avx2
#include "engine/cpu/kernels/gemm_tile.h"

void qr__quantize_int8__avx2(const qr__gemm_shape *shape, const float *x, size_t ldx, size_t rows,
                             void *operand) {
    quantize_int8(shape, x, ldx, rows, operand);
}
