/* Answers computed again: how many are chosen, what is dropped, what a difference looks like. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/device_double.h"
#include "server/ops/metrics.h"
#include "server/serving_fixture.h"
#include "server/verify.h"

static qr_metrics *metrics;
static qr_serving *serving;
static qr_served *model;

static void setup(void) {
    static const char *const routes[] = {"/embed"};
    qr_log_init(QR_LOG_ERROR, QR_LOG_AS_TEXT);
    fixture_expect();
    cr_assert_eq(qr_metrics_create(&(qr_metrics_options){routes, 1, 1}, &metrics), QR_OK);
    serving = fixture_serving(0, 1, NULL, metrics, true);
    model = qr_serving_at(serving, 0);
}

static void teardown(void) {
    qr_serving_unpin(serving);
    qr_metrics_destroy(metrics);
    fixture_forget();
}

TestSuite(verify, .init = setup, .fini = teardown, .timeout = 120);

static uint64_t count(qr_verify_outcome outcome) {
    return atomic_load(&metrics->verified[outcome]);
}

/* Offers an input's sequence with the floats that were "sent". */
static void offer(qr__verify *verify, size_t input, const float *sent) {
    size_t tokens;
    const int32_t *ids = fixture_ids(input, &tokens);
    const qr_job job = {.ids = ids, .tokens = tokens, .result = sent};
    qr__verify_offer(verify, serving, model, &job);
}

static void check_all(qr__verify *verify) {
    while (qr__verify_step(verify, 0))
        ;
}

Test(verify, right_answers_pass) {
    qr__verify *verify;
    cr_assert_eq(qr__verify_create(1000000, metrics, &verify), QR_OK);
    for (size_t i = 0; i < INPUTS; i++)
        offer(verify, i, fixture_expected(0, i));
    cr_expect_eq(count(QR_VERIFY_CHECKED), 0, "not before a worker is idle");
    check_all(verify);
    cr_expect_eq(count(QR_VERIFY_CHECKED), INPUTS);
    cr_expect_eq(count(QR_VERIFY_MISMATCH), 0);
    qr__verify_destroy(verify);
    qr__verify_destroy(NULL);
}

/* One bit of one float. The line says which, and which model, and not the text. */
Test(verify, a_single_bit_is_found_and_said) {
    char path[] = "/tmp/querent-verify-XXXXXX", line[2000] = "";
    float sent[TINY_HIDDEN];
    uint32_t bits;
    qr__verify *verify;
    memcpy(sent, fixture_expected(0, 2), sizeof sent);
    memcpy(&bits, &sent[5], sizeof bits);
    bits ^= 1;
    memcpy(&sent[5], &bits, sizeof bits);
    cr_assert_eq(qr__verify_create(1000000, metrics, &verify), QR_OK);
    offer(verify, 2, sent);
    int kept = dup(STDERR_FILENO), fd = mkstemp(path);
    cr_assert(kept >= 0 && fd >= 0);
    dup2(fd, STDERR_FILENO);
    check_all(verify);
    dup2(kept, STDERR_FILENO);
    close(kept);
    cr_expect_gt(pread(fd, line, sizeof line - 1, 0), 0);
    close(fd);
    unlink(path);
    cr_expect_eq(count(QR_VERIFY_CHECKED), 1);
    cr_expect_eq(count(QR_VERIFY_MISMATCH), 1);
    cr_expect_not_null(strstr(line, " error verify: model seed-0: a sequence of 8 tokens"), "%s",
                       line);
    cr_expect_not_null(strstr(line, ": float 5 of 32 was sent as "), "%s", line);
    cr_expect_null(strstr(line, "w11"));
    qr__verify_destroy(verify);
}

Test(verify, a_share_is_chosen) {
    static const struct {
        unsigned ppm;
        uint64_t least, most; /* ten standard deviations and more around the mean */
    } cases[] = {{0, 0, 0}, {1, 0, 40}, {250000, 700, 1300}, {1000000, 4000, 4000}};
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        qr__verify *verify;
        uint64_t before = count(QR_VERIFY_CHECKED);
        cr_assert_eq(qr__verify_create(cases[c].ppm, metrics, &verify), QR_OK);
        for (int i = 0; i < 4000; i++) {
            offer(verify, 1, fixture_expected(0, 1));
            check_all(verify);
        }
        uint64_t checked = count(QR_VERIFY_CHECKED) - before;
        cr_expect(checked >= cases[c].least && checked <= cases[c].most, "%u ppm: %llu of 4000",
                  cases[c].ppm, (unsigned long long)checked);
        qr__verify_destroy(verify);
    }
    cr_expect_eq(count(QR_VERIFY_DROPPED), 0);
}

Test(verify, a_full_line_drops_and_counts) {
    qr__verify *verify;
    cr_assert_eq(qr__verify_create(1000000, metrics, &verify), QR_OK);
    for (int i = 0; i < 70; i++)
        offer(verify, 1, fixture_expected(0, 1));
    cr_expect_eq(count(QR_VERIFY_DROPPED), 6);
    cr_expect(qr__verify_step(verify, 0));
    offer(verify, 1, fixture_expected(0, 1));
    cr_expect_eq(count(QR_VERIFY_DROPPED), 6);
    check_all(verify);
    cr_expect_eq(count(QR_VERIFY_CHECKED), 65);
    offer(verify, 1, fixture_expected(0, 1)); /* forgotten by the destroy, with its pin */
    qr__verify_destroy(verify);
    cr_expect_eq(count(QR_VERIFY_CHECKED), 65);
}

/* What waits to be checked keeps its generation, and copies of all that it needs. */
Test(verify, a_replaced_generation_is_still_checked) {
    qr__verify *verify;
    int32_t ids[TINY_POSITIONS];
    uint8_t types[TINY_POSITIONS] = {0};
    float sent[TINY_HIDDEN];
    size_t tokens;
    cr_assert_eq(qr__verify_create(1000000, metrics, &verify), QR_OK);
    memcpy(ids, fixture_ids(3, &tokens), sizeof ids);
    memcpy(sent, fixture_expected(0, 3), sizeof sent);
    const qr_job job = {.ids = ids, .types = types, .tokens = tokens, .result = sent};
    qr__verify_offer(verify, serving, model, &job);
    memset(ids, 0x55, sizeof ids);
    memset(types, 0x55, sizeof types);
    memset(sent, 0x55, sizeof sent);
    qr_serving_unpin(serving);
    serving = fixture_serving(1, 1, NULL, metrics, true);
    check_all(verify);
    cr_expect_eq(count(QR_VERIFY_CHECKED), 1);
    cr_expect_eq(count(QR_VERIFY_MISMATCH), 0);
    qr__verify_destroy(verify);
}

/* Not asked for at load: nothing to check with, and nothing is kept. */
Test(verify, a_generation_without_lanes_for_it) {
    qr__verify *verify;
    qr_serving *plain = fixture_serving(1, 1, NULL, metrics, false);
    cr_expect(qr__served_checks(model));
    cr_expect_not(qr__served_checks(qr_serving_at(plain, 0)));
    cr_assert_eq(qr__verify_create(1000000, metrics, &verify), QR_OK);
    size_t tokens;
    const int32_t *ids = fixture_ids(0, &tokens);
    const qr_job job = {.ids = ids, .tokens = tokens, .result = fixture_expected(1, 0)};
    qr__verify_offer(verify, plain, qr_serving_at(plain, 0), &job);
    cr_expect_not(qr__verify_step(verify, 0));
    qr_serving_unpin(plain);
    qr__verify_destroy(verify);
}

/* No float of a short vector is far off, but all lean another way. */
Test(verify, tolerance_looks_at_the_whole_too) {
    float a[8], b[8];
    for (size_t i = 0; i < 8; i++) {
        a[i] = 0.05f;
        b[i] = a[i] + (i % 2 == 0 ? 1.5e-3f : -1.5e-3f);
    }
    cr_expect_eq(qr__verify_far(a, a, 8), 8);
    cr_expect_lt(qr__verify_far(b, a, 8), 8); /* cosine 0.99955 */
    for (size_t i = 0; i < 8; i++)
        b[i] = a[i] + (i % 2 == 0 ? 5e-4f : -5e-4f); /* 0.99995 */
    cr_expect_eq(qr__verify_far(b, a, 8), 8);
    b[3] = a[3] + 2.1e-3f;
    cr_expect_eq(qr__verify_far(b, a, 8), 3);
    a[3] = 20, b[3] = 20.03f; /* by the size of large ones */
    cr_expect_eq(qr__verify_far(b, a, 8), 8);
    float none[2] = {0, 0}, tiny[2] = {1e-9f, 0};
    cr_expect_eq(qr__verify_far(none, none, 2), 2);
    cr_expect_eq(qr__verify_far(tiny, none, 2), 2);
}

/* Where bits depend on the batch, numbers near what was sent pass, and others do not. */
Test(verify, by_tolerance_where_bits_depend_on_the_batch) {
    static const struct {
        float off[2]; /* of numbers of order 1 */
        bool passes;
    } cases[] = {{{1e-6f, 0}, true},
                 {{1.5e-3f, -1.5e-3f}, true},
                 {{0, 4e-3f}, false},
                 {{NAN, 0}, false},
                 {{0, INFINITY}, false}};
    qr__verify *verify;
    device_double_begin();
    device_double.varies = true;
    qr_log_init(QR_LOG_ERROR + 1, QR_LOG_AS_TEXT);
    qr_serving *own = serving;
    serving = fixture_serving(0, 1, NULL, metrics, true);
    model = qr_serving_at(serving, 0);
    cr_assert_eq(qr__verify_create(1000000, metrics, &verify), QR_OK);
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        float sent[TINY_HIDDEN];
        uint64_t before = count(QR_VERIFY_MISMATCH);
        memcpy(sent, fixture_expected(0, 2), sizeof sent);
        for (size_t i = 0; i < 2; i++)
            sent[5 + i] += cases[c].off[i] * fmaxf(1, fabsf(sent[5 + i]));
        offer(verify, 2, sent);
        check_all(verify);
        cr_expect_eq(count(QR_VERIFY_MISMATCH) - before, !cases[c].passes, "case %zu", c);
    }
    /* A device that fails says nothing of the numbers. */
    uint64_t mismatches = count(QR_VERIFY_MISMATCH), dropped = count(QR_VERIFY_DROPPED);
    offer(verify, 1, fixture_expected(0, 1));
    device_double.forward = QR_DEVICE;
    check_all(verify);
    cr_expect_eq(count(QR_VERIFY_MISMATCH), mismatches);
    cr_expect_eq(count(QR_VERIFY_DROPPED), dropped + 1);
    qr__verify_destroy(verify);
    qr_serving_unpin(serving);
    serving = own;
    device_double_end();
}
