/* engine/cpu/head.c: from hidden states to what was asked for: pooled vectors, span logits,
 * label logits. Always f32, by the leader. */
#include "engine/cpu/forward.h"

/* [rows][C] through a small f32 matrix. */
static void linear(qr__context *c, const qr__matrix *matrix, const float *x, size_t rows,
                   float *y) {
    qr__matrix_operand(matrix, x, qr__matrix_in(matrix), 0, rows, c->operand);
    qr__matrix_multiply(matrix, c->operand, rows, QR_EPILOGUE_BIAS, y, qr__matrix_out(matrix), 0,
                        qr__matrix_panels(matrix));
}

static size_t hidden_size(const qr__context *c) {
    return c->weights->base.bert->info.hidden;
}

/* The first token's row of each sequence: [B][C]. */
static const float *first_rows(qr__context *c, const float *hidden) {
    size_t C = hidden_size(c);
    if (c->first_only)
        return hidden;
    for (size_t b = 0; b < c->batch->sequences; b++)
        memcpy(c->first + b * C, hidden + c->batch->starts[b] * C, C * sizeof *hidden);
    return c->first;
}

/* The mean over each sequence's tokens, or its first token. */
static const float *pooled(qr__context *c, const float *hidden) {
    size_t C = hidden_size(c);
    if (c->weights->base.bert->info.pooling == QR_POOLING_CLS)
        return first_rows(c, hidden);
    for (size_t b = 0; b < c->batch->sequences; b++) {
        size_t start = c->batch->starts[b], S = c->batch->starts[b + 1] - start;
        c->weights->kernels.pool(c->result + b * C, hidden + start * C, S, C);
    }
    return c->result;
}

/* activation(first * Wp + b) * Wc + b */
static const float *labels(qr__context *c, const float *hidden) {
    const qr__weights *w = c->weights;
    size_t B = c->batch->sequences, C = hidden_size(c);
    float *inner = c->partial[0]; /* the encoder is done with it */
    linear(c, w->pooler, first_rows(c, hidden), B, inner);
    if (w->base.bert->pooler_activation == QR_POOLER_TANH)
        w->kernels.tanh(inner, B * C);
    else
        w->kernels.relu(inner, B * C);
    linear(c, w->classifier, inner, B, c->result);
    return c->result;
}

const float *qr__head(qr__context *context, const float *hidden, qr_output wanted) {
    switch (wanted) {
    case QR_OUTPUT_HIDDEN:
        break;
    case QR_OUTPUT_POOLED:
        return pooled(context, hidden);
    case QR_OUTPUT_SPAN:
        linear(context, context->weights->span, hidden, context->tokens, context->result);
        return context->result;
    case QR_OUTPUT_LABELS:
        return labels(context, hidden);
    }
    return hidden;
}
