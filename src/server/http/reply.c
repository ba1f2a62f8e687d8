/* server/http/reply.c: the answer and its headers. */
#include <stdio.h>

#include "server/http/http_internal.h"

static void add_header(struct MHD_Response *response, const char *name, const char *value) {
    (void)MHD_add_response_header(response, name,
                                  value); /* without memory the answer goes out without it */
}

/* What OpenAI's clients look for before they try again: whether to, and when. */
static void add_retry(struct MHD_Response *response, const qr_exchange *x) {
    if (x->http_code == 504) { /* the budget is spent: another try would come too late as well */
        add_header(response, "x-should-retry", "false");
        return;
    }
    char text[24];
    uint32_t ms = x->retry_after_ms == 0 ? 1000 : x->retry_after_ms;
    snprintf(text, sizeof text, "%u", (ms + 999) / 1000);
    add_header(response, "Retry-After", text);
    snprintf(text, sizeof text, "%u", ms);
    add_header(response, "retry-after-ms", text);
    add_header(response, "x-should-retry", "true");
}

static bool must_close(const qr_connection *c) {
    return c->http->closing || c->requests >= QR_CONNECTION_REQUESTS ||
           qr_clock_ns() > c->last_request_ns;
}

enum MHD_Result qr__reply_send(qr_connection *c, qr_request *r) {
    const qr_exchange *x = &r->exchange;
    struct MHD_Response *response =
        MHD_create_response_from_buffer(x->out.len, x->out.len == 0 ? "" : x->out.data,
                                        MHD_RESPMEM_PERSISTENT); /* lives until completed */
    if (response == NULL)
        return MHD_NO;
    if (x->content_type != NULL && x->out.len > 0)
        add_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, x->content_type);
    add_header(response, "X-Trace-Id", x->trace_id);
    if (x->http_code == MHD_HTTP_METHOD_NOT_ALLOWED && x->allow != NULL)
        add_header(response, MHD_HTTP_HEADER_ALLOW, x->allow);
    if (x->retry_header)
        add_retry(response, x);
    if (must_close(c))
        add_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    qr__connection_phase(c, QR_PHASE_WRITE, qr_clock_ns());
    enum MHD_Result sent = MHD_queue_response(c->mhd, (unsigned)x->http_code, response);
    MHD_destroy_response(response);
    return sent;
}

enum MHD_Result qr__reply_refuse(qr_connection *c, qr_request *r, qr_status status) {
    qr_buf *out = &r->exchange.out;
    r->stage = QR_REQUEST_REFUSED;
    qr_buf_reset(out);
    qr_buf_literal(out, "{\"error\":\"");
    qr_buf_text(out, qr_text_of(qr_status_sentence(status)));
    qr_buf_literal(out, "\",\"error_type\":\"Validation\"}");
    if (c->http->options.on_refused != NULL)
        c->http->options.on_refused(c->http->options.state, status);
    if (qr_buf_failed(out))
        return MHD_NO;
    struct MHD_Response *response =
        MHD_create_response_from_buffer(out->len, out->data, MHD_RESPMEM_PERSISTENT);
    if (response == NULL)
        return MHD_NO;
    add_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
    add_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    qr__connection_phase(c, QR_PHASE_WRITE, qr_clock_ns());
    enum MHD_Result sent = MHD_queue_response(c->mhd, (unsigned)qr_status_http(status), response);
    MHD_destroy_response(response);
    return sent;
}
