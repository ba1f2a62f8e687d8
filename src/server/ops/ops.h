/* server/ops/ops.h: what ops teams see: metrics and request log lines.
 *
 * Metrics are counted where they happen and rendered on demand; docs/METRICS.md is the contract.
 * Label values come from tables (routes, model names, status codes), never from requests, so that
 * the number of series is bounded. Threads: all calls from any thread (atomics); creation before
 * threads start.
 */
#ifndef QR_SERVER_OPS_H
#define QR_SERVER_OPS_H

#include "server/exchange.h"

typedef struct qr_metrics qr_metrics;

typedef struct qr_metrics_options {
    const qr_pipeline *const *models;
    size_t models_len;
    const char *const *routes; /* names; an unmatched request counts under "other" */
    size_t routes_len;
} qr_metrics_options;

QR_MUST_USE qr_status qr_metrics_create(const qr_metrics_options *options, qr_metrics **out);
void qr_metrics_destroy(qr_metrics *metrics);

/** An answer went out (or its client went away): duration by route, model, code; stages; rejections
 * by status; deadline misses. */
void qr_metrics_exchange(qr_metrics *metrics, const qr_exchange *exchange, uint64_t now_ns);

void qr_metrics_batch(qr_metrics *metrics, const qr_pipeline *model, size_t items, size_t tokens,
                      uint64_t compute_ns);
void qr_metrics_loop_lag(qr_metrics *metrics, uint64_t lag_ns);
/** A request that the HTTP guard refused before it became an exchange. */
void qr_metrics_refused(qr_metrics *metrics, qr_status status);
void qr_metrics_connections(qr_metrics *metrics, size_t open);

/** Prometheus text format 0.0.4. `depth` is the schedule's. */
void qr_metrics_render(const qr_metrics *metrics, size_t depth, bool ready, qr_buf *out);

/** One line a request at debug; one rate-limited info line (at most 10 a second, drops counted) for
 * a failed (5xx, 429) or slow one: trace id, route, code, stage times, never text. */
void qr_ops_log_exchange(const qr_exchange *exchange, uint64_t now_ns, uint64_t slow_ns);

#endif
