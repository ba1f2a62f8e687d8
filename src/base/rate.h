/* base/rate.h: at most so many log lines a second; what was dropped is counted.
 *
 *     static qr_rate rate;
 *     uint64_t dropped;
 *     if (qr_rate_allow(&rate, 10, qr_clock_ns(), &dropped))
 *         qr_log(QR_LOG_WARN, "... (%" PRIu64 " like it not logged)", dropped);
 *
 * Zero-initialise. Thread-safe; two threads at the turn of a second may let one line more pass.
 */
#ifndef QR_BASE_RATE_H
#define QR_BASE_RATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

typedef struct qr_rate {
    _Atomic uint64_t second;
    _Atomic uint64_t used;    /* in this second */
    _Atomic uint64_t dropped; /* since the last line that passed */
} qr_rate;

/** True when one more is allowed in this second; *dropped is then how many were not since the last
 * one. */
static inline bool qr_rate_allow(qr_rate *rate, uint64_t per_second, uint64_t now_ns,
                                 uint64_t *dropped) {
    uint64_t second = now_ns / QR_NS_PER_S + 1; /* never the initial 0 */
    if (atomic_exchange_explicit(&rate->second, second, memory_order_relaxed) != second)
        atomic_store_explicit(&rate->used, 0, memory_order_relaxed);
    *dropped = 0;
    if (atomic_fetch_add_explicit(&rate->used, 1, memory_order_relaxed) >= per_second) {
        atomic_fetch_add_explicit(&rate->dropped, 1, memory_order_relaxed);
        return false;
    }
    *dropped = atomic_exchange_explicit(&rate->dropped, 0, memory_order_relaxed);
    return true;
}

#endif
