/* cli/hdr_histogram.h: a log-linear histogram of durations: any range, one relative error, constant
 * memory.
 *
 *     qr__hdr hdr = {0};
 *     if (!qr__hdr_init(&hdr)) ...                      // no memory
 *     qr__hdr_record(&hdr, nanoseconds);
 *     double p99_ns = qr__hdr_percentile(&hdr, 99);
 *     qr__hdr_deinit(&hdr);
 *
 * Values up to 2047 are exact; above, a bucket is at most 1/1024 of its value wide, so a percentile
 * is off by at most 0.05 %. Values above QR_HDR_MAX count as QR_HDR_MAX. Threads: one at a time.
 */
#ifndef QR_CLI_HDR_HISTOGRAM_H
#define QR_CLI_HDR_HISTOGRAM_H

#include "base/base.h"

#define QR_HDR_MAX ((UINT64_C(1) << 42) - 1) /* 73 minutes in ns */

typedef struct qr__hdr {
    uint64_t *counts; /* owned */
    uint64_t total, min, max;
    double sum;
} qr__hdr;

/** An empty histogram, about 260 KiB. False: no memory; it may be deinited all the same. */
QR_MUST_USE bool qr__hdr_init(qr__hdr *hdr);

/** Frees it; NULL and a zeroed one are allowed. */
void qr__hdr_deinit(qr__hdr *hdr);

/** Counts one value. */
void qr__hdr_record(qr__hdr *hdr, uint64_t value);

/** The value that `percent` (0..100) of all values do not exceed: the middle of its bucket, within
 * [min, max]. 0 when empty. */
double qr__hdr_percentile(const qr__hdr *hdr, double percent);

/** The mean of all values, exact but for QR_HDR_MAX; 0 when empty. */
double qr__hdr_mean(const qr__hdr *hdr);

#endif
