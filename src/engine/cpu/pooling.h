/* engine/cpu/pooling.h: from a sequence's hidden states to one vector, and the Dense modules behind
 * it. Private to cpu/. */
#ifndef QR_ENGINE_CPU_POOLING_H
#define QR_ENGINE_CPU_POOLING_H

#include "engine/cpu/context.h"

/** [B][embedding] of `hidden` [T][C], or [B][C] where the encoder computed first tokens only; in
 * the context's memory. */
const float *qr__pooling(qr__context *context, const float *hidden);

/** y[rows][out] = x[rows][in] * W + b of one of weights->whole. */
void qr__whole_multiply(qr__context *context, size_t whole, const float *x, size_t rows, float *y);

#endif
