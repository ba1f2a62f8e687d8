/* base/random.c: splitmix64 (Steele, Lea, Flood 2014). Its state only counts, so that drawing is
 * one atomic addition, whatever thread does it. */
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
    const uint64_t step = 0x9E3779B97F4A7C15ull;
    uint64_t z = atomic_fetch_add_explicit(&random->state, step, memory_order_relaxed) + step;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ z >> 27) * 0x94D049BB133111EBull;
    return z ^ z >> 31;
}
