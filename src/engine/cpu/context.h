/* engine/cpu/context.h: the workspace of a forward pass.
 *
 * One block of memory, cut at creation: tensors that the members of a gang write together, each its
 * rows, heads or columns, and for each member a scratch of its own. */
#ifndef QR_ENGINE_CPU_CONTEXT_H
#define QR_ENGINE_CPU_CONTEXT_H

#include "engine/cpu/team.h"
#include "engine/cpu/weights.h"

struct qr_context {
    const qr_weights *weights;
    qr_team *team;
    size_t tokens_max, sequences_max;
    void *block;
    size_t block_bytes;
    float *hidden; /* [T][C] the residual stream at a layer's ends */
    float *middle; /* [T][C] the residual stream between attention and feed-forward */
    float *first;  /* [B][C] rows of `hidden` that hold the sequences' first tokens */
    float
        *wide; /* [T][max(3C, F)] queries, keys, values; then inner activations; half behind half */
    float *mixed;                  /* [T][C] attention's output, half behind half */
    float *partial[QR_HALVES];     /* [T][C] what each half adds to the residual stream */
    void *operand;                 /* what a matrix reads of the residual stream */
    void *operand_q;               /* the same for the last layer's queries */
    void *operand_half[QR_HALVES]; /* what a half's Wo or Wdown reads */
    float *result;                 /* pooled vectors or logits */
    void **scratch;                /* [members] attention's */
    int members;
    qr_gang gang;

    /* Of the batch in work. */
    const qr_batch *batch;
    size_t tokens;
    int wanted;      /* members */
    bool first_only; /* the last layer computes first tokens only */
};

QR_MUST_USE qr_status qr__context_create(const qr_weights *weights, qr_team *team,
                                         size_t tokens_max, size_t sequences_max, qr_context **out,
                                         qr_error *error);

/** The encoder: embeddings and all layers, by the context's team. Returns [T][C], or [B][C] when
 * context->first_only. */
const float *qr__forward(qr_context *context);

/** The head of the model on the encoder's result. */
const float *qr__head(qr_context *context, const float *hidden, qr_output wanted);

#endif
