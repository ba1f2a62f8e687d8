/* cli/sweep.h: one load after the other: which rates, and what each came to.
 *
 *     qr__sweep sweep = {0};
 *     code = qr__sweep_parse(&command, 0, "100,200,400", &sweep);
 *     for (size_t i = 0; i < sweep.len; i++)
 *         sweep.points[i] = (qr__sweep_point){.rate = sweep.points[i].rate, ...};
 */
#ifndef QR_CLI_SWEEP_H
#define QR_CLI_SWEEP_H

#include "cli/flags.h"
#include "cli/hdr_histogram.h"

#define QR_SWEEP_RATES 64u      /* most of one sweep */
#define QR_RATE_MOST   1000000u /* requests a second */

typedef struct qr__sweep_point {
    double rate;                            /* offered, requests a second */
    double p50_ms, p90_ms, p99_ms, p999_ms; /* of good answers; 0: there was none */
    double goodput;                         /* good answers a second */
    double miss_share;                      /* of the requests; the rest had good answers */
} qr__sweep_point;

typedef struct qr__sweep {
    qr__sweep_point points[QR_SWEEP_RATES];
    size_t len;
} qr__sweep;

/** Reads "R1,R2,..." into the rates of a zeroed sweep: numbers above 0 that rise; of NULL the sweep
 * is the one rate `one`. QR_FLAGS_GO or the exit code. */
QR_MUST_USE int qr__sweep_parse(const qr__command *command, double one, const char *text,
                                qr__sweep *out);

/** The point of so many `requests` of which those in `succeeded` (ns) had a good answer. */
qr__sweep_point qr__sweep_point_of(double rate, const qr__hdr *succeeded, uint64_t requests,
                                   double goodput);

/** Appends the head of the table that a sweep prints. */
void qr__sweep_table_head(qr_buf *out);

/** Appends a row of it. */
void qr__sweep_table_row(const qr__sweep_point *point, qr_buf *out);

/** Reads what `querent bench http --sweep --json` printed. QR_IO, QR_TOO_LARGE, QR_NO_MEMORY, or
 * QR_BAD_REQUEST: it is something else; the message names file and line. */
QR_MUST_USE qr_status qr__sweep_read(const char *path, qr__sweep *out, qr_error *error);

#endif
