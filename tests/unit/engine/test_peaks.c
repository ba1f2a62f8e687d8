/* tests/unit/engine/test_peaks.c: the machine's measured peaks are of the right kind: present where
 * the instructions are, and in the order that the instructions have. Nothing here depends on how
 * fast or how busy the machine is. */
#include "engine/cpu/kernels/isa.h"
#include "engine/engine.h"

#include <criterion/criterion.h>

/* Every target's own: int8 without VNNI too, bf16 only where the instructions are. */
Test(peaks, what_each_instruction_set_has) {
    for (qr__isa isa = QR_ISA_REF; isa < QR_ISA_COUNT; isa++) {
        if (!qr__isa_available(isa))
            continue;
        qr_peaks peaks;
        const char *name = qr__isa_name(isa);
        cr_assert_eq(qr_peaks_measure(name, 1, (size_t)256 << 10, &peaks), QR_OK);
        cr_assert_gt(peaks.f32_flops, 0);
        cr_assert_gt(peaks.read_bytes, 0);
        cr_assert_eq(peaks.bf16_flops > 0,
                     isa == QR_ISA_AVX512BF16 || isa == QR_ISA_AMX || isa == QR_ISA_NEONI8MM, "%s",
                     name);
        cr_assert_eq(peaks.int8_ops > 0, isa != QR_ISA_REF && isa != QR_ISA_NEON, "%s", name);
        /* Sums that a compiler merged would show as rates that no core has: some three times what
         * two AVX-512 units do at 5 GHz. */
        cr_assert_lt(peaks.f32_flops, 1e12);
        const bool vnni =
            qr__isa_includes(isa, QR_ISA_AVX512VNNI) || qr__isa_includes(isa, QR_ISA_NEON);
        const double most = isa == QR_ISA_AMX ? 40e12 : vnni ? 8e12 : 3e12;
        cr_assert_lt(peaks.int8_ops, most, "%s", name);
    }
}

Test(peaks, several_threads_and_sizes) {
    qr_peaks peaks;
    cr_assert_eq(qr_peaks_measure(NULL, 3, 1, &peaks), QR_OK); /* a buffer of a line a thread */
    cr_assert_gt(peaks.read_bytes, 0);
    cr_assert_eq(qr_peaks_measure(NULL, 0, 1, &peaks), QR_BAD_OPTION);
    cr_assert_eq(qr_peaks_measure(NULL, 100000, 1, &peaks), QR_BAD_OPTION);
    cr_assert_eq(qr_peaks_measure("sse2", 1, 1, &peaks), QR_BAD_OPTION);
}
