/* base/random.h: numbers that nobody gains by guessing: trace ids, jitter, samples. Not for
 * secrets.
 *
 *     qr_random random;
 *     qr_random_init(&random);
 *     uint64_t bits = qr_random_next(&random);
 *
 * Threads: any may draw from one source.
 */
#ifndef QR_BASE_RANDOM_H
#define QR_BASE_RANDOM_H

#include <stdatomic.h>
#include <stdint.h>

/** The state is any number; tests set it, to draw the same sequence again. */
typedef struct qr_random {
    _Atomic uint64_t state;
} qr_random;

/** The mixing of splitmix64 (Steele, Lea, Flood 2014): any state, even one that only counts,
 * becomes a number that looks random. */
static inline uint64_t qr_random_mix(uint64_t z) {
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ z >> 27) * 0x94D049BB133111EBull;
    return z ^ z >> 31;
}

#define QR_RANDOM_STEP 0x9E3779B97F4A7C15ull /* of its counting: 2^64 by the golden ratio, odd */

/** Starts at a place that the system chooses. */
void qr_random_init(qr_random *random);

/** The next 64 random bits. */
uint64_t qr_random_next(qr_random *random);

#endif
