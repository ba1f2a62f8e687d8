/* server/http/http.h: libmicrohttpd driven by the loop: connections, guard, deadlines, and
 * exchanges handed out and taken back.
 *
 *     qr_http_open(&options, &http, &error);          // binds; nobody can connect yet
 *     qr_http_listen(http, &error);
 *     ... on_request(exchange) on the loop thread for each complete, guarded request
 *     qr_http_answer(http, exchange);     // sends exchange->out, then frees the exchange
 *     qr_http_closing(http);              // every answer carries Connection: close
 *     qr_http_quiesce(http);              // stop accepting, end idle connections
 *     qr_http_close(http);                // when qr_http_open_exchanges() is 0
 *
 * Owns the guard of docs/HTTP.md: what libmicrohttpd 0.9.75 lets through and must not.
 * Threads: the loop's only.
 */
#ifndef QR_SERVER_HTTP_H
#define QR_SERVER_HTTP_H

#include "server/exchange.h"

struct qr_loop;

typedef struct qr_http qr_http;

typedef struct qr_http_options {
    const char *host; /* an IPv4 or IPv6 address, or "localhost" */
    uint16_t port;    /* 0: any; see qr_http_port */
    size_t max_connections;
    size_t max_body_bytes;
    uint64_t default_budget_ns;
    struct qr_loop *loop; /* borrowed */
    bool ops;             /* the ops listener: only ops routes */
    bool ops_elsewhere;   /* a main listener whose ops routes live on the ops listener: they are 404
                             here */
    void (*on_head)(void *state); /* a body for a worker is about to arrive; may be NULL */
    void (*on_request)(void *state,
                       qr_exchange *exchange); /* takes the exchange until qr_http_answer */
    void (*on_gone)(void *state, qr_exchange *exchange); /* its client went away; still answer it */
    void (*on_refused)(void *state, qr_status status);   /* the guard answered it itself */
    void (*on_connections)(void *state, size_t open);
    void (*on_done)(void *state,
                    const qr_exchange *exchange); /* answer sent or client gone: metrics and log */
    void *state;
} qr_http_options;

/** QR_BAD_OPTION: not an address; QR_IO: the port is taken, or the system refuses. */
QR_MUST_USE qr_status qr_http_open(const qr_http_options *options, qr_http **out, qr_error *error);
QR_MUST_USE qr_status qr_http_listen(qr_http *http, qr_error *error);
uint16_t qr_http_port(const qr_http *http);

/** Sends the answer and then frees the exchange, at once when its client is gone. */
void qr_http_answer(qr_http *http, qr_exchange *exchange);

/** A new exchange in the place of one that a worker still holds: it has the old one's connection,
 * route and times, and gets the answer. The old one is on nobody's way any more: qr_http_answer
 * will only free it. NULL: no memory (its client's connection ends). */
qr_exchange *qr_http_replace(qr_http *http, qr_exchange *held);

/** Lets libmicrohttpd send what was answered since; call once after a series of qr_http_answer
 * outside on_request. */
void qr_http_pump(qr_http *http);

/** From now on every answer carries Connection: close. */
void qr_http_closing(qr_http *http);

/** Takes what already waits to be accepted, then closes the listening socket and, after a grace,
 * idle connections. */
void qr_http_quiesce(qr_http *http);

size_t qr_http_open_exchanges(const qr_http *http);
size_t qr_http_open_connections(const qr_http *http);
void qr_http_close(qr_http *http);

#endif
