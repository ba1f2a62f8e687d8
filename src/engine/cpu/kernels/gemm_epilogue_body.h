/* engine/cpu/kernels/gemm_epilogue_body.h: from the sums of a tile to y: scale (int8), bias and
 * activation, over qr__vec (include vec_avx512f.h, vec_avx2.h or vec_neon.h first).
 *
 *     #define QR_GEMM_INT8 1        // sums are integers to be scaled; 0: they are floats
 *     #include "engine/cpu/kernels/gemm_epilogue_body.h"
 *     finish_tile(epilogue, rows, shape, operand, constants, sums, y, ldy, columns); */
#include "engine/cpu/kernels/gemm_shared_body.h"
#include "engine/cpu/kernels/vec_gelu.h"

#include <string.h>

QR_INLINE qr__vec activate(const qr__epilogue epilogue, qr__vec v) {
    switch (epilogue) {
    case QR_EPILOGUE_BIAS:
        break;
    case QR_EPILOGUE_BIAS_GELU:
        return qr__vec_gelu(v, &QR_GELU_ERF_TABLE);
    case QR_EPILOGUE_BIAS_GELU_NEW:
        return qr__vec_gelu(v, &QR_GELU_TANH_TABLE);
    case QR_EPILOGUE_BIAS_RELU:
        return qr__vec_max(qr__vec_set(0.0f), v);
    }
    return v;
}

/* A row's vectors that are finished together, where there are registers for the constants of both:
 * half as many ends of loops, which are mispredicted, and what a row has is read once. */
#if defined(__AVX512F__)
#define QR_FINISH_VECTORS ((size_t)2)
#else
#define QR_FINISH_VECTORS ((size_t)1)
#endif

/* y = activation(scaled sums + bias), the panel's first `columns` columns. All but what is handed
 * on is a constant where this is inlined; `columns` is, where it is all of them. */
QR_INLINE void finish(const qr__epilogue epilogue, size_t rows, const qr__gemm_shape *shape,
                      const char *operand, const float *constants, const float *sums, float *y,
                      size_t ldy, const size_t columns) {
    for (size_t first = 0; first < 2; first += QR_FINISH_VECTORS) {
        qr__vec bias[QR_FINISH_VECTORS], scale[QR_FINISH_VECTORS], column_sum[QR_FINISH_VECTORS];
        QR_UNROLL
        for (size_t v = 0; v < QR_FINISH_VECTORS; v++) {
            const float *of = constants + (first + v) * QR_VEC_LANES;
            bias[v] = qr__vec_load(of);
            scale[v] = QR_GEMM_INT8 ? qr__vec_load(of + QR_GEMM_COLUMNS) : bias[v];
            column_sum[v] = QR_GEMM_INT8 ? qr__vec_load(of + 2 * QR_GEMM_COLUMNS) : bias[v];
        }
        for (size_t i = 0; i < rows; i++) {
            qr__gemm_row row = {0};
            if (QR_GEMM_INT8)
                memcpy(&row, operand + i * shape->stride + shape->row_at, sizeof row);
            QR_UNROLL
            for (size_t v = 0; v < QR_FINISH_VECTORS; v++) {
                const size_t at = (first + v) * QR_VEC_LANES, n = columns > at ? columns - at : 0;
                const float *sum = sums + i * QR_GEMM_COLUMNS + at;
                qr__vec value;
                if (QR_GEMM_INT8)
                    value = scaled(qr__vec_from_i32((const int32_t *)(const void *)sum), scale[v],
                                   column_sum[v], bias[v], &row);
                else
                    value = qr__vec_add(qr__vec_load(sum), bias[v]);
                value = activate(epilogue, value);
                if (n >= QR_VEC_LANES)
                    qr__vec_store(y + i * ldy + at, value);
                else
                    qr__vec_store_first(y + i * ldy + at, value, n);
            }
        }
    }
}

static void finish_tile(qr__epilogue epilogue, size_t rows, const qr__gemm_shape *shape,
                        const char *operand, const float *constants, const float *sums, float *y,
                        size_t ldy, size_t columns) {
    switch (epilogue) {
#define QR_CASE(name)                                                                              \
    case name:                                                                                     \
        if (columns == QR_GEMM_COLUMNS)                                                            \
            finish(name, rows, shape, operand, constants, sums, y, ldy, QR_GEMM_COLUMNS);          \
        else                                                                                       \
            finish(name, rows, shape, operand, constants, sums, y, ldy, columns);                  \
        break;
        QR_CASE(QR_EPILOGUE_BIAS)
        QR_CASE(QR_EPILOGUE_BIAS_GELU)
        QR_CASE(QR_EPILOGUE_BIAS_GELU_NEW)
        QR_CASE(QR_EPILOGUE_BIAS_RELU)
#undef QR_CASE
    }
}
