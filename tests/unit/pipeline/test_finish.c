/* tests: the last arithmetic on vectors and label logits. */
#include <criterion/criterion.h>
#include <math.h>

#include "pipeline/pipeline.h"

Test(embed_finish, makes_unit_length) {
    const float vector[] = {3, 0, -4};
    float out[3];
    cr_assert_eq(qr_embed_finish(vector, 3, 0, true, out), 3);
    cr_assert_float_eq(out[0], 0.6f, 1e-7f);
    cr_assert_eq(out[1], 0);
    cr_assert_float_eq(out[2], -0.8f, 1e-7f);
}

Test(embed_finish, leaves_lengths_alone_when_not_asked) {
    const float vector[] = {3, 0, -4};
    float out[3];
    cr_assert_eq(qr_embed_finish(vector, 3, 0, false, out), 3);
    cr_assert_eq(out[0], 3);
    cr_assert_eq(out[2], -4);
}

Test(embed_finish, cuts_before_it_normalises) {
    const float vector[] = {3, 4, 12, 84};
    float out[] = {0, 0, 7, 7};
    cr_assert_eq(qr_embed_finish(vector, 4, 2, true, out), 2);
    cr_assert_float_eq(out[0], 0.6f, 1e-7f);
    cr_assert_float_eq(out[1], 0.8f, 1e-7f);
    cr_assert(out[2] == 7 && out[3] == 7, "what is cut off is not written");
}

Test(embed_finish, never_grows_a_vector) {
    const float vector[] = {1, 1};
    float out[2];
    cr_assert_eq(qr_embed_finish(vector, 2, 7, false, out), 2);
}

Test(embed_finish, keeps_a_zero_vector) {
    const float vector[] = {0, -0.0f, 0};
    float out[] = {1, 1, 1};
    cr_assert_eq(qr_embed_finish(vector, 3, 0, true, out), 3);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(out[i], 0);
}

Test(embed_finish, tiny_and_huge_vectors_do_not_overflow) {
    const float tiny[] = {1e-44f, 0}, huge[] = {3e38f, 3e38f};
    float out[2];
    qr_embed_finish(tiny, 2, 0, true, out);
    cr_assert_float_eq(out[0], 1, 1e-6f);
    qr_embed_finish(huge, 2, 0, true, out);
    cr_assert_float_eq(out[1], 0.70710678f, 1e-6f);
}

Test(labels_finish, softmax_of_two_and_more) {
    const float logits[] = {0, 0.69314718f, -50};
    float out[3];
    qr_labels_finish(&(qr_model_info){.labels = 3}, logits, out);
    cr_assert_float_eq(out[0], 1.0f / 3, 1e-6f);
    cr_assert_float_eq(out[1], 2.0f / 3, 1e-6f);
    cr_assert_float_eq(out[2], 0, 1e-6f);
}

Test(labels_finish, softmax_of_extremes_is_finite) {
    const float logits[] = {1000, -1000, 999};
    float out[3];
    qr_labels_finish(&(qr_model_info){.labels = 3}, logits, out);
    cr_assert_float_eq(out[0] + out[1] + out[2], 1, 1e-6f);
    cr_assert_float_eq(out[0] / out[2], 2.7182817f, 1e-4f);
}

Test(labels_finish, sigmoid_of_one) {
    static const float logits[] = {0, 2, -1000, 1000};
    float out[4];
    for (int i = 0; i < 4; i++)
        qr_labels_finish(&(qr_model_info){.labels = 1}, &logits[i], &out[i]);
    cr_assert_eq(out[0], 0.5f);
    cr_assert_float_eq(out[1], 0.88079708f, 1e-7f);
    cr_assert_eq(out[2], 0);
    cr_assert_eq(out[3], 1);
}

Test(labels_finish, labels_that_exclude_nothing_are_judged_one_by_one) {
    const float logits[] = {0, 2, -1000};
    const qr_model_info model = {.labels = 3, .problem = QR_PROBLEM_MULTI_LABEL};
    float out[3];
    qr_labels_finish(&model, logits, out);
    cr_assert_eq(out[0], 0.5f);
    cr_assert_float_eq(out[1], 0.88079708f, 1e-7f);
    cr_assert_eq(out[2], 0);
}

Test(labels_score, by_the_kind_of_problem) {
    static const struct {
        qr_problem problem;
        size_t labels;
        qr_scores expected;
    } rows[] = {
        {QR_PROBLEM_UNSTATED, 1, QR_SCORES_SIGMOID},
        {QR_PROBLEM_UNSTATED, 3, QR_SCORES_SOFTMAX},
        {QR_PROBLEM_SINGLE_LABEL, 3, QR_SCORES_SOFTMAX},
        {QR_PROBLEM_SINGLE_LABEL, 1, QR_SCORES_SIGMOID},
        {QR_PROBLEM_MULTI_LABEL, 3, QR_SCORES_SIGMOID},
        {QR_PROBLEM_REGRESSION, 1, QR_SCORES_NONE},
        {QR_PROBLEM_REGRESSION, 3, QR_SCORES_NONE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const qr_model_info model = {.labels = rows[i].labels, .problem = rows[i].problem};
        cr_assert_eq(qr_model_scores(&model), rows[i].expected, "row %zu", i);
    }
}

/* (2, 0, -2): softmax, a sigmoid each, or as they are. */
Test(labels_score, in_every_way) {
    static const float logits[] = {2, 0, -2};
    static const float expected[][3] = {[QR_SCORES_DEFAULT] = {.880797f, .5f, .119203f},
                                        [QR_SCORES_SOFTMAX] = {.866814f, .117310f, .015876f},
                                        [QR_SCORES_SIGMOID] = {.880797f, .5f, .119203f},
                                        [QR_SCORES_NONE] = {2, 0, -2}};
    const qr_model_info model = {.labels = 3, .problem = QR_PROBLEM_MULTI_LABEL};
    for (qr_scores how = QR_SCORES_DEFAULT; how <= QR_SCORES_NONE; how++) {
        float out[3];
        qr_labels_score(&model, logits, how, out);
        for (size_t k = 0; k < 3; k++)
            cr_assert_float_eq(out[k], expected[how][k], 1e-6f);
    }
}
