/* Stages: every piece of every layer has a number, pieces are all of a step, and those of a long
 * text are no more work than a stage should be. */
#include <criterion/criterion.h>

#include "engine/cpu/pass_stages.h"

TestSuite(pass_stages);

/* What pass_stages.c aims at, and how few rows a piece may have. */
#define OPERATIONS 2e8
#define ROWS_LEAST 64

typedef struct sizes {
    size_t layers, hidden, heads, feed_forward;
} sizes;

static const sizes minilm = {6, 384, 12, 1536}, bert_large = {24, 1024, 16, 4096};

static qr__pass_stages stages_of(const sizes *model, uint32_t first, uint32_t second) {
    static qr_bert bert;
    static qr__weights weights;
    const uint32_t starts[] = {0, first, first + second};
    bert.info = (qr_model_info){.layers = model->layers,
                                .hidden = model->hidden,
                                .heads = model->heads,
                                .feed_forward = model->feed_forward};
    weights.base.bert = &bert;
    weights.shards = QR__SHARDS;
    weights.shard[0].heads = (model->heads + 1) / 2;
    weights.shard[1].heads = model->heads / 2;
    return qr__pass_stages_of(&weights, &(qr_batch){.starts = starts, .sequences = 2});
}

/* Counts through all numbers of the model. */
static void check_numbers(const qr__pass_stages *stages, size_t layers) {
    size_t number = 1;
    for (size_t layer = 0; layer < layers; layer++)
        for (qr__step step = QR__STEP_QKV; step < QR__STEPS; step++)
            for (size_t piece = 0; piece < stages->pieces[step]; piece++, number++) {
                qr__pass_stage at = qr__pass_stages_at(stages, number);
                cr_assert(at.layer == layer && at.step == step && at.piece == piece,
                          "number %zu: layer %zu, step %d, piece %zu", number, at.layer,
                          (int)at.step, at.piece);
            }
    cr_assert_eq(qr__pass_stages_at(stages, number).layer, layers, "the end");
}

/* The pieces of a step of rows are all of T, none is empty. */
static void check_rows(const qr__pass_stages *stages, qr__step step, size_t T) {
    size_t pieces = stages->pieces[step], rows = stages->rows[step];
    cr_assert(pieces * rows >= T && (pieces - 1) * rows < T, "%zu pieces of %zu of %zu rows",
              pieces, rows, T);
}

Test(pass_stages, a_short_batch_has_one_a_layer) {
    qr__pass_stages stages = stages_of(&minilm, 9, 64);
    cr_expect_not(stages.fine);
    cr_expect_eq(stages.a_layer, QR__STEPS);
    for (int step = 0; step < QR__STEPS; step++)
        cr_expect_eq(stages.rows[step], 73);
    check_numbers(&stages, minilm.layers);
}

Test(pass_stages, a_long_one_is_cut_by_its_operations) {
    const size_t C = minilm.hidden, F = minilm.feed_forward;
    for (uint32_t S = 128; S <= 512; S += 37) {
        qr__pass_stages stages = stages_of(&minilm, S, 9);
        cr_assert(stages.fine);
        check_numbers(&stages, minilm.layers);
        for (qr__step step = QR__STEP_QKV; step < QR__STEPS; step++)
            if (step != QR__STEP_ATTENTION)
                check_rows(&stages, step, S + 9);
        double feed = (double)(stages.rows[QR__STEP_FEED_FORWARD] * 4 * C * F);
        double qkv = (double)(stages.rows[QR__STEP_QKV] * 6 * C * C);
        double attention = 4.0 * (double)(C * S * S) / (double)stages.pieces[QR__STEP_ATTENTION];
        cr_expect(feed <= 1.1 * OPERATIONS && qkv <= 1.1 * OPERATIONS && attention <= OPERATIONS,
                  "%u tokens: %.2g, %.2g, %.2g", S, qkv, attention, feed);
    }
}

/* A piece of few rows would read more weights than it computes. */
Test(pass_stages, wide_models_keep_their_rows_together) {
    qr__pass_stages stages = stages_of(&bert_large, 384, 0);
    cr_assert(stages.fine);
    check_numbers(&stages, bert_large.layers);
    cr_expect_eq(stages.rows[QR__STEP_FEED_FORWARD], ROWS_LEAST);
    cr_expect_eq(stages.rows[QR__STEP_QKV], ROWS_LEAST);
    cr_expect_leq(stages.pieces[QR__STEP_ATTENTION], bert_large.heads / 2);
}

Test(pass_stages, one_head_is_one_piece) {
    const sizes one = {2, 384, 1, 1536};
    qr__pass_stages stages = stages_of(&one, 512, 512);
    cr_expect_eq(stages.pieces[QR__STEP_ATTENTION], 1);
}
