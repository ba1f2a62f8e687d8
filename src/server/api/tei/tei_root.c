/* server/api/tei/tei_root.c: POST /, which text-embeddings-inference answers by what it serves: an
 * embedding model as /embed, a classifier as /predict, a reranker as /rerank; a span model here as
 * /span. Clients that are given nothing but the server's address post there. The first model
 * decides. */
#include "server/api/call.h"

static const qr_route *by_first_model(const qr_exchange *x, const qr__value *body) {
    (void)body;
    qr_text none;
    static const char *const patterns[] = {
        [QR_KIND_EMBEDDING] = "/embed",
        [QR_KIND_SPAN] = "/span",
        [QR_KIND_CLASSIFIER] = "/predict",
        [QR_KIND_RERANKER] = "/rerank",
    };
    qr_kind kind = qr_pipeline_kind(qr_serving_at(x->serving, 0)->pipeline);
    qr_status status;
    return qr_api_route(QR_LISTENER_MAIN, qr_text_of("POST"), qr_text_of(patterns[kind]), &none,
                        &status);
}

static const qr_route rows[] = {
    {
        .method = "POST",
        .pattern = "/",
        .summary = "What the first model's own route answers",
        .reply = "{}",
        .flags = QR__ROUTE_MODEL | QR__ROUTE_COMPUTE,
        .accepts = QR__JSON,
        .fail = qr__fail_tei,
        .resolve = by_first_model,
    },
};

const qr__routes qr__tei_root_routes = {rows, QR__LENGTH(rows)};
