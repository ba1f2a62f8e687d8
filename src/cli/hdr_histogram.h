/* cli/hdr_histogram.h: a log-linear histogram of durations: any range, one relative error, constant
 * memory.
 *
 *     qr_hdr hdr = {0};
 *     if (!qr_hdr_init(&hdr)) ...                      // no memory
 *     qr_hdr_record(&hdr, nanoseconds);
 *     double p99_ns = qr_hdr_percentile(&hdr, 99);
 *     qr_hdr_deinit(&hdr);
 *
 * Values up to 2047 are exact; above, a bucket is at most 1/1024 of its value wide, so a percentile
 * is off by at most 0.05 %. Values above QR_HDR_MAX count as QR_HDR_MAX. Threads: one at a time.
 */
#ifndef QR_CLI_HDR_HISTOGRAM_H
#define QR_CLI_HDR_HISTOGRAM_H

#include "base/base.h"

#define QR_HDR_MAX ((UINT64_C(1) << 42) - 1) /* 73 minutes in ns */

typedef struct qr_hdr {
    uint64_t *counts; /* owned */
    uint64_t total, min, max;
    double sum;
} qr_hdr;

/** An empty histogram, about 260 KiB. False: no memory; it may be deinited all the same. */
QR_MUST_USE bool qr_hdr_init(qr_hdr *hdr);

/** Frees it; NULL and a zeroed one are allowed. */
void qr_hdr_deinit(qr_hdr *hdr);

/** Counts one value. */
void qr_hdr_record(qr_hdr *hdr, uint64_t value);

/** The value that `percent` (0..100) of all values do not exceed: the middle of its bucket, within
 * [min, max]. 0 when empty. */
double qr_hdr_percentile(const qr_hdr *hdr, double percent);

/** The mean of all values, exact but for QR_HDR_MAX; 0 when empty. */
double qr_hdr_mean(const qr_hdr *hdr);

#endif
