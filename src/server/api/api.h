/* server/api/api.h: the dialects: JSON in, typed jobs; results out, JSON or base64.
 *
 * One table of routes (routes.c); one file a dialect's job (tei_*.c, openai.c, api_span.c, info.c,
 * health.c), each holding both halves side by side: decode (body -> exchange->ticket.jobs) and
 * encode (results -> exchange->out). call.h is what they share, json_in.h the door that all JSON
 * comes in by.
 *
 *      route = qr_api_route(method, path, &status);     // status says why not
 *      qr_api_decode(api, exchange);                    // a fault: encode writes its answer
 *      (schedule runs exchange->ticket)
 *      qr_api_encode(api, exchange);                    // always leaves an answer in exchange->out
 *
 * Threads: qr_api is const after creation; decode and encode run on the loop or on a worker.
 */
#ifndef QR_SERVER_API_H
#define QR_SERVER_API_H

#include "config/config.h"
#include "server/exchange.h"

typedef struct qr_api qr_api;

typedef enum qr_method { QR_GET, QR_POST, QR_OTHER_METHOD } qr_method;

typedef struct qr_route {
    qr_method method;
    const char *path;
    const char *name; /* label in metrics: equals the path */
    bool ops; /* health, metrics, admin: also (or only, with --ops-port) on the ops listener */
    bool needs_model;
    qr_status (*decode)(const qr_api *api, qr_exchange *exchange);
    void (*encode)(const qr_api *api, qr_exchange *exchange);
    void (*fail)(const qr_api *api, qr_exchange *exchange); /* error body in the dialect's shape */
} qr_route;

/** What handlers of /health, /info and /metrics ask the rest of the server. */
typedef struct qr_api_hooks {
    bool (*ready)(void *state);                /* loaded, warm, not draining */
    void (*metrics)(void *state, qr_buf *out); /* Prometheus text */
    void *state;
} qr_api_hooks;

typedef struct qr_api_options {
    const qr_config *config;
    qr_api_hooks hooks;
} qr_api_options;

QR_MUST_USE qr_status qr_api_create(const qr_api_options *options, qr_api **out, qr_error *error);
void qr_api_destroy(qr_api *api);

#define QR_ROUTES_MAX 32

/** The route table, for metrics' labels. */
size_t qr_api_routes(const qr_route **routes);

/** The route, or NULL with QR_NO_ROUTE or QR_BAD_METHOD (then *allow is the method that it takes,
 * "GET" or "POST"). */
const qr_route *qr_api_route(qr_method method, qr_text path, qr_status *status, const char **allow);

/** Fills the exchange's model, ticket and decoded parts. On a fault sets and returns
 * exchange->status. */
qr_status qr_api_decode(const qr_api *api, qr_exchange *exchange);

/** Writes the answer: the result when exchange->status is OK, else the error in the route's dialect
 * (TEI's for no route). Sets http_code, content_type and out. Never fails: an answer that does not
 * fit becomes a small 500. */
void qr_api_encode(const qr_api *api, qr_exchange *exchange);

#endif
