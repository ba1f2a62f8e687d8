/* cli/bench_requests.h: the HTTP requests that `querent bench http` sends: one a query, in the
 * shape of the route. */
#ifndef QR_CLI_BENCH_REQUESTS_H
#define QR_CLI_BENCH_REQUESTS_H

#include "cli/bench_queries.h"

typedef struct qr__requests {
    qr_buf bytes;   /* all requests end to end */
    qr_text *items; /* owned; they point into bytes */
    size_t len;
} qr__requests;

typedef struct qr__requests_options {
    const char *host;  /* for the Host header: "127.0.0.1:8080" */
    const char *route; /* "/embed"; a route that takes no body becomes one GET */
    size_t budget_ms;  /* X-Request-Budget-Ms; 0: no such header */
} qr__requests_options;

/** True when requests to this route carry a query. */
bool qr__requests_need_queries(const char *route);

/** Builds all requests, before any clock runs. `queries` may be NULL for a route that needs none.
 * QR_NO_MEMORY: they do not fit into 1 GiB, or one not into 1 MiB. Deinit `out` also then. */
QR_MUST_USE qr_status qr__requests_build(const qr__requests_options *options,
                                         const qr__queries *queries, qr__requests *out,
                                         qr_error *error);

/** Frees the bytes and the list; NULL is allowed. */
void qr__requests_deinit(qr__requests *requests);

#endif
