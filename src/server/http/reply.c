/* server/http/reply.c: the answer and its headers. */
#include "server/http/http_internal.h"

/* Without memory for the field the answer goes out without it; but for the one that ends the
 * connection, behind which nothing may be read. */
static void add_header(struct MHD_Response *response, const char *name, const char *value) {
    (void)MHD_add_response_header(response, name, value);
}

static bool is_last(const qr__connection *c) {
    return c->http->closing || c->chunked || c->requests >= QR__CONNECTION_REQUESTS ||
           qr__http_now(c->http) > c->old_ns;
}

/* The body is sent from where it lies: the request keeps it until it is completed. */
enum MHD_Result qr__reply_send(qr__connection *c, qr__request *r, bool close) {
    const qr_http_request *request = &r->request;
    const qr_buf *out = &request->out;
    struct MHD_Response *response = MHD_create_response_from_buffer(
        out->len, out->len == 0 ? "" : out->data, MHD_RESPMEM_PERSISTENT);
    if (response == NULL)
        return MHD_NO;
    if (request->content_type != NULL && out->len > 0)
        add_header(response, "Content-Type", request->content_type);
    for (size_t i = 0; i < request->headers_len; i++) {
        const qr_http_header *header = &request->headers[i];
        add_header(response, header->name, header->text == NULL ? header->value : header->text);
    }
    c->last = close || is_last(c);
    bool whole = !c->last || MHD_add_response_header(response, "Connection", "close") == MHD_YES;
    if (r->stage == QR__REQUEST_DROP)
        r->stage = QR__REQUEST_ANSWERED;
    qr__connection_phase(c, QR__PHASE_WRITE, qr__http_now(c->http));
    enum MHD_Result sent =
        whole ? MHD_queue_response(c->mhd, (unsigned)request->code, response) : MHD_NO;
    MHD_destroy_response(response);
    return sent;
}
