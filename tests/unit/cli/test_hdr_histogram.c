/* cli/hdr_histogram.h against exact percentiles of sorted values. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "cli/hdr_histogram.h"

static uint64_t next_random(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static int by_value(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

Test(hdr, empty) {
    qr__hdr hdr;
    cr_assert(qr__hdr_init(&hdr));
    cr_expect_eq(qr__hdr_percentile(&hdr, 50), 0);
    cr_expect_eq(qr__hdr_mean(&hdr), 0);
    qr__hdr_deinit(&hdr);
    qr__hdr_deinit(NULL);
}

Test(hdr, small_values_are_exact) {
    qr__hdr hdr;
    cr_assert(qr__hdr_init(&hdr));
    for (uint64_t value = 1; value <= 1000; value++)
        qr__hdr_record(&hdr, value);
    cr_expect_eq(qr__hdr_percentile(&hdr, 0), 1);
    cr_expect_eq(qr__hdr_percentile(&hdr, 50), 500);
    cr_expect_eq(qr__hdr_percentile(&hdr, 99), 990);
    cr_expect_eq(qr__hdr_percentile(&hdr, 99.9), 999);
    cr_expect_eq(qr__hdr_percentile(&hdr, 100), 1000);
    cr_expect_float_eq(qr__hdr_mean(&hdr), 500.5, 1e-9);
    qr__hdr_deinit(&hdr);
}

Test(hdr, percentiles_within_the_stated_error) {
    enum { N = 20000 };
    static const double percents[] = {0.1, 1, 25, 50, 75, 90, 99, 99.9, 99.99, 100};
    uint64_t state = 0x9E3779B97F4A7C15;
    uint64_t *values = calloc(N, sizeof *values);
    qr__hdr hdr;
    cr_assert(qr__hdr_init(&hdr));
    for (size_t i = 0; i < N; i++) { /* every octave from 1 ns to an hour */
        values[i] = next_random(&state) >> (22 + next_random(&state) % 41);
        qr__hdr_record(&hdr, values[i]);
    }
    qsort(values, N, sizeof *values, by_value);
    for (size_t i = 0; i < sizeof percents / sizeof *percents; i++) {
        double exact = (double)values[(size_t)ceil(percents[i] / 100 * (double)N - 1e-6) - 1];
        double found = qr__hdr_percentile(&hdr, percents[i]);
        cr_expect_leq(fabs(found - exact), 0.0005 * exact + 1e-9, "p%g: %g, exactly %g",
                      percents[i], found, exact);
    }
    cr_expect_eq(hdr.total, N);
    cr_expect_eq(hdr.min, values[0]);
    cr_expect_eq(hdr.max, values[N - 1]);
    qr__hdr_deinit(&hdr);
    free(values);
}

Test(hdr, what_is_above_the_range_counts_as_its_end) {
    qr__hdr hdr;
    cr_assert(qr__hdr_init(&hdr));
    qr__hdr_record(&hdr, UINT64_MAX);
    qr__hdr_record(&hdr, QR_HDR_MAX);
    cr_expect_eq(hdr.max, QR_HDR_MAX);
    cr_expect_float_eq(qr__hdr_percentile(&hdr, 50), (double)QR_HDR_MAX,
                       0.0005 * (double)QR_HDR_MAX);
    qr__hdr_deinit(&hdr);
}
