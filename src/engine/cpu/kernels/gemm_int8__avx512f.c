/* engine/cpu/kernels/gemm_int8__avx512f.c: u8 activations x s8 weights on AVX-512 without VNNI
 * (Skylake-SP), 11 x 32 tiles: gemm_int8__avx2.c's operations, twice as wide, and exact for the
 * same reason. */
#include "engine/cpu/kernels/vec_avx512f.h"

#include "engine/cpu/kernels/gemm_list.h"
#include "engine/cpu/kernels/quantize_512_body.h"

static inline __m512i broadcast(const char *p) {
    int32_t four;
    memcpy(&four, p, sizeof four);
    return _mm512_set1_epi32(four);
}

static inline __m512i multiply_add(__m512i sum, __m512i a, __m512i w, __m512i more_a,
                                   __m512i more_w) {
    const __m512i fours =
        _mm512_add_epi16(_mm512_maddubs_epi16(a, w), _mm512_maddubs_epi16(more_a, more_w));
    return _mm512_add_epi32(sum, _mm512_madd_epi16(fours, _mm512_set1_epi16(1)));
}

#define QR_GEMM_ROWS_MAX      11
#define QR_GEMM_STEP_BYTES    128
#define QR_GEMM_PARTS         2
#define QR_GEMM_INT8          1
#define QR_GEMM_SUM           __m512i
#define QR_GEMM_OPERAND       __m512i
#define QR_GEMM_ZERO          _mm512_setzero_si512()
#define QR_GEMM_LOAD(p)       _mm512_load_si512(p)
#define QR_GEMM_BROADCAST(p)  broadcast(p)
#define QR_GEMM_MAC           multiply_add
#define QR_GEMM_STORE(p, acc) _mm512_store_si512(p, acc)
#define QR_GEMM_NAME          qr__gemm_int8__avx512f
#include "engine/cpu/kernels/gemm_tile.h"

void qr__quantize_int8__avx512f(const qr__gemm_shape *shape, const float *x, size_t ldx,
                                size_t rows, void *operand) {
    quantize_int8(shape, x, ldx, rows, operand);
}
