/* server/api/docs_page.c: GET /docs, a page that shows /openapi.json and sends requests; and GET /,
 * which is that page for browsers and text-embeddings-inference's health for all else. */
#include "server/api/docs_page.h"
#include "server/api/health.h"

static void encode_page(const qr_api *api, qr_exchange *x) {
    (void)api;
    x->content_type = "text/html; charset=utf-8";
    qr_exchange_note_fixed(x, "Content-Security-Policy", qr__docs_page_policy);
    qr_exchange_note_fixed(x, "X-Content-Type-Options", "nosniff");
    qr_exchange_note_fixed(x, "Referrer-Policy", "no-referrer");
    qr_buf_append(&x->out, qr__docs_page, qr__docs_page_len);
}

/* The page says itself that no model is ready. */
static qr_status check_root(qr__call *call) {
    return call->exchange->wants_html ? QR_OK : qr__health_check(call);
}

static void encode_root(const qr_api *api, qr_exchange *x) {
    if (x->wants_html)
        encode_page(api, x);
    else
        qr__health_encode(api, x);
    qr_exchange_note_fixed(x, "Vary", "Accept");
}

static const qr_route rows[] = {
    {
        .method = "GET",
        .pattern = "/docs",
        .summary = "A page that shows this document and tries its routes",
        .reply_type = "text/html",
        .flags = QR__ROUTE_OPEN | QR__ROUTE_BOTH,
        .encode = encode_page,
        .fail = qr__fail_tei,
    },
    {
        .method = "GET",
        .pattern = "/",
        .summary = "The page of /docs for Accept: text/html; else as /health",
        .flags = QR__ROUTE_OPEN,
        .decode = check_root,
        .encode = encode_root,
        .fail = qr__fail_health,
    },
};

const qr__routes qr__docs_routes = {rows, QR__LENGTH(rows)};
