/* server/api/health.h: text-embeddings-inference's health, for the routes that answer with it.
 *
 *     {.decode = qr__health_check, .encode = qr__health_encode, .fail = qr__fail_health}
 *
 * Threads: as the hooks of qr_api_options.
 */
#ifndef QR_SERVER_API_HEALTH_H
#define QR_SERVER_API_HEALTH_H

#include "server/api/call.h"

/** NOT_READY unless requests are answered. */
QR_MUST_USE qr_status qr__health_check(qr__call *call);

/** An empty 200. */
void qr__health_encode(const qr_api *api, qr_exchange *exchange);

/** "unhealthy"; what is no matter of health as TEI's other routes word it. */
void qr__fail_health(qr_status status, const qr_fault *fault, qr_buf *out);

/** The Open Inference Protocol's: {"live":false}. */
void qr__fail_live(qr_status status, const qr_fault *fault, qr_buf *out);

/** And {"ready":false}. */
void qr__fail_ready(qr_status status, const qr_fault *fault, qr_buf *out);

#endif
