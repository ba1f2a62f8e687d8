/* base/clock.h: monotonic time; a change of the wall clock has no effect on querent. */
#ifndef QR_BASE_CLOCK_H
#define QR_BASE_CLOCK_H

#include <stdint.h>

#define QR_NS_PER_MS 1000000ull
#define QR_NS_PER_S  1000000000ull

/** Nanoseconds since some fixed point, CLOCK_MONOTONIC. */
uint64_t qr_clock_ns(void);

#endif
