/* server/flow.h: the way of a request through the rooms: http -> api -> schedule -> api -> http, and
 * what may cut it short.
 *
 *     qr_flow_create(&options, &flow);
 *     qr_http_options http_options = {...};
 *     qr_flow_connect(flow, QR_LISTENER_MAIN, &http_options);      // sets the callbacks
 *     qr_http_open(&http_options, &http, &error);
 *     qr_flow_listener(flow, QR_LISTENER_MAIN, http);
 *     qr_flow_serve(flow, serving);              // from now on its models answer
 *     qr_flow_serve(flow, other);                // new requests are the other's; nobody waits
 *
 * docs/SCHEDULE.md tells the way, exchange.h who may touch what on it. Threads: the loop's only; what
 * runs on workers is within.
 */
#ifndef QR_SERVER_FLOW_H
#define QR_SERVER_FLOW_H

#include "server/api/api.h"
#include "server/http/http.h"
#include "server/loop.h"
#include "server/ops/ops.h"
#include "server/serving.h"

typedef struct qr_flow qr_flow;

/** All pointers are borrowed. */
typedef struct qr_flow_options {
    qr_loop *loop;
    const qr_api *api;
    qr_schedule *schedule;
    qr_metrics *metrics;
    size_t connections_max; /* of all listeners: no more requests are open at a time */
    size_t max_body_bytes;
    uint64_t default_budget_ns; /* of requests that bring none */
    uint64_t slow_ns;           /* requests that take longer get a line in the log */
} qr_flow_options;

/** QR_NO_MEMORY. *out: returns owned. */
QR_MUST_USE qr_status qr_flow_create(const qr_flow_options *options, qr_flow **out);

/** Frees the flow and its exchanges; listeners are closed and workers ended before. NULL is allowed. */
void qr_flow_destroy(qr_flow *flow);

/** Sets the callbacks of a listener that serves these routes (QR_LISTENER_MAIN, QR_LISTENER_OPS, or
 * both in one). */
void qr_flow_connect(qr_flow *flow, unsigned listener, qr_http_options *options);

/** The listener that was opened with these callbacks; borrowed. */
void qr_flow_listener(qr_flow *flow, unsigned listener, qr_http *http);

/** From now on requests are served by this generation; those under way end on theirs. Takes the
 * caller's pin. NULL: none. */
void qr_flow_serve(qr_flow *flow, qr_serving *serving);

/** The current generation (borrowed); NULL while models are loading. */
qr_serving *qr_flow_serving(const qr_flow *flow);

/** Exchanges that a worker holds, whether or not somebody waits for their answer. */
size_t qr_flow_at_work(const qr_flow *flow);

#endif
