/* engine/cpu/kernels/gemm_plain.h: the epilogue of the matrix products that any machine runs: plain
 * C's activations, over a row of y where it stands. */
#ifndef QR_ENGINE_CPU_GEMM_PLAIN_H
#define QR_ENGINE_CPU_GEMM_PLAIN_H

#include "engine/cpu/kernels/gemm.h"
#include "engine/cpu/kernels/kernel_list.h"

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
