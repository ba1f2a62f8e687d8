/* server/api/dialects.h: the two halves of every route; routes.c puts them into its table. */
#ifndef QR_SERVER_API_DIALECTS_H
#define QR_SERVER_API_DIALECTS_H

#include "server/api/api.h"

/* text-embeddings-inference's shapes: tei_embed.c, tei_labels.c, tei_tokenize.c. */
QR_MUST_USE qr_status qr__embed_decode(const qr_api *api, qr_exchange *exchange);
void qr__embed_encode(const qr_api *api, qr_exchange *exchange);
QR_MUST_USE qr_status qr__predict_decode(const qr_api *api, qr_exchange *exchange);
void qr__predict_encode(const qr_api *api, qr_exchange *exchange);
QR_MUST_USE qr_status qr__rerank_decode(const qr_api *api, qr_exchange *exchange);
void qr__rerank_encode(const qr_api *api, qr_exchange *exchange);
QR_MUST_USE qr_status qr__tokenize_decode(const qr_api *api, qr_exchange *exchange);
void qr__tokenize_encode(const qr_api *api, qr_exchange *exchange);

/* The first model's own route: tei_root.c. */
QR_MUST_USE qr_status qr__root_decode(const qr_api *api, qr_exchange *exchange);
void qr__root_encode(const qr_api *api, qr_exchange *exchange);

/* OpenAI's: openai.c. */
QR_MUST_USE qr_status qr__openai_decode(const qr_api *api, qr_exchange *exchange);
void qr__openai_encode(const qr_api *api, qr_exchange *exchange);

/* Hugging Face's question answering: api_span.c. */
QR_MUST_USE qr_status qr__span_decode(const qr_api *api, qr_exchange *exchange);
void qr__span_encode(const qr_api *api, qr_exchange *exchange);

/* What there is and how it does: info.c, health.c. */
void qr__info_encode(const qr_api *api, qr_exchange *exchange);
void qr__live_encode(const qr_api *api, qr_exchange *exchange);
QR_MUST_USE qr_status qr__ready_decode(const qr_api *api, qr_exchange *exchange);
void qr__ready_encode(const qr_api *api, qr_exchange *exchange);
void qr__ready_fail(const qr_api *api, qr_exchange *exchange);
void qr__health_encode(const qr_api *api, qr_exchange *exchange);
void qr__health_fail(const qr_api *api, qr_exchange *exchange);
void qr__metrics_encode(const qr_api *api, qr_exchange *exchange);

#endif
