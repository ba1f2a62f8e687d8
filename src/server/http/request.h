/* server/http/request.h: a request on its connection: how far it has come, in libmicrohttpd's
 * callbacks. */
#ifndef QR_SERVER_HTTP_REQUEST_H
#define QR_SERVER_HTTP_REQUEST_H

#include <microhttpd.h>

#include "server/http/connection.h"

/** How far a request has come; up to DROP not all of it has been read. */
typedef enum qr__stage_of_request {
    QR__REQUEST_HEAD, /* request line seen */
    QR__REQUEST_BODY, /* head taken; the body is read */
    QR__REQUEST_DROP, /* refused by on_head; the body is read and dropped, then the answer goes */
    QR__REQUEST_OUT,  /* handed to on_request */
    QR__REQUEST_ANSWERED, /* its answer is to be sent, or being sent */
    QR__REQUEST_CLOSING   /* refused by the guard; its answer is the connection's last */
} qr__stage_of_request;

struct qr__request {
    qr_http_request request; /* first: its address is this one's */
    qr_http *http;
    qr__connection *connection; /* that waits for it */
    qr__stage_of_request stage;
    size_t target_len;
    bool target_too_long;
    size_t dropped_bytes, pieces; /* of the body */
    qr__request *next_free;
    char target[QR_LIMIT_URI_BYTES + 1];
};

/* request.c: libmicrohttpd's calls, in this order, and a request's memory */

/** The request line was read. */
void *qr__request_line(void *http, const char *uri, struct MHD_Connection *mhd);

/** The head is there; then for each piece of body; then for the end of the request; then, when it
 * was suspended, to send the answer. */
enum MHD_Result qr__request_access(void *http, struct MHD_Connection *mhd, const char *url,
                                   const char *method, const char *version, const char *upload,
                                   size_t *upload_bytes, void **context);

/** The request is over, well or not. */
void qr__request_completed(void *http, struct MHD_Connection *mhd, void **context,
                           enum MHD_RequestTerminationCode code);

/** Takes the request off its connection and ends it, whatever stage it has reached. */
void qr__request_end(qr__request *request);

/** Frees the pool of requests. */
void qr__requests_free(qr_http *http);

/* fields.c */

/** Whether this libmicrohttpd is 0.9. It takes a head's lines however they end, so that the guard
 * looks at how they lie; a newer one (1.0) must be told to be strict about them. */
bool qr__mhd_is_old(void);

/** Asks the guard about the head that libmicrohttpd has parsed. `url`, `method` and `version` are
 * those of its call. Statuses as qr__guard_check. */
QR_MUST_USE qr_status qr__fields_check(const qr__connection *connection, const char *url,
                                       const char *method, const char *version,
                                       qr_http_facts *facts);

/* reply.c */

/** Sends the answer; `close` tells the client that the connection ends with it. */
enum MHD_Result qr__reply_send(qr__connection *connection, qr__request *request, bool close);

#endif
