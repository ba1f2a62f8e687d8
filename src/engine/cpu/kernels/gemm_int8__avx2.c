/* engine/cpu/kernels/gemm_int8__avx2.c: u8 activations x s8 weights without VNNI, 4 x 16 tiles.
 *
 * VPMADDUBSW adds two products in 16 bits; two of its results are added there as well, and only
 * then VPMADDWD by ones widens them: five operations for what takes four VPMADDWD and four
 * additions otherwise. Nothing saturates because of how the weights are coded (quantize_weights.h),
 * so sums are exact. */
#include "engine/cpu/kernels/vec_avx2.h"

#include "engine/cpu/kernels/quantize.h"

#define QR_INT8_WEIGHTS    4
#define QR_INT8_ROWS_MAX   4
#define QR_INT8_ROWS_TWICE 0

/* Eight values of k of one row: sums[v] += row * w[v] + (row + 4) * w[2 + v]. The second four are
 * broadcast twice, which the loads' ports have time for: so three registers suffice, and four rows
 * need no more than there are. */
static inline __attribute__((always_inline)) void
multiply_add(const char *row, const __m256i w[QR_INT8_WEIGHTS], __m256i sums[2]) {
    const char(*four)[4] = (const char(*)[4])row;
    __m256i left, right, more;
    __asm__("vpbroadcastd %[four], %[left]\n\t"
            "vpmaddubsw %[w1], %[left], %[right]\n\t"
            "vpmaddubsw %[w0], %[left], %[left]\n\t"
            "vpbroadcastd %[next], %[more]\n\t"
            "vpmaddubsw %[w2], %[more], %[more]\n\t"
            "vpaddw %[more], %[left], %[left]\n\t"
            "vpbroadcastd %[next], %[more]\n\t"
            "vpmaddubsw %[w3], %[more], %[more]\n\t"
            "vpmaddwd %[ones], %[left], %[left]\n\t"
            "vpaddw %[more], %[right], %[right]\n\t"
            "vpaddd %[left], %[sum], %[sum]\n\t"
            "vpmaddwd %[ones], %[right], %[right]\n\t"
            "vpaddd %[right], %[other], %[other]"
            : [sum] "+x"(sums[0]), [other] "+x"(sums[1]), [left] "=&x"(left), [right] "=&x"(right),
              [more] "=&x"(more)
            : [four] "m"(four[0]), [next] "m"(four[1]), [w0] "x"(w[0]), [w1] "x"(w[1]),
              [w2] "x"(w[2]), [w3] "x"(w[3]), [ones] "x"(_mm256_set1_epi16(1)));
}

static size_t blocks_of(size_t rows) {
    return (rows + QR_INT8_ROWS_MAX - 1) / QR_INT8_ROWS_MAX;
}

/* As even as can be: 9 rows are 3 + 3 + 3. */
static size_t rows_of_next(size_t left, size_t blocks) {
    return (left + blocks - 1) / blocks;
}

#include "engine/cpu/kernels/gemm_int8_256_tile.h"

#define QR_GEMM_NAME qr__gemm_int8__avx2
#include "engine/cpu/kernels/gemm_int8_256_body.h"

void qr__quantize_int8__avx2(const qr__gemm_shape *shape, const float *x, size_t ldx, size_t rows,
                             void *operand) {
    quantize_int8(shape, x, ldx, rows, operand);
}
