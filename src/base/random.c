/* base/random.c: splitmix64. Its state only counts, so that drawing is one atomic addition,
 * whatever thread does it. */
#include "base/random.h"

#include <sys/random.h>

#include "base/clock.h"

void qr_random_init(qr_random *random) {
    uint64_t state;
    if (getrandom(&state, sizeof state, 0) != sizeof state)
        state = qr_clock_ns();
    atomic_init(&random->state, state);
}

uint64_t qr_random_next(qr_random *random) {
    uint64_t before =
        atomic_fetch_add_explicit(&random->state, QR_RANDOM_STEP, memory_order_relaxed);
    return qr_random_mix(before + QR_RANDOM_STEP);
}
