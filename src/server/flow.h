/* server/flow.h: the way of a request through the rooms: http -> api -> schedule -> api -> http,
 * and what may cut it short.
 *
 *     qr__flow_create(&options, &flow);
 *     qr_http_options http_options = {...};
 *     qr__flow_connect(flow, QR_LISTENER_MAIN, &http_options);      // sets the callbacks
 *     qr_http_open(&http_options, &http, &error);
 *     qr__flow_listener(flow, QR_LISTENER_MAIN, http);
 *     qr__flow_serve(flow, serving);              // from now on its models answer
 *     qr__flow_serve(flow, other);                // new requests are the other's; nobody waits
 *
 * docs/SERVER.md tells the way, exchange.h who may touch what on it. Threads: the loop's only;
 * what runs on workers is within.
 */
#ifndef QR_SERVER_FLOW_H
#define QR_SERVER_FLOW_H

#include "server/access.h"
#include "server/api/api.h"
#include "server/cache.h"
#include "server/http/http.h"
#include "server/loop.h"
#include "server/ops/ops.h"
#include "server/proxy.h"
#include "server/serving.h"
#include "server/verify.h"

typedef struct qr__flow qr__flow;

/** All pointers are borrowed. */
typedef struct qr__flow_options {
    qr_loop *loop;
    const qr_api *api;
    qr_schedule *schedule; /* the CPU's: for tasks, and for what no model computes */
    qr_metrics *metrics;
    qr__verify *verify;     /* gets the answers' sequences; NULL: nobody does */
    qr__cache *cache;       /* NULL: every request is computed, also beside an equal one */
    size_t connections_max; /* of all listeners: no more requests are open at a time */
    size_t max_body_bytes;
    qr_quota *quota;            /* of all that requests hold; NULL: none */
    uint64_t default_budget_ns; /* of requests that bring none */
    uint64_t max_budget_ns;
    const qr__network *proxies; /* whose X-Request-Start is believed */
    size_t proxies_len;
    const qr__access *access; /* who may ask; NULL: everybody */
    const qr__access *admin;  /* who may load and unload models; NULL: who can reach the routes */
    /** Begins what exchange->command says, on the loop; qr__flow_commanded ends it, later. Anything
     * but OK: it was not begun. NULL: nothing can be commanded. */
    qr_status (*command)(void *state, qr_exchange *exchange);
    void *command_state;
    uint64_t slow_ns; /* requests that take longer get a line in the log */
} qr__flow_options;

/** QR_NO_MEMORY. *out: returns owned. */
QR_MUST_USE qr_status qr__flow_create(const qr__flow_options *options, qr__flow **out);

/** Frees the flow and its exchanges; listeners are closed and workers ended before. NULL is
 * allowed. */
void qr__flow_destroy(qr__flow *flow);

/** A command was carried out, or not: the exchange that gave it is answered. */
void qr__flow_commanded(qr__flow *flow, qr_exchange *exchange, qr_status status);

/** Sets the callbacks of a listener that serves these routes (QR_LISTENER_MAIN, QR_LISTENER_OPS, or
 * both in one). */
void qr__flow_connect(qr__flow *flow, unsigned listener, qr_http_options *options);

/** The listener that was opened with these callbacks; borrowed. */
void qr__flow_listener(qr__flow *flow, unsigned listener, qr_http *http);

/** From now on requests are served by this generation; those under way end on theirs. Takes the
 * caller's pin. NULL: none. */
void qr__flow_serve(qr__flow *flow, qr_serving *serving);

/** The current generation (borrowed); NULL while models are loading. */
qr_serving *qr__flow_serving(const qr__flow *flow);

/** Exchanges that a worker holds, whether or not somebody waits for their answer. */
size_t qr__flow_at_work(const qr__flow *flow);

/** Exchanges that wait for the results of another one. */
size_t qr__flow_joined(const qr__flow *flow);

#endif
