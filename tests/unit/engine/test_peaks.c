/* tests/unit/engine/test_peaks.c: the machine's measured peaks are of the right kind: present where
 * the instructions are, and in the order that the instructions have. Nothing here depends on how
 * fast or how busy the machine is. */
#include "engine/cpu/kernels/isa.h"
#include "engine/engine.h"

#include <criterion/criterion.h>

Test(peaks, what_the_machine_has) {
    qr_peaks peaks;
    cr_assert_eq(qr_peaks_measure(1, (size_t)256 << 10, &peaks), QR_OK);
    cr_assert_gt(peaks.f32_flops, 0);
    cr_assert_gt(peaks.read_bytes, 0);
    cr_assert_eq(peaks.bf16_flops > 0, qr__isa_available(QR_ISA_AVX512BF16));
    cr_assert_eq(peaks.int8_ops > 0,
                 qr__isa_available(QR_ISA_AVX512VNNI) || qr__isa_available(QR_ISA_AVX2VNNI));
    /* Sums that a compiler merged would show as rates that no core has: some three times what two
     * AVX-512 units do at 5 GHz. */
    cr_assert_lt(peaks.f32_flops, 1e12);
    cr_assert_lt(peaks.int8_ops, 8e12);
}

Test(peaks, several_threads_and_sizes) {
    qr_peaks peaks;
    cr_assert_eq(qr_peaks_measure(3, 1, &peaks), QR_OK); /* a buffer of a line a thread */
    cr_assert_gt(peaks.read_bytes, 0);
    cr_assert_eq(qr_peaks_measure(0, 1, &peaks), QR_BAD_OPTION);
    cr_assert_eq(qr_peaks_measure(100000, 1, &peaks), QR_BAD_OPTION);
}
