/* engine/cpu/pass_stages.c: how finely a layer is cut, by the operations that it takes. */
#include "engine/cpu/pass_stages.h"

#include <math.h>

/* What a stage should take: of two cores together some 0.3 ms in int8 and 1 ms in f32 (AVX-512). An
 * end of a stage is about 2 us of each member. */
#define STAGE_OPERATIONS 2e8

/* A layer of less than this many stages' operations stays whole. */
#define STAGES_LEAST 2

/* A piece's rows. At least as many: each piece reads all weights again, from L2 or behind it. At
 * most as many: inner activations, with the weights of a shard, fit into a core's L2, where the
 * feed-forward's second matrix finds them. */
#define ROWS_LEAST 64u
#define ROWS_MOST  192u

/* Cuts a step of T rows, a row of so many operations. */
static void cut_rows(qr__pass_stages *stages, qr__step step, size_t T, double operations) {
    double wanted = ceil((double)T * operations / STAGE_OPERATIONS);
    size_t most = qr_max(T / ROWS_LEAST, 1), least = (T + ROWS_MOST - 1) / ROWS_MOST;
    size_t pieces = wanted < (double)most ? (size_t)wanted : most;
    pieces = qr_max(pieces, least);
    stages->rows[step] = (T + pieces - 1) / pieces;
    stages->pieces[step] = (T + stages->rows[step] - 1) / stages->rows[step];
}

/* Each piece has a head of every shard at least. */
static size_t attention_pieces(const qr__weights *w, double operations) {
    size_t heads = w->shard[0].heads, pieces = (size_t)fmax(ceil(operations / STAGE_OPERATIONS), 1);
    for (size_t s = 1; s < w->shards; s++)
        heads = qr_min(heads, w->shard[s].heads);
    return qr_min(pieces, qr_max(heads, 1));
}

qr__pass_stages qr__pass_stages_of(const qr__weights *weights, const qr_batch *batch) {
    const qr_model_info *info = &weights->base.bert->info;
    const size_t T = batch->starts[batch->sequences];
    const double C = (double)info->hidden, F = (double)info->feed_forward;
    const double qkv = 6 * C * C, output = 2 * C * C, feed_forward = 4 * C * F;
    const double layer =
        qr_model_operations(info, batch->starts, batch->sequences) / (double)info->layers;
    qr__pass_stages stages = {.fine = layer >= STAGES_LEAST * STAGE_OPERATIONS,
                              .pieces = {1, 1, 1, 1},
                              .rows = {T, T, T, T}};
    if (stages.fine) {
        cut_rows(&stages, QR__STEP_QKV, T, qkv);
        cut_rows(&stages, QR__STEP_OUTPUT, T, output);
        cut_rows(&stages, QR__STEP_FEED_FORWARD, T, feed_forward);
        stages.pieces[QR__STEP_ATTENTION] =
            attention_pieces(weights, layer - (double)T * (qkv + output + feed_forward));
    }
    for (size_t step = 0; step < QR__STEPS; step++)
        stages.a_layer += stages.pieces[step];
    return stages;
}

qr__pass_stage qr__pass_stages_at(const qr__pass_stages *stages, size_t number) {
    qr__pass_stage at = {.layer = (number - 1) / stages->a_layer,
                         .piece = (number - 1) % stages->a_layer};
    while (at.piece >= stages->pieces[at.step])
        at.piece -= stages->pieces[at.step++];
    return at;
}
