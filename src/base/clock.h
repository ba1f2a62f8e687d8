/* base/clock.h: the system's clocks. What is decided is decided by the monotonic one, on which a
 * change of the wall clock has no effect.
 *
 * Code whose decisions depend on time takes a qr_clock, so that its tests can say what time it is:
 *
 *     uint64_t now = qr_clock_read(options->clock);      // NULL: the system's monotonic clock
 */
#ifndef QR_BASE_CLOCK_H
#define QR_BASE_CLOCK_H

#include <stdint.h>

#define QR_NS_PER_MS 1000000ull
#define QR_NS_PER_S  1000000000ull

/** Nanoseconds since some fixed point, CLOCK_MONOTONIC. */
uint64_t qr_clock_ns(void);

/** Nanoseconds since 1970 by the system's wall clock, which may be set and step. */
uint64_t qr_clock_wall_ns(void);

/** Nanoseconds of CPU that the calling thread has used. */
uint64_t qr_clock_thread_cpu_ns(void);

/** A source of time. `now_ns` never goes backwards and may be called by any thread. */
typedef struct qr_clock {
    uint64_t (*now_ns)(void *state);
    void *state;
} qr_clock;

/** The time by `clock`; NULL: qr_clock_ns(). */
static inline uint64_t qr_clock_read(const qr_clock *clock) {
    return clock == 0 ? qr_clock_ns() : clock->now_ns(clock->state);
}

#endif
