/* engine/cpu/kernels/gemm_f32__ref.c: f32 in plain C, for machines without a kernel of ours and
 * builds without OpenBLAS: sums of a row's panel, over k in rising order, that a compiler may
 * spread over whatever vectors it has. */
#include "engine/cpu/kernels/gemm_list.h"
#include "engine/cpu/kernels/gemm_plain.h"

#define COLUMNS 96

void qr__gemm_f32__ref(const qr__gemm_task *task) {
    const qr__gemm_shape *shape = task->shape;
    for (size_t p = task->begin; p < task->end; p++) {
        const char *panel = (const char *)task->panels + p * shape->panel_bytes;
        const float *weights = (const float *)(const void *)panel;
        const float *bias = (const float *)(const void *)(panel + shape->constants_at);
        const size_t columns = qr_min(COLUMNS, shape->N - p * COLUMNS);
        for (size_t t = 0; t < task->rows; t++) {
            const char *row = (const char *)task->operand + t * shape->stride;
            const float *x = (const float *)(const void *)row;
            float sums[COLUMNS] = {0}, *y = task->y + t * task->ldy + p * COLUMNS;
            for (size_t k = 0; k < shape->K; k++)
                for (size_t n = 0; n < COLUMNS; n++)
                    sums[n] += x[k] * weights[k * COLUMNS + n];
            for (size_t n = 0; n < columns; n++)
                y[n] = sums[n] + bias[n];
            qr__gemm_activate(task->epilogue, y, columns);
        }
    }
}
