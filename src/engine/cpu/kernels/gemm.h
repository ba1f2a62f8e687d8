/* engine/cpu/kernels/gemm.h: the table of matrix products, and what a kernel of it needs to
 * know.
 *
 *     const qr__gemm_kernel *kernel = qr__gemm_find(QR_PRECISION_INT8, isa);   // NULL: none
 *
 *     y[M][N] = epilogue(x[M][K] * W[N][K]^T + bias[N])
 *
 * Panels. W is cut into panels of `columns` rows of W (columns of y). A panel holds, for each
 * step of `step` values of k (what four bytes of an activation row hold: 1 f32, 2 bf16, 4 int8; or
 * eight: 4 bf16, 8 int8), the weights of all its columns, k innermost; then its constants (bias,
 * and for int8 scale and column sum). One layout serves every M: kernels take some rows at a time
 * (each as many as its registers hold), keep all their sums in registers over the whole of K, and
 * read each panel once a block of rows. Both are zero-padded: K to as many whole steps as the
 * kernel takes at once, N to whole panels.
 *
 * Operand. Rows of x in the kernel's type, `stride` bytes apart: K values zero-padded, then for
 * int8 a qr__gemm_row. The stride is an odd number of cache lines, so that a block's rows never
 * meet in one cache set.
 *
 * Invariant: every sum runs over k in rising order in one accumulator (int8's are exact in any
 * order), so a row's result depends on that row alone: not on M, its place, or how panels are
 * split. OpenBLAS's row of the table is exempt, and says so.
 */
#ifndef QR_ENGINE_CPU_GEMM_H
#define QR_ENGINE_CPU_GEMM_H

#include "engine/cpu/kernels/isa.h"
#include "engine/model_info.h"

/** What happens to a sum before it is stored. */
typedef enum qr__epilogue {
    QR_EPILOGUE_BIAS,
    QR_EPILOGUE_BIAS_GELU,     /* x/2 * (1 + erf(x / sqrt 2)) */
    QR_EPILOGUE_BIAS_GELU_NEW, /* the tanh form */
    QR_EPILOGUE_BIAS_RELU
} qr__epilogue;

/** Behind the codes of an int8 row: x = scale * code + offset. Codes are u8; s8 for SDOT. */
typedef struct qr__gemm_row {
    float scale, offset;
} qr__gemm_row;

/** The sizes of one matrix's panels and rows: what qr__gemm_shape_of() makes of K and N for a
 * kernel. */
typedef struct qr__gemm_shape {
    size_t K, N;
    size_t steps; /* of 4 or 8 bytes of a row */
    size_t panels;
    size_t constants_at; /* bytes into a panel */
    size_t panel_bytes;
    size_t row_at;        /* bytes into an operand row: qr__gemm_row */
    size_t stride;        /* bytes an operand row */
    const float *factors; /* [K] x is multiplied by these as an int8 row is made; NULL: as it is */
} qr__gemm_shape;

typedef struct qr__gemm_task {
    const qr__gemm_shape *shape;
    const void *panels;  /* 64-byte aligned */
    const void *operand; /* [rows], shape->stride apart, 64-byte aligned */
    size_t rows;         /* M */
    qr__epilogue epilogue;
    float *y; /* [M][N], ldy floats apart; with a block [N / block][M][block], `apart` floats from
                 one block to the next */
    size_t ldy;
    size_t block, apart; /* columns, a multiple of a panel's; 0: all */
    size_t begin, end;   /* panels */
} qr__gemm_task;

/** The inverse of a code's scale below this would overflow: what varies so little is constant. */
#define QR__SCALE_TINY 1e-35f

/** A kernel's `quantize` by its conversion of one row. */
static inline __attribute__((always_inline)) void
qr__quantize_each(const qr__gemm_shape *shape, const float *x, size_t ldx, size_t rows,
                  void *operand,
                  void (*convert)(const qr__gemm_shape *shape, const float *x, void *row)) {
    for (size_t t = 0; t < rows; t++)
        convert(shape, x + t * ldx, (char *)operand + t * shape->stride);
}

/** Where a panel that begins with `column` begins in y's row 0. */
static inline float *qr__gemm_column(const qr__gemm_task *task, size_t column) {
    if (task->block == 0)
        return task->y + column;
    return task->y + column / task->block * task->apart + column % task->block;
}

typedef struct qr__gemm_kernel {
    const char *name;
    qr_precision precision;
    qr__isa isa;
    size_t columns;      /* of a panel */
    size_t step;         /* values of k in four bytes of a row, or in eight */
    size_t weight_bytes; /* of one weight in a panel */
    size_t together;     /* steps that are taken at once: K is padded to a multiple */
    size_t group;        /* int8: products that meet in 16 bits (quantize_weights.h); 1: none do */
    bool invariant;      /* a row's result depends on the row alone */
    double tolerance;    /* of a result, relative to sum(|x| * |w|) + |bias|, given the same rounded
                            operands; for int8, |x| is scale * u8 + |offset| */
    void (*quantize)(const qr__gemm_shape *shape, const float *x, size_t ldx, size_t rows,
                     void *operand); /* rows of x, ldx floats apart, to those of an operand */
    void (*multiply)(const qr__gemm_task *task);
} qr__gemm_kernel;

extern const qr__gemm_kernel qr__gemm_table[];
extern const size_t qr__gemm_table_len;

/** The kernel of `precision`, of those that a plan for `isa` may use, that is the fastest on this
 * machine's CPU; NULL: there is none. */
const qr__gemm_kernel *qr__gemm_find(qr_precision precision, qr__isa isa);

/** The same for another CPU. */
const qr__gemm_kernel *qr__gemm_find_for(qr_precision precision, qr__isa isa,
                                         const qr__cpu_id *cpu);

/** The sizes for a matrix of N rows of K weights. */
qr__gemm_shape qr__gemm_shape_of(const qr__gemm_kernel *kernel, size_t K, size_t N);

#endif
