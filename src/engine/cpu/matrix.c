/* engine/cpu/matrix.c: a packed matrix: the kernel chosen for it, its sizes, its memory. */
#include "engine/cpu/matrix.h"

#include "engine/cpu/kernels/gemm.h"
#include "engine/cpu/matrix_pack.h"

#include <stdlib.h>

/* 255 * 127 * K must stay below 2^31. */
#define INT8_K_MAX 65536

struct qr_matrix {
    const qr_gemm_kernel *kernel;
    qr_gemm_shape shape;
    void *panels;
    bool owned; /* panels are ours, not the store's */
};

static const qr_gemm_kernel *choose(const qr_matrix_source *source, qr_precision precision,
                                    const char *name, qr_error *error) {
    qr_isa isa;
    if (qr_isa_choose(name, &isa, error) != QR_OK)
        return NULL;
    const qr_gemm_kernel *kernel = qr_gemm_find(precision, isa);
    if (kernel == NULL)
        qr_error_set(error, QR_BAD_OPTION,
                     "precision %s: no kernel for the instruction set %s; use f32",
                     qr_precision_name(precision), qr_isa_name(isa));
    else if (precision == QR_PRECISION_INT8 && source->in > INT8_K_MAX) {
        qr_error_set(error, QR_BAD_OPTION,
                     "precision int8: rows of %zu weights could overflow their sum (at most %d)",
                     source->in, INT8_K_MAX);
        return NULL;
    }
    return kernel;
}

qr_status qr_matrix_pack(const qr_matrix_source *source, qr_precision precision, const char *isa,
                         qr_matrix **out, qr_error *error) {
    qr_error local = {0};
    error = error != NULL ? error : &local;
    const qr_gemm_kernel *kernel = choose(source, precision, isa, error);
    if (kernel == NULL)
        return error->status;
    const qr_gemm_shape shape = qr_gemm_shape_of(kernel, source->in, source->out);
    const size_t bytes = shape.panels * shape.panel_bytes;
    qr_matrix *m = calloc(1, sizeof *m);
    if (m != NULL) {
        *m = (qr_matrix){.kernel = kernel, .shape = shape, .owned = source->memory == NULL};
        if (source->memory != NULL)
            m->panels = qr_memory_huge_alloc(source->memory, bytes);
        else if ((m->panels = aligned_alloc(64, bytes)) != NULL)
            memset(m->panels, 0, bytes);
    }
    if (m == NULL || m->panels == NULL) {
        qr_matrix_destroy(m);
        return qr_error_set(error, QR_NO_MEMORY, "no memory to pack a matrix of %zu x %zu",
                            source->out, source->in);
    }
    qr_matrix_pack_panels(kernel, &m->shape, source, m->panels, 0, shape.panels);
    *out = m;
    return QR_OK;
}

void qr_matrix_destroy(qr_matrix *matrix) {
    if (matrix == NULL)
        return;
    if (matrix->owned)
        free(matrix->panels);
    free(matrix);
}

size_t qr_matrix_in(const qr_matrix *matrix) {
    return matrix->shape.K;
}

size_t qr_matrix_out(const qr_matrix *matrix) {
    return matrix->shape.N;
}

size_t qr_matrix_bytes(const qr_matrix *matrix) {
    return matrix->shape.panels * matrix->shape.panel_bytes;
}

qr_precision qr_matrix_precision(const qr_matrix *matrix) {
    return matrix->kernel->precision;
}

const char *qr_matrix_kernel(const qr_matrix *matrix) {
    return matrix->kernel->name;
}

size_t qr_matrix_operand_bytes(const qr_matrix *matrix, size_t rows) {
    return rows * matrix->shape.stride;
}

void qr_matrix_operand(const qr_matrix *matrix, const float *x, size_t ldx, size_t begin,
                       size_t end, void *operand) {
    const qr_gemm_shape *shape = &matrix->shape;
    for (size_t t = begin; t < end; t++)
        matrix->kernel->quantize(shape, x + t * ldx, (char *)operand + t * shape->stride);
}

size_t qr_matrix_panels(const qr_matrix *matrix) {
    return matrix->shape.panels;
}

void qr_matrix_multiply(const qr_matrix *matrix, const void *operand, size_t rows,
                        qr_epilogue epilogue, float *y, size_t ldy, size_t begin, size_t end) {
    if (rows == 0)
        return;
    matrix->kernel->multiply(&(qr_gemm_task){.shape = &matrix->shape,
                                             .panels = matrix->panels,
                                             .operand = operand,
                                             .rows = rows,
                                             .epilogue = epilogue,
                                             .y = y,
                                             .ldy = ldy,
                                             .begin = begin,
                                             .end = end});
}
