/* server/api/docs_page.c: GET /docs, a page that shows /openapi.json and sends requests; and GET /,
 * which is the playground for browsers and text-embeddings-inference's health for all else. */
#include "server/api/docs_page.h"
#include "server/api/health.h"

static void put_page(qr_exchange *x, const unsigned char *page, size_t len, const char *policy) {
    x->content_type = "text/html; charset=utf-8";
    qr_exchange_note_fixed(x, "Content-Security-Policy", policy);
    qr_exchange_note_fixed(x, "X-Content-Type-Options", "nosniff");
    qr_exchange_note_fixed(x, "Referrer-Policy", "no-referrer");
    qr_exchange_note_fixed(x, "Cache-Control", "no-cache"); /* it changes with the program */
    qr_buf_append(&x->out, page, len);
}

static void encode_page(const qr_api *api, qr_exchange *x) {
    (void)api;
    put_page(x, qr__docs_page, qr__docs_page_len, qr__docs_page_policy);
}

static bool wants_playground(const qr_api *api, const qr_exchange *x) {
    return api->options.playground && x->wants_html;
}

/* The page says itself that no model is ready. */
static qr_status check_root(qr__call *call) {
    return wants_playground(call->api, call->exchange) ? QR_OK : qr__health_check(call);
}

static void encode_root(const qr_api *api, qr_exchange *x) {
    if (wants_playground(api, x))
        put_page(x, qr__playground, qr__playground_len, qr__playground_policy);
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
        .summary = "A page to try the models with for Accept: text/html; else as /health",
        .flags = QR__ROUTE_OPEN | QR__ROUTE_BOTH,
        .decode = check_root,
        .encode = encode_root,
        .fail = qr__fail_health,
    },
};

const qr__routes qr__docs_routes = {rows, QR__LENGTH(rows)};
