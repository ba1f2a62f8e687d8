/* server/api/health.c: GET /health, /v2/health/live, /v2/health/ready and /metrics. */
#include "server/api/call.h"

static qr_status check_ready(qr__call *call) {
    const qr_api_hooks *hooks = &call->api->options.hooks;
    return hooks->ready == NULL || hooks->ready(hooks->state) ? QR_OK : QR_NOT_READY;
}

/* Alive is whoever can answer; load never changes that. */
static void encode_live(const qr_api *api, qr_exchange *x) {
    (void)api;
    qr_buf_literal(&x->out, "{\"live\":true}");
}

static void encode_ready(const qr_api *api, qr_exchange *x) {
    (void)api;
    qr_buf_literal(&x->out, "{\"ready\":true}");
}

static void fail_ready(qr_status status, const qr_fault *fault, qr_buf *out) {
    (void)status, (void)fault;
    qr_buf_literal(out, "{\"ready\":false}");
}

/* text-embeddings-inference's: an empty 200. */
static void encode_health(const qr_api *api, qr_exchange *x) {
    (void)api;
    x->content_type = "text/plain";
}

static void fail_health(qr_status status, const qr_fault *fault, qr_buf *out) {
    (void)status, (void)fault;
    qr_buf_literal(out, "{\"error\":\"unhealthy\",\"error_type\":\"Unhealthy\"}");
}

static void encode_metrics(const qr_api *api, qr_exchange *x) {
    const qr_api_hooks *hooks = &api->options.hooks;
    x->content_type = "text/plain; version=0.0.4; charset=utf-8";
    if (hooks->metrics != NULL)
        hooks->metrics(hooks->state, &x->out);
}

static const qr_route rows[] = {
    {
        .method = "GET",
        .pattern = "/health",
        .summary = "200 when requests are answered",
        .flags = QR__ROUTE_OPS,
        .decode = check_ready,
        .encode = encode_health,
        .fail = fail_health,
    },
    {
        .method = "GET",
        .pattern = "/v2/health/live",
        .summary = "200 while the process answers",
        .reply = QR__S_OBJECT(QR__S_MEMBER("live", QR__S_FLAG)),
        .flags = QR__ROUTE_OPS,
        .encode = encode_live,
        .fail = qr__fail_tei,
    },
    {
        .method = "GET",
        .pattern = "/v2/health/ready",
        .summary = "200 when requests are answered",
        .reply = QR__S_OBJECT(QR__S_MEMBER("ready", QR__S_FLAG)),
        .flags = QR__ROUTE_OPS,
        .decode = check_ready,
        .encode = encode_ready,
        .fail = fail_ready,
    },
    {
        .method = "GET",
        .pattern = "/metrics",
        .summary = "Metrics in Prometheus' text format",
        .flags = QR__ROUTE_OPS,
        .encode = encode_metrics,
        .fail = qr__fail_tei,
    },
};

const qr__routes qr__health_routes = {rows, QR__LENGTH(rows)};
