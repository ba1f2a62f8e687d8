/* The choice of a plan on a real engine: a function of model, program and instruction set, whatever
 * the number of threads and whatever else the machine does. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "forward_fixture.h"
#include "model_patch.h"

static char dir[64];

static void set_up(void) {
    temp_dir_create(dir);
}
static void tear_down(void) {
    temp_dir_remove(dir);
}

TestSuite(trial, .init = set_up, .fini = tear_down, .timeout = 300);

/* Two inner features of layer 1 that never fire get weights so large that the int8 scales of every
 * row have no codes left for the others: int8 loses that matrix, and nothing else. */
static void break_int8(void) {
    static const size_t silent[] = {0, 200}; /* one of each shard */
    const float never = -60, large = 100;    /* gelu(-60 + ...) is 0 */
    size_t len;
    char *file = read_file(dir, "model.safetensors", &len);
    char *bias = tensor_in(dir, file, "encoder.layer.1.intermediate.dense.bias");
    char *weights = tensor_in(dir, file, "encoder.layer.1.output.dense.weight");
    for (size_t i = 0; i < 2; i++) {
        memcpy(bias + silent[i] * sizeof never, &never, sizeof never);
        for (size_t row = 0; row < 64; row++)
            memcpy(weights + (row * 256 + silent[i]) * sizeof large, &large, sizeof large);
    }
    write_file(dir, "model.safetensors", file, len);
    free(file);
}

/* An engine by `threads`, its plan's story, and what it makes of the probes. */
static qr_engine *choose(const qr_batch *probes, const qr_batch *calibration, int threads,
                         float *vectors) {
    qr_engine *engine = NULL;
    qr_error error = {0};
    const qr_engine_options options = {.precision = QR_PRECISION_AUTO,
                                       .probes = probes,
                                       .calibration = calibration,
                                       .threads = threads};
    cr_assert_eq(forward_create(dir, &options, &engine, &error), QR_OK, "%s", error.message);
    qr_context *context = forward_context(engine, NULL);
    const float *out = NULL;
    cr_assert_eq(qr_context_forward(context, probes, QR_OUTPUT_POOLED, &out), QR_OK);
    memcpy(vectors, out, probes->sequences * 64 * sizeof *out);
    qr_context_destroy(context);
    return engine;
}

Test(trial, every_start_finds_the_same_plan) {
    const struct model_options options = {.layers = 3,
                                          .hidden = 64,
                                          .heads = 2,
                                          .feed_forward = 256,
                                          .vocab = 200,
                                          .positions = 128,
                                          .seed = 31};
    make_model(dir, &options);
    break_int8();
    struct forward_batch texts, calibration;
    float first[16 * 64], again[16 * 64];
    qr_model *model = NULL;
    cr_assert_eq(qr_model_open(dir, &model, NULL), QR_OK);
    forward_draw(&texts, qr_model_get_info(model),
                 (size_t[]){9, 12, 5, 30, 17, 8, 21, 40, 11, 7, 14, 33, 9, 10, 6, 20, 0}, 3);
    forward_draw(&calibration, qr_model_get_info(model), (size_t[]){9, 30, 12, 0}, 4);
    qr_model_close(model);
    qr_engine *engine = choose(&texts.batch, &calibration.batch, 1, first);
    const qr_plan_info plan = *qr_engine_plan(engine);
    if (plan.rates.gops[QR_PRECISION_INT8] > 2 * plan.rates.gops[QR_PRECISION_BF16])
        cr_assert(strstr(plan.reason, "int8") != NULL && plan.fallbacks > 0, "%s", plan.reason);
    for (int threads = 1; threads <= 4; threads++) {
        qr_engine *other = choose(&texts.batch, &calibration.batch, threads, again);
        cr_assert_str_eq(qr_engine_plan(other)->reason, plan.reason);
        cr_assert_eq(qr_engine_plan(other)->fallbacks, plan.fallbacks);
        cr_assert(memcmp(first, again, sizeof first) == 0, "%d threads", threads);
        qr_engine_destroy(other);
    }
    qr_engine_destroy(engine);
}
