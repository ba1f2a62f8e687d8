/* engine/cpu/pass_stages.h: where a forward pass may be left and entered: its stages.
 *
 *     context->stages = qr__pass_stages_of(weights, batch);              // the leader
 *     qr__pass_stage at = qr__pass_stages_at(&context->stages, number);  // layer, step, piece
 *
 * A layer is four steps. Who helps with a batch can come and go between stages only, and a stage of
 * a long text must not take long: a query may wait for its end. So where a layer is much work each
 * step is a stage, and one of many rows or heads is cut in pieces, which are a stage each. Where a
 * layer is little work it is one stage, because every end of a stage is a meeting of all members.
 * "Much" is counted in operations, not measured: which stage a number stands for must be the same
 * for all members, and may not depend on how many they are.
 *
 * Stage 0 is the embeddings. Threads: const once made.
 */
#ifndef QR_ENGINE_CPU_PASS_STAGES_H
#define QR_ENGINE_CPU_PASS_STAGES_H

#include "engine/cpu/weights.h"

/** A layer's, in order. */
typedef enum qr__step {
    QR__STEP_QKV,          /* queries, keys and values: pieces are rows */
    QR__STEP_ATTENTION,    /* softmax(q * k^T) * v: pieces are heads of every shard */
    QR__STEP_OUTPUT,       /* attention's last matrix: rows */
    QR__STEP_FEED_FORWARD, /* both matrices: rows */
    QR__STEPS
} qr__step;

typedef struct qr__pass_stages {
    bool fine;                /* a stage ends with each piece; else with each layer */
    size_t pieces[QR__STEPS]; /* of a step, 1 and up; 1 where not fine */
    size_t rows[QR__STEPS];   /* of a piece, the last one has the rest; not of attention */
    size_t a_layer;           /* pieces of all steps */
} qr__pass_stages;

typedef struct qr__pass_stage {
    size_t layer; /* from 0 */
    qr__step step;
    size_t piece;
} qr__pass_stage;

/** The stages of each layer of a batch. */
qr__pass_stages qr__pass_stages_of(const qr__weights *weights, const qr_batch *batch);

/** What stage `number` (1 and up) does. Numbers count pieces, also where a layer is one stage: then
 * one begins at every `a_layer`th number. */
qr__pass_stage qr__pass_stages_at(const qr__pass_stages *stages, size_t number);

#endif
