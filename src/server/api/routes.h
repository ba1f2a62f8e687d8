/* server/api/routes.h: the table of routes: the rows of all files.
 *
 *     const qr_route *row;
 *     for (size_t i = 0; (row = qr__route_at(i)) != NULL; i++)
 *         if (qr__route_is_on(row, QR_LISTENER_MAIN))
 *             ...
 *
 * Threads: const.
 */
#ifndef QR_SERVER_API_ROUTES_H
#define QR_SERVER_API_ROUTES_H

#include "server/api/route.h"

/** The rows of one file. */
typedef struct qr__routes {
    const qr_route *rows;
    size_t len;
} qr__routes;

extern const qr__routes qr__tei_embed_routes;
extern const qr__routes qr__tei_labels_routes;
extern const qr__routes qr__tei_tokenize_routes;
extern const qr__routes qr__tei_similarity_routes;
extern const qr__routes qr__tei_decode_routes;
extern const qr__routes qr__tei_vertex_routes;
extern const qr__routes qr__tei_root_routes;
extern const qr__routes qr__tei_info_routes;
extern const qr__routes qr__openai_embeddings_routes;
extern const qr__routes qr__openai_models_routes;
extern const qr__routes qr__cohere_rerank_routes;
extern const qr__routes qr__cohere_embed_routes;
extern const qr__routes qr__ollama_embed_routes;
extern const qr__routes qr__ollama_models_routes;
extern const qr__routes qr__hf_span_routes;
extern const qr__routes qr__hf_tokens_routes;
extern const qr__routes qr__best_spans_routes;
extern const qr__routes qr__oip_infer_routes;
extern const qr__routes qr__oip_models_routes;
extern const qr__routes qr__oip_repository_routes;
extern const qr__routes qr__health_routes;
extern const qr__routes qr__openapi_routes;
extern const qr__routes qr__docs_routes;

/** The row at `index`, counted over all files; NULL beyond the last. */
const qr_route *qr__route_at(size_t index);

/** Whether one of these listeners has the row. */
bool qr__route_is_on(const qr_route *row, unsigned listeners);

#endif
