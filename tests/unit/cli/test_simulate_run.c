/* One load of `querent simulate` with costs of our own, and the arrivals that it shares with
 * `querent bench http`. */
#include <criterion/criterion.h>

#include "cli/arrivals.h"
#include "cli/simulate_run.h"

static const size_t lengths[] = {10, 20, 30};

/* One worker, 1 us a token: 20 us a query at the mean. */
static qr__simulate_load load_of(void) {
    return (qr__simulate_load){.machine = {.workers = 1,
                                           .alone = {.token_ns = 1000},
                                           .queue_items = 1000,
                                           .batch_tokens = 64,
                                           .job_tokens = 64},
                               .lengths = lengths,
                               .lengths_len = 3,
                               .seed = 1,
                               .seconds = 0.5,
                               .budget_ns = 2 * QR_NS_PER_MS};
}

static qr__simulate_result simulate(const qr__simulate_load *load, double rate) {
    qr__simulate_result result;
    qr_error error = {0};
    cr_assert_eq(qr__simulate_rate(load, rate, &result, &error), QR_OK, "%s", error.message);
    cr_expect_eq(result.offered, result.ok + result.refused + result.late);
    cr_expect_eq(result.succeeded.total, result.ok);
    return result;
}

Test(simulate, equal_gaps_come_in_their_number) {
    qr__simulate_load load = load_of();
    load.uniform = true;
    qr__simulate_result result = simulate(&load, 1000);
    cr_expect_eq(result.offered, 500);
    cr_expect_eq(result.ok, 500);
    cr_expect_eq(result.goodput, 1000);
    cr_expect_eq(result.succeeded.min, 10000, "queries come in turn: 10, 20, 30 us");
    cr_expect_eq(result.succeeded.max, 30000);
    cr_expect_float_eq(qr__hdr_mean(&result.succeeded), 19980, 1, "499 = 3 * 166 + 1, and a 20");
    qr__simulate_result_deinit(&result);
}

Test(simulate, the_warm_up_is_not_counted) {
    qr__simulate_load load = load_of();
    load.uniform = true;
    load.warmup_s = 0.25;
    qr__simulate_result result = simulate(&load, 1000);
    cr_expect_eq(result.offered, 500);
    qr__simulate_result_deinit(&result);
}

/* Goodput is what was there in time to be counted: the answer to the second of two comes behind the
 * end. */
Test(simulate, goodput_ends_with_the_seconds) {
    qr__simulate_load load = load_of();
    load.uniform = true;
    load.lengths_len = 1;
    load.machine.alone.token_ns = 20e6; /* 0.2 s a query */
    load.budget_ns = 10 * QR_NS_PER_S;
    load.seconds = 0.4;
    qr__simulate_result result = simulate(&load, 4);
    cr_expect_eq(result.ok, 2);
    cr_expect_float_eq(result.goodput, 2.5, 1e-9);
    qr__simulate_result_deinit(&result);
}

/* Twice the load: half of it has good answers, within the budget, and the rest is refused. */
Test(simulate, what_overload_comes_to) {
    qr__simulate_load load = load_of();
    load.lengths_len = 1; /* alike, or more of the shorter ones would be taken */
    load.warmup_s = 0.1;
    qr__simulate_result result = simulate(&load, 200000);
    cr_expect_float_eq(result.goodput, 100000, 1000, "%g", result.goodput);
    cr_expect_gt(result.refused, result.offered / 3);
    cr_expect_leq(result.succeeded.max, load.budget_ns);
    qr__simulate_result_deinit(&result);
}

Test(simulate, a_seed_draws_the_same_again) {
    qr__simulate_load load = load_of();
    qr__simulate_result first = simulate(&load, 40000), second = simulate(&load, 40000);
    cr_expect_eq(first.succeeded.sum, second.succeeded.sum);
    cr_expect_eq(first.offered, second.offered);
    load.seed = 2;
    qr__simulate_result other = simulate(&load, 40000);
    cr_expect_neq(first.succeeded.sum, other.succeeded.sum);
    qr__simulate_result_deinit(&first);
    qr__simulate_result_deinit(&second);
    qr__simulate_result_deinit(&other);
}

Test(simulate, too_many_requests_are_refused) {
    qr__simulate_load load = load_of();
    qr__simulate_result result;
    qr_error error = {0};
    load.seconds = 3600;
    cr_expect_eq(qr__simulate_rate(&load, 1e6, &result, &error), QR_BAD_OPTION);
    cr_expect_neq(strstr(error.message, "simulate fewer seconds"), NULL, "%s", error.message);
    qr__simulate_result_deinit(&result);
}

Test(arrivals, gaps_have_their_mean) {
    enum { N = 100000 };
    qr__arrivals poisson = qr__arrivals_of(1000, false, 1), uniform = qr__arrivals_of(8, true, 1);
    double sum = 0, squares = 0;
    for (int i = 0; i < N; i++) {
        double gap = (double)qr__arrivals_gap_ns(&poisson) / 1e6; /* ms */
        sum += gap;
        squares += gap * gap;
    }
    cr_expect_float_eq(sum / (double)N, 1, 0.02, "mean %g", sum / (double)N);
    cr_expect_float_eq(squares / (double)N, 2, 0.1, "an exponential's second moment: %g",
                       squares / (double)N);
    cr_expect_eq(qr__arrivals_gap_ns(&uniform), 125000000);
    cr_expect_eq(qr__arrivals_gap_ns(&uniform), 125000000);
}

/* Ways of 0 to 100 ms at 1,000 a second: who comes later is often there first, and nobody is in
 * anybody's way. */
Test(simulate, ways_differ) {
    qr__simulate_load load = load_of();
    load.uniform = true;
    load.lengths_len = 1;
    load.budget_ns = QR_NS_PER_S;
    load.way = (qr__delays){.us = {0, 100000}, .len = 2};
    qr__simulate_result result = simulate(&load, 1000);
    cr_expect_eq(result.ok, 500);
    cr_expect_eq(result.succeeded.min, 10000);
    cr_expect_float_eq(qr__hdr_percentile(&result.succeeded, 70), 50e6, 10e6);
    cr_expect_geq(result.succeeded.max, 99000000);
    qr__simulate_result_deinit(&result);
}
