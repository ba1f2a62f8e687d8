/* server/exchange.h: one request on its way through the house, and the answer that grows in it.
 *
 * http/ creates it and fills the request part; api/ decodes the body into jobs; schedule/ runs the
 * jobs; api/ encodes the response part; http/ sends it and gives the exchange back. Exactly one
 * thread touches it at any time: the loop, or the worker that the schedule handed it to. Everything
 * that it needs beyond its body comes from its arena and dies with it.
 */
#ifndef QR_SERVER_EXCHANGE_H
#define QR_SERVER_EXCHANGE_H

#include "server/deadline_heap.h"
#include "server/serving.h"

struct qr_route;
struct qr_http;

#define QR_TRACE_ID_BYTES 33

/** Whose turn it is. */
typedef enum qr_turn {
    QR_TURN_LOOP,   /* the loop's */
    QR_TURN_DECODE, /* a worker decodes the body */
    QR_TURN_RUN     /* in the schedule, until it came back */
} qr_turn;

typedef struct qr_exchange {
    /* The request: http/ writes, api/ reads. */
    const struct qr_route *route; /* NULL when no route matched */
    qr_text target;               /* path without query; borrowed until the exchange ends */
    qr_text body;
    qr_text body_type;                /* its Content-Type; data is NULL when absent */
    uint64_t received_ns;             /* head complete */
    char trace_id[QR_TRACE_ID_BYTES]; /* of the traceparent header, or our own; 32 hex digits and
                                         NUL */

    /* The work: api/ writes, schedule/ runs. */
    qr_arena arena;
    qr_serving *serving; /* the generation that answers; NULL while models are loading */
    qr_served *model;    /* which of its models answers; NULL for answers that need none */
    void *decoded;       /* api/'s own, in the arena */
    qr_ticket ticket;    /* its jobs; ticket.jobs_len == 0: nothing to run, encode at once */

    /* The answer: api/ writes, http/ sends. */
    qr_status status;
    int http_code;
    const char *content_type; /* static text */
    const char *allow;        /* the method that the target takes, sent with a 405 (http/ writes) */
    bool allow_header;        /* send Allow: with the methods of the target (405) */
    bool retry_header;        /* send Retry-After and x-should-retry */
    uint32_t retry_after_ms;  /* for Retry-After; 0: a second (flow.c writes) */
    qr_buf out;
    qr_stages stages;

    void *owner; /* http/'s connection; NULL once the client is gone or was answered in its place */

    /* flow.c's own. */
    struct qr_flow *flow;
    qr_turn turn;         /* written by the loop only */
    bool encoded;         /* the answer is in `out` */
    qr_deadline deadline; /* received + X-Request-Budget-Ms or the default (http/ writes) */
    qr_task task;
    struct qr_exchange *next; /* in the list of finished ones */
    struct qr_http *http;     /* the listener that it came through */
} qr_exchange;

#endif
