/* server/http/http.h: HTTP/1 requests off a listener's connections, and their answers back.
 *
 *     qr_http_open(&options, &http, &error);      // binds; nobody can connect yet
 *     qr_http_listen(http, &error);
 *     // for each request, on the loop's thread:
 *     //     on_head(request, facts)              its head passed the guard: go on, or refuse it
 *     //     on_request(request)                  its body is there too: answer it now or later
 *     //     on_done(request)                     its answer is sent, or its client is gone
 *     qr_http_answer(request);                    // what stands in request->code, headers and out
 *     qr_http_closing(http);                      // every answer carries Connection: close
 *     qr_http_quiesce(http);                      // stop accepting, end idle connections
 *     qr_http_close(http);                        // when qr_http_open_requests() is 0
 *
 * Knows nothing of routes, models or answers; owns docs/HTTP.md's guard. Threads: the loop's only.
 */
#ifndef QR_SERVER_HTTP_H
#define QR_SERVER_HTTP_H

#include "base/base.h"

struct qr_loop;

typedef struct qr_http qr_http;

/** A header field that the server knows: its value without blanks around it. */
typedef struct qr_http_value {
    qr_text text; /* the last one, when it came more than once */
    size_t count; /* how often it came */
} qr_http_value;

/** What a head that passed the guard says. Texts are borrowed for the call. */
typedef struct qr_http_facts {
    qr_text method, path; /* the path as in qr_http_request */
    uint8_t peer[16];     /* the other end's address; of IPv4 in ::ffff:0:0/96 */
    bool local;           /* it is on the other end of a UNIX socket, and has no address */
    size_t body_bytes;    /* as Content-Length says; of chunks the most there may be; 0 without */
    bool chunked;         /* the body comes in chunks: it ends the connection */
    bool waits; /* the client wants a word before it sends its body: Expect: 100-continue */
    qr_http_value host, content_length, content_type, transfer_encoding, traceparent;
    qr_http_value budget;          /* X-Request-Budget-Ms */
    qr_http_value envoy;           /* x-envoy-expected-rq-timeout-ms */
    qr_http_value start, priority; /* X-Request-Start, X-Request-Priority */
    qr_http_value accept, authorization, origin, content_encoding, expect;
    qr_http_value asked_method; /* Access-Control-Request-Method: a preflight asks for it */
    qr_http_value json_length;  /* Inference-Header-Content-Length */
} qr_http_facts;

/** A field of an answer. */
typedef struct qr_http_header {
    const char *name; /* static text */
    const char *text; /* its value, when that is a static text too; NULL: `value` */
    char value[128];
} qr_http_header;

#define QR_HTTP_HEADERS 24

/** A request and its answer. */
typedef struct qr_http_request {
    /* The request, as it came. */
    qr_text path;         /* the target without host and query, not decoded */
    uint64_t received_ns; /* its first line was there */
    qr_trace_id trace;    /* of its traceparent, or a new one */
    qr_buf body;          /* complete at on_request */

    /* The answer; whoever answers writes it. */
    int code;
    const char *content_type; /* static text; NULL: none */
    qr_http_header headers[QR_HTTP_HEADERS];
    size_t headers_len;
    qr_buf out; /* the body */

    void *work; /* for the callbacks; NULL at first */
} qr_http_request;

/** Adds a field to the answer. At most QR_HTTP_HEADERS, each shorter than 128 bytes. */
void qr_http_header_add(qr_http_request *request, const char *name, const char *value);
/** The same of a static text of any length. */
void qr_http_header_add_fixed(qr_http_request *request, const char *name, const char *text);

typedef struct qr_http_options {
    const char *host;  /* an IPv4 or IPv6 address, or "localhost"; NULL: "localhost" */
    uint16_t port;     /* 0: any; see qr_http_port */
    const char *path;  /* of a UNIX socket, which then stands in for host and port; NULL: none */
    unsigned mode;     /* its permissions */
    const char *group; /* its group, a name or a number; NULL: the process's own */
    const char *host_source, *port_source, *path_source, *group_source; /* who gave these */
    int passed_fd; /* a listening socket in place of all that, which others hold too; 0: none */
    size_t max_connections;
    size_t max_body_bytes;
    qr_quota *quota;       /* from which bodies and answers are taken (borrowed); NULL: from none */
    uint64_t max_age_ns;   /* of a connection: then its next answer is its last; 0: any */
    const qr_clock *clock; /* by which connections age (borrowed); NULL: the system's */
    struct qr_loop *loop;  /* borrowed */

    /** The head is there. OK: its body is read, and on_request comes. Anything else: the callback
     * has written the answer; the body is read and dropped, and then the answer is sent (at once to
     * a client that waits with its body). Either way exactly one on_done follows. */
    qr_status (*on_head)(void *state, qr_http_request *request, const qr_http_facts *facts);
    /** As where on_head refuses: no room for (the rest of) a body, or chunks beyond the maximum. */
    void (*on_full)(void *state, qr_http_request *request, qr_status status);
    /** The request is complete: it is to be given to qr_http_answer, within this call or later. */
    void (*on_request)(void *state, qr_http_request *request);
    /** The last call on the request: its answer was sent, or its client has left. One that was not
     * answered yet must not be any more. */
    void (*on_done)(void *state, qr_http_request *request);
    /** The guard refuses and ends the connection: the only call. `facts` NULL: it believes none. */
    void (*on_refused)(void *state, qr_http_request *request, qr_status status,
                       const qr_http_facts *facts);
    void (*on_malformed)(void *state);   /* a head never ended, or libmicrohttpd refused it */
    void (*on_connections)(void *state); /* the number of open connections has changed */
    void *state;
} qr_http_options;

/** QR_BAD_OPTION: not an address, not a path for a socket, no such group; QR_IO: the port or path
 * is taken, or the system refuses; QR_NO_MEMORY. *out: returns owned. */
QR_MUST_USE qr_status qr_http_open(const qr_http_options *options, qr_http **out, qr_error *error);

/** Lets clients connect. Only now a UNIX socket appears under its path, in place of what a dead
 * server left there. QR_IO, QR_NO_MEMORY. */
QR_MUST_USE qr_status qr_http_listen(qr_http *http, qr_error *error);

/** The port that the listener is bound to; 0: a UNIX socket. */
uint16_t qr_http_port(const qr_http *http);

/** Removes a UNIX socket's file, if it is still this listener's: before a process leaves without
 * qr_http_close or qr_http_quiesce. NULL is allowed. */
void qr_http_forget(qr_http *http);

/** Sends the answer of a request that on_request handed out. */
void qr_http_answer(qr_http_request *request);

/** Lets libmicrohttpd send what was answered outside the callbacks; once after a series of it. */
void qr_http_pump(qr_http *http);

/** From now on every answer carries Connection: close. */
void qr_http_closing(qr_http *http);

/** Takes what waits to be accepted, then closes the listening socket and, in a while, idlers. */
void qr_http_quiesce(qr_http *http);

/** Requests between on_head and on_done. */
size_t qr_http_open_requests(const qr_http *http);

/** Connections, with or without a request. */
size_t qr_http_open_connections(const qr_http *http);

/** Ends all connections and frees the listener. NULL is allowed. */
void qr_http_close(qr_http *http);

#endif
