/* What a model's batches cost when it replaces another: what was known of that one, if both must
 * cost the same. The old one's costs are set to what no measurement finds. */
#include <criterion/criterion.h>

#include "engine/model_maker.h"
#include "server/serving.h"
#include "server/tiny_models.h"

#define FIXED  3e15
#define TOKEN  5e15
#define SQUARE 7e15

static char dir[64];
static const struct model_options tiny = {.layers = 1,
                                          .hidden = TINY_HIDDEN,
                                          .heads = 2,
                                          .feed_forward = 64,
                                          .vocab = TINY_WORDS,
                                          .positions = TINY_POSITIONS,
                                          .seed = 1};

static qr_served *serve(qr__served_options options, size_t max_tokens) {
    const qr_pipeline_options load = {
        .name = "m", .precision = QR_PRECISION_F32, .threads = 1, .max_tokens = max_tokens};
    qr_pipeline *pipeline;
    qr_served *model;
    qr_error error = {0};
    options.batch_tokens = TINY_POSITIONS;
    cr_assert_eq(qr_pipeline_load(dir, &load, &pipeline, &error), QR_OK, "%s", error.message);
    cr_assert_eq(qr__served_create(&options, pipeline, &model, &error), QR_OK, "%s", error.message);
    return model;
}

static qr_served *old;

static void setup(void) {
    qr_log_init(QR_LOG_ERROR + 1, QR_LOG_AS_TEXT);
    tiny_model_write(dir, QR_KIND_EMBEDDING, 1);
    old = serve((qr__served_options){.workers = 1}, 0);
    old->queue.cost = (qr_cost){FIXED, TOKEN, SQUARE};
    old->team_cost = (qr_cost){FIXED / 2, TOKEN / 2, SQUARE / 2};
    atomic_store(&old->queue.correction, 1.25);
    atomic_store(&old->hidden_queue.correction, 0.75);
}

static void teardown(void) {
    qr__served_unpin(old);
    tiny_model_remove(dir);
}

TestSuite(served, .init = setup, .fini = teardown, .timeout = 60);

static void expect_kept(qr_served *model) {
    cr_assert_eq(memcmp(&model->queue.cost, &old->queue.cost, sizeof(qr_cost)), 0);
    cr_assert_eq(memcmp(&model->hidden_queue.cost, &old->queue.cost, sizeof(qr_cost)), 0);
    cr_assert_eq(memcmp(&model->team_cost, &old->team_cost, sizeof(qr_cost)), 0);
    cr_assert_eq(model->queue.team_cost, &model->team_cost);
    cr_assert_eq(model->hidden_queue.team_cost, &model->team_cost);
    cr_assert_eq(qr_queue_correction(&model->queue), 1.25);
    cr_assert_eq(qr_queue_correction(&model->hidden_queue), 0.75);
    qr__served_unpin(model);
}

static void expect_measured(qr_served *model) {
    cr_assert(model->queue.cost.fixed_ns < FIXED / 4 && model->queue.cost.token_ns < TOKEN / 4);
    cr_assert(model->team_cost.fixed_ns < FIXED / 4 && model->team_cost.token_ns < TOKEN / 4);
    cr_assert_eq(qr_queue_correction(&model->queue), 1);
    cr_assert_eq(qr_queue_correction(&model->hidden_queue), 1);
    qr__served_unpin(model);
}

static const qr__served_options *again(void) {
    static qr__served_options options;
    options = (qr__served_options){.workers = 1, .before = old, .others_run = true};
    return &options;
}

Test(served, keeps_the_costs_of_the_same_directory) {
    expect_kept(serve(*again(), 0));
}

Test(served, keeps_the_costs_of_other_weights) {
    struct model_options other = tiny;
    other.seed = 2;
    make_model(dir, &other);
    expect_kept(serve(*again(), 0));
}

/* It needs a lane to compute answers again, though it measures nothing with it. */
Test(served, that_is_checked_keeps_costs_and_has_its_lane) {
    qr__served_options options = *again();
    options.checked = true;
    qr_served *plain = serve((qr__served_options){.workers = 1, .checked = true}, 0);
    qr_served *model = serve(options, 0);
    cr_assert_eq(qr__served_checks(model), qr__served_checks(plain));
    qr__served_unpin(plain);
    expect_kept(model);
}

Test(served, measures_what_replaces_nothing) {
    expect_measured(serve((qr__served_options){.workers = 1}, 0));
}

Test(served, measures_what_has_another_shape) {
    struct model_options other[] = {tiny, tiny, tiny, tiny};
    other[0].layers = 2;
    other[1].hidden = 2 * TINY_HIDDEN;
    other[2].heads = 4;
    other[3].feed_forward = 128;
    for (size_t i = 0; i < 4; i++) {
        make_model(dir, &other[i]);
        expect_measured(serve(*again(), 0));
    }
}

Test(served, measures_what_runs_otherwise) {
    qr__served_options options = *again();
    expect_measured(serve(options, TINY_POSITIONS / 2));
    options.workers = 2;
    expect_measured(serve(options, 0));
}

Test(served, measures_what_has_another_head) {
    struct model_options other = tiny;
    other.head = "span";
    make_model(dir, &other);
    expect_measured(serve(*again(), 0));
}
