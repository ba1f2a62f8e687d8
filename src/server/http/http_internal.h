/* server/http/http_internal.h: what the files of this folder share: a listener, its connections,
 * their requests.
 *
 *   http.c        open, pump, drain, close
 *   listen.c      addresses, the listening socket, accepting
 *   connection.c  a connection's life, its deadlines, clients that hang up
 *   request.c     libmicrohttpd's callbacks: head, body, handing out
 *   reply.c       the answer and its headers
 *   guard.c       which heads are refused
 */
#ifndef QR_SERVER_HTTP_INTERNAL_H
#define QR_SERVER_HTTP_INTERNAL_H

#include <microhttpd.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "server/http/http.h"
#include "server/loop.h"

#define QR_HEAD_NS             (5 * QR_NS_PER_S)
#define QR_BODY_NS             (5 * QR_NS_PER_S)
#define QR_WRITE_NS            (5 * QR_NS_PER_S)
#define QR_IDLE_NS             (75 * QR_NS_PER_S) /* longer than pooling proxies keep theirs */
#define QR_DRAIN_IDLE_NS       (200 * QR_NS_PER_MS)
#define QR_DRAIN_FRESH_NS      QR_NS_PER_S /* accepted, but its first request is still on its way */
#define QR_CONNECTION_AGE_NS   (600 * QR_NS_PER_S) /* plus up to a fifth, at random */
#define QR_CONNECTION_REQUESTS 1000
#define QR_SWEEP_MS            100
#define QR_MHD_MEMORY_BYTES    (32u * 1024u)

/** What a connection waits for; each has its absolute deadline, but WORK, whose exchange has its
 * own. */
typedef enum qr_phase {
    QR_PHASE_HEAD,
    QR_PHASE_BODY,
    QR_PHASE_WORK,
    QR_PHASE_WRITE,
    QR_PHASE_IDLE
} qr_phase;

typedef enum qr_request_stage {
    QR_REQUEST_HEAD,    /* request line seen */
    QR_REQUEST_BODY,    /* head passed the guard */
    QR_REQUEST_REFUSED, /* the guard's answer is on its way */
    QR_REQUEST_OUT,     /* handed to on_request */
    QR_REQUEST_ANSWERED /* has its answer */
} qr_request_stage;

typedef struct qr_request {
    qr_exchange exchange; /* first: its address is the request's */
    qr_request_stage stage;
    qr_buf body;
    size_t body_bytes; /* as Content-Length says */
    size_t target_len;
    bool target_too_long;
    bool replaced; /* another exchange answers in its place: no on_done */
    char target[QR_LIMIT_URI_BYTES + 1];
    char body_type[128];
    struct qr_request *next_free;
} qr_request;

typedef struct qr_connection {
    struct qr_http *http;
    struct MHD_Connection *mhd;
    int fd;
    qr_phase phase;
    uint64_t deadline_ns; /* of the phase; UINT64_MAX: none */
    uint64_t phase_since_ns;
    uint64_t last_request_ns; /* requests after it are told to close */
    uint64_t idle_bytes;      /* received when it became idle, to see a next head trickle in; 0: not
                                 asked yet */
    unsigned requests;
    bool in_access;      /* libmicrohttpd is calling us for it */
    bool gone;           /* hung up, or to be ended without an answer */
    bool ended;          /* shutdown() was called */
    qr_request *request; /* being received or answered */
    struct qr_connection *previous, *next;
} qr_connection;

struct qr_http {
    qr_http_options options;
    struct MHD_Daemon *daemon;
    int listen_fd; /* -1 once quiesced */
    int hangup_fd; /* epoll of every connection's EPOLLRDHUP */
    uint16_t port;
    qr_watch *daemon_watch, *listen_watch, *hangup_watch, *sweep, *accept_retry, *again;
    qr_connection *connections;
    size_t connections_len;
    size_t exchanges; /* handed out and not freed */
    qr_request *free_requests;
    size_t free_requests_len;
    uint64_t random;
    bool listening, closing, quiesced, accept_paused, starved, running;
};

/* listen.c */
qr_status qr__http_bind(qr_http *http, qr_error *error);
void qr__http_accept(void *http);
void qr__http_accept_again(qr_http *http);
void qr__http_accept_last(qr_http *http);
void qr__http_accept_retry(void *http);

/* connection.c */
void qr__connection_notify(void *http, struct MHD_Connection *mhd, void **socket_context,
                           enum MHD_ConnectionNotificationCode code);
qr_connection *qr__connection_of(struct MHD_Connection *mhd);
void qr__connection_phase(qr_connection *connection, qr_phase phase, uint64_t now_ns);
void qr__connection_end(qr_connection *connection);
void qr__http_sweep(void *http);
void qr__http_hangups(void *http);

/* request.c */
void *qr__request_line(void *http, const char *uri, struct MHD_Connection *mhd);
enum MHD_Result qr__request_access(void *http, struct MHD_Connection *mhd, const char *url,
                                   const char *method, const char *version, const char *upload,
                                   size_t *upload_bytes, void **context);
void qr__request_completed(void *http, struct MHD_Connection *mhd, void **context,
                           enum MHD_RequestTerminationCode code);
qr_request *qr__request_create(qr_http *http);
void qr__request_recycle(qr_http *http, qr_request *request);
uint64_t qr__http_random(qr_http *http);

/* reply.c */
enum MHD_Result qr__reply_send(qr_connection *connection, qr_request *request);
enum MHD_Result qr__reply_refuse(qr_connection *connection, qr_request *request, qr_status status);

#endif
