/* engine/cpu/head.c: from hidden states to what was asked for: pooled vectors, span logits,
 * logits of labels, of texts or of tokens. Always f32, by the leader. */
#include "engine/cpu/forward.h"
#include "engine/cpu/pooling.h"

/* The first token's row of each sequence: [B][C]. */
static const float *first_rows(qr__context *c, const float *hidden) {
    size_t C = c->weights->base.bert->info.hidden;
    if (c->first_only)
        return hidden;
    for (size_t b = 0; b < c->batch->sequences; b++)
        memcpy(c->first + b * C, hidden + qr__first_token(c, b) * C, C * sizeof *hidden);
    return c->first;
}

/* activation(first * Wp + b) * Wc + b */
static const float *labels(qr__context *c, const float *hidden) {
    const qr__weights *w = c->weights;
    size_t B = c->batch->sequences, C = w->base.bert->info.hidden;
    float *inner = c->partial[0]; /* the encoder is done with it */
    qr__whole_multiply(c, QR__POOLER, first_rows(c, hidden), B, inner);
    switch (w->base.bert->pooler_activation) {
    case QR_POOLER_TANH:
        w->kernels.tanh(inner, B * C);
        break;
    case QR_POOLER_RELU:
        w->kernels.relu(inner, B * C);
        break;
    case QR_POOLER_GELU:
        w->kernels.gelu(inner, B * C);
        break;
    }
    qr__whole_multiply(c, QR__CLASSIFIER, inner, B, c->result);
    return c->result;
}

const float *qr__head(qr__context *context, const float *hidden, qr_output wanted) {
    switch (wanted) {
    case QR_OUTPUT_HIDDEN:
        break;
    case QR_OUTPUT_POOLED:
        return qr__pooling(context, hidden);
    case QR_OUTPUT_SPAN:
        qr__whole_multiply(context, QR__SPAN, hidden, context->tokens, context->result);
        return context->result;
    case QR_OUTPUT_LABELS:
        return labels(context, hidden);
    case QR_OUTPUT_TOKEN_LABELS:
        qr__whole_multiply(context, QR__CLASSIFIER, hidden, context->tokens, context->result);
        return context->result;
    }
    return hidden;
}
