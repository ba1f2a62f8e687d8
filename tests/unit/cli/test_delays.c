/* What requests take on their way, drawn from four figures. */
#include <criterion/criterion.h>

#include "cli/delays.h"

#define DRAWS 200000

static const qr__command command = {.name = "test"};

static qr__delays delays_of(const char *text, uint64_t seed) {
    qr__delays delays;
    cr_assert_eq(qr__delays_parse(&command, "overhead-us", text, &delays), QR_FLAGS_GO);
    qr__delays_seed(&delays, seed);
    return delays;
}

/* The share of draws above `us`. */
static double above(const char *text, uint64_t us) {
    qr__delays delays = delays_of(text, 1);
    size_t found = 0;
    for (size_t i = 0; i < DRAWS; i++)
        found += qr__delays_next_ns(&delays) > us * 1000;
    return (double)found / DRAWS;
}

Test(delays, one_figure_is_everybodys) {
    qr__delays delays = delays_of("80", 7);
    for (int i = 0; i < 1000; i++)
        cr_assert_eq(qr__delays_next_ns(&delays), 80000);
}

/* Of 200,000 draws a share of 0.001 strays by a tenth of itself at most. */
Test(delays, so_many_exceed_each_figure) {
    static const char text[] = "100,200,1000,5000";
    cr_expect_float_eq(above(text, 100), 0.5, 0.01);
    cr_expect_float_eq(above(text, 150), 0.3, 0.01, "on a straight line between the figures");
    cr_expect_float_eq(above(text, 200), 0.1, 0.005);
    cr_expect_float_eq(above(text, 1000), 0.01, 0.002);
    cr_expect_float_eq(above(text, 4999), 0.001, 0.0005);
    cr_expect_eq(above(text, 5000), 0, "nothing is known beyond");
    cr_expect_float_eq(above("100,200", 199), 0.1, 0.01, "the last figure is all the rest's");
}

Test(delays, the_seed_decides) {
    static const char text[] = "100,200,1000,5000";
    qr__delays one = delays_of(text, 1), again = delays_of(text, 1), other = delays_of(text, 3);
    size_t differ = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t ns = qr__delays_next_ns(&one);
        cr_assert_eq(qr__delays_next_ns(&again), ns);
        differ += qr__delays_next_ns(&other) != ns;
    }
    cr_expect_gt(differ, 400);
}
