/* The accuracy gate's three measures, at and around their thresholds. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "engine/plan/gate.h"

/* A vector at a known cosine to [1, 0]. */
static void at_cosine(double cosine, float out[2]) {
    out[0] = (float)(3 * cosine);
    out[1] = (float)(3 * sqrt(1 - cosine * cosine));
}

static qr__gate_verdict judge_cosines(const double *cosines, size_t count) {
    static uint32_t starts[65];
    float expected[128];
    float actual[128];
    for (size_t i = 0; i < count; i++) {
        starts[i + 1] = (uint32_t)i + 1;
        at_cosine(1, expected + 2 * i);
        at_cosine(cosines[i], actual + 2 * i);
    }
    qr_batch batch = {NULL, NULL, starts, count, NULL};
    qr__gate_probes probes = {&batch, QR_HEAD_NONE, 2, false};
    return qr__gate_judge(&probes, expected, actual);
}

Test(gate_vectors, equal_passes_whatever_the_length) {
    qr__gate_verdict verdict = judge_cosines((double[]){1, 1, 1}, 3);
    cr_assert(verdict.passed);
    cr_assert_float_eq(verdict.mean, 1, 1e-6);
    cr_assert_float_eq(verdict.distance, 0, 1e-6);
}

Test(gate_vectors, mean_threshold) {
    cr_assert(judge_cosines((double[]){.9986, .9986}, 2).passed);
    qr__gate_verdict verdict = judge_cosines((double[]){.9984, .9984}, 2);
    cr_assert_not(verdict.passed);
    cr_assert_float_eq(verdict.mean, .9984, 1e-5);
    cr_assert_str_eq(verdict.reason, "mean cosine 0.99840, worst 0.99840");
}

Test(gate_vectors, worst_threshold) {
    cr_assert(judge_cosines((double[]){1, 1, 1, .9971}, 4).passed);
    qr__gate_verdict verdict = judge_cosines((double[]){1, 1, 1, .9969}, 4);
    cr_assert_not(verdict.passed);
    cr_assert_geq(verdict.mean, QR__GATE_COSINE_MEAN);
    cr_assert_float_eq(verdict.worst, .9969, 1e-5);
}

Test(gate_vectors, distance_falls_with_every_improvement) {
    cr_assert_lt(judge_cosines((double[]){.9992}, 1).distance,
                 judge_cosines((double[]){.9991}, 1).distance);
}

Test(gate_vectors, zero_and_non_finite_never_pass) {
    const uint32_t starts[] = {0, 1};
    qr_batch batch = {NULL, NULL, starts, 1, NULL};
    qr__gate_probes probes = {&batch, QR_HEAD_NONE, 2, false};
    const float good[] = {1, 2};
    const float zero[] = {0, 0};
    cr_assert_not(qr__gate_judge(&probes, good, zero).passed);
    cr_assert(qr__gate_judge(&probes, zero, zero).passed);
    cr_assert_not(qr__gate_judge(&probes, good, (float[]){1, NAN}).passed);
    cr_assert_not(qr__gate_judge(&probes, good, (float[]){1, INFINITY}).passed);
    cr_assert_not(qr__gate_judge(&probes, (float[]){NAN, 1}, good).passed);
    cr_assert(isinf(qr__gate_judge(&probes, good, (float[]){1, NAN}).distance));
}

/* Sequences of 50 tokens: 5 of question, 44 of context, [SEP]; expected answer: tokens 10..19. */
enum { LENGTH = 50, TEXTS_MAX = 64 };
struct spans {
    uint32_t starts[TEXTS_MAX + 1];
    uint8_t types[TEXTS_MAX * LENGTH];
    float expected[TEXTS_MAX * LENGTH * 2];
    float actual[TEXTS_MAX * LENGTH * 2];
    qr_batch batch;
    qr__gate_probes probes;
};

static void put_answer(float *logits, size_t text, size_t first, size_t last) {
    float *at = logits + text * LENGTH * 2;
    memset(at, 0, LENGTH * 2 * sizeof *at);
    at[first * 2] = 5;
    at[last * 2 + 1] = 5;
}

static void init_spans(struct spans *s, size_t texts) {
    memset(s, 0, sizeof *s);
    for (size_t b = 0; b < texts; b++) {
        s->starts[b + 1] = (uint32_t)((b + 1) * LENGTH);
        memset(s->types + b * LENGTH + 5, 1, LENGTH - 5);
        put_answer(s->expected, b, 10, 19);
        put_answer(s->actual, b, 10, 19);
    }
    s->batch = (qr_batch){NULL, s->types, s->starts, texts, NULL};
    s->probes = (qr__gate_probes){&s->batch, QR_HEAD_SPAN, 0, false};
}

Test(gate_spans, overlap_is_counted_in_tokens) {
    static struct spans s;
    init_spans(&s, 1);
    cr_assert(qr__gate_judge(&s.probes, s.expected, s.actual).passed);
    put_answer(s.actual, 0, 10, 14); /* 5 common of 10 and 5: 2*5/15 */
    qr__gate_verdict verdict = qr__gate_judge(&s.probes, s.expected, s.actual);
    cr_assert_float_eq(verdict.mean, 2.0 / 3, 1e-9);
    cr_assert_not(verdict.passed);
    cr_assert_gt(verdict.distance, 0);
    put_answer(s.actual, 0, 30, 35);
    cr_assert_eq(qr__gate_judge(&s.probes, s.expected, s.actual).mean, 0);
}

Test(gate_spans, mean_threshold) {
    static struct spans s;
    init_spans(&s, 60);
    put_answer(s.actual, 7, 30, 31);
    qr__gate_verdict verdict = qr__gate_judge(&s.probes, s.expected, s.actual);
    cr_assert_float_eq(verdict.mean, 59.0 / 60, 1e-9);
    cr_assert(verdict.passed); /* .983 */
    cr_assert_eq(verdict.worst, 0);
    put_answer(s.actual, 8, 30, 31);
    cr_assert_not(qr__gate_judge(&s.probes, s.expected, s.actual).passed); /* .967 */
}

Test(gate_spans, question_separator_and_long_answers_do_not_count) {
    static struct spans s;
    init_spans(&s, 1);
    s.actual[2 * 2] = 50;                                /* a start in the question */
    s.actual[(LENGTH - 1) * 2 + 1] = 50;                 /* an end at [SEP] */
    s.actual[(10 + QR__GATE_ANSWER_MAX) * 2 + 1] = 4.9f; /* one token too long from token 10 */
    cr_assert_eq(qr__gate_judge(&s.probes, s.expected, s.actual).mean, 1);
}

static bool each; /* labels have a sigmoid each */

static qr__gate_verdict judge_labels(size_t labels, size_t texts, const float *expected,
                                     const float *actual) {
    static uint32_t starts[101];
    for (size_t i = 0; i < texts; i++)
        starts[i + 1] = (uint32_t)i + 1;
    qr_batch batch = {NULL, NULL, starts, texts, NULL};
    qr__gate_probes probes = {&batch, QR_HEAD_LABELS, labels, each};
    return qr__gate_judge(&probes, expected, actual);
}

Test(gate_labels, probability_threshold) {
    const float expected[] = {0, 0, 0};
    /* softmax of (d, 0, 0): 1/3 + about 2/9 d */
    cr_assert(judge_labels(3, 1, expected, (float[]){.085f, 0, 0}).passed);
    qr__gate_verdict verdict = judge_labels(3, 1, expected, (float[]){.095f, 0, 0});
    cr_assert_not(verdict.passed);
    cr_assert_gt(verdict.worst, .02);
    cr_assert_lt(verdict.worst, .022);
}

Test(gate_labels, a_common_shift_changes_nothing) {
    const float expected[] = {900, 901};
    qr__gate_verdict verdict = judge_labels(2, 1, expected, (float[]){-3, -2});
    cr_assert(verdict.passed);
    cr_assert_float_eq(verdict.worst, 0, 1e-9);
}

Test(gate_labels, same_label_threshold) {
    float expected[200];
    float actual[200];
    for (size_t i = 0; i < 100; i++) { /* near ties: probabilities stay within 0.02 */
        expected[2 * i] = actual[2 * i + 1] = 0.01f;
        expected[2 * i + 1] = actual[2 * i] = 0;
        if (i >= 2)
            memcpy(actual + 2 * i, expected + 2 * i, 2 * sizeof(float));
    }
    qr__gate_verdict verdict = judge_labels(2, 100, expected, actual);
    cr_assert(verdict.passed);
    cr_assert_float_eq(verdict.mean, .98, 1e-9);
    actual[4] = 0;
    actual[5] = 0.01f;
    cr_assert_not(judge_labels(2, 100, expected, actual).passed);
}

Test(gate_labels, one_logit_is_a_sigmoid) {
    cr_assert(judge_labels(1, 2, (float[]){0, 4}, (float[]){.07f, 4.1f}).passed);
    cr_assert_not(judge_labels(1, 2, (float[]){0, 4}, (float[]){.09f, 4}).passed);
}

/* Rows of [CLS] and [SEP] may say anything: nobody sees them. */
Test(gate_tokens, all_tokens_but_the_special_ones) {
    const uint32_t starts[] = {0, 4, 7};
    const qr_batch batch = {NULL, NULL, starts, 2, NULL};
    const qr__gate_probes probes = {&batch, QR_HEAD_TOKENS, 2, false};
    const float expected[14] = {0};
    for (size_t row = 0; row < 7; row++) {
        float actual[14] = {0};
        actual[2 * row + 1] = 5;
        bool special = row == 0 || row == 3 || row == 4 || row == 6;
        qr__gate_verdict verdict = qr__gate_judge(&probes, expected, actual);
        cr_assert_eq(verdict.passed, special, "row %zu", row);
        cr_assert(fabs(verdict.mean - (special ? 1 : 2.0 / 3)) < 1e-9, "row %zu", row);
    }
    float near[14] = {0};
    near[2] = .07f; /* a sigmoid of .07: .5 + .0175 */
    cr_assert(qr__gate_judge(&probes, expected, near).passed);
    near[2] = .09f;
    cr_assert(!qr__gate_judge(&probes, expected, near).passed);
    near[6] = NAN; /* even where nobody looks */
    cr_assert(!qr__gate_judge(&probes, expected, near).passed);
}

/* Two labels that both apply: a softmax would see no change. */
Test(gate_labels, labels_that_exclude_nothing_are_judged_each) {
    const float expected[] = {0, 0}, actual[] = {.3f, .3f};
    cr_assert(judge_labels(2, 1, expected, actual).passed);
    each = true;
    cr_assert(!judge_labels(2, 1, expected, actual).passed);
    cr_assert(judge_labels(2, 1, expected, (float[]){.07f, -.07f}).passed);
    each = false;
}
