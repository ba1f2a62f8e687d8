/* engine/cpu/kernels/gemm_plain.h: what the matrix products that any machine runs share: panels of
 * f32 weights, row-major [K][96], and an epilogue of plain C's activations, over a row of y where
 * it stands. */
#ifndef QR_ENGINE_CPU_GEMM_PLAIN_H
#define QR_ENGINE_CPU_GEMM_PLAIN_H

#include "engine/cpu/kernels/gemm.h"
#include "engine/cpu/kernels/kernel_list.h"

#define QR_GEMM_PLAIN_COLUMNS 96u

typedef struct qr__gemm_plain_panel {
    const float *weights; /* [K][QR_GEMM_PLAIN_COLUMNS] */
    const float *bias;    /* [QR_GEMM_PLAIN_COLUMNS] */
    size_t columns;       /* of y: the last panel may have fewer */
} qr__gemm_plain_panel;

/** Panel p of a task's. */
static inline qr__gemm_plain_panel qr__gemm_plain_panel_of(const qr__gemm_task *task, size_t p) {
    const char *panel = (const char *)task->panels + p * task->shape->panel_bytes;
    return (qr__gemm_plain_panel){
        .weights = (const float *)(const void *)panel,
        .bias = (const float *)(const void *)(panel + task->shape->constants_at),
        .columns = qr_min(QR_GEMM_PLAIN_COLUMNS, task->shape->N - p * QR_GEMM_PLAIN_COLUMNS)};
}

/** row[n] = activation(row[n]); the bias is in it. */
static inline void qr__gemm_activate(qr__epilogue epilogue, float *row, size_t n) {
    switch (epilogue) {
    case QR_EPILOGUE_BIAS:
        break;
    case QR_EPILOGUE_BIAS_GELU:
        qr__gelu_f32__ref(row, n);
        break;
    case QR_EPILOGUE_BIAS_GELU_NEW:
        qr__gelu_new_f32__ref(row, n);
        break;
    case QR_EPILOGUE_BIAS_RELU:
        qr__relu_f32__ref(row, n);
        break;
    }
}

#endif
