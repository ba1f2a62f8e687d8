/* server/http/http.h: libmicrohttpd driven by the loop: connections, guard, deadlines, and exchanges handed out and taken back.
 *
 *     qr_http_open(&options, &http, &error);          // binds and listens
 *     ... on_request(exchange) on the loop thread for each complete, guarded request
 *     qr_http_answer(http, exchange);                 // loop thread: sends exchange->out, then frees the exchange
 *     qr_http_quiesce(http);                          // stop accepting
 *     qr_http_close(http);                            // when qr_http_open_exchanges() is 0
 *
 * Owns the guard of docs/HTTP.md: what libmicrohttpd 0.9.75 lets through and must not.
 * Threads: the loop's only.
 */
#ifndef QR_SERVER_HTTP_H
#define QR_SERVER_HTTP_H

#include "server/exchange.h"

typedef struct qr_http qr_http;

typedef struct qr_http_options {
    const char *host;
    uint16_t port;                    /* 0: any; see qr_http_port */
    size_t max_connections;
    size_t max_body_bytes;
    uint64_t default_budget_ns;
    struct qr_loop *loop;             /* borrowed */
    bool ops;                         /* the ops listener: only ops routes */
    bool ops_elsewhere;               /* a main listener whose ops routes live on the ops listener: they are 404 here */
    void (*on_request)(void *state, qr_exchange *exchange); /* takes the exchange until qr_http_answer */
    void (*on_gone)(void *state, qr_exchange *exchange);    /* its client went away; still answer it */
    void (*on_refused)(void *state, qr_status status);      /* the guard answered it itself */
    void (*on_connections)(void *state, size_t open);
    void (*on_done)(void *state, const qr_exchange *exchange); /* answer sent or client gone: metrics and log */
    void *state;
} qr_http_options;

QR_MUST_USE qr_status qr_http_open(const qr_http_options *options, qr_http **out, qr_error *error);
uint16_t qr_http_port(const qr_http *http);
void qr_http_answer(qr_http *http, qr_exchange *exchange);

/** From now on every answer carries Connection: close. */
void qr_http_closing(qr_http *http);
void qr_http_quiesce(qr_http *http);
size_t qr_http_open_exchanges(const qr_http *http);
void qr_http_close(qr_http *http);

#endif
