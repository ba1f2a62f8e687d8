/* engine/cpu/matrix.c: a packed matrix: the kernel chosen for it, its sizes, its memory. */
#include "engine/cpu/matrix.h"

#include <stdlib.h>

#include "engine/cpu/matrix_pack.h"

#define INT8_K_MAX 65536 /* 255 * 127 * K must stay below 2^31 */

struct qr__matrix {
    const qr__gemm_kernel *kernel;
    qr__gemm_shape shape;
    void *panels;
    size_t bytes; /* of the panels, and of the shape's factors behind them */
    bool owned;   /* the panels are ours, not memory_huge's */
};

static size_t rows_of(const qr__matrix_source *source) {
    size_t rows = 0;
    for (size_t b = 0; b < source->blocks_len; b++)
        rows += source->blocks[b].rows;
    return rows;
}

/* NULL: none, and `error` says why. */
static const qr__gemm_kernel *choose(const qr__matrix_source *source, qr_precision precision,
                                     qr__isa isa, qr_error *error) {
    const qr__gemm_kernel *kernel = qr__gemm_find(precision, isa);
    if (kernel == NULL) {
        qr_error_set(error, QR_BAD_OPTION,
                     "precision %s: no kernel for the instruction set %s; use f32",
                     qr_precision_name(precision), qr__isa_name(isa));
    } else if (precision == QR_PRECISION_INT8 && source->in > INT8_K_MAX) {
        qr_error_set(error, QR_BAD_OPTION,
                     "precision int8: rows of %zu weights could overflow their sum (at most %d)",
                     source->in, INT8_K_MAX);
        return NULL;
    }
    return kernel;
}

/* Where the row conversion's factors stand: behind the panels. */
static float *factors_of(const qr__matrix *m) {
    return (float *)(void *)((char *)m->panels + m->shape.panels * m->shape.panel_bytes);
}

/* Memory for panels and, if rows are `smoothed`, factors, zeroed. */
static bool alloc_panels(qr__matrix *m, bool smoothed, qr__memory_huge *memory) {
    m->bytes = m->shape.panels * m->shape.panel_bytes +
               (smoothed ? qr_round_up(m->shape.K * sizeof(float), 64) : 0);
    if (memory != NULL)
        m->panels = qr__memory_huge_alloc(memory, m->bytes);
    else if ((m->panels = aligned_alloc(64, m->bytes)) != NULL)
        memset(m->panels, 0, m->bytes);
    if (m->panels != NULL && smoothed)
        m->shape.factors = factors_of(m);
    return m->panels != NULL;
}

/* x is multiplied by 1 / smooth: a division an element would show. */
static qr_status fill(const qr__matrix_source *source, qr__matrix *m, qr_error *error) {
    const bool smoothed = source->smooth != NULL && m->kernel->precision == QR_PRECISION_INT8;
    qr_status status = QR_NO_MEMORY;
    if (alloc_panels(m, smoothed, source->memory))
        status = qr__matrix_pack_panels(m->kernel, &m->shape, source, m->panels);
    if (status != QR_OK)
        return qr_error_set(error, status, "no memory to pack a matrix of %zu x %zu", m->shape.N,
                            m->shape.K);
    for (size_t k = 0; smoothed && k < m->shape.K; k++)
        factors_of(m)[k] = 1 / source->smooth[k];
    return QR_OK;
}

/* The sizes are this program's: that of the source only has to be one of them, and tells whether
 * the matrix has factors. */
static qr_status load(const qr__matrix_source *source, qr__matrix *m, qr_error *error) {
    const size_t panels = m->shape.panels * m->shape.panel_bytes;
    uint64_t bytes = 0;
    qr_status status = qr_source_read(source->saved, &bytes, sizeof bytes);
    const bool smoothed = bytes != panels && m->kernel->precision == QR_PRECISION_INT8;
    if (status == QR_OK && !alloc_panels(m, smoothed, source->memory))
        return qr_error_set(error, QR_NO_MEMORY, "no memory for a matrix of %zu x %zu", m->shape.N,
                            m->shape.K);
    if (status != QR_OK || bytes != m->bytes ||
        qr_source_read(source->saved, m->panels, m->bytes) != QR_OK)
        return qr_error_set(error, QR_IO, "a packed matrix of %zu x %zu is not what was saved",
                            m->shape.N, m->shape.K);
    return QR_OK;
}

qr_status qr__matrix_pack(const qr__matrix_source *source, qr_precision precision, qr__isa isa,
                          qr__matrix **out, qr_error *error) {
    const qr__gemm_kernel *kernel = choose(source, precision, isa, error);
    if (kernel == NULL)
        return QR_BAD_OPTION;
    qr__matrix *m = calloc(1, sizeof *m);
    if (m == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "no memory for a matrix");
    *m = (qr__matrix){.kernel = kernel,
                      .shape = qr__gemm_shape_of(kernel, source->in, rows_of(source)),
                      .owned = source->memory == NULL};
    qr_status status = (source->saved == NULL ? fill : load)(source, m, error);
    if (status != QR_OK) {
        qr__matrix_destroy(m);
        return status;
    }
    *out = m;
    return QR_OK;
}

qr_status qr__matrix_save(const qr__matrix *matrix, const qr_sink *sink) {
    const uint64_t bytes = qr__matrix_bytes(matrix);
    if (matrix == NULL)
        return QR_OK;
    qr_status status = qr_sink_write(sink, &bytes, sizeof bytes);
    return status == QR_OK ? qr_sink_write(sink, matrix->panels, bytes) : status;
}

void qr__matrix_destroy(qr__matrix *matrix) {
    if (matrix == NULL)
        return;
    if (matrix->owned)
        free(matrix->panels);
    free(matrix);
}

size_t qr__matrix_in(const qr__matrix *matrix) {
    return matrix->shape.K;
}

size_t qr__matrix_out(const qr__matrix *matrix) {
    return matrix->shape.N;
}

size_t qr__matrix_bytes(const qr__matrix *matrix) {
    return matrix == NULL ? 0 : matrix->bytes;
}

size_t qr__matrix_operand_bytes(const qr__matrix *matrix, size_t rows) {
    return matrix == NULL ? 0 : rows * matrix->shape.stride;
}

void qr__matrix_operand(const qr__matrix *matrix, const float *x, size_t ldx, size_t begin,
                        size_t end, void *operand) {
    const qr__gemm_shape *shape = &matrix->shape;
    if (begin < end)
        matrix->kernel->quantize(shape, x + begin * ldx, ldx, end - begin,
                                 (char *)operand + begin * shape->stride);
}

size_t qr__matrix_panels(const qr__matrix *matrix) {
    return matrix->shape.panels;
}

bool qr__matrix_fits_block(const qr__matrix *matrix, size_t block) {
    return block % matrix->kernel->columns == 0;
}

void qr__matrix_multiply_to(const qr__matrix *matrix, const void *operand, size_t rows,
                            qr__epilogue epilogue, const qr__matrix_output *output, size_t begin,
                            size_t end) {
    if (rows == 0)
        return;
    matrix->kernel->multiply(&(qr__gemm_task){.shape = &matrix->shape,
                                              .panels = matrix->panels,
                                              .operand = operand,
                                              .rows = rows,
                                              .epilogue = epilogue,
                                              .y = output->y,
                                              .ldy = output->ld,
                                              .block = output->block,
                                              .apart = output->apart,
                                              .begin = begin,
                                              .end = end});
}

void qr__matrix_multiply(const qr__matrix *matrix, const void *operand, size_t rows,
                         qr__epilogue epilogue, float *y, size_t ldy, size_t begin, size_t end) {
    const qr__matrix_output output = {.y = y, .ld = ldy};
    qr__matrix_multiply_to(matrix, operand, rows, epilogue, &output, begin, end);
}
