/* engine/cpu/context.h: the workspace of a forward pass.
 *
 * One block of memory, cut anew for each batch: tensors that the members of a team write together,
 * each its rows, heads or columns, and a scratch for each member. Tensors that are cut in shards
 * hold them one behind the other. */
#ifndef QR_ENGINE_CPU_CONTEXT_H
#define QR_ENGINE_CPU_CONTEXT_H

#include "engine/cpu/pass_stages.h"
#include "engine/cpu/team.h"

typedef struct qr__context {
    qr_context base;
    const qr__weights *weights;
    qr_pool *pool; /* NULL: the leader works alone */
    int members;   /* that a team can have */
    qr__team team;

    void *block; /* for the most tokens and sequences there can be */
    size_t block_bytes;
    float *hidden;              /* [T][C] x at the ends of layers */
    float *middle;              /* [T][C] x between attention and feed-forward */
    float *first;               /* [B][C] rows of `hidden` that hold the sequences' first tokens */
    float *words;               /* [T][E] embeddings that are still to be projected */
    float *wide;                /* [T][max(3C, F)] queries, keys, values; then inner activations */
    float *mixed;               /* [T][C] attention's output */
    float *partial[QR__SHARDS]; /* [T][C] what each shard adds to x */
    void *operand;              /* what a column-parallel matrix reads: x in its kernel's format */
    void *operand_q; /* the same for a last layer's queries, while `operand` is still read */
    void *operand_shard[QR__SHARDS]; /* what a row-parallel matrix's shard reads */
    float *result;                   /* pooled vectors or logits */
    float *vectors[2]; /* [B][widest] what goes into a Dense module, and what is added behind it */
    void **scratch;    /* [members] attention's */

    /* Of the batch in work. */
    const qr_batch *batch;
    size_t tokens;          /* T */
    qr__pass_stages stages; /* made before the team is called */
    const uint32_t *skip;   /* [B] tokens that pooling leaves out; NULL: none, or no pooling */
    bool first_only;        /* the last layer computes first tokens only */
    float *ranges;          /* [L][QR_RANGES_A_LAYER][C] of a calibration; NULL: none is wanted */
} qr__context;

/** The first of sequence b's tokens that counts for the output. */
static inline size_t qr__first_token(const qr__context *context, size_t b) {
    return context->batch->starts[b] + (context->skip == NULL ? 0 : context->skip[b]);
}

/** As qr_backend.context_create. */
QR_MUST_USE qr_status qr__context_create(const qr__weights *weights,
                                         const qr_context_options *options, qr__context **out,
                                         qr_error *error);

/** Cuts the block for a batch of so many; what was in it is lost. */
void qr__context_cut(qr__context *context, size_t tokens, size_t sequences);

/** As qr_backend.context_destroy. */
void qr__context_destroy(qr__context *context);

#endif
