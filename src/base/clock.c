/* base/clock.c: CLOCK_MONOTONIC in nanoseconds. */
#include "base/clock.h"

#include <time.h>

uint64_t qr_clock_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * QR_NS_PER_S + (uint64_t)now.tv_nsec;
}
