#include "server/serving_fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/lane.h"

const qr_text fixture_inputs[INPUTS] = {
    {"w7 w8 w9", 8}, {"w10", 3}, {"w11 w12 w13 w14 w15 w16", 23}, {"w17 w18", 7}};

static float expected[SEEDS][INPUTS][TINY_HIDDEN];
static int32_t ids[INPUTS][TINY_POSITIONS];
static size_t ids_len[INPUTS];
static char dirs[SEEDS][64];

static qr_pipeline *load_as(const char *name, size_t seed) {
    qr_pipeline *model;
    qr_error error = {0};
    const qr_pipeline_options options = {.name = name, .precision = QR_PRECISION_F32, .threads = 1};
    cr_assert_eq(qr_pipeline_load(dirs[seed], &options, &model, &error), QR_OK, "%s",
                 error.message);
    return model;
}

static qr_pipeline *load(size_t seed) {
    char name[16];
    snprintf(name, sizeof name, "seed-%zu", seed);
    return load_as(name, seed);
}

static void tokenize(const qr_pipeline *model, size_t input) {
    qr_encoding encoding = {0};
    const qr_encode_options options = {.special = true};
    cr_assert_eq(qr_tokenizer_encode(qr_pipeline_tokenizer(model), fixture_inputs[input], NULL,
                                     &options, &encoding),
                 QR_OK);
    ids_len[input] = encoding.len;
    memcpy(ids[input], encoding.ids, encoding.len * sizeof ids[0][0]);
    qr_encoding_deinit(&encoding);
}

void fixture_expect(void) {
    for (size_t seed = 0; seed < SEEDS; seed++) {
        qr__lane lane;
        tiny_model_write(dirs[seed], QR_KIND_EMBEDDING, 100 + seed);
        qr_pipeline *model = load(seed);
        cr_assert_eq(qr__lane_init(&lane, model, NULL, 64, NULL), QR_OK);
        for (size_t i = 0; i < INPUTS; i++) {
            tokenize(model, i);
            const qr_job job = {.ids = ids[i], .tokens = ids_len[i], .room = expected[seed][i]};
            const qr_job *const jobs[] = {&job};
            cr_assert_eq(qr__lane_run(&lane, jobs, 1, false), QR_OK);
        }
        qr__lane_deinit(&lane);
        qr_pipeline_destroy(model);
        cr_assert(seed == 0 || memcmp(expected[seed], expected[0], sizeof expected[0]) != 0);
    }
}

void fixture_forget(void) {
    for (size_t seed = 0; seed < SEEDS; seed++)
        tiny_model_remove(dirs[seed]);
}

const float *fixture_expected(size_t seed, size_t input) {
    return expected[seed][input];
}

const int32_t *fixture_ids(size_t input, size_t *len) {
    *len = ids_len[input];
    return ids[input];
}

qr_serving *fixture_serving(size_t seed, int workers, qr_schedule *schedule, qr_metrics *metrics,
                            bool checked) {
    qr_pipeline *model = load(seed);
    const qr__served_options options = {.workers = workers,
                                        .batch_tokens = 64,
                                        .schedule = schedule,
                                        .metrics = metrics,
                                        .checked = checked};
    return tiny_serving(&model, 1, &options);
}

static qr_served *serve(qr_pipeline *pipeline, const qr__served_options *options) {
    static const qr__served_options plain = {.workers = 1, .batch_tokens = 64};
    qr_served *model;
    qr_error error = {0};
    cr_assert_eq(qr__served_create(options == NULL ? &plain : options, pipeline, &model, &error),
                 QR_OK, "%s", error.message);
    return model;
}

qr_served *fixture_served_as(const char *name, size_t seed) {
    return serve(load_as(name, seed), NULL);
}

qr_served *fixture_served(size_t seed, const qr__served_options *options) {
    return serve(load(seed), options);
}

size_t fixture_seed_of(const char *model_name) {
    return (size_t)(model_name[5] - '0');
}
