/* engine/cpu/kernels/gemm_int8__avx2vnni.c: u8 activations x s8 weights by AVX-VNNI's VPDPBUSD, 6 x
 * 16 tiles. Exact, as gemm_int8__avx512vnni.c's. */
#include "engine/cpu/kernels/vec_avx2.h"

#include "engine/cpu/kernels/quantize.h"

#define QR_INT8_WEIGHTS    2
#define QR_INT8_ROWS_MAX   6
#define QR_INT8_ROWS_TWICE 3

/* Four values of k of one row: sums[v] += row * w[v]. */
static inline __attribute__((always_inline)) void
multiply_add(const char *row, const __m256i w[QR_INT8_WEIGHTS], __m256i sums[2]) {
    __m256i a;
    __asm__("vpbroadcastd %[four], %[a]\n\t"
            "%{vex%} vpdpbusd %[w0], %[a], %[sum]\n\t"
            "%{vex%} vpdpbusd %[w1], %[a], %[other]"
            : [sum] "+x"(sums[0]), [other] "+x"(sums[1]), [a] "=&x"(a)
            : [four] "m"(*(const char(*)[4])row), [w0] "x"(w[0]), [w1] "x"(w[1]));
}

/* A tile's sums are chains of latency 5 on two units, so ten chains keep them busy: five rows, or
 * three with two sets of sums. Four rows take as long as five. */
static size_t blocks_of(size_t rows) {
    return (rows + QR_INT8_ROWS_MAX - 1) / QR_INT8_ROWS_MAX;
}

/* 7 to 10 rows are 5 + 2, 5 + 3, 6 + 3, 5 + 5; of more, 6 are taken. */
static size_t rows_of_next(size_t left, size_t blocks) {
    if (blocks == 1)
        return left;
    return left < 9 || left == 10 ? 5 : QR_INT8_ROWS_MAX;
}

#include "engine/cpu/kernels/gemm_int8_256_tile.h"

#define QR_GEMM_NAME qr__gemm_int8__avx2vnni
#include "engine/cpu/kernels/gemm_int8_256_body.h"

void qr__quantize_int8__avx2vnni(const qr__gemm_shape *shape, const float *x, size_t ldx,
                                 size_t rows, void *operand) {
    quantize_int8(shape, x, ldx, rows, operand);
}
