/* The scalar reference against transformers, for every golden: outputs within 1e-4. */
#include <criterion/criterion.h>
#include <criterion/logging.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/cpu/ref/ref.h"
#include "golden.h"

static const char *const output_names[] = {"hidden", "pooled", "span", "labels", "tokens"};

static void compare(const struct golden_model *model, const char *dir) {
    struct golden golden;
    qr_bert *bert = NULL;
    qr_error error = {0};
    golden_load(model->name, &golden);
    cr_assert_eq(read_model(dir, &bert, &error), QR_OK, "%s: %s", model->name, error.message);
    for (int i = 0; i < GOLDEN_OUTPUTS; i++) {
        qr_output wanted = (qr_output)i;
        if (golden.outputs[i].numbers == NULL)
            continue;
        size_t count = qr_ref_output_floats(bert, &golden.batch, wanted);
        cr_assert_eq(count, golden.outputs[i].count);
        float *out = malloc(count * sizeof *out);
        cr_assert_eq(qr_ref_forward(bert, &golden.batch, wanted, out, &error), QR_OK, "%s",
                     error.message);
        double difference = max_difference(out, golden.outputs[i].numbers, count);
        cr_log_info("%s %s: max abs difference %.3g over %zu numbers", model->name, output_names[i],
                    difference, count);
        cr_assert_leq(difference, 1e-4, "%s %s: %g", model->name, output_names[i], difference);
        free(out);
    }
    qr_bert_destroy(bert);
    golden_deinit(&golden);
}

Test(ref_goldens, all_models) {
    for (const struct golden_model *model = golden_models; model->name != NULL; model++) {
        char temp[64];
        char path[512];
        temp_dir_create(temp);
        const char *dir = golden_model_dir(model, temp, path);
        if (dir != NULL)
            compare(model, dir);
        else
            cr_log_warn("%s: skipped, not fetched or too large for an emulator", model->name);
        temp_dir_remove(temp);
    }
}

/* The golden inputs are not trivial: another model must not pass for this one. */
Test(ref_goldens, a_changed_weight_is_seen) {
    struct model_options options = golden_models[1].options;
    struct golden golden;
    qr_bert *bert = NULL;
    qr_error error = {0};
    char temp[64];
    options.seed++;
    temp_dir_create(temp);
    make_model(temp, &options);
    golden_load(golden_models[1].name, &golden);
    cr_assert_eq(read_model(temp, &bert, &error), QR_OK);
    size_t count = golden.outputs[QR_OUTPUT_HIDDEN].count;
    float *out = malloc(count * sizeof *out);
    cr_assert_eq(qr_ref_forward(bert, &golden.batch, QR_OUTPUT_HIDDEN, out, &error), QR_OK);
    cr_assert_gt(max_difference(out, golden.outputs[QR_OUTPUT_HIDDEN].numbers, count), 0.1);
    free(out);
    qr_bert_destroy(bert);
    golden_deinit(&golden);
    temp_dir_remove(temp);
}

Test(ref_goldens, refuses_what_the_model_has_not) {
    const struct model_options options = {.layers = 1,
                                          .hidden = 8,
                                          .heads = 2,
                                          .feed_forward = 8,
                                          .vocab = 10,
                                          .positions = 4,
                                          .seed = 1};
    const uint32_t starts[] = {0, 2};
    const uint32_t too_long[] = {0, 5};
    const uint32_t empty[] = {0, 0};
    const int32_t good[] = {1, 9, 1, 1, 1};
    const int32_t bad[] = {1, 10};
    const int32_t negative[] = {1, -1};
    const uint8_t types[] = {0, 2};
    float out[64];
    char temp[64];
    qr_bert *bert = NULL;
    qr_error error = {0};
    temp_dir_create(temp);
    make_model(temp, &options);
    cr_assert_eq(read_model(temp, &bert, &error), QR_OK);
    qr_batch batch = {good, NULL, starts, 1, NULL};
    cr_assert_eq(qr_ref_forward(bert, &batch, QR_OUTPUT_HIDDEN, out, &error), QR_OK);
    cr_assert_eq(qr_ref_forward(bert, &batch, QR_OUTPUT_SPAN, out, &error), QR_BAD_REQUEST);
    cr_assert_eq(qr_ref_forward(bert, &batch, QR_OUTPUT_LABELS, out, &error), QR_BAD_REQUEST);
    const qr_batch refused[] = {{bad, NULL, starts, 1, NULL},
                                {negative, NULL, starts, 1, NULL},
                                {good, types, starts, 1, NULL},
                                {good, NULL, too_long, 1, NULL},
                                {good, NULL, empty, 1, NULL}};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        cr_assert_eq(qr_ref_forward(bert, &refused[i], QR_OUTPUT_HIDDEN, out, &error),
                     QR_BAD_REQUEST);
    qr_bert_destroy(bert);
    temp_dir_remove(temp);
}
