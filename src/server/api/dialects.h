/* server/api/dialects.h: what the dialects' files offer to the table of all routes and to each
 * other: their rows, the rows that a request's shape resolves to, and errors in each one's words.
 *
 * Threads: const, and pure.
 */
#ifndef QR_SERVER_API_DIALECTS_H
#define QR_SERVER_API_DIALECTS_H

#include "server/api/routes.h"

/** The row by which POST / answers such a body: the first model's. */
const qr_route *qr__first_model_row(const qr_exchange *exchange, const qr__value *body);

/** What /predict resolves to when the body has `parameters`. */
const qr_route *qr__hf_labels_row(void);

/** The rows that routes of both dialects resolve to, by the shape of the body. */
const qr_route *qr__tei_rerank_row(void);

/** See qr__tei_rerank_row. */
const qr_route *qr__cohere_rerank_row(void);

/** Errors as text-embeddings-inference words them. */
void qr__fail_tei(qr_status status, const qr_fault *fault, qr_buf *out);

/** As qr__fail_tei, with the `message` and `detail` that clients of other rerankers read. */
void qr__fail_rerank(qr_status status, const qr_fault *fault, qr_buf *out);

/** Errors for clients of Cohere and of those who serve its shape: `message`, `detail`, and
 * infinity's `error`. */
void qr__fail_cohere(qr_status status, const qr_fault *fault, qr_buf *out);

/** Errors of the Open Inference Protocol. */
void qr__fail_oip(qr_status status, const qr_fault *fault, qr_buf *out);

/** Errors for clients of text-embeddings-inference and of OpenAI alike. */
void qr__fail_openai(qr_status status, const qr_fault *fault, qr_buf *out);

#endif
