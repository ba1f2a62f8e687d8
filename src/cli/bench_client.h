/* cli/bench_client.h: one keep-alive HTTP/1.1 connection of `querent bench http`, non-blocking.
 *
 *     qr__client client;
 *     qr__client_init(&client);
 *     if (qr__client_open(&client, &address, sizeof address))     // EPOLLOUT follows
 *         qr__client_send(&client, request);
 *     switch (qr__client_advance(&client)) ...                    // now, and on every epoll event
 *     qr__client_close(&client);
 *
 * Understands what querent sends: a status line, headers, a body of Content-Length bytes. Bodies
 * are counted and dropped.
 */
#ifndef QR_CLI_BENCH_CLIENT_H
#define QR_CLI_BENCH_CLIENT_H

#include <sys/socket.h>

#include "base/base.h"

#define QR_CLIENT_HEAD_BYTES 8192

typedef struct qr__client {
    int fd;    /* -1: closed */
    bool busy; /* a request is on its way */
    qr_text request;
    size_t sent;
    char head[QR_CLIENT_HEAD_BYTES];
    size_t head_len;
    bool head_done, closes; /* Connection: close */
    size_t body_left;
    int code;             /* of the answer */
    uint64_t start_ns;    /* the loader's: intended time */
    uint64_t deadline_ns; /* the loader's: when it gives the request up */
} qr__client;

typedef enum qr__client_state {
    QR_CLIENT_WAITING,  /* nothing to do until the next event */
    QR_CLIENT_ANSWERED, /* client->code is there; idle now, or closed as the server asked */
    QR_CLIENT_CLOSED,   /* idle, and the server closed it: no fault */
    QR_CLIENT_FAILED    /* refused, reset, or an answer that is not HTTP; closed */
} qr__client_state;

/** Makes a closed client. */
void qr__client_init(qr__client *client);

/** Starts connecting a closed client. False: no socket, or refused at once; it stays closed. */
QR_MUST_USE bool qr__client_open(qr__client *client, const struct sockaddr *address,
                                 socklen_t address_len);

/** Gives an open and idle client its next request: whole, and borrowed until it is answered. */
void qr__client_send(qr__client *client, qr_text request);

/** Writes and reads as far as the socket allows. */
QR_MUST_USE qr__client_state qr__client_advance(qr__client *client);

/** Closes the connection, if there is one; an answer still on its way is lost. */
void qr__client_close(qr__client *client);

#endif
