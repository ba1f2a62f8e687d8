/* engine/cpu/matrix.h: one weight matrix, packed for the kernel that will read it, with its
 * bias.
 *
 *     qr__matrix_rows rows = {.weights = w, .stride = C, .rows = F, .bias = b, .scale = 1};
 *     qr__matrix_source source = {.blocks = &rows, .blocks_len = 1, .in = C, .memory = memory};
 *     status = qr__matrix_pack(&source, QR_PRECISION_INT8, isa, &m, &error);
 *     qr__matrix_operand(m, x, C, 0, T, operand);          // f32 rows -> what the kernel reads
 *     qr__matrix_multiply(m, operand, T, QR_EPILOGUE_BIAS_GELU, y, F, 0, qr__matrix_panels(m));
 *
 *     y[T][N] = epilogue(x[T][K] * W[N][K]^T + bias[N])
 *
 * Work is split among a team by panels (columns of y). A token's numbers depend on its own row
 * only, so neither T nor the split changes a bit of it (OpenBLAS excepted, on machines without a
 * kernel of ours). docs/KERNELS.md has formats and figures. Threads: a packed matrix is const;
 * operand and y belong to the callers, which write disjoint rows or panels.
 */
#ifndef QR_ENGINE_CPU_MATRIX_H
#define QR_ENGINE_CPU_MATRIX_H

#include "engine/byte_stream.h"
#include "engine/cpu/kernels/gemm.h"
#include "engine/cpu/memory_huge.h"

typedef struct qr__matrix qr__matrix;

/** Some rows of W and their biases, as PyTorch's nn.Linear holds them, or a block of its columns.
 */
typedef struct qr__matrix_rows {
    const float *weights; /* [rows][stride]; the first `in` of each row are read */
    size_t stride, rows;
    const float *bias; /* [rows] or NULL */
    float scale;       /* of both: 1, or what the query's rows are multiplied by */
} qr__matrix_rows;

/** W as blocks of rows, one below the other; borrowed for the call. */
typedef struct qr__matrix_source {
    const qr__matrix_rows *blocks;
    size_t blocks_len;
    size_t in;               /* K, 1 and up; N is the sum of the blocks' rows */
    const float *smooth;     /* [K], above 0: the same product from W * smooth and x / smooth; NULL:
                                as they are. int8 only (smooth.h says what for); others ignore it */
    qr__memory_huge *memory; /* for the panels; outlives the matrix. NULL: memory of its own */
    const qr_source *saved;  /* what qr__matrix_save wrote of the same matrix, to be read instead of
                                the blocks' numbers, which may be NULL. NULL: they are packed */
} qr__matrix_source;

/** QR_BAD_OPTION: no kernel for `precision` on `isa`, or rows too long for int8's sums;
 * QR_NO_MEMORY; QR_IO: what was saved ends early or has another size. *out: returns owned. */
QR_MUST_USE qr_status qr__matrix_pack(const qr__matrix_source *source, qr_precision precision,
                                      qr__isa isa, qr__matrix **out, qr_error *error);

/** Writes the packed form. NULL (a matrix that a plan does not have): nothing. A status is the
 * sink's. */
QR_MUST_USE qr_status qr__matrix_save(const qr__matrix *matrix, const qr_sink *sink);

/** NULL is allowed. */
void qr__matrix_destroy(qr__matrix *matrix);

/** K. */
size_t qr__matrix_in(const qr__matrix *matrix);

/** N. */
size_t qr__matrix_out(const qr__matrix *matrix);

/** Of the panels, and what the row conversion reads; 0 for NULL. */
size_t qr__matrix_bytes(const qr__matrix *matrix);

/** Bytes of an operand of `rows` tokens (64-byte aligned memory); 0 for NULL. */
size_t qr__matrix_operand_bytes(const qr__matrix *matrix, size_t rows);

/** Converts rows [begin, end) of x[T][K] (row stride ldx floats) into their place in `operand`. */
void qr__matrix_operand(const qr__matrix *matrix, const float *x, size_t ldx, size_t begin,
                        size_t end, void *operand);

/** Groups of columns that can be computed apart. */
size_t qr__matrix_panels(const qr__matrix *matrix);

/** Where a product goes: rows of y, ld floats apart; with a block their columns in blocks of so
 * many, [N / block][rows][block], `apart` floats from one to the next. */
typedef struct qr__matrix_output {
    float *y;
    size_t ld;
    size_t block, apart; /* 0: the columns side by side */
} qr__matrix_output;

/** Whether a product can go to blocks of so many columns: no panel may lie in two. */
bool qr__matrix_fits_block(const qr__matrix *matrix, size_t block);

/** Computes the columns of panels [begin, end) for all `rows`. */
void qr__matrix_multiply_to(const qr__matrix *matrix, const void *operand, size_t rows,
                            qr__epilogue epilogue, const qr__matrix_output *output, size_t begin,
                            size_t end);

/** The same to rows of y as they are, ldy floats apart. */
void qr__matrix_multiply(const qr__matrix *matrix, const void *operand, size_t rows,
                         qr__epilogue epilogue, float *y, size_t ldy, size_t begin, size_t end);

#endif
