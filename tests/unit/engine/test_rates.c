/* The table of rates: which row a CPU takes, and the instruction set and the order of precisions
 * that follow. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "engine/cpu/rates.h"

static const qr__rates rows[] = {
    {{"AuthenticAMD", 25, 1}, "one", QR_ISA_AVX2, false, "2026-01-01", 100, 150, 240},
    {{"AuthenticAMD", 25, 17}, "two", QR_ISA_AVX2, true, "2026-01-02", 80, 90, 0},
    {{"GenuineIntel", 25, 17}, "three", QR_ISA_AVX2, false, "2026-01-03", 1, 2, 3},
    {{"GenuineIntel", 6, 1}, "four", QR_ISA_AVX2, true, "2026-01-04", 10, 20, 30},
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
    cr_assert_eq(find("AuthenticAMD", 25, 17, QR_ISA_AVX512F), &rows[4]);
}

Test(rates, an_unknown_cpu_takes_its_vendors_row_then_the_first_that_stands_in) {
    cr_assert_eq(find("GenuineIntel", 6, 85, QR_ISA_AVX2), &rows[3]);
    cr_assert_eq(find("AuthenticAMD", 25, 2, QR_ISA_AVX2), &rows[1]);
    cr_assert_eq(find("HygonGenuine", 24, 1, QR_ISA_AVX2), &rows[1]);
    cr_assert_eq(find("", 0, 0, QR_ISA_AVX2), &rows[1]);
    cr_assert_eq(find("AuthenticAMD", 25, 17, QR_ISA_AVX2VNNI), &rows[5]);
    cr_assert_null(find("GenuineIntel", 6, 85, QR_ISA_AVX512F));
}

Test(rates, a_row_names_itself) {
    const qr__cpu_id own = rows[1].cpu, other = {.vendor = "GenuineIntel"};
    const qr__cpu_id sibling = {.vendor = "AuthenticAMD"};
    qr_rates rates;
    qr__rates_describe(&rows[1], &own, &rates);
    cr_assert_str_eq(rates.name, "two, avx2, 2026-01-02");
    cr_assert_eq(rates.gops[QR_PRECISION_F32], 80);
    cr_assert_eq(rates.gops[QR_PRECISION_BF16], 90);
    cr_assert_eq(rates.gops[QR_PRECISION_INT8], 0);
    qr__rates_describe(&rows[1], &other, &rates);
    cr_assert_str_eq(rates.name, "two, avx2, 2026-01-02 (for any CPU)");
    qr__rates_describe(&rows[1], &sibling, &rates);
    cr_assert_str_eq(rates.name, "two, avx2, 2026-01-02 (for any CPU of its vendor)");
    qr__rates_describe(&rows[5], &other, &rates);
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

/* The choice between AVX-512F and AVX2, by the rates of each on one CPU: f32, bf16, int8. */
static qr__isa fastest_of(const double high[3], const double low[3]) {
    const qr__rates pair[] = {
        {{"A", 1, 1}, "", QR_ISA_AVX2, true, "2026-01-01", low[0], low[1], low[2]},
        {{"A", 1, 1}, "", QR_ISA_AVX512F, true, "2026-01-01", high[0], high[1], high[2]},
    };
    const qr__cpu_id cpu = {"A", 1, 1};
    const bool runs[QR_ISA_COUNT] = {
        [QR_ISA_REF] = true, [QR_ISA_AVX2] = true, [QR_ISA_AVX512F] = true};
    return qr__rates_fastest_isa(pair, 2, &cpu, runs);
}
#define FASTEST(...) fastest_of((const double[]){__VA_ARGS__}, (const double[]){100, 100, 100})

Test(rates, the_highest_instruction_set_that_is_not_slower) {
    cr_assert_eq(FASTEST(100, 200, 300), QR_ISA_AVX512F);
    cr_assert_eq(FASTEST(100, 100, 100), QR_ISA_AVX512F, "equal");
    cr_assert_eq(FASTEST(98, 102, 98), QR_ISA_AVX512F, "equal within the tie");
    cr_assert_eq(FASTEST(100, 90, 100), QR_ISA_AVX2);
    cr_assert_eq(FASTEST(90, 100, 102), QR_ISA_AVX2, "what gains less than the tie saves nothing");
    cr_assert_eq(FASTEST(100, 100, 90), QR_ISA_AVX2);
    cr_assert_eq(FASTEST(50, 50, 104), QR_ISA_AVX512F, "faster at something");
}

/* Of the rows below, CPU 1 of vendor A is slower with AVX-512F, CPU 2 is not. */
static const qr__rates slow_and_fast[] = {
    {{"A", 1, 1}, "slow", QR_ISA_AVX2, false, "2026-01-01", 100, 100, 100},
    {{"A", 1, 1}, "slow", QR_ISA_AVX512F, true, "2026-01-01", 100, 50, 100},
    {{"A", 1, 2}, "fast", QR_ISA_AVX2, true, "2026-01-01", 10, 10, 10},
    {{"A", 1, 2}, "fast", QR_ISA_AVX512F, false, "2026-01-01", 10, 20, 10},
    {{"A", 1, 2}, "fast", QR_ISA_AVX2VNNI, true, "2026-01-01", 99, 99, 99},
};

static qr__isa fastest_on(unsigned model, bool avx2) {
    const qr__cpu_id cpu = {"A", 1, model};
    const bool runs[QR_ISA_COUNT] = {[QR_ISA_REF] = true,
                                     [QR_ISA_AVX2] = avx2,
                                     [QR_ISA_AVX2VNNI] = model == 2,
                                     [QR_ISA_AVX512F] = true};
    return qr__rates_fastest_isa(slow_and_fast, sizeof slow_and_fast / sizeof slow_and_fast[0],
                                 &cpu, runs);
}

/* CPU 3 has no row: CPU 1 stands in for its AVX-512F and CPU 2, ten times slower, for its AVX2;
 * only CPU 1's own AVX2 says what its AVX-512F is worth. CPU 2 has AVX-VNNI too, which AVX-512F
 * does not include, so it is not asked about. */
Test(rates, only_rows_of_one_cpu_are_compared) {
    cr_assert_eq(fastest_on(1, true), QR_ISA_AVX2);
    cr_assert_eq(fastest_on(2, true), QR_ISA_AVX512F);
    cr_assert_eq(fastest_on(3, true), QR_ISA_AVX2);
    cr_assert_eq(fastest_on(1, false), QR_ISA_AVX512F, "there is nothing else");
}

/* What the committed table makes of a CPU whose highest instruction set is `highest`. */
static qr__isa fastest_here(const char *vendor, unsigned family, unsigned model, qr__isa highest) {
    qr__cpu_id cpu = {.family = family, .model = model};
    bool runs[QR_ISA_COUNT] = {0};
    snprintf(cpu.vendor, sizeof cpu.vendor, "%s", vendor);
    for (qr__isa isa = QR_ISA_REF; isa < QR_ISA_COUNT; isa++)
        runs[isa] = qr__isa_includes(highest, isa);
    return qr__rates_fastest_isa(qr__rates_table, qr__rates_table_len, &cpu, runs);
}

/* AMD's bf16 dot products have twice the rate of f32, Intel's half of it; AMX is worth it all. */
Test(rates, intel_without_amx_is_faster_without_its_bf16_dot_products) {
    static const unsigned xeons[] = {106, 143, 167, 173, 207, 85, 999};
    for (size_t i = 0; i < sizeof xeons / sizeof xeons[0]; i++) {
        cr_assert_eq(fastest_here("GenuineIntel", 6, xeons[i], QR_ISA_AVX512BF16),
                     QR_ISA_AVX512VNNI, "%u", xeons[i]);
        cr_assert_eq(fastest_here("GenuineIntel", 6, xeons[i], QR_ISA_AMX), QR_ISA_AMX, "%u",
                     xeons[i]);
    }
    cr_assert_eq(fastest_here("AuthenticAMD", 25, 17, QR_ISA_AVX512BF16), QR_ISA_AVX512BF16);
    cr_assert_eq(fastest_here("AuthenticAMD", 26, 2, QR_ISA_AVX512BF16), QR_ISA_AVX512BF16);
    cr_assert_eq(fastest_here("AuthenticAMD", 99, 9, QR_ISA_AVX512BF16), QR_ISA_AVX512BF16);
    cr_assert_eq(fastest_here("", 0, 0, QR_ISA_AVX512BF16), QR_ISA_AVX512BF16);
}

/* Nothing but those bf16 dot products is passed over on any CPU that was measured. */
Test(rates, every_other_instruction_set_is_worth_taking) {
    for (size_t i = 0; i < qr__rates_table_len; i++) {
        const qr__rates *row = &qr__rates_table[i];
        const bool passed_over =
            row->isa == QR_ISA_AVX512BF16 && strcmp(row->cpu.vendor, "GenuineIntel") == 0;
        const qr__isa found =
            fastest_here(row->cpu.vendor, row->cpu.family, row->cpu.model, row->isa);
        cr_assert_eq(found == row->isa, !passed_over, "%s, %s: %s", row->name,
                     qr__isa_name(row->isa), qr__isa_name(found));
    }
}

/* A Zen 3, which has no more than AVX2, has no row. Weights in 16 bits are faster than f32 there
 * (9 tokens of a 6x384 model in 2.5 ms, not 3.5), as on Ice Lake's and not as on Zen 4's AVX2 or a
 * first Zen's: a Zen 4 stands in for AMD's CPUs that have AVX-512, and neither for these. */
Test(rates, a_zen_3_prefers_16_bits_to_32) {
    const qr__cpu_id zen3 = {"AuthenticAMD", 25, 1};
    const bool runs[QR_PRECISIONS] = {
        [QR_PRECISION_F32] = true, [QR_PRECISION_BF16] = true, [QR_PRECISION_INT8] = true};
    qr_precision order[QR_PRECISIONS];
    qr_rates rates;
    qr__rates_describe(qr__rates_find(qr__rates_table, qr__rates_table_len, &zen3, QR_ISA_AVX2),
                       &zen3, &rates);
    qr__rates_order(&rates, runs, order);
    cr_expect_eq(order[0], QR_PRECISION_INT8);
    cr_expect_eq(order[1], QR_PRECISION_BF16);
    cr_expect_eq(order[2], QR_PRECISION_F32);
}

/* One row a CPU and instruction set, one at most that stands in for a vendor's CPUs, one at least
 * that does for any, and no figure without a date. */
Test(rates, the_committed_table_is_consistent) {
    bool found[QR_ISA_COUNT] = {false};
    for (size_t i = 0; i < qr__rates_table_len; i++) {
        const qr__rates *row = &qr__rates_table[i];
        size_t stand_in = 0, any = 0;
        for (size_t j = 0; j < qr__rates_table_len; j++) {
            const qr__rates *other = &qr__rates_table[j];
            bool stands_in = other->isa == row->isa && other->stands_in;
            any += stands_in;
            stand_in += stands_in && strcmp(other->cpu.vendor, row->cpu.vendor) == 0;
        }
        cr_assert(any > 0 && stand_in <= 1, "%s, %s", row->name, qr__isa_name(row->isa));
        found[row->isa] = true;
        cr_assert_eq(row->date[0] != '\0', row->f32_gops > 0, "%s", row->name);
        cr_assert(row->f32_gops > 0 || (row->bf16_gops == 0 && row->int8_gops == 0), "%s",
                  row->name);
        cr_assert_eq(qr__rates_find(qr__rates_table, qr__rates_table_len, &row->cpu, row->isa), row,
                     "%s", row->name);
    }
    for (qr__isa isa = QR_ISA_REF; isa < QR_ISA_COUNT; isa++)
        cr_assert(found[isa], "%s", qr__isa_name(isa));
}
