/* engine/cuda/module/gpu_pass.h: launches a forward pass, kernel by kernel, into a stream.
 *
 *     driver.begin_capture(context->stream, QR__CU_CAPTURE_THREAD_LOCAL);
 *     result = qr__gpu_pass(context, bucket, QR_OUTPUT_POOLED);
 *     driver.end_capture(context->stream, &graph);
 *
 * The figure is in kernels/cuda_kernels.h. Each kernel waits for the one before it by itself, so
 * they may follow each other closely (qr__gpu_launch).
 */
#ifndef QR_ENGINE_CUDA_GPU_PASS_H
#define QR_ENGINE_CUDA_GPU_PASS_H

#include "engine/cuda/module/gpu_context.h"

/** The pass for batches of up to `bucket` tokens, whose result goes to the output's place. */
QR_MUST_USE qr__cu_result qr__gpu_pass(const qr__gpu_context *context, uint32_t bucket,
                                       qr_output wanted);

/** A pass under construction: its launches, one behind the other. */
typedef struct qr__gpu_steps {
    const qr__gpu_context *context;
    uint32_t bucket;
    bool follows;         /* what was launched last is a kernel of ours: the next may begin early */
    qr__cu_result result; /* of the first launch that failed; later ones are left out */
} qr__gpu_steps;

/** The next kernel. */
void qr__gpu_step(qr__gpu_steps *steps, qr__gpu_kernel kernel, const uint32_t grid[3],
                  const void *argument);

/** The parts of K that the persistent encoder cuts the last product of its layers in, for batches
 * of up to `bucket` tokens; 0: it is not wanted, or does not take these or this model, and each
 * layer has kernels of its own. */
uint32_t qr__gpu_encoder_splits(const qr__gpu_weights *weights, uint32_t bucket);

/** All layers, by the persistent encoder, which takes them. */
void qr__gpu_encode(qr__gpu_steps *steps);

/** What the products of Wup end with. */
qr_cuda_epilogue qr__gpu_activation(const qr__gpu_weights *weights);

/** Launches each of cuBLASLt's products once: first outside of a capture, in which it could not
 * load its kernels. What they write is not looked at. */
QR_MUST_USE bool qr__gpu_try_lt(const qr__gpu_context *context);

/** From hidden states to what was asked for. */
void qr__gpu_head(qr__gpu_steps *steps, qr_output wanted);

#endif
