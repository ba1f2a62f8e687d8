/* cli/delays.h: how long single requests take on their way, drawn from what was measured of many.
 *
 *     qr__delays delays;
 *     int code = qr__delays_parse(&command, "overhead-us", "80,120,900,2500", &delays);
 *     qr__delays_seed(&delays, 1);
 *     way_ns = qr__delays_next_ns(&delays);
 *
 * Up to four figures: the median, and what 90, 99 and 99.9 % of the requests do not exceed. Half of
 * the requests take the median, the others lie on straight lines between the figures (inverse
 * transform sampling), and none exceeds the last. So one figure alone is everybody's. Threads: one
 * at a time.
 */
#ifndef QR_CLI_DELAYS_H
#define QR_CLI_DELAYS_H

#include "cli/flags.h"

#define QR_DELAYS         4
#define QR_DELAYS_US_MOST 1000000u

typedef struct qr__delays {
    double us[QR_DELAYS]; /* none is less than the one before */
    size_t len;           /* at least 1 */
    uint64_t random;
} qr__delays;

/** Reads "US[,US[,US[,US]]]", the value of --`name`. QR_FLAGS_GO or the exit code. */
QR_MUST_USE int qr__delays_parse(const qr__command *command, const char *name, const char *text,
                                 qr__delays *out);

/** The same seed draws the same delays. */
void qr__delays_seed(qr__delays *delays, uint64_t seed);

/** The next request's delay. */
uint64_t qr__delays_next_ns(qr__delays *delays);

#endif
