/* `inspect --measure`'s verdict: times here against the table's rates. */
#include <criterion/criterion.h>

#include "cli/measure.h"

static void check(qr__measured here, qr_rates rates, bool agrees, qr_precision said,
                  qr_precision found) {
    qr_precision first, fastest;
    cr_assert_eq(qr__measure_agrees(&here, &rates, &first, &fastest), agrees);
    cr_assert_eq(first, said);
    cr_assert_eq(fastest, found);
}

#define F32  QR_PRECISION_F32
#define BF16 QR_PRECISION_BF16
#define INT8 QR_PRECISION_INT8
#define HERE(f32, bf16, int8)                                                                      \
    (qr__measured) {                                                                               \
        .ms = { [F32] = (f32), [BF16] = (bf16), [INT8] = (int8) }                                  \
    }
#define TABLE(f32, bf16, int8)                                                                     \
    (qr_rates) {                                                                                   \
        .gops = { [F32] = (f32), [BF16] = (bf16), [INT8] = (int8) }                                \
    }

Test(measure, agrees_or_names_both) {
    check(HERE(4, 2, 1), TABLE(50, 100, 400), true, INT8, INT8);
    check(HERE(4, 1, 2), TABLE(50, 100, 400), false, INT8, BF16);
    check(HERE(1, 2, 3), TABLE(50, 100, 400), false, INT8, F32);
}

Test(measure, counts_near_ones_as_equal) {
    check(HERE(4, 2, 1.96), TABLE(50, 100, 90), true, BF16, INT8);
    check(HERE(4, 2, 1.8), TABLE(50, 100, 90), false, BF16, INT8);
    check(HERE(4, 2, 1.9), TABLE(50, 100, 102), false, BF16, INT8); /* a tie in the table too */
    check(HERE(4, 2, 1.9), TABLE(50, 100, 104), true, INT8, INT8);
}

Test(measure, knows_what_does_not_run_and_what_has_no_row) {
    check(HERE(4, 2, 0), TABLE(50, 100, 400), true, BF16, BF16);
    check(HERE(4, 0, 0), TABLE(0, 0, 0), true, F32, F32);
    check(HERE(4, 2, 1), TABLE(0, 0, 0), false, F32, INT8);
    check(HERE(4, 2, 1), TABLE(50, 100, 0), false, BF16, INT8); /* int8 was never timed there */
}
