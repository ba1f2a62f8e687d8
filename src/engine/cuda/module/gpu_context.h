/* engine/cuda/module/gpu_context.h: a workspace on the device: buffers, a table of the batch that
 * both sides see, and a graph for each size of batch.
 *
 *     qr__gpu_context *context;
 *     status = qr__gpu_context_create(weights, &options, &context, &error);
 *     qr__gpu_table_fill(&context->table, batch, true, false);
 *     result = gpu->driver.graph_launch(context->graphs[output][bucket], context->stream);
 *     qr__gpu_context_destroy(context);
 *
 * Everything is allocated and captured here, for the output that the model is made for; another
 * output's place and graphs come with the first batch that asks for it. Threads: one at a time.
 */
#ifndef QR_ENGINE_CUDA_GPU_CONTEXT_H
#define QR_ENGINE_CUDA_GPU_CONTEXT_H

#include "engine/cuda/module/gpu_shapes.h"
#include "engine/cuda/module/gpu_weights.h"
#include "engine/cuda/module/lt.h"

#define QR__GPU_OUTPUTS (QR_OUTPUT_TOKEN_LABELS + 1u)

/** Pinned memory of the host, and its address on the device. */
typedef struct qr__gpu_mapped {
    void *host; /* NULL: none */
    qr__cu_pointer device;
} qr__gpu_mapped;

typedef struct qr__gpu_context {
    qr_context base;
    const qr__gpu_weights *weights;
    qr__cu_stream stream;
    qr__cu_event begin, end; /* around a pass that is timed; NULL: none was yet */

    uint32_t buckets[QR__GPU_BUCKETS_MAX]; /* tokens; the last: rows of all buffers */
    size_t bucket_count;
    size_t sequences_max;

    qr__cu_pointer memory;
    qr__cu_pointer x, words, qkv, attended, inner; /* T [rows][pitch] */
    qr__cu_pointer residual;                       /* x in f32 [rows][hidden]; of f32 it is x */
    qr__cu_pointer partial;                        /* f32 [splits][rows][hidden] */
    qr__cu_pointer vectors[3];                     /* f32 [B][widest], between a head's layers */
    qr__lt *lt;                                    /* NULL: all products are our own */
    qr__cu_pointer lt_workspace;
    qr_cuda_table staged; /* on the device */

    qr__gpu_mapped batch; /* what table and mapped point into */
    qr_cuda_table table;  /* the host's addresses */
    qr_cuda_table mapped; /* the same, the device's */
    qr__gpu_mapped results[QR__GPU_OUTPUTS];
    qr__cu_exec graphs[QR__GPU_OUTPUTS][QR__GPU_BUCKETS_MAX];
} qr__gpu_context;

/** QR_NO_MEMORY, QR_DEVICE. *out: returns owned; borrows the weights. */
QR_MUST_USE qr_status qr__gpu_context_create(const qr__gpu_weights *weights,
                                             const qr_context_options *options,
                                             qr__gpu_context **out, qr_error *error);

/** NULL is allowed; so is a context of a lost device. Of a hung one nothing is given back. */
void qr__gpu_context_destroy(qr__gpu_context *context);

/** Makes an output's place and graphs, unless they are there. */
QR_MUST_USE qr_status qr__gpu_context_prepare(qr__gpu_context *context, qr_output wanted,
                                              qr_error *error);

/** Runs a batch. *out: in the context's memory until its next call. `gpu_us`, unless NULL: the
 * device's own time. */
QR_MUST_USE qr_status qr__gpu_forward(qr__gpu_context *context, const qr_batch *batch,
                                      qr_output wanted, const float **out, float *gpu_us);

#endif
