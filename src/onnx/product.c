/* onnx/product.c: products of matrices, and the shapes of numpy's matmul. */
#include "onnx/product.h"

#include <limits.h>
#include <stdlib.h>

/* Sums of this many products of whole numbers within +-255 stay below 2^24: f32 holds them and all
 * their parts exactly, in whatever order they are added. */
#define WHOLE_K 256

static void product_plain(const qr__product_task *task) {
    for (size_t m = 0; m < task->M; m++) {
        float *y = task->y + m * task->ldy;
        for (size_t n = 0; n < task->N; n++)
            y[n] = 0.0f;
        for (size_t k = 0; k < task->K; k++) {
            const float *a = task->a + (task->a_transposed ? k * task->lda + m : m * task->lda + k);
            const float *b = task->b + (task->b_transposed ? k : k * task->ldb);
            const size_t step = task->b_transposed ? task->ldb : 1;
            for (size_t n = 0; n < task->N; n++)
                y[n] += *a * b[n * step];
        }
        for (size_t n = 0; n < task->N; n++)
            y[n] *= task->alpha;
    }
}

#if defined(QR_OPENBLAS)
static bool fits_openblas(const qr__product_task *task) {
    const size_t least = qr_min(task->M, qr_min(task->N, task->K));
    const size_t most = qr_max(qr_max(task->M, qr_max(task->N, task->K)),
                               qr_max(task->lda, qr_max(task->ldb, task->ldy)));
    return least > 0 && most <= INT_MAX;
}
#endif

void qr__product(const qr__product_task *task) {
#if defined(QR_OPENBLAS)
    if (fits_openblas(task)) {
        qr__product__openblas(task);
        return;
    }
#endif
    product_plain(task);
}

bool qr__product_whole(size_t M, size_t N, size_t K, const float *a, const float *b, int32_t *y) {
    float *part = malloc(qr_max(M * N, 1) * sizeof(float));
    if (part == NULL)
        return false;
    for (size_t k = 0; k < K; k += WHOLE_K) {
        qr__product(&(qr__product_task){.M = M,
                                        .N = N,
                                        .K = qr_min(WHOLE_K, K - k),
                                        .a = a + k,
                                        .lda = K,
                                        .b = b + k * N,
                                        .ldb = N,
                                        .alpha = 1.0f,
                                        .y = part,
                                        .ldy = N});
        for (size_t i = 0; i < M * N; i++)
            y[i] = (int32_t)((uint32_t)y[i] + (uint32_t)(int32_t)part[i]);
    }
    free(part);
    return true;
}

/* Size of axis `at`, counted from the last, in the tensor's batch axes: those before its matrix. */
static size_t batch_dim(const qr_onnx_tensor *tensor, size_t at) {
    return at + 2 < tensor->rank ? tensor->shape[tensor->rank - 3 - at] : 1;
}

static bool batch_init(qr__matmul_shape *shape, const qr_onnx_tensor *a, const qr_onnx_tensor *b) {
    const size_t rank = qr_max(a->rank, b->rank);
    size_t in_a = 1, in_b = 1;
    shape->axes = rank > 2 ? rank - 2 : 0;
    shape->batches = 1;
    for (size_t i = 0; i < shape->axes; i++) { /* from the last on */
        const size_t at = shape->axes - 1 - i, of_a = batch_dim(a, i), of_b = batch_dim(b, i);
        if (of_a != of_b && of_a != 1 && of_b != 1)
            return false;
        shape->dims[at] = of_a == 1 ? of_b : of_a;
        shape->a_steps[at] = of_a == 1 ? 0 : in_a;
        shape->b_steps[at] = of_b == 1 ? 0 : in_b;
        in_a *= of_a;
        in_b *= of_b;
        if (!qr_checked_mul(shape->batches, shape->dims[at], &shape->batches))
            return false;
    }
    return true;
}

bool qr__matmul_shape_init(qr__matmul_shape *shape, const qr_onnx_tensor *a, bool a_transposed,
                           const qr_onnx_tensor *b, bool b_transposed) {
    if (a->rank == 0 || b->rank == 0)
        return false;
    const size_t *last_a = a->shape + a->rank - 1, *last_b = b->shape + b->rank - 1;
    const bool a_matrix = a->rank > 1, b_matrix = b->rank > 1;
    shape->M = !a_matrix ? 1 : a_transposed ? last_a[0] : last_a[-1];
    shape->K = !a_matrix || !a_transposed ? last_a[0] : last_a[-1];
    shape->N = !b_matrix ? 1 : b_transposed ? last_b[-1] : last_b[0];
    const size_t rows_of_b = !b_matrix || b_transposed ? last_b[0] : last_b[-1];
    if (shape->K != rows_of_b || !batch_init(shape, a, b))
        return false;
    shape->rank = shape->axes;
    memcpy(shape->shape, shape->dims, shape->axes * sizeof(size_t));
    if (a_matrix)
        shape->shape[shape->rank++] = shape->M;
    if (b_matrix)
        shape->shape[shape->rank++] = shape->N;
    return true;
}

bool qr__matmul_spend(qr__op_call *call, const qr__matmul_shape *shape, uint64_t cost) {
    const uint64_t made = qr_saturating_mul(shape->batches, qr_saturating_mul(shape->M, shape->N));
    return qr__op_spend(call, qr_saturating_mul(made, shape->K), cost);
}

void qr__matmul_pair(const qr__matmul_shape *shape, size_t at, size_t *in_a, size_t *in_b) {
    *in_a = *in_b = 0;
    for (size_t i = shape->axes; i > 0; i--) {
        const size_t place = at % shape->dims[i - 1];
        at /= shape->dims[i - 1];
        *in_a += place * shape->a_steps[i - 1];
        *in_b += place * shape->b_steps[i - 1];
    }
}

qr_status qr__refuse_shapes(qr__op_call *call, const qr_onnx_tensor *a, const qr_onnx_tensor *b) {
    char of_a[128], of_b[128];
    qr_onnx_shape_text(a, of_a);
    qr_onnx_shape_text(b, of_b);
    return qr__op_refuse(call, "shapes %s and %s do not fit", of_a, of_b);
}

void qr__round_all(qr_onnx_tensor *tensor) {
    if (tensor->type != QR_ONNX_FLOAT16 && tensor->type != QR_ONNX_BFLOAT16)
        return;
    float *numbers = qr_onnx_floats(tensor);
    for (size_t i = 0; i < tensor->count; i++)
        numbers[i] = qr_onnx_round(tensor->type, numbers[i]);
}
