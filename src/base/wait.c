/* base/wait.c: spinning by the clock, and Linux's futex (man 2 futex). */
#include "base/wait.h"

#include <linux/futex.h>
#include <sched.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"

#define TURNS_A_YIELD 1024u
#define TURNS_A_CLOCK 64u /* reading the clock costs as much as a few turns */

void qr_wait_turn(unsigned *turn) {
    qr_wait_relax();
    if (++*turn % TURNS_A_YIELD == 0)
        sched_yield();
}

unsigned qr_wait_spin(const atomic_uint *word, unsigned value, uint64_t ns) {
    unsigned now = atomic_load_explicit(word, memory_order_acquire);
    uint64_t end = 0; /* the clock is not asked at all when the change comes soon */
    for (unsigned turn = 1; now == value; turn++) {
        qr_wait_relax();
        now = atomic_load_explicit(word, memory_order_acquire);
        if (turn % TURNS_A_CLOCK != 0)
            continue;
        uint64_t clock = qr_clock_ns();
        if (end == 0)
            end = clock + ns;
        else if (clock >= end)
            break;
    }
    return now;
}

void qr_wait_sleep(atomic_uint *word, unsigned value) {
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

void qr_wait_wake(atomic_uint *word, int count) {
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}
