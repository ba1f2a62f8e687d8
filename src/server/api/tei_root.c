/* server/api/tei_root.c: POST /, which text-embeddings-inference answers by what it serves: an
 * embedding model as /embed, a classifier as /predict, a reranker as /rerank; a span model here as
 * /span. Clients that are given nothing but the server's address post there. The first model
 * decides. */
#include "server/api/call.h"
#include "server/api/dialects.h"

typedef struct dialect {
    qr_status (*decode)(const qr_api *api, qr_exchange *exchange);
    void (*encode)(const qr_api *api, qr_exchange *exchange);
} dialect;

static const dialect dialects[] = {
    [QR_KIND_EMBEDDING] = {qr__embed_decode, qr__embed_encode},
    [QR_KIND_SPAN] = {qr__span_decode, qr__span_encode},
    [QR_KIND_CLASSIFIER] = {qr__predict_decode, qr__predict_encode},
    [QR_KIND_RERANKER] = {qr__rerank_decode, qr__rerank_encode},
};

qr_status qr__root_decode(const qr_api *api, qr_exchange *exchange) {
    const qr_served *first = qr_serving_at(exchange->serving, 0);
    return dialects[qr_pipeline_kind(first->pipeline)].decode(api, exchange);
}

void qr__root_encode(const qr_api *api, qr_exchange *exchange) {
    dialects[qr_pipeline_kind(exchange->model->pipeline)].encode(api, exchange);
}
