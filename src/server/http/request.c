/* server/http/request.c: libmicrohttpd's callbacks, from request line to exchange.
 *
 * Per request libmicrohttpd calls: the request line (target as sent), then access for the head, for
 * each piece of body, and for the end. The end hands the exchange out; when the answer is not there
 * at once the connection is suspended, and access is called again after its resumption to send it.
 */
#include <stdlib.h>

#include "server/api/api.h"
#include "server/http/guard.h"
#include "server/http/http_internal.h"

#define FREE_REQUESTS_MAX 64
#define KEPT_BYTES        (64u * 1024u) /* larger buffers are not kept for the next request */

/* xorshift64*: for trace ids and jitter, where nobody gains by guessing. */
uint64_t qr__http_random(qr_http *http) {
    http->random ^= http->random >> 12;
    http->random ^= http->random << 25;
    http->random ^= http->random >> 27;
    return http->random * 0x2545F4914F6CDD1Dull;
}

qr_request *qr__request_create(qr_http *http) {
    qr_request *r = http->free_requests;
    if (r != NULL) {
        http->free_requests = r->next_free;
        http->free_requests_len--;
        return r;
    }
    r = calloc(1, sizeof *r);
    if (r == NULL)
        return NULL;
    qr_buf_init(&r->body, http->options.max_body_bytes);
    qr_buf_init(&r->exchange.out, QR_LIMIT_RESPONSE_BYTES);
    qr_arena_init(&r->exchange.arena, QR_LIMIT_EXCHANGE_BYTES);
    r->exchange.http = http;
    return r;
}

static void buf_recycle(qr_buf *buf) {
    if (buf->capacity > KEPT_BYTES)
        qr_buf_deinit(buf);
    qr_buf_reset(buf);
}

void qr__request_recycle(qr_http *http, qr_request *r) {
    if (http->free_requests_len >= FREE_REQUESTS_MAX) {
        qr_buf_deinit(&r->body);
        qr_buf_deinit(&r->exchange.out);
        qr_arena_deinit(&r->exchange.arena);
        free(r);
        return;
    }
    buf_recycle(&r->body);
    buf_recycle(&r->exchange.out);
    qr_arena_reset(&r->exchange.arena);
    qr_buf body = r->body, out = r->exchange.out;
    qr_arena arena = r->exchange.arena;
    memset(r, 0, offsetof(qr_request, target)); /* the texts are overwritten by their next user */
    r->body = body;
    r->exchange.out = out;
    r->exchange.arena = arena;
    r->exchange.http = http;
    r->next_free = http->free_requests;
    http->free_requests = r;
    http->free_requests_len++;
}

void *qr__request_line(void *state, const char *uri, struct MHD_Connection *mhd) {
    qr_http *http = state;
    qr_connection *c = qr__connection_of(mhd);
    if (c == NULL)
        return NULL;
    qr_request *r = qr__request_create(http);
    c->request = r;
    if (r == NULL)
        return NULL;
    r->stage = QR_REQUEST_HEAD;
    size_t len = uri == NULL ? 0 : strnlen(uri, sizeof r->target);
    r->target_too_long = len == sizeof r->target;
    r->target_len = r->target_too_long ? 0 : len;
    memcpy(r->target, uri == NULL ? "" : uri, r->target_len);
    if (c->phase != QR_PHASE_HEAD)
        qr__connection_phase(c, QR_PHASE_HEAD, qr_clock_ns());
    return NULL;
}

typedef struct field_list {
    qr_http_field *fields;
    size_t len;
} field_list;

static enum MHD_Result add_field(void *state, enum MHD_ValueKind kind, const char *name,
                                 size_t name_len, const char *value, size_t value_len) {
    (void)kind;
    field_list *list = state;
    if (list->len <= QR_LIMIT_HEADER_FIELDS)
        list->fields[list->len++] =
            (qr_http_field){{name, name_len}, {value == NULL ? "" : value, value_len}};
    return MHD_YES;
}

/* libmicrohttpd 0.9.75 cuts the head into C strings where it lies, a NUL for each byte of a line's
 * end. So a line that ended in a bare LF, held a NUL, or was folded shows in how the strings lie
 * behind each other, from the method to the head's end. Later versions are strict themselves, and
 * may lay out otherwise. */
static bool lines_adjoin(struct MHD_Connection *mhd, const char *url, const char *method,
                         const char *version, size_t target_len, const field_list *list) {
    if (strcmp(MHD_get_version(), "0.9.75") != 0)
        return true;
    const union MHD_ConnectionInfo *size =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    const char *next = version + strlen(version) + 2;
    if (size == NULL || method + strlen(method) + 1 != url || url + target_len + 1 != version ||
        next[-1] != '\0')
        return false;
    for (size_t i = 0; i < list->len; i++) {
        const qr_http_field *f = &list->fields[i];
        if (f->name.data != next || f->value.data[f->value.len + 1] != '\0')
            return false;
        next = f->value.data + f->value.len + 2;
    }
    return next + 2 == method + size->header_size;
}

/* Which route, on this listener; the exchange's status says why none. */
static void find_route(qr_http *http, qr_request *r, qr_text method) {
    qr_exchange *x = &r->exchange;
    qr_method m = qr_text_is(method, "GET")    ? QR_GET
                  : qr_text_is(method, "POST") ? QR_POST
                                               : QR_OTHER_METHOD;
    x->status = QR_OK;
    x->allow = NULL;
    x->route = qr_api_route(m, x->target, &x->status, &x->allow);
    if (x->route == NULL) {
        if (x->status == QR_OK)
            x->status = QR_NO_ROUTE;
        return;
    }
    bool ops = x->route->ops;
    if ((http->options.ops && !ops) || (http->options.ops_elsewhere && ops)) {
        x->route = NULL;
        x->status = QR_NO_ROUTE;
    }
}

static void write_trace_id(qr_http *http, qr_text given, char out[QR_TRACE_ID_BYTES]) {
    static const char digits[] = "0123456789abcdef";
    if (given.data != NULL) {
        memcpy(out, given.data, QR_TRACE_ID_BYTES - 1);
    } else {
        for (size_t i = 0; i < QR_TRACE_ID_BYTES - 1; i += 16) {
            uint64_t bits = qr__http_random(http);
            for (size_t d = 0; d < 16; d++, bits >>= 4)
                out[i + d] = digits[bits & 15];
        }
    }
    out[QR_TRACE_ID_BYTES - 1] = '\0';
}

/* The head is complete: guard it, and prepare the exchange. */
static enum MHD_Result begin(qr_connection *c, qr_request *r, const char *url, const char *method,
                             const char *version) {
    qr_http *http = c->http;
    qr_http_field fields[QR_LIMIT_HEADER_FIELDS + 1];
    field_list list = {fields, 0};
    MHD_get_connection_values_n(c->mhd, MHD_HEADER_KIND, add_field, &list);
    const qr_http_head head = {.method = qr_text_of(method),
                               .target = {r->target, r->target_len},
                               .version = qr_text_of(version),
                               .fields = fields,
                               .fields_len = list.len};
    qr_http_facts facts;
    qr_status status = r->target_too_long
                           ? QR_URI_TOO_LONG
                           : qr__guard_check(&head, http->options.max_body_bytes, &facts);
    if (status == QR_OK && !lines_adjoin(c->mhd, url, method, version, r->target_len, &list))
        status = QR_BAD_HTTP;
    if (status != QR_OK)
        return qr__reply_refuse(c, r, status);

    qr_exchange *x = &r->exchange;
    const char *query = memchr(r->target, '?', r->target_len);
    x->target = (qr_text){r->target, query == NULL ? r->target_len : (size_t)(query - r->target)};
    x->received_ns = qr_clock_ns();
    x->deadline.at_ns =
        x->received_ns + (facts.budget_ms == QR_NO_BUDGET ? http->options.default_budget_ns
                                                          : facts.budget_ms * QR_NS_PER_MS);
    if (facts.body_type.data != NULL && facts.body_type.len < sizeof r->body_type) {
        memcpy(r->body_type, facts.body_type.data, facts.body_type.len);
        x->body_type = (qr_text){r->body_type, facts.body_type.len};
    }
    write_trace_id(http, facts.trace, x->trace_id);
    find_route(http, r, head.method);
    r->body_bytes = facts.body_bytes;
    r->stage = QR_REQUEST_BODY;
    c->requests++;
    qr__connection_phase(c, QR_PHASE_BODY, x->received_ns);
    if (facts.body_bytes > 0 && x->status == QR_OK && http->options.on_head != NULL)
        http->options.on_head(http->options.state);
    return MHD_YES;
}

static enum MHD_Result take_body(qr_connection *c, qr_request *r, const char *upload,
                                 size_t *bytes) {
    qr_buf_append(&r->body, upload, *bytes);
    *bytes = 0;
    return qr_buf_failed(&r->body) ? qr__reply_refuse(c, r, QR_NO_MEMORY) : MHD_YES;
}

/* The request is complete. */
static enum MHD_Result hand_out(qr_connection *c, qr_request *r) {
    qr_http *http = c->http;
    r->exchange.body = (qr_text){r->body.data, r->body.len};
    r->exchange.owner = c;
    r->stage = QR_REQUEST_OUT;
    http->exchanges++;
    c->in_access = true;
    http->options.on_request(http->options.state, &r->exchange);
    c->in_access = false;
    if (c->request == r && r->stage == QR_REQUEST_OUT) {
        qr__connection_phase(c, QR_PHASE_WORK, r->exchange.received_ns);
        MHD_suspend_connection(c->mhd);
        return MHD_YES;
    }
    return c->request == NULL ? MHD_NO : qr__reply_send(c, c->request);
}

enum MHD_Result qr__request_access(void *state, struct MHD_Connection *mhd, const char *url,
                                   const char *method, const char *version, const char *upload,
                                   size_t *upload_bytes, void **context) {
    (void)state;
    (void)context;
    qr_connection *c = qr__connection_of(mhd);
    qr_request *r = c == NULL ? NULL : c->request;
    if (r == NULL || c->gone)
        return MHD_NO; /* ends the connection */
    switch (r->stage) {
    case QR_REQUEST_HEAD:
        return begin(c, r, url, method, version);
    case QR_REQUEST_BODY:
        return *upload_bytes > 0 ? take_body(c, r, upload, upload_bytes) : hand_out(c, r);
    case QR_REQUEST_ANSWERED:
        return qr__reply_send(c, r);
    case QR_REQUEST_REFUSED:
        *upload_bytes = 0;
        return MHD_YES;
    case QR_REQUEST_OUT:
        break; /* suspended: libmicrohttpd does not call */
    }
    return MHD_NO;
}

void qr__request_completed(void *state, struct MHD_Connection *mhd, void **context,
                           enum MHD_RequestTerminationCode code) {
    (void)context;
    (void)code;
    qr_http *http = state;
    qr_connection *c = qr__connection_of(mhd);
    qr_request *r = c == NULL ? NULL : c->request;
    if (c != NULL)
        qr__connection_phase(c, QR_PHASE_IDLE, qr_clock_ns());
    if (r == NULL)
        return;
    c->request = NULL;
    if (r->stage == QR_REQUEST_OUT) { /* libmicrohttpd is being stopped under it */
        r->exchange.owner = NULL;
        c->gone = true;
        return;
    }
    if (r->stage == QR_REQUEST_ANSWERED) {
        http->exchanges--;
        http->options.on_done(http->options.state, &r->exchange);
    } else if (r->stage == QR_REQUEST_HEAD && http->options.on_refused != NULL) {
        http->options.on_refused(http->options.state,
                                 QR_BAD_HTTP); /* libmicrohttpd refused it, or it never ended */
    }
    qr__request_recycle(http, r);
}
