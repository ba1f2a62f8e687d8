/* tests/unit/engine/test_calibrate.c: the ranges that a calibration finds, SmoothQuant's factors,
 * and what both are for: int8 that stands outlier channels. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "engine/cpu/cpu.h"
#include "engine/cpu/smooth.h"
#include "forward_fixture.h"
#include "model_patch.h"

enum { C = 64, LAYERS = 2 };

static char dir[64];

static void set_up(void) {
    temp_dir_create(dir);
}
static void tear_down(void) {
    temp_dir_remove(dir);
}

TestSuite(calibrate, .init = set_up, .fini = tear_down, .timeout = 120);

static void make(size_t layers) {
    const struct model_options options = {.layers = layers,
                                          .hidden = C,
                                          .heads = 2,
                                          .feed_forward = 128,
                                          .vocab = 200,
                                          .positions = 64,
                                          .seed = 5};
    make_model(dir, &options);
}

/* Few tokens: each is the greatest somewhere. Many: worth a team. */
static const size_t lengths[] = {2, 1, 0}, many[] = {30, 60, 64, 64, 64, 64, 64, 64, 0};

/* ranges [LAYERS][QR_RANGES_A_LAYER][C] of the model in `dir`. */
static void calibrate(const size_t *of, int members, float *ranges) {
    qr_error error = {0};
    qr_bert *bert = NULL;
    qr_device *device = NULL;
    qr_packed *packed = NULL;
    qr_context *context = NULL;
    struct forward_batch texts;
    const qr_backend *cpu = &qr_backend_cpu;
    cr_assert_eq(read_model(dir, &bert, &error), QR_OK, "%s", error.message);
    cr_assert_eq(cpu->open(NULL, &device, &error), QR_OK);
    cr_assert_eq(
        cpu->pack(device, bert, &(qr_plan){.precision = QR_PRECISION_F32}, NULL, &packed, &error),
        QR_OK);
    qr_pool *pool = forward_pool(members);
    const qr_context_options options = {.tokens_max = 512, .sequences_max = 8, .pool = pool};
    cr_assert_eq(qr_packed_context(packed, &options, &context, &error), QR_OK);
    forward_draw(&texts, &bert->info, of, 3);
    memset(ranges, 0, LAYERS * QR_RANGES_A_LAYER * C * sizeof *ranges);
    cr_assert_eq(qr_context_calibrate(context, &texts.batch, ranges), QR_OK);
    texts.ids[0] = -1;
    cr_assert_eq(qr_context_calibrate(context, &texts.batch, ranges), QR_BAD_REQUEST);
    qr_context_destroy(context);
    qr_pool_destroy(pool);
    cpu->packed_destroy(packed);
    cpu->close(device);
    qr_bert_destroy(bert);
}

/* What layer 1 reads is what the model of one layer gives. */
Test(calibrate, finds_each_channels_greatest_value) {
    float ranges[LAYERS][QR_RANGES_A_LAYER][C], again[LAYERS][QR_RANGES_A_LAYER][C];
    make(LAYERS);
    calibrate(many, 1, ranges[0][0]);
    for (int members = 2; members <= 4; members++) {
        calibrate(many, members, again[0][0]);
        cr_assert(memcmp(ranges, again, sizeof ranges) == 0, "%d members", members);
    }
    calibrate(lengths, 1, ranges[0][0]);
    temp_dir_remove(dir);
    temp_dir_create(dir);
    make(1);
    qr_engine *shorter = forward_load(dir, QR_PRECISION_F32, NULL);
    qr_context *context = forward_context(shorter, NULL);
    struct forward_batch texts;
    const float *hidden;
    forward_draw(&texts, qr_engine_model(shorter), lengths, 3);
    cr_assert_eq(qr_context_forward(context, &texts.batch, QR_OUTPUT_HIDDEN, &hidden), QR_OK);
    for (size_t c = 0; c < C; c++) {
        float most = 0;
        for (size_t t = 0; t < 3; t++)
            most = fmaxf(most, fabsf(hidden[t * C + c]));
        cr_assert_eq(ranges[1][QR_RANGE_QKV][c], most, "channel %zu", c);
        cr_assert_gt(ranges[1][QR_RANGE_UP][c], 0);
        cr_assert_neq(ranges[1][QR_RANGE_UP][c], most);
    }
    qr_context_destroy(context);
    qr_engine_destroy(shorter);
}

Test(calibrate, smooths_by_the_square_root) {
    const float first[] = {1, 4, 0, 0.5f, -4, 0}, second[] = {-2, 0, 0};
    const qr__matrix_rows blocks[] = {{.weights = first, .stride = 3, .rows = 2, .scale = 9},
                                      {.weights = second, .stride = 3, .rows = 1, .scale = 1}};
    const float ranges[] = {8, 1, 0}; /* channel 2: no text and no weight uses it */
    float s[3];
    qr__smooth(ranges, blocks, 2, 3, s);
    cr_assert_float_eq((s[0] + s[1] + s[2]) / 3, 1, 1e-6);
    cr_assert_float_eq(s[0] / s[1], sqrt(8.0 / 2) / sqrt(1.0 / 4), 1e-5);
    cr_assert_float_eq(s[2] / s[1], 1 / sqrt(1.0 / 4), 1e-5);
    const float huge[] = {3e38f, 1e-30f, 1e-30f};
    qr__smooth(huge, blocks, 2, 3, s);
    for (size_t k = 0; k < 3; k++)
        cr_assert(s[k] >= 1e-3f && s[k] < 3.1f, "%zu: %g", k, (double)s[k]);
}

/* The length of the difference from f32's vectors. */
static double int8_error(const qr_batch *texts, const qr_batch *calibration) {
    double squares = 0;
    float expected[4 * C];
    for (qr_precision p = QR_PRECISION_F32; p <= QR_PRECISION_INT8;
         p += QR_PRECISION_INT8 - QR_PRECISION_F32) {
        qr_engine *engine = NULL;
        const float *out;
        const qr_engine_options options = {.precision = p, .calibration = calibration};
        cr_assert_eq(forward_create(dir, &options, &engine, NULL), QR_OK);
        qr_context *context = forward_context(engine, NULL);
        cr_assert_eq(qr_context_forward(context, texts, QR_OUTPUT_POOLED, &out), QR_OK);
        for (size_t i = 0; i < 4 * C; i++) {
            squares += p == QR_PRECISION_F32 ? 0 : pow((double)(out[i] - expected[i]), 2);
            expected[i] = out[i];
        }
        qr_context_destroy(context);
        qr_engine_destroy(engine);
    }
    return sqrt(squares);
}

Test(calibrate, outlier_channels_cost_int8_less) {
    if (!forward_has(NULL, QR_PRECISION_INT8))
        cr_skip_test("no int8 kernel on this machine");
    make(LAYERS);
    size_t len;
    char *file = read_file(dir, "model.safetensors", &len);
    char *gamma = tensor_in(dir, file, "encoder.layer.0.attention.output.LayerNorm.weight");
    const float large = 40;
    memcpy(gamma + 7 * sizeof large, &large, sizeof large);
    write_file(dir, "model.safetensors", file, len);
    free(file);
    struct forward_batch texts, calibration;
    qr_model *model = NULL;
    cr_assert_eq(qr_model_open(dir, &model, NULL), QR_OK);
    forward_draw(&texts, qr_model_get_info(model), (size_t[]){9, 12, 1, 33, 0}, 3);
    forward_draw(&calibration, qr_model_get_info(model), (size_t[]){20, 20, 0}, 4);
    qr_model_close(model);
    const double without = int8_error(&texts.batch, NULL);
    const double with = int8_error(&texts.batch, &calibration.batch);
    cr_assert_lt(with, without * 0.9, "%g without, %g with", without, with);
}
