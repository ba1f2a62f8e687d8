/* onnx/ops_matmul.c: products of matrices: MatMul and Gemm, and ONNX Runtime's forms of them. */
#include "onnx/product.h"

#include <math.h>

/* Whole numbers, with the wrap-around of their type; types are the same. */
static void multiply_whole(const qr__matmul_shape *shape, const qr_onnx_tensor *a,
                           const qr_onnx_tensor *b, qr_onnx_tensor *y) {
    for (size_t i = 0; i < shape->batches; i++) {
        size_t in_a, in_b;
        qr__matmul_pair(shape, i, &in_a, &in_b);
        in_a *= shape->M * shape->K;
        in_b *= shape->K * shape->N;
        for (size_t at = 0; at < shape->M * shape->N; at++) {
            const size_t m = at / shape->N, n = at % shape->N;
            uint64_t sum = 0;
            for (size_t k = 0; k < shape->K; k++)
                sum += (uint64_t)qr_onnx_int(a, in_a + m * shape->K + k) *
                       (uint64_t)qr_onnx_int(b, in_b + k * shape->N + n);
            qr_onnx_set_int(y, i * shape->M * shape->N + at, (int64_t)sum);
        }
    }
}

static void multiply_floats(const qr__matmul_shape *shape, qr__product_task task, float *y) {
    const float *a = task.a, *b = task.b;
    for (size_t i = 0; i < shape->batches; i++) {
        size_t in_a, in_b;
        qr__matmul_pair(shape, i, &in_a, &in_b);
        task.a = a + in_a * shape->M * shape->K;
        task.b = b + in_b * shape->K * shape->N;
        task.y = y + i * shape->M * shape->N;
        qr__product(&task);
    }
}

static qr_status multiply(qr__op_call *call, bool a_transposed, bool b_transposed, float alpha) {
    const qr_onnx_tensor *a = qr__op_in(call, 0), *b = qr__op_in(call, 1);
    qr__matmul_shape shape;
    if (a == NULL || b == NULL)
        return qr__op_refuse(call, "it needs two inputs");
    a_transposed = a_transposed && a->rank > 1;
    b_transposed = b_transposed && b->rank > 1;
    if (a->type != b->type || a->type == QR_ONNX_BOOL)
        return qr__op_refuse(call, "it does not multiply %s by %s", qr_onnx_type_name(a->type),
                             qr_onnx_type_name(b->type));
    if (!qr__matmul_shape_init(&shape, a, a_transposed, b, b_transposed))
        return qr__refuse_shapes(call, a, b);
    qr_onnx_tensor *y = qr__op_out(call, 0, a->type, shape.rank, shape.shape);
    if (y == NULL)
        return qr__op_no_memory(call);
    if (!qr__matmul_spend(call, &shape, qr_onnx_is_float(a->type) ? 1 : QR__STEPS_LOOP))
        return QR_BAD_MODEL;
    if (qr_onnx_is_float(a->type)) {
        const qr__product_task task = {.M = shape.M,
                                       .N = shape.N,
                                       .K = shape.K,
                                       .a = a->floats,
                                       .lda = a_transposed ? shape.M : shape.K,
                                       .a_transposed = a_transposed,
                                       .b = b->floats,
                                       .ldb = b_transposed ? shape.K : shape.N,
                                       .b_transposed = b_transposed,
                                       .alpha = alpha,
                                       .ldy = shape.N};
        multiply_floats(&shape, task, qr_onnx_floats(y));
        qr__round_all(y);
    } else {
        multiply_whole(&shape, a, b, y);
    }
    return QR_OK;
}

static qr_status run_matmul(qr__op_call *call) {
    return multiply(call, false, false, 1.0f);
}

static qr_status run_fused_matmul(qr__op_call *call) {
    const qr_onnx_node *node = call->node;
    if (qr_onnx_attribute_int(node, "transBatchA", 0) != 0 ||
        qr_onnx_attribute_int(node, "transBatchB", 0) != 0)
        return qr__op_refuse(call, "transBatchA and transBatchB are not done");
    const qr_onnx_tensor *a = qr__op_in(call, 0);
    if (a != NULL && !qr_onnx_is_float(a->type))
        return qr__op_refuse(call, "it multiplies floats, not %s", qr_onnx_type_name(a->type));
    return multiply(call, qr_onnx_attribute_int(node, "transA", 0) != 0,
                    qr_onnx_attribute_int(node, "transB", 0) != 0,
                    qr_onnx_attribute_float(node, "alpha", 1.0f));
}

/* y[M,N] += beta c, with c broadcast. False: it does not fit. */
static bool add_scaled(const qr_onnx_tensor *c, float beta, size_t M, size_t N, float *y) {
    const size_t columns = c->rank > 0 ? c->shape[c->rank - 1] : 1;
    const size_t rows = c->rank > 1 ? c->shape[c->rank - 2] : 1;
    if (c->rank > 2 || (columns != N && columns != 1) || (rows != M && rows != 1))
        return false;
    for (size_t m = 0; m < M; m++)
        for (size_t n = 0; n < N; n++)
            y[m * N + n] +=
                beta * c->floats[(rows == 1 ? 0 : m * columns) + (columns == 1 ? 0 : n)];
    return true;
}

static qr_status run_gemm(qr__op_call *call) {
    const qr_onnx_node *node = call->node;
    const qr_onnx_tensor *a = qr__op_in(call, 0), *b = qr__op_in(call, 1), *c = qr__op_in(call, 2);
    if (a == NULL || b == NULL || a->rank != 2 || b->rank != 2)
        return qr__op_refuse(call, "it needs two matrices");
    if (!qr_onnx_is_float(a->type) || a->type != b->type || (c != NULL && c->type != a->type))
        return qr__op_refuse(call, "it multiplies floats of one type, not %s by %s",
                             qr_onnx_type_name(a->type), qr_onnx_type_name(b->type));
    const bool a_transposed = qr_onnx_attribute_int(node, "transA", 0) != 0;
    const bool b_transposed = qr_onnx_attribute_int(node, "transB", 0) != 0;
    qr__matmul_shape shape;
    if (!qr__matmul_shape_init(&shape, a, a_transposed, b, b_transposed))
        return qr__refuse_shapes(call, a, b);
    qr_onnx_tensor *y = qr__op_out(call, 0, a->type, shape.rank, shape.shape);
    if (y == NULL)
        return qr__op_no_memory(call);
    if (!qr__matmul_spend(call, &shape, 1))
        return QR_BAD_MODEL;
    qr__product(&(qr__product_task){.M = shape.M,
                                    .N = shape.N,
                                    .K = shape.K,
                                    .a = a->floats,
                                    .lda = a->shape[1],
                                    .a_transposed = a_transposed,
                                    .b = b->floats,
                                    .ldb = b->shape[1],
                                    .b_transposed = b_transposed,
                                    .alpha = qr_onnx_attribute_float(node, "alpha", 1.0f),
                                    .y = qr_onnx_floats(y),
                                    .ldy = shape.N});
    const float beta = qr_onnx_attribute_float(node, "beta", 1.0f);
    if (c != NULL && !add_scaled(c, beta, shape.M, shape.N, qr_onnx_floats(y)))
        return qr__refuse_shapes(call, c, y);
    qr__round_all(y);
    return QR_OK;
}

static float relu(float x) {
    return x < 0.0f ? 0.0f : x;
}

static float sigmoid(float x) {
    return 1.0f / (1.0f + expf(-x));
}

static qr_status run_fused_gemm(qr__op_call *call) {
    static const struct {
        const char *name;
        float (*apply)(float);
    } known[] = {{"Relu", relu}, {"Sigmoid", sigmoid}, {"Tanh", tanhf}};
    const char *name = qr_onnx_attribute_text(call->node, "activation", "");
    for (size_t k = 0; k < sizeof known / sizeof known[0]; k++) {
        if (strcmp(name, known[k].name) != 0)
            continue;
        const qr_status status = run_gemm(call);
        if (status != QR_OK)
            return status;
        float *y = qr_onnx_floats(call->out[0]);
        for (size_t i = 0; i < call->out[0]->count; i++)
            y[i] = known[k].apply(y[i]);
        qr__round_all(call->out[0]);
        return QR_OK;
    }
    return qr__op_refuse(call, "the activation `%s` is not done", name);
}

const qr__op qr__ops_matmul[] = {
    {"", "MatMul", run_matmul},
    {"", "Gemm", run_gemm},
    {"", "Einsum", qr__op_einsum},
    {"com.microsoft", "FusedMatMul", run_fused_matmul},
    {"com.microsoft", "FusedGemm", run_fused_gemm},
    {NULL, NULL, NULL},
};
