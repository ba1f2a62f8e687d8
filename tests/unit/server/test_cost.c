/* The cost of a batch, from three samples. */
#include <criterion/criterion.h>
#include <math.h>

#include "server/schedule/cost.h"

static qr_cost fit(size_t a, double a_ns, size_t b, double b_ns, size_t c, double c_ns) {
    const qr_cost_sample samples[] = {{a, a_ns}, {b, b_ns}, {c, c_ns}};
    return qr_cost_fit(samples);
}

static double exact(double tokens) {
    return 30000 + 50000 * tokens + 40 * tokens * tokens;
}

Test(cost, passes_through_its_samples) {
    qr_cost cost = fit(9, exact(9), 49, exact(49), 192, exact(192));
    cr_expect_float_eq(cost.fixed_ns, 30000, 1);
    cr_expect_float_eq(cost.token_ns, 50000, 0.1);
    cr_expect_float_eq(cost.square_ns, 40, 0.001);
    cr_expect_float_eq(cost.fixed_ns + qr_cost_job(&cost, 100), exact(100), 1);
}

/* Noise may bend the curve the other way: then the terms are a line's, or what is left of one. */
Test(cost, no_term_is_negative) {
    qr_cost bent = fit(9, 1000, 49, 9000, 192, 10000);
    cr_expect_eq(bent.square_ns, 0);
    cr_expect_float_eq(bent.token_ns, 200, 1e-9);
    cr_expect_eq(bent.fixed_ns, 0);
    qr_cost falling = fit(9, 9000, 49, 5000, 192, 1000);
    cr_expect_geq(falling.square_ns, 0);
    cr_expect_eq(falling.token_ns, 0);
    cr_expect_geq(falling.fixed_ns, 0);
}

Test(cost, a_model_of_very_few_tokens) {
    qr_cost cost = fit(1, 100, 1, 100, 3, 600);
    cr_expect_eq(cost.token_ns, 200);
    cr_expect_eq(cost.fixed_ns + cost.square_ns, 0);
}

static qr_cost fit_batches(size_t full, double short_ns, double full_ns, double long_ns) {
    return qr_cost_fit_batches(&(qr_cost_batches){9, full, 192, short_ns, full_ns, long_ns});
}

/* A device: short texts alone and all at once cost nearly the same. */
Test(cost, of_batches_that_cost_nearly_the_same) {
    qr_cost cost = fit_batches(509, 60000, 110000, 75000);
    cr_expect_float_eq(cost.fixed_ns + qr_cost_job(&cost, 9) - cost.square_ns * 81, 60000, 1);
    cr_expect_float_eq(cost.token_ns, 100, 1e-9);
    cr_expect_float_eq(cost.fixed_ns, 59100, 1e-9);
    cr_expect_eq(cost.square_ns, 0); /* below the line: no term is negative */
    cost = fit_batches(509, 60000, 110000, 59100 + 19200 + 3 * 192 * 192);
    cr_expect_float_eq(cost.square_ns, 3, 1e-9);
    cost = fit_batches(509, 60000, 59000, 58000); /* flat, with noise */
    cr_expect_eq(cost.fixed_ns, 60000);
    cr_expect_eq(cost.token_ns + cost.square_ns, 0);
    cost = fit_batches(9, 60000, 60000, 60000); /* a batch holds no second text */
    cr_expect_eq(cost.token_ns, 0);
    cr_expect_eq(cost.fixed_ns, 60000);
}
