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

/** Starts at a place that the system chooses. */
void qr_random_init(qr_random *random);

/** The next 64 random bits. */
uint64_t qr_random_next(qr_random *random);

#endif
