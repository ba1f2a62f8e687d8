/* engine/cuda/module/lt.h: NVIDIA's cuBLASLt for the matrix products of large batches, where it is
 * installed.
 *
 *     qr__lt *lt = qr__lt_create(QR_PRECISION_F16);              // NULL: not there, or not wanted
 *     qr__lt_plan(lt, QR__LT_UP, bucket, n, k);
 *     const qr__lt_product *product = qr__lt_find(lt, QR__LT_UP, bucket);
 *     status = qr__lt_multiply(lt, product, &buffers, stream);
 *     qr__lt_destroy(lt);
 *
 * The environment's QUERENT_CUDA_GEMM says which products are taken: "own" (always ours) or
 * "cublaslt" (from 16 tokens on where it is there); else cuBLASLt from QR__LT_TOKENS tokens on. The
 * library is looked for as any shared library of the system is, when the first context wants it.
 * Threads: one object a context.
 */
#ifndef QR_ENGINE_CUDA_LT_H
#define QR_ENGINE_CUDA_LT_H

#include "engine/cuda/module/gpu_device.h"
#include "engine/cuda/module/lt_calls.h"

#define QR__LT_TOKENS              256u /* below, products are a matter of bandwidth: ours */
#define QR__LT_WORKSPACE_BYTES_MAX ((size_t)32 << 20)

/** The products of a layer. */
typedef enum qr__lt_kind {
    QR__LT_QKV,    /* with bias, in the plan's element */
    QR__LT_OUTPUT, /* f32, without */
    QR__LT_UP,     /* as QKV */
    QR__LT_DOWN,   /* as OUTPUT */
    QR__LT_KINDS
} qr__lt_kind;

typedef struct qr__lt qr__lt;
typedef struct qr__lt_product qr__lt_product;

/** The fewest tokens of a bucket whose products are cuBLASLt's in this process; SIZE_MAX: never. */
size_t qr__lt_tokens(void);

/** NULL: there is no such library, or it does not work here: our own products serve. The device is
 * the calling thread's. Returns owned. */
qr__lt *qr__lt_create(qr_precision precision);

/** NULL is allowed. */
void qr__lt_destroy(qr__lt *lt);

/** Chooses an algorithm for y[tokens][n] with K = k, or none: then qr__lt_find finds nothing. */
void qr__lt_plan(qr__lt *lt, qr__lt_kind kind, uint32_t tokens, uint32_t n, uint32_t k);

/** NULL: our own product serves; also of a lt that is NULL. */
const qr__lt_product *qr__lt_find(const qr__lt *lt, qr__lt_kind kind, uint32_t tokens);

/** Where a product's parts lie on the device; `bias` in the plan's element. */
typedef struct qr__lt_buffers {
    qr__cu_pointer x, w, bias, y, workspace;
} qr__lt_buffers;

/** Launches a product into a stream, which may be capturing. */
QR_MUST_USE qr__lt_status qr__lt_multiply(const qr__lt *lt, const qr__lt_product *product,
                                          const qr__lt_buffers *buffers, qr__cu_stream stream);

#endif
