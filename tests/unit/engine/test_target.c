/* The instruction set that plans are made for: by name, by QUERENT_ISA, or the fastest here. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "engine/cpu/rates.h"
#include "engine/cpu/target.h"

static qr__isa choose(const char *name) {
    qr__isa isa = QR_ISA_COUNT;
    qr_error error = {0};
    cr_assert_eq(qr__target_choose(name, &isa, &error), QR_OK, "%s", error.message);
    return isa;
}

static qr__isa fastest(void) {
    const qr__cpu_id cpu = qr__isa_cpu();
    bool runs[QR_ISA_COUNT];
    for (qr__isa isa = QR_ISA_REF; isa < QR_ISA_COUNT; isa++)
        runs[isa] = qr__isa_available(isa);
    return qr__rates_fastest_isa(qr__rates_table, qr__rates_table_len, &cpu, runs);
}

Test(target, by_itself_the_fastest_of_this_machine) {
    unsetenv("QUERENT_ISA");
    cr_assert_eq(choose(NULL), fastest());
    cr_assert_eq(choose(""), fastest());
    cr_assert_eq(setenv("QUERENT_ISA", "", 1), 0);
    cr_assert_eq(choose(NULL), fastest());
}

/* Also one that the table passes over. */
Test(target, every_instruction_set_of_this_machine_by_name) {
    for (qr__isa isa = QR_ISA_REF; isa < QR_ISA_COUNT; isa++) {
        if (!qr__isa_available(isa))
            continue;
        cr_assert_eq(setenv("QUERENT_ISA", "ref", 1), 0);
        cr_assert_eq(choose(qr__isa_name(isa)), isa);
        cr_assert_eq(choose(NULL), QR_ISA_REF);
        cr_assert_eq(setenv("QUERENT_ISA", qr__isa_name(isa), 1), 0);
        cr_assert_eq(choose(NULL), isa);
    }
}

Test(target, avx512_is_the_fastest_of_several) {
    qr__isa isa;
    qr_error error = {0};
    if (qr__isa_includes(fastest(), QR_ISA_AVX512F)) {
        cr_assert_eq(choose("avx512"), fastest());
    } else {
        cr_assert_eq(qr__target_choose("avx512", &isa, &error), QR_BAD_OPTION);
        cr_assert(strstr(error.message, "cpu:avx512: ") != NULL, "%s", error.message);
    }
}

Test(target, what_cannot_be_had_is_named) {
    qr__isa isa;
    qr_error error = {0};
    cr_assert_eq(qr__target_choose("sse9", &isa, &error), QR_BAD_OPTION);
    cr_assert(strstr(error.message, "cpu:sse9: no such instruction set; known: ref") != NULL, "%s",
              error.message);
    cr_assert_eq(setenv("QUERENT_ISA", "sse9", 1), 0);
    cr_assert_eq(qr__target_choose(NULL, &isa, &error), QR_BAD_OPTION);
    cr_assert(strstr(error.message, "QUERENT_ISA=sse9: ") != NULL, "%s", error.message);
    for (isa = QR_ISA_REF; isa < QR_ISA_COUNT; isa++) {
        qr__isa out;
        if (qr__isa_available(isa))
            continue;
        cr_assert_eq(qr__target_choose(qr__isa_name(isa), &out, &error), QR_BAD_OPTION);
        const char *why =
            qr__isa_native(isa) ? "cannot run it; its fastest is " : "not of this machine";
        cr_assert(strstr(error.message, why) != NULL, "%s", error.message);
    }
}
