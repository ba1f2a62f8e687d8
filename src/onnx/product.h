/* onnx/product.h: products of matrices for the operators that need one. Private to onnx/.
 *
 *     qr__product(&(qr__product_task){.M = M, .N = N, .K = K, .a = a, .lda = K, .b = b, .ldb = N,
 *                                     .y = y, .ldy = N, .alpha = 1.0f});
 *
 * Row-major. By OpenBLAS where the build has it, else by plain loops. */
#ifndef QR_ONNX_PRODUCT_H
#define QR_ONNX_PRODUCT_H

#include "onnx/op.h"

/** y[M,N] = alpha a b, with a [M,K] or, transposed, [K,M]; b [K,N] or, transposed, [N,K]. ld*:
 * floats from one row as it lies in memory to the next. */
typedef struct qr__product_task {
    size_t M, N, K;
    const float *a, *b;
    size_t lda, ldb;
    bool a_transposed, b_transposed;
    float alpha;
    float *y;
    size_t ldy;
} qr__product_task;

/** Computes it; sizes may be 0. */
void qr__product(const qr__product_task *task);

#if defined(QR_OPENBLAS)
/** As qr__product; no size is 0 and all fit an int. */
void qr__product__openblas(const qr__product_task *task);
#endif

/** y[M,N] += a b as int32 with wrap-around, from dense a [M,K] and b [K,N] of whole numbers within
 * +-255. False: no memory. */
bool qr__product_whole(size_t M, size_t N, size_t K, const float *a, const float *b, int32_t *y);

/** The shapes of numpy's matmul: how many matrices, of which size, and the result's shape. */
typedef struct qr__matmul_shape {
    size_t M, N, K, batches;
    size_t rank, shape[QR_ONNX_RANK_MAX]; /* of the result */
    size_t axes;                          /* batch axes; the three below are as long */
    size_t dims[QR_ONNX_RANK_MAX];
    size_t a_steps[QR_ONNX_RANK_MAX], b_steps[QR_ONNX_RANK_MAX]; /* in matrices; 0: repeated */
} qr__matmul_shape;

/** Works the shape out; transposed: its last two axes are exchanged first. False: they do not
 * fit. */
bool qr__matmul_shape_init(qr__matmul_shape *shape, const qr_onnx_tensor *a, bool a_transposed,
                           const qr_onnx_tensor *b, bool b_transposed);

/** Takes the steps of these products from those that the run may spend (qr__op_spend); `cost`: of
 * one multiplication. */
bool qr__matmul_spend(qr__op_call *call, const qr__matmul_shape *shape, uint64_t cost);

/** Which matrix of a, and of b, the batch's matrix number `at` is made of. */
void qr__matmul_pair(const qr__matmul_shape *shape, size_t at, size_t *in_a, size_t *in_b);

/** Refuses: "shapes [2, 3] and [4, 5] do not fit". Returns QR_BAD_MODEL. */
qr_status qr__refuse_shapes(qr__op_call *call, const qr_onnx_tensor *a, const qr_onnx_tensor *b);

/** Rounds all numbers to the tensor's type (as qr_onnx_round). */
void qr__round_all(qr_onnx_tensor *tensor);

/** The operator Einsum. */
qr_status qr__op_einsum(qr__op_call *call);

#endif
