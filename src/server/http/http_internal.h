/* server/http/http_internal.h: what the files of this folder share: a listener, its connections,
 * their requests.
 *
 *     http.c        open, pump, drain, close
 *     listen.c      addresses, the listening socket, accepting
 *     socket_file.c the file of a UNIX socket
 *     connection.c  a connection's life, its deadlines, clients that hang up
 *     linger.c      connections behind their last answer
 *     request.c     a request's life, in libmicrohttpd's callbacks
 *     fields.c      the head as libmicrohttpd has parsed it, shown to the guard
 *     guard.c       which heads are refused
 *     reply.c       the answer and its headers
 */
#ifndef QR_SERVER_HTTP_INTERNAL_H
#define QR_SERVER_HTTP_INTERNAL_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "server/http/connection.h"
#include "server/http/linger.h"
#include "server/http/request.h"
#include "server/http/socket_file.h"
#include "server/loop.h"

struct qr_http {
    qr_http_options options;
    struct MHD_Daemon *daemon;
    int listen_fd;        /* -1 once quiesced */
    int hangup_fd;        /* epoll of every connection's EPOLLRDHUP */
    uint16_t port;        /* 0: a UNIX socket */
    qr__socket_file file; /* of a UNIX socket */
    qr_watch *daemon_watch, *listen_watch, *hangup_watch, *sweep, *accept_retry, *again;
    qr_link connections, lingering;
    size_t connections_len, lingering_len;
    size_t requests_open; /* between on_head and on_done */
    qr__request *free_requests;
    size_t free_requests_len;
    qr_random random;
    bool listening, closing, quiesced, accept_paused, starved, running;
    bool behind; /* libmicrohttpd has read more than it has looked at */
};

/** The time by which connections age and are given up. */
static inline uint64_t qr__http_now(const qr_http *http) {
    return qr_clock_read(http->options.clock);
}

/* listen.c */

/** Binds to the options' address, or looks whether a UNIX socket can take its path. QR_BAD_OPTION,
 * QR_IO. */
QR_MUST_USE qr_status qr__http_bind(qr_http *http, qr_error *error);

/** Accepts what waits; a watch's callback. */
void qr__http_accept(void *http);

/** Accepts again after a pause: a connection ended, or the pause is over; a watch's callback. */
void qr__http_accept_again(void *http);

/** Accepts what the system has accepted for us already, and lets it accept no more. */
void qr__http_accept_last(qr_http *http);

#endif
