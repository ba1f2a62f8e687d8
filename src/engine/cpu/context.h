/* engine/cpu/context.h: the workspace of a forward pass.
 *
 * One block of memory, cut at creation. What all members of a gang write together (each its rows,
 * heads or columns) is there once; what each of them reads and writes alone stands on its desk. For
 * small batches row-wise work (layer norm, operands) is done by every member for itself on its
 * desk, which costs less than a barrier; for large ones the leader's desk is everybody's.
 */
#ifndef QR_ENGINE_CPU_CONTEXT_H
#define QR_ENGINE_CPU_CONTEXT_H

#include "engine/cpu/team.h"
#include "engine/cpu/weights.h"

/** Batches of at most this many tokens do their row-wise work on every member's own desk. */
#define QR_DESK_TOKENS 24

typedef struct qr_desk {
    float *hidden;   /* [T][C] the residual stream at a layer's ends */
    float *middle;   /* [T][C] the residual stream between attention and feed-forward */
    float *first;    /* [B][C] rows of `hidden` that hold the sequences' first tokens */
    void *operand;   /* what a matrix reads of one of these */
    void *operand_q; /* the same for the last layer's queries */
    void *scratch;   /* attention's, never shared */
} qr_desk;

struct qr_context {
    const qr_weights *weights;
    qr_team *team;
    size_t tokens_max, sequences_max;
    void *block;
    size_t block_bytes;
    float *wide;  /* [T][max(3C, F)] queries, keys and values; then the inner activations; one half
                     behind the other */
    float *mixed; /* [T][C] attention's output, one half behind the other */
    void *operand_half[QR_HALVES];   /* what a half's Wo or Wdown reads */
    float *partial[QR_HALVES];       /* [T][C] what each half adds to the residual stream */
    float *partial_small[QR_HALVES]; /* the same for the feed-forward of small batches: on their own
                                        desks, members may still read attention's partial sums when
                                        these are written */
    float *result;                   /* pooled vectors or logits */
    qr_desk *desks;                  /* [members] */
    int members;
    qr_gang gang;

    /* Of the batch in work. */
    const qr_batch *batch;
    size_t tokens;
    int wanted;      /* members */
    bool first_only; /* the last layer computes first tokens only */
    bool own_desks;
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
