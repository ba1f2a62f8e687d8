/* onnx/quantized.c: scales, zero points and products of 8-bit numbers. */
#include "onnx/quantized.h"
#include "onnx/product.h"

#include <math.h>
#include <stdlib.h>

bool qr__is_eight_bit(const qr_onnx_tensor *tensor) {
    return tensor->type == QR_ONNX_INT8 || tensor->type == QR_ONNX_UINT8;
}

bool qr__is_activation(const qr__op_call *call, const qr_onnx_tensor *tensor) {
    return qr__is_eight_bit(tensor) || (call->bypass && qr_onnx_is_float(tensor->type));
}

int64_t qr__quantize(float x, float scale, int64_t zero, int64_t lo, int64_t hi) {
    const double place = (double)rintf(x / scale) + (double)zero;
    if (!(place > (double)lo))
        return lo;
    return place < (double)hi ? (int64_t)place : hi;
}

void qr__dynamic_range(const qr_onnx_tensor *x, float *scale, int64_t *zero) {
    float least = 0.0f, greatest = 0.0f;
    for (size_t i = 0; i < x->count; i++) {
        least = fminf(least, x->floats[i]);
        greatest = fmaxf(greatest, x->floats[i]);
    }
    *scale = least == greatest ? 1.0f : (greatest - least) / 255.0f;
    *zero = qr__quantize(-least, *scale, 0, 0, 255);
}

/* Products. */

typedef struct operands {
    float *a, *b;  /* one matrix each, less their zero points */
    int32_t *sums; /* of whole numbers */
} operands;

/* The zero point of a row or column. */
static float zero_at(const qr_onnx_tensor *zero, size_t at) {
    return zero == NULL ? 0.0f : (float)qr_onnx_int(zero, zero->count == 1 ? 0 : at);
}

static void load_a(const qr__quantized_product *product, const qr__matmul_shape *shape, size_t from,
                   float *out) {
    const size_t K = shape->K;
    qr_onnx_copy_floats(product->a, from * shape->M * K, shape->M * K, out);
    if (qr_onnx_is_float(product->a->type) || product->a_zero == NULL)
        return;
    for (size_t m = 0; m < shape->M; m++) {
        const float zero = zero_at(product->a_zero, from * shape->M + m);
        for (size_t k = 0; k < K; k++)
            out[m * K + k] -= zero;
    }
}

static void load_b(const qr__quantized_product *product, const qr__matmul_shape *shape, size_t from,
                   float *out) {
    const size_t N = shape->N;
    qr_onnx_copy_floats(product->b, from * shape->K * N, shape->K * N, out);
    if (qr_onnx_is_float(product->b->type) || product->b_zero == NULL)
        return;
    for (size_t n = 0; n < N; n++) {
        const float zero = zero_at(product->b_zero, n);
        for (size_t k = 0; k < shape->K && zero != 0.0f; k++)
            out[k * N + n] -= zero;
    }
}

/* One matrix of the result, number `at` of the batch. */
static bool multiply_one(const qr__matmul_shape *shape, operands *w, size_t at, qr_onnx_tensor *y) {
    const size_t first = at * shape->M * shape->N;
    if (qr_onnx_is_float(y->type)) {
        qr__product(&(qr__product_task){.M = shape->M,
                                        .N = shape->N,
                                        .K = shape->K,
                                        .a = w->a,
                                        .lda = shape->K,
                                        .b = w->b,
                                        .ldb = shape->N,
                                        .alpha = 1.0f,
                                        .y = qr_onnx_floats(y) + first,
                                        .ldy = shape->N});
        return true;
    }
    memset(w->sums, 0, shape->M * shape->N * sizeof(int32_t));
    if (!qr__product_whole(shape->M, shape->N, shape->K, w->a, w->b, w->sums))
        return false;
    for (size_t i = 0; i < shape->M * shape->N; i++)
        qr_onnx_longs(y)[first + i] = w->sums[i];
    return true;
}

/* A zero point is one number or one a row (of a), a column (of b). */
static bool fits_zero(const qr_onnx_tensor *zero, const qr_onnx_tensor *of, size_t lines) {
    return zero == NULL || qr_onnx_is_float(of->type) ||
           (zero->type == of->type && (zero->count == 1 || zero->count == lines));
}

static qr_status product_shape(qr__op_call *call, const qr__quantized_product *product,
                               qr__matmul_shape *shape) {
    const qr_onnx_tensor *a = product->a, *b = product->b;
    if (a == NULL || b == NULL || !qr__is_activation(call, a) || !qr__is_activation(call, b))
        return qr__op_refuse(call, "it needs two inputs of 8-bit numbers");
    if (!qr__matmul_shape_init(shape, a, false, b, false))
        return qr__refuse_shapes(call, a, b);
    if (!fits_zero(product->a_zero, a, shape->K == 0 ? 0 : a->count / shape->K) ||
        !fits_zero(product->b_zero, b, shape->N))
        return qr__op_refuse(call, "a zero point does not fit its input");
    return QR_OK;
}

qr_status qr__quantized_multiply(qr__op_call *call, size_t at,
                                 const qr__quantized_product *product) {
    qr__matmul_shape shape;
    qr_status status = product_shape(call, product, &shape);
    if (status != QR_OK)
        return status;
    const bool floats = qr_onnx_is_float(product->a->type) || qr_onnx_is_float(product->b->type);
    const qr_onnx_type type = floats ? QR_ONNX_FLOAT : QR_ONNX_INT32;
    qr_onnx_tensor *y = qr__op_out(call, at, type, shape.rank, shape.shape);
    operands w = {.a = malloc(qr_max(shape.M * shape.K, 1) * sizeof(float)),
                  .b = malloc(qr_max(shape.K * shape.N, 1) * sizeof(float)),
                  .sums = malloc(qr_max(shape.M * shape.N, 1) * sizeof(int32_t))};
    bool ok = y != NULL && w.a != NULL && w.b != NULL && w.sums != NULL &&
              qr__matmul_spend(call, &shape, 1);
    for (size_t i = 0; i < shape.batches && ok; i++) {
        size_t in_a, in_b;
        qr__matmul_pair(&shape, i, &in_a, &in_b);
        load_a(product, &shape, in_a, w.a);
        load_b(product, &shape, in_b, w.b);
        ok = multiply_one(&shape, &w, i, y);
    }
    free(w.a);
    free(w.b);
    free(w.sums);
    return ok ? QR_OK : qr__op_no_memory(call);
}

qr_status qr__quantized_project(qr__op_call *call, size_t at, const qr__quantized_product *product,
                                float a_scale, const qr_onnx_tensor *b_scale,
                                const qr_onnx_tensor *bias, qr_onnx_type type) {
    const qr_onnx_tensor *b = product->b;
    if (b == NULL || b->rank < 2)
        return qr__op_refuse(call, "its weights must have two axes at least");
    const size_t N = b->shape[b->rank - 1];
    if (b_scale == NULL || !qr_onnx_is_float(b_scale->type) ||
        (b_scale->count != 1 && b_scale->count != N) ||
        (bias != NULL && (!qr_onnx_is_float(bias->type) || bias->count != N)))
        return qr__op_refuse(call, "scale and bias must have a number for each of %zu columns", N);
    const qr_status status = qr__quantized_multiply(call, at, product);
    if (status != QR_OK)
        return status;
    qr_onnx_tensor *sums = call->out[at];
    call->out[at] = NULL;
    qr_onnx_tensor *y = qr__op_out(call, at, type, sums->rank, sums->shape);
    const bool is_float = qr_onnx_is_float(sums->type);
    if (qr_onnx_is_float(product->a->type))
        a_scale = 1.0f;
    for (size_t i = 0; y != NULL && i < sums->count; i++) {
        const float number = is_float ? sums->floats[i] : (float)sums->longs[i];
        const float scale =
            (is_float ? 1.0f : a_scale) * b_scale->floats[b_scale->count == 1 ? 0 : i % N];
        qr_onnx_floats(y)[i] =
            qr_onnx_round(type, number * scale + (bias == NULL ? 0.0f : bias->floats[i % N]));
    }
    qr_onnx_tensor_destroy(sums);
    return y != NULL ? QR_OK : qr__op_no_memory(call);
}
