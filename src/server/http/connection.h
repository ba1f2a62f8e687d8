/* server/http/connection.h: a connection: what it waits for, and until when.
 *
 * A connection has one request at most. Which phase and stage go together:
 *
 *     phase    request's stage      what is awaited
 *     HEAD     none, or HEAD        a head
 *     BODY     BODY, DROP           the rest of a body
 *     WORK     OUT, ANSWERED        qr_http_answer; then libmicrohttpd's next call, to send
 *     WRITE    ANSWERED, CLOSING    that the answer is written
 *     IDLE     none                 a further request
 *
 * A connection whose client hung up before its request, being OUT, was answered has no request any
 * more.
 */
#ifndef QR_SERVER_HTTP_CONNECTION_H
#define QR_SERVER_HTTP_CONNECTION_H

#include <microhttpd.h>

#include "server/http/http.h"

typedef struct qr__request qr__request;

#define QR__HEAD_NS             (5 * QR_NS_PER_S)
#define QR__BODY_NS             (5 * QR_NS_PER_S)
#define QR__WRITE_NS            (5 * QR_NS_PER_S)
#define QR__IDLE_NS             (75 * QR_NS_PER_S) /* longer than pooling proxies keep theirs */
#define QR__DRAIN_IDLE_NS       (200 * QR_NS_PER_MS)
#define QR__DRAIN_FRESH_NS      QR_NS_PER_S /* accepted, its first request still on its way */
#define QR__CONNECTION_REQUESTS 1000
#define QR__SWEEP_MS            100
#define QR__MHD_MEMORY_BYTES    (32u * 1024u)

/** What a connection waits for; each has its absolute deadline, but WORK, whose request has one of
 * its own. */
typedef enum qr__phase {
    QR__PHASE_HEAD,
    QR__PHASE_BODY,
    QR__PHASE_WORK,
    QR__PHASE_WRITE,
    QR__PHASE_IDLE
} qr__phase;

typedef struct qr__connection {
    qr_http *http;
    struct MHD_Connection *mhd;
    int fd;
    uint8_t peer[16]; /* as qr_http_facts has it */
    bool local;       /* likewise */
    qr__phase phase;
    uint64_t deadline_ns; /* of the phase; UINT64_MAX: none */
    uint64_t phase_since_ns;
    uint64_t old_ns;     /* answers after it say Connection: close; UINT64_MAX: never */
    uint64_t idle_bytes; /* received when it became idle: more is a next head; 0: unknown */
    unsigned requests;
    bool chunked;         /* its request's body comes in chunks: nothing is read behind it */
    bool in_access;       /* libmicrohttpd is calling us for it */
    bool half_closed;     /* the client closed its side, or all: nothing new will come */
    bool gone;            /* its request was given up: libmicrohttpd's next call ends it */
    bool last;            /* its client was told that nothing more of it is read */
    bool ended;           /* shutdown() was called */
    qr__request *request; /* being received or answered */
    qr_link link;         /* in the listener's connections */
} qr__connection;

/** libmicrohttpd's call when a connection begins or ends. */
void qr__connection_notify(void *http, struct MHD_Connection *mhd, void **socket_context,
                           enum MHD_ConnectionNotificationCode code);

/** NULL: there was no memory for one. */
qr__connection *qr__connection_of(struct MHD_Connection *mhd);

/** When a connection that begins now is old: after `age_ns`, a tenth more or less by `random`, so
 * that those of one deploy do not all end at once. UINT64_MAX, never, for 0. */
uint64_t qr__connection_old_ns(uint64_t now_ns, uint64_t age_ns, uint64_t random);

/** Changes what the connection waits for, from now on. */
void qr__connection_phase(qr__connection *connection, qr__phase phase, uint64_t now_ns);

/** Shuts the connection's socket; libmicrohttpd then ends it. */
void qr__connection_end(qr__connection *connection);

/** Whether the table above has such a row; asserted at each change. */
bool qr__connection_is_legal(const qr__connection *connection);

/** Ends what is past its deadline; a timer's callback. */
void qr__http_sweep(void *http);

/** Clients hung up; a watch's callback. */
void qr__http_hangups(void *http);

#endif
