/* engine/cpu/matrix.h: one weight matrix, packed for the kernel that will read it, with its bias.
 *
 *     qr_matrix_source source = {.weights = w, .bias = b, .in = C, .out = F, .memory = memory};
 *     status = qr_matrix_pack(&source, QR_PRECISION_INT8, isa, &m, &error);
 *     qr_matrix_operand(m, x, C, 0, T, operand); // f32 rows -> what the kernel reads
 *     qr_matrix_multiply(m, operand, T, QR_EPILOGUE_BIAS_GELU, y, F, 0, qr_matrix_panels(m));
 *
 * y[T][N] = epilogue(x[T][K] * W[N][K]^T + bias[N]). Work is split among a team by panels (columns
 * of y); a token's numbers depend on its own row only, so neither T nor the split changes a bit of
 * it (OpenBLAS excepted, on machines without a kernel of ours). docs/KERNELS.md has formats and
 * figures.
 * Threads: a packed matrix is const; operand and y belong to the callers, which write disjoint rows
 * or panels.
 */
#ifndef QR_ENGINE_CPU_MATRIX_H
#define QR_ENGINE_CPU_MATRIX_H

#include "engine/cpu/memory_huge.h"
#include "engine/engine.h"

typedef enum qr_epilogue {
    QR_EPILOGUE_BIAS,
    QR_EPILOGUE_BIAS_GELU,     /* x/2 * (1 + erf(x / sqrt 2)) */
    QR_EPILOGUE_BIAS_GELU_NEW, /* the tanh form */
    QR_EPILOGUE_BIAS_RELU
} qr_epilogue;

typedef struct qr_matrix qr_matrix;

/** Row-major weights as PyTorch's nn.Linear holds them; borrowed for the call. */
typedef struct qr_matrix_source {
    const float *weights;   /* [N][K] */
    const float *bias;      /* [N] or NULL */
    size_t in, out;         /* K, N: any size of 1 and up */
    qr_memory_huge *memory; /* for the panels; outlives the matrix. NULL: memory of its own */
} qr_matrix_source;

/** `isa` is a name of kernels/isa.h ("ref", "avx2", "avx512vnni", ...) or NULL for the best.
 *  QR_BAD_OPTION: no such ISA, or no kernel for `precision` on it; QR_NO_MEMORY. */
QR_MUST_USE qr_status qr_matrix_pack(const qr_matrix_source *source, qr_precision precision,
                                     const char *isa, qr_matrix **out, qr_error *error);
void qr_matrix_destroy(qr_matrix *matrix);

size_t qr_matrix_in(const qr_matrix *matrix);
size_t qr_matrix_out(const qr_matrix *matrix);
size_t qr_matrix_bytes(const qr_matrix *matrix);
qr_precision qr_matrix_precision(const qr_matrix *matrix);

/** The kernel's name in the table: "gemm_int8__avx512vnni". */
const char *qr_matrix_kernel(const qr_matrix *matrix);

/** Bytes of an operand of `rows` tokens (64-byte aligned memory). */
size_t qr_matrix_operand_bytes(const qr_matrix *matrix, size_t rows);

/** Converts rows [begin, end) of x[T][K] (row stride ldx floats) into their place in `operand`. */
void qr_matrix_operand(const qr_matrix *matrix, const float *x, size_t ldx, size_t begin,
                       size_t end, void *operand);

/** Groups of columns that can be computed apart. */
size_t qr_matrix_panels(const qr_matrix *matrix);

/** Computes the columns of panels [begin, end) for all `rows`. */
void qr_matrix_multiply(const qr_matrix *matrix, const void *operand, size_t rows,
                        qr_epilogue epilogue, float *y, size_t ldy, size_t begin, size_t end);

#endif
