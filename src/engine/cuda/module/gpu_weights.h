/* engine/cuda/module/gpu_weights.h: a model's weights on the device, padded as the kernels read
 * them (kernels/cuda_table.h).
 *
 *     qr__gpu_weights *w;
 *     status = qr__gpu_weights_pack(gpu, bert, QR_PRECISION_F16, &w, &error);
 *     args.w = qr__gpu_at(w->layers[0].up.w);
 *     qr__gpu_weights_destroy(w);
 *
 * One allocation holds them all. Encoder matrices and embeddings are in the plan's element, [out]
 * [in] as the files have them; biases, norms, and the heads' matrices in f32. Q, K and V are one
 * matrix, with the query's scale log2(e)/sqrt(D) folded in. Const after packing.
 */
#ifndef QR_ENGINE_CUDA_GPU_WEIGHTS_H
#define QR_ENGINE_CUDA_GPU_WEIGHTS_H

#include "engine/cuda/module/gpu_device.h"

/** A matrix [n][k] and its bias [n]; the encoder's are padded, the heads' are not. */
typedef struct qr__gpu_linear {
    qr__cu_pointer w, bias; /* 0: none */
    qr__cu_pointer narrow;  /* the bias in the matrix's element, for cuBLASLt; 0: none */
    uint32_t n, k;
} qr__gpu_linear;

typedef struct qr__gpu_norm {
    qr__cu_pointer gamma, beta;
} qr__gpu_norm;

typedef struct qr__gpu_layer {
    qr__gpu_linear qkv, output, up, down;
    qr__gpu_norm attention_norm, output_norm;
} qr__gpu_layer;

/** Widths of rows on the device, padded. */
typedef struct qr__gpu_widths {
    uint32_t hidden, words, inner; /* C, E, F */
    uint32_t head;                 /* D: 16, 32, 64 or 128 */
    uint32_t attended, qkv;        /* heads * D, and 3 times that */
} qr__gpu_widths;

typedef struct qr__gpu_weights {
    qr_packed base;
    const qr__gpu *gpu;
    qr_precision precision;
    qr__gpu_widths widths;
    qr__cu_pointer memory;
    size_t bytes;
    qr__cu_pointer word, position, type; /* type 0: none */
    qr__gpu_norm embedding_norm;
    qr__gpu_linear projection; /* n 0: none, as all the following */
    qr__gpu_layer layers[QR_LIMIT_LAYERS];
    qr__gpu_linear span, pooler, classifier;
    qr__gpu_linear dense[QR_LIMIT_DENSES], residual[QR_LIMIT_DENSES];
} qr__gpu_weights;

/** An address of the device, as kernels' arguments have it. */
static inline void *qr__gpu_at(qr__cu_pointer pointer) {
    return (void *)(uintptr_t)pointer;
}

/** QR_BAD_OPTION: heads that the kernels cannot have. */
QR_MUST_USE qr_status qr__gpu_widths_of(const qr_model_info *info, qr__gpu_widths *out,
                                        qr_error *error);

/** The device is the calling thread's (qr__gpu_enter). QR_NO_MEMORY: with the bytes that it takes
 * and those that are free. *out: returns owned; borrows GPU and bert. */
QR_MUST_USE qr_status qr__gpu_weights_pack(const qr__gpu *gpu, const qr_bert *bert,
                                           qr_precision precision, qr__gpu_weights **out,
                                           qr_error *error);

/** NULL is allowed. */
void qr__gpu_weights_destroy(qr__gpu_weights *weights);

/** As qr_backend.release: every tensor. */
void qr__gpu_weights_release(const qr__gpu_weights *weights, qr_bert *bert);

#endif
