/* server/http/request.c: a request's life, in libmicrohttpd's callbacks.
 *
 * Per request libmicrohttpd calls: the request line (target as sent), then access for the head, for
 * each piece of body, and for the end. The end hands the request out; when the answer is not there
 * at once the connection is suspended, and access is called again after its resumption to send
 * it. */
#include <stdlib.h>

#include "server/http/http_internal.h"

#define FREE_REQUESTS_MAX 64

static qr__request *request_create(qr_http *http) {
    qr__request *r = http->free_requests;
    if (r != NULL) {
        http->free_requests = r->next_free;
        http->free_requests_len--;
        return r;
    }
    r = calloc(1, sizeof *r);
    if (r == NULL)
        return NULL;
    r->http = http;
    qr_buf_init(&r->request.body, http->options.max_body_bytes);
    qr_buf_init(&r->request.out, QR_LIMIT_RESPONSE_BYTES);
    r->request.body.quota = r->request.out.quota = http->options.quota;
    return r;
}

static void request_destroy(qr__request *r) {
    qr_buf_deinit(&r->request.body);
    qr_buf_deinit(&r->request.out);
    free(r);
}

/* Keeps some requests with their buffers for those that come. */
static void request_recycle(qr__request *r) {
    qr_http *http = r->http;
    if (http->free_requests_len >= FREE_REQUESTS_MAX) {
        request_destroy(r);
        return;
    }
    qr_buf_recycle(&r->request.body);
    qr_buf_recycle(&r->request.out);
    qr_buf body = r->request.body, out = r->request.out;
    memset(r, 0, offsetof(qr__request, target)); /* the target is overwritten by the next */
    r->http = http;
    r->request.body = body;
    r->request.out = out;
    r->next_free = http->free_requests;
    http->free_requests = r;
    http->free_requests_len++;
}

void qr__requests_free(qr_http *http) {
    while (http->free_requests != NULL) {
        qr__request *r = http->free_requests;
        http->free_requests = r->next_free;
        request_destroy(r);
    }
}

void qr__request_end(qr__request *r) {
    qr_http *http = r->http;
    r->connection->request = NULL;
    if (r->stage <= QR__REQUEST_DROP) /* it never was whole, or libmicrohttpd refused it */
        r->connection->last = true;
    switch (r->stage) {
    case QR__REQUEST_HEAD:
        http->options.on_malformed(http->options.state);
        break;
    case QR__REQUEST_CLOSING:
        break;
    case QR__REQUEST_BODY:
    case QR__REQUEST_DROP:
    case QR__REQUEST_OUT:
    case QR__REQUEST_ANSWERED:
        http->requests_open--;
        http->options.on_done(http->options.state, &r->request);
        break;
    }
    request_recycle(r);
}

void qr_http_header_add(qr_http_request *request, const char *name, const char *value) {
    size_t len = strlen(value);
    QR_ASSERT(request->headers_len < QR_HTTP_HEADERS && len < sizeof request->headers[0].value);
    if (request->headers_len == QR_HTTP_HEADERS || len >= sizeof request->headers[0].value)
        return;
    qr_http_header *header = &request->headers[request->headers_len++];
    header->name = name;
    header->text = NULL;
    memcpy(header->value, value, len + 1);
}

void qr_http_header_add_fixed(qr_http_request *request, const char *name, const char *text) {
    QR_ASSERT(request->headers_len < QR_HTTP_HEADERS);
    if (request->headers_len < QR_HTTP_HEADERS)
        request->headers[request->headers_len++] = (qr_http_header){.name = name, .text = text};
}

void *qr__request_line(void *state, const char *uri, struct MHD_Connection *mhd) {
    qr_http *http = state;
    qr__connection *c = qr__connection_of(mhd);
    if (c == NULL)
        return NULL;
    qr__request *r = request_create(http);
    if (r == NULL)
        return NULL;
    r->connection = c;
    r->stage = QR__REQUEST_HEAD;
    r->request.received_ns = qr_clock_ns();
    size_t len = uri == NULL ? 0 : strnlen(uri, sizeof r->target);
    r->target_too_long = len == sizeof r->target;
    r->target_len = r->target_too_long ? 0 : len;
    memcpy(r->target, uri == NULL ? "" : uri, r->target_len);
    c->request = r;
    if (c->phase != QR__PHASE_HEAD)
        qr__connection_phase(c, QR__PHASE_HEAD, qr__http_now(http));
    QR_ASSERT(qr__connection_is_legal(c));
    return NULL;
}

/* The guard's refusal: whatever follows on the connection is not read. */
static enum MHD_Result refuse(qr__connection *c, qr__request *r, qr_status status,
                              const qr_http_facts *facts) {
    r->stage = QR__REQUEST_CLOSING;
    c->http->options.on_refused(c->http->options.state, &r->request, status, facts);
    return qr__reply_send(c, r, true);
}

/* A long body is not begun, nor read on, where others hold much. What it takes is what has come of
 * it: who announces much and sends little holds little. */
static bool has_room(const qr__request *r, size_t body_bytes) {
    const qr_buf *body = &r->request.body;
    return body_bytes <= qr_max(QR_QUOTA_SMALL_BYTES, body->capacity) ||
           !qr_quota_is_short(body->quota, body->capacity);
}

/* What comes of the body is dropped, then the answer goes, and the connection is kept. */
static void refuse_body(qr__request *r, qr_status status) {
    const qr_http_options *options = &r->http->options;
    r->stage = QR__REQUEST_DROP;
    qr_buf_deinit(&r->request.body);
    qr_buf_reset(&r->request.body);
    options->on_full(options->state, &r->request, status);
}

/* A head that has one meaning, whatever becomes of its body. */
static bool is_believed(qr_status status) {
    return status == QR_OK || status == QR_TOO_LARGE || status == QR_LENGTH_REQUIRED ||
           status == QR_NOT_IMPLEMENTED;
}

/* The head is complete: the guard first, then whoever knows what the request is for. */
static enum MHD_Result begin(qr__connection *c, qr__request *r, const char *url, const char *method,
                             const char *version) {
    qr_http *http = c->http;
    qr_http_request *request = &r->request;
    qr_http_facts facts;
    qr_status status = qr__fields_check(c, url, method, version, &facts);
    if (!is_believed(status))
        return refuse(c, r, status, NULL);
    request->path = facts.path;
    memcpy(facts.peer, c->peer, sizeof facts.peer);
    facts.local = c->local;
    if (!qr_trace_id_parse(facts.traceparent.text, &request->trace))
        qr_trace_id_draw(&http->random, &request->trace);
    qr_http_header_add(request, "X-Trace-Id", request->trace.text);
    if (status != QR_OK)
        return refuse(c, r, status, &facts);
    c->requests++;
    http->requests_open++;
    request->body.max_bytes = facts.body_bytes;
    c->chunked = facts.chunked;
    status = http->options.on_head(http->options.state, request, &facts);
    r->stage = status == QR_OK ? QR__REQUEST_BODY : QR__REQUEST_DROP;
    if (status == QR_OK && !has_room(r, facts.chunked ? 0 : facts.body_bytes))
        refuse_body(r, QR_NO_MEMORY);
    if (r->stage == QR__REQUEST_DROP && facts.waits)
        return qr__reply_send(c, r, true); /* libmicrohttpd would ask for the body first */
    qr__connection_phase(c, QR__PHASE_BODY, qr__http_now(c->http));
    return MHD_YES;
}

static void keep_body(qr__request *r, const char *upload, size_t bytes) {
    qr_buf *body = &r->request.body;
    if (bytes > body->max_bytes - body->len) {
        refuse_body(r, QR_TOO_LARGE);
        return;
    }
    bool fits = has_room(r, body->len + bytes);
    if (fits)
        qr_buf_append(body, upload, bytes);
    if (!fits || qr_buf_failed(body))
        refuse_body(r, QR_NO_MEMORY);
}

/* Ends the connection, whose request nobody waits for. */
static enum MHD_Result give_up(qr__connection *c, qr__request *r) {
    c->gone = true;
    qr__request_end(r);
    return MHD_NO;
}

/* A piece of the body: a chunk, or a part of one or of the whole. Nobody said how much will come of
 * chunks: what is too much is dropped as far again, and of pieces each costs a call. */
static enum MHD_Result take_body(qr__connection *c, qr__request *r, const char *upload,
                                 size_t *upload_bytes) {
    const size_t bytes = *upload_bytes;
    *upload_bytes = 0;
    if (r->stage == QR__REQUEST_BODY)
        keep_body(r, upload, bytes);
    else
        r->dropped_bytes += bytes;
    if (c->chunked &&
        (r->dropped_bytes > c->http->options.max_body_bytes || ++r->pieces > QR_LIMIT_BODY_PIECES))
        return give_up(c, r);
    return MHD_YES;
}

/* The request is complete. Whoever gets it may answer at once, or later, the connection suspended;
 * for a client that hung up meanwhile, at once or never. */
static enum MHD_Result hand_out(qr__connection *c, qr__request *r) {
    qr_http *http = c->http;
    if (r->stage == QR__REQUEST_DROP)
        return qr__reply_send(c, r, false);
    r->stage = QR__REQUEST_OUT;
    qr__connection_phase(c, QR__PHASE_WORK, r->request.received_ns);
    c->in_access = true;
    http->options.on_request(http->options.state, &r->request);
    c->in_access = false;
    if (r->stage == QR__REQUEST_ANSWERED)
        return qr__reply_send(c, r, false);
    QR_ASSERT(qr__connection_is_legal(c));
    if (c->half_closed)
        return give_up(c, r);
    MHD_suspend_connection(c->mhd);
    return MHD_YES;
}

void qr_http_answer(qr_http_request *request) {
    qr__request *r = (qr__request *)request;
    QR_ASSERT(r->stage == QR__REQUEST_OUT && r->connection->request == r);
    r->stage = QR__REQUEST_ANSWERED;
    if (!r->connection->in_access)
        MHD_resume_connection(r->connection->mhd);
}

enum MHD_Result qr__request_access(void *state, struct MHD_Connection *mhd, const char *url,
                                   const char *method, const char *version, const char *upload,
                                   size_t *upload_bytes, void **context) {
    (void)state;
    (void)context;
    qr__connection *c = qr__connection_of(mhd);
    qr__request *r = c == NULL ? NULL : c->request;
    if (r == NULL || c->gone)
        return MHD_NO; /* ends the connection */
    switch (r->stage) {
    case QR__REQUEST_HEAD:
        return begin(c, r, url, method, version);
    case QR__REQUEST_BODY:
    case QR__REQUEST_DROP:
        return *upload_bytes > 0 ? take_body(c, r, upload, upload_bytes) : hand_out(c, r);
    case QR__REQUEST_ANSWERED:
        return qr__reply_send(c, r, false);
    case QR__REQUEST_CLOSING:
        *upload_bytes = 0;
        return MHD_YES;
    case QR__REQUEST_OUT:
        break; /* suspended: libmicrohttpd does not call */
    }
    return MHD_NO;
}

void qr__request_completed(void *state, struct MHD_Connection *mhd, void **context,
                           enum MHD_RequestTerminationCode code) {
    (void)context;
    (void)code;
    (void)state;
    qr__connection *c = qr__connection_of(mhd);
    if (c == NULL)
        return;
    if (c->request != NULL)
        qr__request_end(c->request);
    qr__connection_phase(c, QR__PHASE_IDLE, qr__http_now(c->http));
}
