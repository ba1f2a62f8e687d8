/* cli/latencies.h: how the measuring commands print latencies: the same percentiles by the same
 * names. */
#ifndef QR_CLI_LATENCIES_H
#define QR_CLI_LATENCIES_H

#include "cli/hdr_histogram.h"

/** Appends {"p50":...,"p90":...,"p99":...,"p99.9":...,"max":...,"mean":...,"count":...} of a
 * histogram of ns, in ms. */
void qr__latencies_json(const qr__hdr *hdr, qr_buf *out);

/** Appends the same as a line of text that begins with `what`. */
void qr__latencies_text(const char *what, const qr__hdr *hdr, qr_buf *out);

#endif
