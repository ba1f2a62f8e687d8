/* server/ops/metrics_text.h: the lines of Prometheus' text format.
 *
 *     qr__metric_head(out, "querent_x_total", "counter", "What it counts.");
 *     qr__metric_label(&labels, "model", name);
 *     qr__metric_sample(out, "querent_x_total", labels, 17);
 *
 * Threads: pure but for their buffers.
 */
#ifndef QR_SERVER_OPS_METRICS_TEXT_H
#define QR_SERVER_OPS_METRICS_TEXT_H

#include "base/base.h"

/** "# HELP ..." and "# TYPE ..." of a metric. */
void qr__metric_head(qr_buf *out, const char *name, const char *type, const char *help);

/** Appends name="value" to a list of labels, escaped as the format asks. */
void qr__metric_label(qr_buf *labels, const char *name, const char *value);

/** One sample; `labels` without braces, may be empty. */
void qr__metric_sample(qr_buf *out, const char *name, qr_text labels, uint64_t value);

/** A metric of one sample without labels, with its head. */
void qr__metric_alone(qr_buf *out, const char *name, const char *type, const char *help,
                      uint64_t value);

/** A number; of billionths, when these are counted: "0.001500000". */
void qr__metric_amount(qr_buf *out, uint64_t amount, bool billionths);

#endif
