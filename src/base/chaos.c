/* base/chaos.c: where the chaos build's delays come from. Empty in every other build. */
#include "base/chaos.h"

#if defined(QR_CHAOS)

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "base/random.h"

#define SLEEP_NS_MOST 200000u

static uint64_t seed;
static atomic_uint_least64_t threads; /* that have drawn: each one's number is part of its state */
static pthread_once_t seeded = PTHREAD_ONCE_INIT;
static _Thread_local uint64_t state;

static void choose_seed(void) {
    const char *given = getenv("QUERENT_CHAOS_SEED");
    if (given != NULL)
        seed = strtoull(given, NULL, 10);
    else if (getrandom(&seed, sizeof seed, 0) != sizeof seed)
        seed = 1;
    fprintf(stderr, "chaos: QUERENT_CHAOS_SEED=%" PRIu64 "\n", seed);
}

/* For splitmix64 any state is a good one, so seed and number may be mixed. */
static uint64_t draw(void) {
    if (state == 0) {
        pthread_once(&seeded, choose_seed);
        state = seed + (atomic_fetch_add(&threads, 1) + 1) * 0xD1342543DE82EF95ull;
    }
    return qr_random_mix(state += QR_RANDOM_STEP);
}

void qr__chaos_delay(void) {
    uint64_t dice = draw();
    if (dice % 8 == 0) {
        const struct timespec pause = {.tv_nsec = (long)((dice >> 8) % SLEEP_NS_MOST)};
        nanosleep(&pause, NULL);
    } else if (dice % 8 == 1) {
        sched_yield();
    }
}

bool qr__chaos_refuse(void) {
    return draw() % 8 == 0;
}

#endif
