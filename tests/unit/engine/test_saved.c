/* Saved plans: a start from the cache gives the bits of a start without one, and what a plan does
 * not follow from is never taken for it. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "engine/model/model.h"
#include "engine/saved/saved.h"
#include "model_patch.h"
#include "saved_fixture.h"

static char dir[64];
static struct saved_answer answer;

static void set_up(void) {
    saved_dir_create(dir);
}
static void tear_down(void) {
    temp_dir_remove(dir);
}

TestSuite(saved, .init = set_up, .fini = tear_down, .timeout = 300);

static const struct model_options small = {.layers = 2,
                                           .hidden = 64,
                                           .heads = 2,
                                           .feed_forward = 256,
                                           .vocab = 200,
                                           .positions = 40,
                                           .seed = 7};

/* One start without a cache, one that fills it, one from it. */
static void three_starts(qr_engine_options options) {
    static struct saved_answer without, first, second;
    options.cache_dir = "";
    saved_start(dir, options, &without);
    options.cache_dir = NULL;
    saved_start(dir, options, &first);
    saved_start(dir, options, &second);
    cr_assert(!without.plan.from_cache && !first.plan.from_cache);
    cr_assert(second.plan.from_cache);
    cr_assert(second.plan.pack_ms == 0 && second.plan.gate_ms == 0);
    saved_equal(&without, &first);
    saved_equal(&without, &second);
}

/* On a directory of its own for each: the tests' answers, and that the file is one. */
static void in_three_starts(const struct model_options *model, qr_engine_options options) {
    char name[300];
    tear_down();
    set_up();
    make_model(dir, model);
    three_starts(options);
    cr_assert(saved_file_name(dir, name));
}

static void draw_probes(struct forward_batch *texts) {
    qr_model *model = NULL;
    cr_assert_eq(qr_model_open(dir, &model, NULL), QR_OK);
    forward_draw(texts, qr_model_get_info(model),
                 (size_t[]){9, 12, 5, 30, 17, 8, 21, 40, 11, 7, 14, 33, 9, 10, 6, 20, 0}, 3);
    qr_model_close(model);
}

/* int8's factors are kept beside its panels. */
static void calibrated_starts(qr_engine_options options) {
    struct forward_batch texts;
    tear_down();
    set_up();
    make_model(dir, &small);
    draw_probes(&texts);
    options.calibration = &texts.batch;
    three_starts(options);
}

Test(saved, gives_the_same_bits) {
    static const qr_precision precisions[] = {QR_PRECISION_AUTO, QR_PRECISION_BF16,
                                              QR_PRECISION_INT8};
    struct model_options models[] = {small, small, small, small, small, small, small, small};
    models[1].head = "span";
    models[2].head = "labels", models[2].labels = 3;
    models[3].pooling = "cls", models[3].dtype = "f16";
    models[4].distilbert = true, models[4].heads = 1;
    models[5].pooling = "cls+mean", models[5].dense = "40:Tanh:residual,40:GELU:nobias:residual";
    models[6].electra = true, models[6].embedding = 20, models[6].head = "labels";
    models[6].labels = 3;
    models[7].electra = true, models[7].embedding = 160, models[7].head = "tokens";
    models[7].labels = 5;
    for (const char *const *isa = forward_isas(); *isa != NULL; isa++) {
        char device[40];
        snprintf(device, sizeof device, "cpu:%s", *isa);
        for (size_t p = 0; p < 3; p++) { /* AUTO without texts is f32 */
            if (p > 0 && !forward_has(*isa, precisions[p]))
                continue;
            for (size_t m = 0; m < sizeof models / sizeof models[0]; m++)
                in_three_starts(&models[m],
                                (qr_engine_options){.precision = precisions[p], .device = device});
            calibrated_starts((qr_engine_options){.precision = precisions[p], .device = device});
        }
    }
}

/* Two inner features of layer 1 that never fire get weights so large that int8 has no codes left
 * for the others. */
static void break_int8(void) {
    size_t len;
    const float never = -60, large = 100;
    char *file = read_file(dir, "model.safetensors", &len);
    char *bias = tensor_in(dir, file, "encoder.layer.1.intermediate.dense.bias");
    char *weights = tensor_in(dir, file, "encoder.layer.1.output.dense.weight");
    for (size_t silent = 0; silent <= 200; silent += 200) { /* one of each shard */
        memcpy(bias + silent * sizeof never, &never, sizeof never);
        for (size_t row = 0; row < 64; row++)
            memcpy(weights + (row * 256 + silent) * sizeof large, &large, sizeof large);
    }
    write_file(dir, "model.safetensors", file, len);
    free(file);
}

Test(saved, keeps_fallbacks) {
    struct forward_batch texts;
    make_model(dir, &small);
    break_int8();
    draw_probes(&texts);
    const bool has_int8 = forward_has(NULL, QR_PRECISION_INT8);
    const qr_engine_options options = {.precision =
                                           has_int8 ? QR_PRECISION_INT8 : QR_PRECISION_AUTO,
                                       .probes = &texts.batch,
                                       .calibration = &texts.batch};
    three_starts(options);
    saved_start(dir, options, &answer);
    if (has_int8)
        cr_assert(answer.plan.from_cache && answer.plan.fallbacks > 0, "%s", answer.plan.reason);
}

/* True when a start with these options came from the cache; `answer` is its. */
static bool hits(qr_engine_options options) {
    saved_start(dir, options, &answer);
    return answer.plan.from_cache;
}

/* Starts that differ in one thing: none may take what another wrote, and each finds its own. */
Test(saved, is_of_one_question_only) {
    const qr_engine_options automatic = {.precision = QR_PRECISION_AUTO};
    struct forward_batch texts;
    make_model(dir, &small);
    char best[32];
    cr_assert(!hits(automatic));
    snprintf(best, sizeof best, "%s", answer.plan.target);
    draw_probes(&texts);
    const qr_engine_options probed = {.precision = QR_PRECISION_AUTO, .probes = &texts.batch};
    cr_assert(!hits(probed), "with texts");
    texts.ids[3] ^= 1;
    cr_assert(!hits(probed), "with other texts");
    texts.ids[3] ^= 1;
    cr_assert(hits(probed), "with the first texts again");
    qr_engine_options calibrated = probed;
    calibrated.calibration = &texts.batch;
    cr_assert(!hits(calibrated), "with a calibration");
    for (const char *const *isa = forward_isas(); *isa != NULL; isa++) {
        char device[40];
        snprintf(device, sizeof device, "cpu:%s", *isa);
        const qr_engine_options named = {.precision = QR_PRECISION_AUTO, .device = device};
        cr_assert_eq(hits(named), strcmp(*isa, best) == 0, "on another instruction set");
        cr_assert(hits(named), "%s", *isa);
        if (forward_has(*isa, QR_PRECISION_BF16))
            cr_assert(!hits((qr_engine_options){.precision = QR_PRECISION_BF16, .device = device}),
                      "asked for another precision");
    }
    cr_assert(hits(automatic));
    patch_file(dir, "config.json", "1e-12", "1e-11");
    cr_assert(!hits(automatic), "with another config");
    patch_file(dir, "config.json", "1e-11", "1e-12");
    size_t len;
    char *weights = read_file(dir, "model.safetensors", &len);
    weights[len - 4] ^= 1;
    write_file(dir, "model.safetensors", weights, len);
    cr_assert(!hits(automatic), "with other weights");
    weights[len - 4] ^= 1;
    write_file(dir, "model.safetensors", weights, len);
    cr_assert(hits(automatic));
    free(weights);
}

/* The weights of a Dense module lie in a file of their own, which no fact of the model tells of. */
Test(saved, another_dense_module_is_another_model) {
    const qr_engine_options automatic = {.precision = QR_PRECISION_AUTO};
    struct model_options dense = small;
    dense.pooling = "mean", dense.dense = "40:Tanh,30:ReLU";
    make_model(dir, &dense);
    cr_assert(!hits(automatic) && hits(automatic));
    size_t len;
    char *weights = read_file(dir, "3_Dense/model.safetensors", &len);
    weights[len - 4] ^= 1;
    write_file(dir, "3_Dense/model.safetensors", weights, len);
    cr_assert(!hits(automatic), "with other weights");
    free(weights);
    patch_file(dir, "2_Dense/config.json", "Tanh", "GELU");
    cr_assert(!hits(automatic), "with another activation");
    patch_file(dir, "1_Pooling/config.json", "mean_tokens\":true", "mean_tokens\":null");
    patch_file(dir, "1_Pooling/config.json", "cls_token\":false", "cls_token\":true ");
    cr_assert(!hits(automatic), "with another pooling");
}

Test(saved, f32_by_name_is_not_kept) {
    char name[300];
    make_model(dir, &small);
    cr_assert(!hits((qr_engine_options){.precision = QR_PRECISION_F32}));
    cr_assert(!saved_file_name(dir, name));
}

static void *start_one(void *to) {
    saved_start(dir, (qr_engine_options){.precision = QR_PRECISION_AUTO}, to);
    return NULL;
}

/* Each finds nothing, or all of it. */
Test(saved, starts_at_once_agree) {
    enum { STARTS = 8 };
    static struct saved_answer answers[STARTS], after;
    pthread_t threads[STARTS];
    char name[300];
    make_model(dir, &small);
    for (size_t i = 0; i < STARTS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, start_one, &answers[i]), 0);
    for (size_t i = 0; i < STARTS; i++)
        cr_assert_eq(pthread_join(threads[i], NULL), 0);
    cr_assert(saved_file_name(dir, name), "one file, and nothing half written");
    start_one(&after);
    cr_assert(after.plan.from_cache);
    for (size_t i = 0; i < STARTS; i++)
        saved_equal(&answers[i], &after);
}

/* The key was made of the weights as they were: what was read since may be of others. */
Test(saved, a_model_that_changes_is_not_kept) {
    char plans[80], path[100], name[300];
    const struct timespec long_ago[] = {{1000, 0}, {1000, 0}};
    qr_model *model = NULL;
    qr_engine *engine = NULL;
    make_model(dir, &small);
    snprintf(plans, sizeof plans, "%s/plans", dir);
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    cr_assert_eq(utimensat(AT_FDCWD, path, long_ago, 0), 0); /* times have steps of 4 ms */
    cr_assert_eq(qr_model_open(dir, &model, NULL), QR_OK);
    cr_assert(qr_model_unchanged(model));
    size_t len;
    char *weights = read_file(dir, "model.safetensors", &len);
    weights[len - 4] ^= 1;
    write_file(dir, "model.safetensors", weights, len); /* in place: the open file is this one */
    free(weights);
    cr_assert(!qr_model_unchanged(model));
    const qr_engine_options options = {.precision = QR_PRECISION_AUTO, .cache_dir = plans};
    cr_assert_eq(qr_engine_create(model, &options, &engine, NULL), QR_OK);
    cr_assert(!saved_file_name(dir, name));
    qr_engine_destroy(engine);
    qr_model_close(model);
}
