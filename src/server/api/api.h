/* server/api/api.h: the dialects: JSON in, typed jobs; results out, JSON or base64.
 *
 *     route = qr_api_route(QR_LISTENER_MAIN, method, path, &model, &status);
 *     qr_api_decode(api, exchange);          // body -> exchange->ticket.jobs; a fault: its status
 *     (schedule/ runs exchange->ticket)
 *     qr_api_encode(api, exchange);          // results, or the fault, -> exchange->out
 *
 * One table of routes (routes.c) joined of one array a file; a folder holds the files of one
 * dialect: tei/, openai/, cohere/, ollama/, hf/, oip/. A file holds both halves of its routes side
 * by side, decode and encode. route.h says what a row is, call.h what the dialects share, json_in.h
 * is the door that all JSON comes in by.
 * Threads: qr_api is const after creation; decode and encode run on the loop or on a worker.
 */
#ifndef QR_SERVER_API_H
#define QR_SERVER_API_H

#include "server/exchange.h"
#include "server/serving.h"

typedef struct qr_api qr_api;
typedef struct qr_route qr_route;

/** What handlers of /health, /info and /metrics ask the rest of the server. */
typedef struct qr_api_hooks {
    bool (*ready)(void *state); /* loaded, warm, not draining, no device lost; NULL: always */
    bool (*lost)(void *state);  /* a model's device is: only another process helps; NULL: never */
    void (*metrics)(void *state, qr_buf *out);                 /* Prometheus text; NULL: none */
    void (*models)(void *state, bool ready_only, qr_buf *out); /* Triton's index; NULL: none */
    void *state;
} qr_api_hooks;

/** What the api allows, and what /info tells of the server. */
typedef struct qr_api_options {
    size_t max_inputs; /* of one request */
    size_t queue_items, batch_tokens, workers;
    qr_cores cores;              /* that the process was given */
    uint64_t memory_limit_bytes; /* of its cgroups; 0: none */
    bool keyed;                  /* requests need an API key, for /openapi.json */
    bool playground;             /* GET / is a page for browsers */
    qr_api_hooks hooks;
} qr_api_options;

/** QR_NO_MEMORY. *out: returns owned. */
QR_MUST_USE qr_status qr_api_create(const qr_api_options *options, qr_api **out);

/** NULL is allowed. */
void qr_api_destroy(qr_api *api);

/* Routes */

/** Where a route is found: with --ops-port health and metrics have a listener of their own. */
#define QR_LISTENER_MAIN  1u
#define QR_LISTENER_OPS   2u
#define QR_LISTENER_ADMIN 4u /* with one of these: also what loads and unloads models */

#define QR_ROUTES_MAX     96
#define QR_ALLOW_BYTES    32

/** The route on these listeners, or NULL with NO_ROUTE or BAD_METHOD. *model: the model's name as
 * it stands in the path (still percent-encoded, borrowed from it); data is NULL without one. */
const qr_route *qr_api_route(unsigned listeners, qr_text method, qr_text path, qr_text *model,
                             qr_status *status);

/** Decodes a percent-encoded name (RFC 3986) into `out`. False: it is empty, malformed, no UTF-8,
 * or longer than `size`; then no model can have it. */
QR_MUST_USE bool qr_api_decode_name(qr_text encoded, char *out, size_t size, qr_text *name);

/** The methods that a path takes on these listeners, for the header Allow: "GET, POST". */
void qr_api_allow(unsigned listeners, qr_text path, char out[QR_ALLOW_BYTES]);

/** Whether the route takes bodies of this content type (of GET requests: any). */
bool qr_api_accepts(const qr_route *route, qr_text content_type);

/** Whether the route is served without an API key. */
bool qr_api_is_open(const qr_route *route);

/** Whether its bodies may go on with binary tensors behind their JSON. */
bool qr_api_takes_tensors(const qr_route *route);

/** Whether it asks for an admin key, and has as long as any request. */
bool qr_api_is_admin(const qr_route *route);

/** Whether its requests are answered by a model. */
bool qr_api_needs_model(const qr_route *route);

/** Whether its clients expect text-embeddings-inference's x-compute-* fields in an answer. */
bool qr_api_reports_compute(const qr_route *route);

/** Its path, or the first of several; also its label in metrics, as http.route is in
 * OpenTelemetry. */
const char *qr_api_pattern(const qr_route *route);

/** The patterns of all routes but those that ask for no key, for metrics' labels: probes and
 * strangers have none. Returns how many. */
size_t qr_api_patterns(const char *out[QR_ROUTES_MAX]);

/* Exchanges */

/** The model that is likely to compute a request whose body is not read: the first of those that
 * its route takes. NULL: none will. The generation is pinned. */
qr_served *qr_api_expected_model(const qr_exchange *exchange);

/** Whether the body of such a request may ask for this model of its generation. */
bool qr_api_may_ask(const qr_exchange *exchange, const qr_served *model);

/** The longest body of such a request that the loop may decode itself, by what a body of its length
 * may cost: where the path names a model, by that one's kind, else by the route. */
size_t qr_api_loop_bytes(const qr_exchange *exchange);

/** Fills the exchange's handler, model, ticket and decoded parts. On a fault sets and returns
 * exchange->status, and there are no jobs. */
qr_status qr_api_decode(const qr_api *api, qr_exchange *exchange);

/** Writes the answer: the result when exchange->status is OK, else the error in the route's dialect
 * (TEI's for no route). Sets http_code, content_type and out. Never fails: an answer that does not
 * fit becomes a small 500. */
void qr_api_encode(const qr_api *api, qr_exchange *exchange);

/** Appends an error's body in the dialect of the route (NULL: TEI's) to `out`; `fault` may be NULL.
 * Returns its content type. */
const char *qr_api_fail(const qr_route *route, qr_status status, const qr_fault *fault,
                        qr_buf *out);

#endif
