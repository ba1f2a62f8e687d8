/* server/flow.h: the way of a request: http -> api -> schedule -> api -> http, and what may cut it
 * short.
 *
 *     qr_flow_create(loop, exchanges_max, slow_ns, &flow);
 *     qr_http_options options = {...};
 *     qr_flow_connect(flow, &options);             // sets the callbacks
 *     qr_http_open(&options, &http, &error); qr_flow_listener(flow, http);
 *     qr_flow_serve(flow, api, schedule, metrics); // from now on requests that need a model are
 * served
 *
 * An exchange is the loop's, but between submit and finished() a worker's. When its deadline passes
 * or its client leaves meanwhile, the loop takes it back from the queue; if a worker already holds
 * it, a second exchange answers in its place and the first is freed when the worker lets go. So no
 * field is ever touched by two threads. Threads: the loop's only; what runs on workers is within.
 */
#ifndef QR_SERVER_FLOW_H
#define QR_SERVER_FLOW_H

#include "server/api/api.h"
#include "server/deadlines.h"
#include "server/http/http.h"
#include "server/loop.h"
#include "server/ops/ops.h"
#include "server/serving.h"

typedef struct qr_flow qr_flow;

typedef struct qr_flow_options {
    qr_loop *loop;
    const qr_api *api;
    qr_schedule *schedule;
    qr_metrics *metrics;
    size_t exchanges_max;
    uint64_t slow_ns; /* requests that take longer get a line in the log */
} qr_flow_options;

QR_MUST_USE qr_status qr_flow_create(const qr_flow_options *options, qr_flow **out);
void qr_flow_destroy(qr_flow *flow);

void qr_flow_connect(qr_flow *flow, qr_http_options *options);
void qr_flow_listener(qr_flow *flow, qr_http *http);

/** From now on requests that need a model are served by this generation. Takes the caller's pin. */
void qr_flow_serve(qr_flow *flow, qr_serving *serving);

/** The current generation (borrowed); NULL while models are loading. */
qr_serving *qr_flow_serving(const qr_flow *flow);

#endif
