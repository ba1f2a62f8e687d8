/* base/clock.c: the system's clocks in nanoseconds. */
#include "base/clock.h"

#include <time.h>

static uint64_t read_ns(clockid_t id) {
    struct timespec now;
    clock_gettime(id, &now);
    return (uint64_t)now.tv_sec * QR_NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t qr_clock_ns(void) {
    return read_ns(CLOCK_MONOTONIC);
}

uint64_t qr_clock_wall_ns(void) {
    return read_ns(CLOCK_REALTIME);
}

uint64_t qr_clock_thread_cpu_ns(void) {
    return read_ns(CLOCK_THREAD_CPUTIME_ID);
}
