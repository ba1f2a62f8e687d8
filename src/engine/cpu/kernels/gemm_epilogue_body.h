/* engine/cpu/kernels/gemm_epilogue_body.h: from the sums of a tile to y: scale (int8), bias and
 * activation, over qr__vec (include vec_avx512f.h, vec_avx2.h or vec_neon.h first).
 *
 *     #define QR_GEMM_INT8 1        // sums are integers to be scaled; 0: they are floats
 *     #include "engine/cpu/kernels/gemm_epilogue_body.h"
 *     finish_tile(epilogue, rows, shape, operand, constants, sums, y, ldy, columns); */
#include "engine/cpu/kernels/gemm.h"
#include "engine/cpu/kernels/vec_gelu.h"

#include <string.h>

#if defined(__clang__)
#define QR_UNROLL _Pragma("clang loop unroll(full)")
#else
#define QR_UNROLL _Pragma("GCC unroll 16")
#endif
#define QR_INLINE       static inline __attribute__((always_inline))

#define QR_GEMM_COLUMNS (2 * QR_VEC_LANES) /* of a panel, and of sums */

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

/* y = activation(scaled sums + bias), the panel's first `columns` columns. */
QR_INLINE void finish(const qr__epilogue epilogue, size_t rows, const qr__gemm_shape *shape,
                      const char *operand, const float *constants, const float *sums, float *y,
                      size_t ldy, size_t columns) {
    for (size_t v = 0; v < 2; v++) {
        const size_t at = v * QR_VEC_LANES;
        const size_t n = columns > at ? columns - at : 0;
        const qr__vec bias = qr__vec_load(constants + at);
#if QR_GEMM_INT8
        const qr__vec scale = qr__vec_load(constants + QR_GEMM_COLUMNS + at);
        const qr__vec column_sum = qr__vec_load(constants + 2 * QR_GEMM_COLUMNS + at);
#endif
        for (size_t i = 0; i < rows; i++) {
            const float *sum = sums + i * QR_GEMM_COLUMNS + at;
#if QR_GEMM_INT8
            /* x = s * u8 + o, so x * w = s * (u8 * w) + o * sum(w). */
            qr__gemm_row row;
            memcpy(&row, operand + i * shape->stride + shape->row_at, sizeof row);
            qr__vec value =
                qr__vec_mul(qr__vec_from_i32((const int32_t *)(const void *)sum), scale);
            value = qr__vec_fma(value, qr__vec_set(row.scale),
                                qr__vec_fma(qr__vec_set(row.offset), column_sum, bias));
#else
            (void)shape;
            (void)operand;
            qr__vec value = qr__vec_add(qr__vec_load(sum), bias);
#endif
            value = activate(epilogue, value);
            if (n >= QR_VEC_LANES)
                qr__vec_store(y + i * ldy + at, value);
            else
                qr__vec_store_first(y + i * ldy + at, value, n);
        }
    }
}

static void finish_tile(qr__epilogue epilogue, size_t rows, const qr__gemm_shape *shape,
                        const char *operand, const float *constants, const float *sums, float *y,
                        size_t ldy, size_t columns) {
    switch (epilogue) {
#define QR_CASE(name)                                                                              \
    case name:                                                                                     \
        finish(name, rows, shape, operand, constants, sums, y, ldy, columns);                      \
        break;
        QR_CASE(QR_EPILOGUE_BIAS)
        QR_CASE(QR_EPILOGUE_BIAS_GELU)
        QR_CASE(QR_EPILOGUE_BIAS_GELU_NEW)
        QR_CASE(QR_EPILOGUE_BIAS_RELU)
#undef QR_CASE
    }
}
