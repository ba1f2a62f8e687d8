/* The search for a plan, over an engine whose matrices have synthetic errors. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "engine/backend.h"
#include "engine/plan/choose.h"

enum { LAYERS = 6, MATRICES = LAYERS * QR_MATRICES_A_LAYER, TEXTS = 12, WIDTH = MATRICES + 2 };

/* Text b's vector is [1, 0, ...]; each matrix turns it along an axis of its own by its error. */
struct fake {
    double int8[MATRICES]; /* error of the matrix in int8 */
    double bf16[MATRICES];
    double bf16_all, f16_all; /* of the plan as a whole, on one more axis */
    qr_precision precision;
    uint8_t fallback[LAYERS];
    float out[TEXTS * WIDTH];
    int builds, runs, partial_runs;
    int fail_at; /* this build fails; 0: none */
};

static qr_status build(void *user, qr_precision precision, const uint8_t *fallback,
                       qr_error *error) {
    struct fake *f = user;
    f->precision = precision;
    memcpy(f->fallback, fallback, LAYERS);
    for (size_t i = 0; i < LAYERS; i++)
        cr_assert(precision == QR_PRECISION_INT8 || fallback[i] == 0);
    return ++f->builds == f->fail_at ? qr_error_set(error, QR_NO_MEMORY, "full") : QR_OK;
}

static qr_status run(void *user, size_t sequences, const float **out, qr_error *error) {
    struct fake *f = user;
    (void)error;
    f->runs++;
    f->partial_runs += sequences < TEXTS;
    memset(f->out, 0, sizeof f->out);
    for (size_t b = 0; b < sequences; b++) {
        float *row = f->out + b * WIDTH;
        row[0] = 1;
        for (size_t m = 0; m < MATRICES && f->precision != QR_PRECISION_F32; m++) {
            bool low = f->precision == QR_PRECISION_INT8 &&
                       (f->fallback[m / QR_MATRICES_A_LAYER] >> m % QR_MATRICES_A_LAYER & 1) == 0;
            row[m + 1] = (float)(low ? f->int8[m] : f->bf16[m]);
        }
        row[WIDTH - 1] = (float)(f->precision == QR_PRECISION_BF16  ? f->bf16_all
                                 : f->precision == QR_PRECISION_F16 ? f->f16_all
                                                                    : 0);
    }
    *out = f->out;
    return QR_OK;
}

static uint32_t starts[TEXTS + 1];
static qr_batch batch;
static struct fake fake;
static qr__search search;
static uint8_t fallback[LAYERS];
static qr__choice choice;
static qr_error error;

static const qr_precision int8_first[] = {QR_PRECISION_INT8, QR_PRECISION_BF16, QR_PRECISION_F32},
                          bf16_first[] = {QR_PRECISION_BF16, QR_PRECISION_INT8, QR_PRECISION_F32},
                          int8_only[] = {QR_PRECISION_INT8, QR_PRECISION_F32},
                          bf16_only[] = {QR_PRECISION_BF16, QR_PRECISION_F32},
                          f16_first[] = {QR_PRECISION_F16, QR_PRECISION_BF16, QR_PRECISION_F32},
                          f32_only[] = {QR_PRECISION_F32};

static void set_up(double int8_error) {
    for (uint32_t i = 0; i <= TEXTS; i++)
        starts[i] = i;
    batch = (qr_batch){NULL, NULL, starts, TEXTS, NULL};
    fake = (struct fake){0};
    for (size_t m = 0; m < MATRICES; m++) {
        fake.int8[m] = int8_error;
        fake.bf16[m] = 1e-4;
    }
    search = (qr__search){.probes = {&batch, QR_HEAD_NONE, WIDTH, false},
                          .layers = LAYERS,
                          .order = int8_first,
                          .rates = "a CPU of tests",
                          .has_fallback = true,
                          .trials_max = MATRICES,
                          .user = &fake,
                          .build = build,
                          .run = run};
    memset(fallback, 0xff, sizeof fallback);
}

/* What is said, what is built and what is in `fallback` agree. */
static void check_choice(qr_precision precision, size_t fallbacks) {
    size_t bits = 0;
    for (size_t i = 0; i < LAYERS; i++)
        bits += (size_t)__builtin_popcount(fallback[i]);
    cr_assert_eq(choice.precision, precision, "%s", choice.reason);
    cr_assert_eq(choice.fallbacks, fallbacks, "%s", choice.reason);
    cr_assert_eq(bits, fallbacks);
    cr_assert_eq(fake.precision, precision);
    cr_assert_arr_eq(fake.fallback, fallback, LAYERS);
}

static void choose(qr_precision asked) {
    cr_assert_eq(qr__choose(&search, asked, fallback, &choice, &error), QR_OK);
}

Test(gate_choose, auto_takes_int8_when_it_passes) {
    set_up(.005);
    choose(QR_PRECISION_AUTO);
    check_choice(QR_PRECISION_INT8, 0);
    cr_assert(choice.passed);
    cr_assert_eq(fake.builds, 2); /* f32, int8 */
    cr_assert_eq(fake.runs, 2);
    cr_assert_str_eq(choice.reason, "int8: passed the gate (mean cosine 0.99970, worst 0.99970)");
}

Test(gate_choose, one_broken_matrix_goes_to_bf16_alone) {
    for (size_t broken = 0; broken < MATRICES; broken += 5) {
        set_up(.005);
        fake.int8[broken] = .5;
        choose(QR_PRECISION_AUTO);
        check_choice(QR_PRECISION_INT8, 1);
        cr_assert(choice.passed);
        cr_assert_eq(fallback[broken / QR_MATRICES_A_LAYER], 1 << broken % QR_MATRICES_A_LAYER);
        cr_assert_not_null(strstr(choice.reason, "with 1 of 24 matrices in bf16"), "%s",
                           choice.reason);
        cr_assert_eq(fake.partial_runs, MATRICES + 1); /* the ranking uses fewer probes */
    }
}

Test(gate_choose, as_few_fallbacks_as_pass) {
    set_up(.002);
    for (size_t m = 0; m < 7; m++)
        fake.int8[m * 3] = .1 + .01 * (double)m;
    choose(QR_PRECISION_AUTO);
    check_choice(QR_PRECISION_INT8, 7);
    for (size_t m = 0; m < 7; m++)
        cr_assert_neq(fallback[m * 3 / QR_MATRICES_A_LAYER] >> m * 3 % QR_MATRICES_A_LAYER & 1, 0);
    cr_assert_leq(fake.builds, (int)(QR_MATRICES_A_LAYER * LAYERS + 10));
}

Test(gate_choose, more_than_half_is_bf16) {
    set_up(.1);
    choose(QR_PRECISION_AUTO);
    check_choice(QR_PRECISION_BF16, 0);
    cr_assert(choice.passed);
}

Test(gate_choose, f32_when_bf16_fails_too) {
    set_up(.1);
    fake.bf16_all = .2;
    choose(QR_PRECISION_AUTO);
    check_choice(QR_PRECISION_F32, 0);
    cr_assert(choice.passed);
    cr_assert_not_null(strstr(choice.reason, "bf16 fails the gate"), "%s", choice.reason);
}

Test(gate_choose, auto_tries_only_what_is_in_the_order) {
    set_up(.005);
    search.order = bf16_only;
    choose(QR_PRECISION_AUTO);
    check_choice(QR_PRECISION_BF16, 0);
    set_up(.005);
    search.order = f32_only;
    choose(QR_PRECISION_AUTO);
    check_choice(QR_PRECISION_F32, 0);
    cr_assert_str_eq(choice.reason, "f32: nothing is faster here by the rates of a CPU of tests");
    cr_assert_eq(fake.runs, 0); /* nothing is held against it */
    set_up(.1);
    search.order = int8_only;
    choose(QR_PRECISION_AUTO);
    check_choice(QR_PRECISION_F32, 0);
    cr_assert_not_null(strstr(choice.reason, "int8 fails the gate"), "%s", choice.reason);
}

Test(gate_choose, auto_goes_by_the_order) {
    set_up(.005);
    search.order = bf16_first;
    choose(QR_PRECISION_AUTO);
    check_choice(QR_PRECISION_BF16, 0);
    cr_assert_eq(fake.runs, 2); /* int8 would pass, and is not tried */
    set_up(.005);
    search.order = bf16_first;
    fake.bf16_all = .2;
    choose(QR_PRECISION_AUTO);
    check_choice(QR_PRECISION_INT8, 0);
    set_up(.005);
    search.order = bf16_first;
    fake.bf16_all = .2;
    fake.int8[3] = .5; /* int8 needs its fallback here as well */
    choose(QR_PRECISION_AUTO);
    check_choice(QR_PRECISION_INT8, 1);
    set_up(.1);
    search.order = bf16_first;
    fake.bf16_all = .2;
    choose(QR_PRECISION_AUTO);
    check_choice(QR_PRECISION_F32, 0);
    cr_assert_not_null(strstr(choice.reason, "int8 fails the gate"), "%s", choice.reason);
}

Test(gate_choose, what_is_asked_for_by_name_is_taken_and_judged) {
    set_up(.1);
    choose(QR_PRECISION_INT8);
    check_choice(QR_PRECISION_INT8, 0);
    cr_assert_not(choice.passed);
    cr_assert_not_null(strstr(choice.reason, "as asked, but it fails the gate"), "%s",
                       choice.reason);
    set_up(.005);
    fake.int8[3] = .5;
    choose(QR_PRECISION_INT8);
    check_choice(QR_PRECISION_INT8, 1);
    cr_assert(choice.passed);
    set_up(.005);
    choose(QR_PRECISION_BF16);
    check_choice(QR_PRECISION_BF16, 0);
    cr_assert(choice.passed);
    set_up(.1);
    choose(QR_PRECISION_F32);
    check_choice(QR_PRECISION_F32, 0);
    cr_assert_str_eq(choice.reason, "f32: as asked");
    cr_assert_eq(fake.runs, 0);
}

/* A GPU's order: both halves are judged alike, and bf16 comes when f16 fails (a model whose
 * activations overflow it). */
Test(gate_choose, f16_is_judged_and_bf16_follows) {
    set_up(.005);
    search.order = f16_first;
    choose(QR_PRECISION_AUTO);
    check_choice(QR_PRECISION_F16, 0);
    cr_assert_not_null(strstr(choice.reason, "f16: passed the gate"), "%s", choice.reason);
    cr_assert_eq(fake.runs, 2);
    set_up(.005);
    search.order = f16_first;
    fake.f16_all = INFINITY;
    choose(QR_PRECISION_AUTO);
    check_choice(QR_PRECISION_BF16, 0);
    set_up(.005);
    search.order = f16_first;
    fake.f16_all = fake.bf16_all = .2;
    choose(QR_PRECISION_AUTO);
    check_choice(QR_PRECISION_F32, 0);
    set_up(.005);
    fake.f16_all = .2;
    choose(QR_PRECISION_F16);
    check_choice(QR_PRECISION_F16, 0);
    cr_assert_not(choice.passed);
    cr_assert_not_null(strstr(choice.reason, "f16: as asked, but it fails"), "%s", choice.reason);
}

Test(gate_choose, without_trials_the_usual_culprit_is_found_still) {
    set_up(.002);
    fake.int8[MATRICES - 1] =
        .3; /* the last layer's second feed-forward matrix is the first to be tried */
    search.trials_max = 0;
    choose(QR_PRECISION_AUTO);
    check_choice(QR_PRECISION_INT8, 1);
    cr_assert_eq(fallback[LAYERS - 1], 8);
    cr_assert_eq(fake.partial_runs, 1);
}

Test(gate_choose, no_more_trials_than_allowed) {
    for (size_t most = 1; most < MATRICES; most += 4) {
        set_up(.005);
        fake.int8[MATRICES - 1] = .5;
        search.trials_max = most;
        choose(QR_PRECISION_AUTO);
        check_choice(QR_PRECISION_INT8, 1);
        cr_assert_eq(fake.partial_runs, (int)most + 1);
    }
}

Test(gate_choose, without_bf16_nothing_falls_back) {
    set_up(.005);
    fake.int8[10] = .5;
    search.order = int8_only;
    search.has_fallback = false;
    choose(QR_PRECISION_AUTO);
    check_choice(QR_PRECISION_F32, 0);
    cr_assert_eq(fake.partial_runs, 0);
    set_up(.005);
    fake.int8[10] = .5;
    search.order = int8_only;
    search.has_fallback = false;
    choose(QR_PRECISION_INT8);
    check_choice(QR_PRECISION_INT8, 0);
    cr_assert_not(choice.passed);
}

Test(gate_choose, a_failing_build_ends_the_search) {
    for (int at = 1; at < 30; at++) {
        set_up(.005);
        fake.int8[10] = .5;
        fake.fail_at = at;
        qr_status status = qr__choose(&search, QR_PRECISION_AUTO, fallback, &choice, &error);
        cr_assert_eq(status, fake.builds >= at ? QR_NO_MEMORY : QR_OK, "build %d", at);
        cr_assert_leq(fake.builds, at > fake.builds ? 40 : at);
    }
}
