/* engine/cpu/forward.h: BERT over a batch, on the CPU. */
#ifndef QR_ENGINE_CPU_FORWARD_H
#define QR_ENGINE_CPU_FORWARD_H

#include "engine/cpu/context.h"

/** The encoder over context->batch: embeddings and all layers, by a team of at most `members`.
 * Returns the hidden states [T][C], or [B][C] of the first tokens when context->first_only. */
const float *qr__encode(qr__context *context, int members);

/** From hidden states, as qr__encode returned them, to what was asked for (head.c): shapes as
 * qr_output says. */
const float *qr__head(qr__context *context, const float *hidden, qr_output wanted);

#endif
