/* server/api/health.c: GET /health, /v2/health/live, /v2/health/ready and /metrics. */
#include "server/api/call.h"
#include "server/api/dialects.h"

static bool is_ready(const qr_api *api) {
    return api->hooks.ready == NULL || api->hooks.ready(api->hooks.state);
}

/* Alive is whoever can answer; load never changes that. */
void qr__live_encode(const qr_api *api, qr_exchange *exchange) {
    (void)api;
    qr_buf_literal(&exchange->out, "{\"live\":true}");
}

qr_status qr__ready_decode(const qr_api *api, qr_exchange *exchange) {
    (void)exchange;
    return is_ready(api) ? QR_OK : QR_NOT_READY;
}

void qr__ready_encode(const qr_api *api, qr_exchange *exchange) {
    (void)api;
    qr_buf_literal(&exchange->out, "{\"ready\":true}");
}

void qr__ready_fail(const qr_api *api, qr_exchange *exchange) {
    (void)api;
    qr_buf_literal(&exchange->out, "{\"ready\":false}");
}

/* text-embeddings-inference's: an empty 200. */
void qr__health_encode(const qr_api *api, qr_exchange *exchange) {
    (void)api;
    exchange->content_type = "text/plain";
}

void qr__health_fail(const qr_api *api, qr_exchange *exchange) {
    (void)api;
    qr_buf_literal(&exchange->out, "{\"error\":\"unhealthy\",\"error_type\":\"Unhealthy\"}");
}

void qr__metrics_encode(const qr_api *api, qr_exchange *exchange) {
    exchange->content_type = "text/plain; version=0.0.4; charset=utf-8";
    if (api->hooks.metrics != NULL)
        api->hooks.metrics(api->hooks.state, &exchange->out);
}
