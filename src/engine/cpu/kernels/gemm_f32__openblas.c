/* engine/cpu/kernels/gemm_f32__openblas.c: f32 by OpenBLAS's sgemm, for machines that we have no
 * kernel for (where the build has it: QR_OPENBLAS); the one file that knows cblas.
 *
 * A panel is a row-major [K][96]. OpenBLAS runs in the calling thread (threads are the team's). It
 * chooses its kernel by the number of rows, so this path is exempt from "same text, same bits". */
#include "engine/cpu/kernels/gemm_list.h"
#include "engine/cpu/kernels/gemm_plain.h"

#include <cblas.h>
#include <pthread.h>

#define COLUMNS QR_GEMM_PLAIN_COLUMNS

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void prepare(void) {
    openblas_set_num_threads(1);
}

void qr__gemm_f32__openblas(const qr__gemm_task *task) {
    pthread_once(&once, prepare);
    const qr__gemm_shape *shape = task->shape;
    for (size_t p = task->begin; p < task->end; p++) {
        const qr__gemm_plain_panel panel = qr__gemm_plain_panel_of(task, p);
        float *y = qr__gemm_column(task, p * COLUMNS);
        for (size_t t = 0; t < task->rows; t++)
            memcpy(y + t * task->ldy, panel.bias, panel.columns * sizeof(float));
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (blasint)task->rows,
                    (blasint)panel.columns, (blasint)shape->K, 1.0f, task->operand,
                    (blasint)(shape->stride / sizeof(float)), panel.weights, COLUMNS, 1.0f, y,
                    (blasint)task->ldy);
        for (size_t t = 0; t < task->rows; t++)
            qr__gemm_activate(task->epilogue, y + t * task->ldy, panel.columns);
    }
}
