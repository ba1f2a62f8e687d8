/* cli/arrivals.h: when the requests of an open loop come: the same seed draws the same moments,
 * whether they are sent or simulated.
 *
 *     qr__arrivals arrivals = qr__arrivals_of(500, false, 1);
 *     for (uint64_t at_ns = 0; at_ns < until_ns; at_ns += qr__arrivals_gap_ns(&arrivals))
 *         ...
 *
 * Threads: one at a time.
 */
#ifndef QR_CLI_ARRIVALS_H
#define QR_CLI_ARRIVALS_H

#include "cli/flags.h"

typedef struct qr__arrivals {
    double mean_ns;
    bool uniform;
    uint64_t random;
} qr__arrivals;

/** Whether --arrival says "poisson" or "uniform". QR_FLAGS_GO or the exit code. */
QR_MUST_USE int qr__arrivals_check(const qr__command *command, const char *arrival);

/** Whether it says "uniform". */
bool qr__arrivals_uniform(const char *arrival);

/** Arrivals at `rate` a second, above 0: in equal gaps, or in exponential ones, which make a
 * Poisson process: that is how independent clients come. */
qr__arrivals qr__arrivals_of(double rate, bool uniform, uint64_t seed);

/** The next of a sequence of numbers in [0, 1). *random: not 0. */
double qr__random_share(uint64_t *random);

/** Time from one request to the next. */
uint64_t qr__arrivals_gap_ns(qr__arrivals *arrivals);

#endif
