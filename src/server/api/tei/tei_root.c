/* server/api/tei/tei_root.c: POST / and /invocations, which text-embeddings-inference answers by
 * what it serves: an embedding model as /embed (or /similarity, when the body compares sentences),
 * a classifier as /predict, a reranker as /rerank (as /predict, when the body has `inputs`); a span
 * model here as /span. Clients that are
 * given nothing but the server's address post there. The first model decides. */
#include "server/api/call.h"

static const qr_route *row_at_path(const char *path) {
    qr_status status;
    qr_text none;
    return qr_api_route(QR_LISTENER_MAIN, qr_text_of("POST"), qr_text_of(path), &none, &status);
}

const qr_route *qr__first_model_row(const qr_exchange *x, const qr__value *body) {
    static const char *const paths[] = {
        [QR_KIND_EMBEDDING] = "/embed",
        [QR_KIND_SPAN] = "/span",
        [QR_KIND_CLASSIFIER] = "/predict",
        [QR_KIND_RERANKER] = "/rerank",
        [QR_KIND_TOKENS] = "/token_classification",
    };
    qr_kind kind = qr_serving_kind(x->serving);
    const qr__value *inputs =
        qr__value_kind_of(body) == QR__VALUE_OBJECT ? qr__value_get(body, "inputs") : NULL;
    if (kind == QR_KIND_EMBEDDING && qr__value_kind_of(inputs) == QR__VALUE_OBJECT)
        return row_at_path("/similarity");
    bool pair = kind == QR_KIND_RERANKER && inputs != NULL && qr__value_get(body, "query") == NULL;
    const qr_route *row = row_at_path(pair ? "/predict" : paths[kind]);
    return row->resolve == NULL ? row : row->resolve(x, body);
}

static const char *const aliases[] = {"/invocations", NULL};

static const qr_route rows[] = {
    {
        .method = "POST",
        .pattern = "/",
        .aliases = aliases,
        .summary = "What the first model's own route answers",
        .reply = "{}",
        .example = "{\"inputs\":\"how tall is mount everest\"}",
        .flags = QR__ROUTE_MODEL | QR__ROUTE_COMPUTE,
        .accepts = QR__JSON,
        .fail = qr__fail_tei,
        .resolve = qr__first_model_row,
    },
};

const qr__routes qr__tei_root_routes = {rows, QR__LENGTH(rows)};
