/* engine/cpu/pass.h: one member's view of a forward pass, and how the work of a step is shared.
 *
 * Every member of the team runs forward.c's code; what a step does with it is decided here:
 *
 *     rows      layer norms and conversions: each member does its rows of x
 *     shards    where ranks divide the shards (1 or 2 members), each member takes whole shards:
 *               it attends with what it multiplied, and projects what it attended, without
 *               waiting for anybody
 *     columns   with other numbers of members each takes its columns, (sequence, head) pairs or
 *               rows of all shards, and they meet after every step
 *
 * The numbers are the same either way: sums have one order, shard by shard.
 */
#ifndef QR_ENGINE_CPU_PASS_H
#define QR_ENGINE_CPU_PASS_H

#include "engine/cpu/context.h"

typedef struct qr__pass {
    qr__context *context;
    const qr__weights *weights;
    qr__team *team;
    qr__rank me;
    size_t C, D;
    size_t rows;       /* of x: T, or B once only first tokens are left */
    size_t begin, end; /* those that this member does */
    bool whole_shards;
    size_t shard_begin, shard_end; /* shards that this member takes part in */
} qr__pass;

/** A tensor whose columns are cut in shards: at[s] is [rows][width[s]]. */
typedef struct qr__split {
    float *at[QR__SHARDS];
    size_t width[QR__SHARDS];
} qr__split;

/** From now on x has `rows` rows; also after a change of the number of ranks. */
void qr__pass_set_rows(qr__pass *p, size_t rows);

/** In a calibration: raises the ranges of a layer's place (QR_RANGE_...) to those of this member's
 * rows of x [rows][C]. Else nothing. */
void qr__pass_calibrate(const qr__pass *p, const float *x, size_t layer, size_t place);

/** Meets the other members. */
void qr__pass_meet(const qr__pass *p);

/** Cuts memory for p->rows rows into shards of `per_head` * D columns a head. */
qr__split qr__pass_split_heads(const qr__pass *p, float *memory, size_t per_head);

/** Cuts memory for p->rows rows into shards of inner features. */
qr__split qr__pass_split_features(const qr__pass *p, float *memory);

/** Column-parallel: y = epilogue(x * W + b), x [rows][C] whole, y in shards. `operand` holds x as
 * the kernel reads it. Ends with a meeting, or with each member having finished its own shards. */
void qr__pass_columns(const qr__pass *p, qr__matrix *const *W, const float *x, void *operand,
                      qr__epilogue epilogue, const qr__split *y);

/** Row-parallel: partial[s] = x[s] * W[s] (+ b for the first shard), x in shards; the sum over s
 * is y [rows][C]. Ends as qr__pass_columns. */
void qr__pass_rows(const qr__pass *p, qr__matrix *const *W, const qr__split *x);

/** Both matrices of a feed-forward and what is between them. */
typedef struct qr__feed_forward {
    qr__matrix *const *up, *const *down;
    qr__epilogue activation;
    void *operand;   /* holds x as `up` reads it */
    qr__split inner; /* [rows][F] in shards */
} qr__feed_forward;

/** partial[s] = activation(x * up[s] + b) * down[s] (+ b for the first shard): column-parallel,
 * then row-parallel. Ends as qr__pass_columns. */
void qr__pass_feed_forward(const qr__pass *p, const qr__feed_forward *f, const float *x);

/** Attention of all sequences and heads: `out` gets softmax(q * k^T) * v; k stands at kv, v
 * behind it by the shard's heads. With `first_only` q and out have a row a sequence, not a
 * token. Ends as qr__pass_columns. */
void qr__pass_attention(const qr__pass *p, const qr__split *q, const qr__split *kv,
                        const qr__split *out, bool first_only);

#endif
