/* engine/cpu/peaks_loop.h: the body of an arithmetic loop, QR_PEAK_SUMS independent multiply-adds a
 * turn.
 *
 * The including file defines QR_PEAK_VECTOR, QR_PEAK_START (a vector), QR_PEAK_MAC(sum, a, b),
 * QR_PEAK_REGISTER (the constraint of its registers), QR_PEAK_FLOAT(sum) and QR_PEAK_NAME. */
#include "engine/cpu/peaks.h"

float QR_PEAK_NAME(size_t turns) {
    QR_PEAK_VECTOR sums[QR_PEAK_SUMS], a = QR_PEAK_START, b = QR_PEAK_START;
    QR_PEAK_UNROLL
    for (size_t i = 0; i < QR_PEAK_SUMS; i++) {
        sums[i] = QR_PEAK_START;
        __asm__ volatile("" : QR_PEAK_REGISTER(sums[i])); /* else equal sums would become one */
    }
    for (; turns > 0; turns--) {
        QR_PEAK_UNROLL
        for (size_t i = 0; i < QR_PEAK_SUMS; i++)
            sums[i] = QR_PEAK_MAC(sums[i], a, b);
        /* The factors may have changed, for all that the compiler knows: no turn can be skipped. */
        __asm__ volatile("" : QR_PEAK_REGISTER(a), QR_PEAK_REGISTER(b));
    }
    float total = 0;
    QR_PEAK_UNROLL
    for (size_t i = 0; i < QR_PEAK_SUMS; i++)
        total += QR_PEAK_FLOAT(sums[i]);
    return total;
}
