/* The table of rates: which row a CPU takes, and the order of precisions that follows. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "engine/cpu/rates.h"

static const qr__rates rows[] = {
    {{"AuthenticAMD", 25, 1}, "one", QR_ISA_AVX2, false, "2026-01-01", 100, 150, 240},
    {{"AuthenticAMD", 25, 17}, "two", QR_ISA_AVX2, true, "2026-01-02", 80, 90, 0},
    {{"GenuineIntel", 25, 17}, "three", QR_ISA_AVX2, false, "2026-01-03", 1, 2, 3},
    {{"AuthenticAMD", 25, 17}, "two", QR_ISA_AVX512F, false, "2026-01-02", 100, 90, 0},
    {{"", 0, 0}, "any CPU", QR_ISA_AVX2VNNI, true, "", 0, 0, 0},
};
#define ROWS (sizeof rows / sizeof rows[0])

static const qr__rates *find(const char *vendor, unsigned family, unsigned model, qr__isa isa) {
    qr__cpu_id id = {.family = family, .model = model};
    snprintf(id.vendor, sizeof id.vendor, "%s", vendor);
    return qr__rates_find(rows, ROWS, &id, isa);
}

Test(rates, a_cpu_takes_its_own_row) {
    cr_assert_eq(find("AuthenticAMD", 25, 1, QR_ISA_AVX2), &rows[0]);
    cr_assert_eq(find("AuthenticAMD", 25, 17, QR_ISA_AVX2), &rows[1]);
    cr_assert_eq(find("GenuineIntel", 25, 17, QR_ISA_AVX2), &rows[2]);
    cr_assert_eq(find("AuthenticAMD", 25, 17, QR_ISA_AVX512F), &rows[3]);
}

Test(rates, an_unknown_cpu_takes_its_instruction_sets_row) {
    cr_assert_eq(find("GenuineIntel", 6, 85, QR_ISA_AVX2), &rows[1]);
    cr_assert_eq(find("AuthenticAMD", 25, 2, QR_ISA_AVX2), &rows[1]);
    cr_assert_eq(find("AuthenticAMD", 25, 17, QR_ISA_AVX2VNNI), &rows[4]);
    cr_assert_null(find("GenuineIntel", 6, 85, QR_ISA_AVX512F));
}

Test(rates, a_row_names_itself) {
    const qr__cpu_id own = rows[1].cpu, other = {.vendor = "GenuineIntel"};
    qr_rates rates;
    qr__rates_describe(&rows[1], &own, &rates);
    cr_assert_str_eq(rates.name, "two, avx2, 2026-01-02");
    cr_assert_eq(rates.gops[QR_PRECISION_F32], 80);
    cr_assert_eq(rates.gops[QR_PRECISION_BF16], 90);
    cr_assert_eq(rates.gops[QR_PRECISION_INT8], 0);
    qr__rates_describe(&rows[1], &other, &rates);
    cr_assert_str_eq(rates.name, "two, avx2, 2026-01-02 (for any CPU)");
    qr__rates_describe(&rows[4], &other, &rates);
    cr_assert_str_eq(rates.name, "any CPU, avx2vnni, not measured");
    qr__rates_describe(NULL, &other, &rates);
    cr_assert_str_eq(rates.name, "none");
    cr_assert_eq(rates.gops[QR_PRECISION_F32], 0);
}

/* "ibf": int8, bf16, f32. */
static void check_order(double f32, double bf16, double int8, const char *expected) {
    static const char letters[QR_PRECISIONS] = {'?', 'f', 'h', 'b', 'i'};
    const qr_rates rates = {.gops = {0, f32, 0, bf16, int8}};
    const bool runs[QR_PRECISIONS] = {false, true, false, true, true};
    qr_precision order[QR_PRECISIONS];
    char found[QR_PRECISIONS + 1] = "";
    qr__rates_order(&rates, runs, order);
    for (size_t i = 0; i == 0 || order[i - 1] != QR_PRECISION_F32; i++)
        found[i] = letters[order[i]];
    cr_assert_str_eq(found, expected, "%g %g %g: %s", f32, bf16, int8, found);
}

Test(rates, the_fastest_goes_first_and_f32_ends_it) {
    check_order(100, 200, 400, "ibf");
    check_order(100, 400, 200, "bif");
    check_order(100, 90, 400, "if");
    check_order(100, 200, 90, "bf");
    check_order(100, 90, 80, "f");
}

Test(rates, of_nearly_equal_ones_the_more_exact_goes_first) {
    check_order(100, 102, 102.9, "f");
    check_order(100, 103.5, 105, "bif");
    check_order(100, 200, 205, "bif");
    check_order(100, 200, 207, "ibf");
    check_order(100, 100, 100, "f");
}

Test(rates, what_was_not_measured_or_does_not_run_is_not_tried) {
    check_order(100, 0, 400, "if");
    check_order(100, 200, 0, "bf");
    check_order(0, 200, 400, "f");
    check_order(0, 0, 0, "f");
    const qr_rates rates = {.gops = {0, 100, 0, 200, 400}};
    const bool runs[QR_PRECISIONS] = {false, true, false, true, false};
    qr_precision order[QR_PRECISIONS];
    qr__rates_order(&rates, runs, order);
    cr_assert_eq(order[0], QR_PRECISION_BF16);
    cr_assert_eq(order[1], QR_PRECISION_F32);
}

/* One row a CPU and instruction set, one that stands in for any CPU of each set, and no figure
 * without a date. */
Test(rates, the_committed_table_is_consistent) {
    size_t stands_in[QR_ISA_COUNT] = {0};
    for (size_t i = 0; i < qr__rates_table_len; i++) {
        const qr__rates *row = &qr__rates_table[i];
        stands_in[row->isa] += row->stands_in;
        cr_assert_eq(row->date[0] != '\0', row->f32_gops > 0, "%s", row->name);
        cr_assert(row->f32_gops > 0 || (row->bf16_gops == 0 && row->int8_gops == 0), "%s",
                  row->name);
        cr_assert_eq(qr__rates_find(qr__rates_table, qr__rates_table_len, &row->cpu, row->isa), row,
                     "%s", row->name);
    }
    for (qr__isa isa = QR_ISA_REF; isa < QR_ISA_COUNT; isa++)
        cr_assert_eq(stands_in[isa], 1, "%s", qr__isa_name(isa));
}
