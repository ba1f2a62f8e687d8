/* engine/cpu/kernels/gemm_f32__ref.c: f32 in plain C, for machines without a kernel of ours and
 * builds without OpenBLAS: sums of a row's panel, over k in rising order, that a compiler may
 * spread over whatever vectors it has. */
#include "engine/cpu/kernels/gemm_list.h"
#include "engine/cpu/kernels/gemm_plain.h"

#define COLUMNS QR_GEMM_PLAIN_COLUMNS

void qr__gemm_f32__ref(const qr__gemm_task *task) {
    const qr__gemm_shape *shape = task->shape;
    for (size_t p = task->begin; p < task->end; p++) {
        const qr__gemm_plain_panel panel = qr__gemm_plain_panel_of(task, p);
        for (size_t t = 0; t < task->rows; t++) {
            const char *row = (const char *)task->operand + t * shape->stride;
            const float *x = (const float *)(const void *)row;
            float sums[COLUMNS] = {0}, *y = qr__gemm_column(task, p * COLUMNS) + t * task->ldy;
            for (size_t k = 0; k < shape->K; k++)
                for (size_t n = 0; n < COLUMNS; n++)
                    sums[n] += x[k] * panel.weights[k * COLUMNS + n];
            for (size_t n = 0; n < panel.columns; n++)
                y[n] = sums[n] + panel.bias[n];
            qr__gemm_activate(task->epilogue, y, panel.columns);
        }
    }
}
