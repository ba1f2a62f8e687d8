/* engine/cpu/pass.h: one member's view of a forward pass, and how the work of a step is shared.
 *
 * Every member of the team runs forward.c's code, stage by stage (pass_stages.h); what a stage does
 * with it is decided here:
 *
 *     rows      layer norms and conversions: each member does its rows of x
 *     shards    where ranks divide the shards (1 or 2 members), each member takes whole shards:
 *               it attends with what it multiplied, and projects what it attended, without
 *               waiting for anybody
 *     columns   with other numbers of members each takes its columns, (sequence, head) pairs or
 *               rows of all shards, and they meet after every step
 *
 * The numbers are the same either way: sums have one order, shard by shard. All that one stage
 * leaves to the next is in the context, and nobody begins a stage where members may change before
 * all have ended the one before: so it does not matter who they were.
 */
#ifndef QR_ENGINE_CPU_PASS_H
#define QR_ENGINE_CPU_PASS_H

#include "engine/cpu/context.h"

typedef struct qr__pass {
    qr__context *context;
    const qr__weights *weights;
    qr__team *team;
    qr__rank me;
    qr__pass_stage at; /* what me.stage is */
    size_t C, D;
    size_t rows;                   /* of x: T, or B once only first tokens are left */
    size_t begin, end;             /* those that this member converts and normalises */
    size_t piece_begin, piece_end; /* those of this piece, where it is one of rows */
    bool whole_shards;
    size_t shard_begin, shard_end; /* shards that this member takes part in */
} qr__pass;

/** A tensor whose columns are cut in shards: at[s] is [rows][width[s]], or, head by head,
 * [width[s] / D][rows][D]. */
typedef struct qr__split {
    float *at[QR__SHARDS];
    size_t width[QR__SHARDS];
    size_t head_rows; /* rows, where it is head by head; else 0 */
} qr__split;

/** Sets what follows from me.stage: which piece it is, and this member's share of it. */
void qr__pass_begin(qr__pass *p);

/** To the next stage, or to the next piece within one: behind it this member reads what others
 * wrote. Members come and go where a stage ends. Behind the last layer at.layer is L. False: this
 * member is wanted elsewhere, and leaves. */
QR_MUST_USE bool qr__pass_next(qr__pass *p);

/** For the rest of the stage x has `rows` rows. */
void qr__pass_set_rows(qr__pass *p, size_t rows);

/** In a calibration: raises the ranges of the layer's place (QR_RANGE_...) to those of this
 * member's rows of x [rows][C]. Else nothing. */
void qr__pass_calibrate(const qr__pass *p, const float *x, size_t place);

/** Meets the other members. */
void qr__pass_meet(const qr__pass *p);

/** Cuts memory for `rows` rows into shards of `per_head` * D columns a head. */
qr__split qr__pass_split_heads(const qr__pass *p, size_t rows, float *memory, size_t per_head);

/** The same head by head, where W's product can go there: what attention reads of a head then lies
 * side by side, instead of a row's width apart. */
qr__split qr__pass_split_by_head(const qr__pass *p, const qr__matrix *W, size_t rows, float *memory,
                                 size_t per_head);

/** What stands `heads` heads of every shard behind x. */
qr__split qr__pass_behind_heads(const qr__pass *p, const qr__split *x);

/** Rows [begin, end) of x [rows][C], some of this member's, as the column-parallel W reads them,
 * into `operand`. Every shard reads all rows: members meet before the first qr__pass_columns. */
void qr__pass_convert(const qr__pass *p, qr__matrix *const *W, const float *x, size_t begin,
                      size_t end, void *operand);

/** Column-parallel, the piece's rows: y = epilogue(x * W + b), y in shards. */
void qr__pass_columns(const qr__pass *p, qr__matrix *const *W, void *operand, qr__epilogue epilogue,
                      const qr__split *y);

/** Row-parallel, the piece's rows: partial[s] = x[s] * W[s] (+ b for the first shard), x in shards;
 * the sum over s is y [rows][C]. */
void qr__pass_rows(const qr__pass *p, qr__matrix *const *W, const qr__split *x);

/** Both matrices of a feed-forward, the piece's rows: partial[s] = activation(x * up[s] + b) *
 * down[s] (+ b for the first shard), x as the context's `operand`. */
void qr__pass_feed_forward(const qr__pass *p, const qr__layer *layer);

/** What attention reads and writes: k stands at kv, v behind it by the shard's heads; out is never
 * head by head. With `first_only` q and out have a row a sequence, not a token. */
typedef struct qr__attended {
    qr__split q, kv, out;
    bool first_only;
} qr__attended;

/** out = softmax(q * k^T) * v, of all sequences and the piece's heads. */
void qr__pass_attention(const qr__pass *p, const qr__attended *attended);

#endif
