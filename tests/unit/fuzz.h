/* tests: how often a fuzz test goes round, and what it draws, the same at every run.
 *
 *     for (size_t i = 0; i < fuzz_runs(20000); i++)
 *         bytes[fuzz_below(len)] = (char)fuzz_below(256);
 */
#ifndef QR_TESTS_FUZZ_H
#define QR_TESTS_FUZZ_H

#include <criterion/criterion.h>
#include <stdint.h>
#include <stdlib.h>

/** QR_FUZZ_RUNS where it is set, as for the long run. */
static inline size_t fuzz_runs(size_t by_default) {
    const char *asked = getenv("QR_FUZZ_RUNS");
    char *end = NULL;
    const unsigned long number = asked == NULL ? by_default : strtoul(asked, &end, 10);
    cr_assert(asked == NULL || (end != asked && *end == '\0'), "QR_FUZZ_RUNS=%s", asked);
    return number;
}

static inline uint64_t fuzz_next(void) {
    static uint64_t state = 1; /* xorshift64 (Marsaglia, 2003) */
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

/** A number from 0 to n - 1. */
static inline size_t fuzz_below(size_t n) {
    return (size_t)(fuzz_next() >> 11) % n;
}

#endif
