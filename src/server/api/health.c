/* server/api/health.c: GET /health, /ping, /v2/health/live, /v2/health/ready and /metrics. */
#include "server/api/health.h"

qr_status qr__health_check(qr__call *call) {
    const qr_api_hooks *hooks = &call->api->options.hooks;
    return hooks->ready == NULL || hooks->ready(hooks->state) ? QR_OK : QR_NOT_READY;
}

void qr__health_encode(const qr_api *api, qr_exchange *x) {
    (void)api;
    x->content_type = "text/plain";
}

void qr__fail_health(qr_status status, const qr_fault *fault, qr_buf *out) {
    if (status == QR_NOT_READY)
        qr_buf_literal(out, "{\"error\":\"unhealthy\",\"error_type\":\"Unhealthy\"}");
    else
        qr__fail_tei(status, fault, out);
}

/* Alive is whoever can answer; load never changes that. A process whose device is lost is to be
 * started anew: it will never have it again. */
static qr_status check_live(qr__call *call) {
    const qr_api_hooks *hooks = &call->api->options.hooks;
    return hooks->lost != NULL && hooks->lost(hooks->state) ? QR_DEVICE : QR_OK;
}

static void encode_live(const qr_api *api, qr_exchange *x) {
    (void)api;
    qr_buf_literal(&x->out, "{\"live\":true}");
}

static void encode_ready(const qr_api *api, qr_exchange *x) {
    (void)api;
    qr_buf_literal(&x->out, "{\"ready\":true}");
}

void qr__fail_live(qr_status status, const qr_fault *fault, qr_buf *out) {
    (void)status, (void)fault;
    qr_buf_literal(out, "{\"live\":false}");
}

void qr__fail_ready(qr_status status, const qr_fault *fault, qr_buf *out) {
    (void)status, (void)fault;
    qr_buf_literal(out, "{\"ready\":false}");
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
        .aliases = (const char *const[]){"/ping", NULL},
        .summary = "200 when requests are answered, without a body",
        .flags = QR__ROUTE_OPS,
        .decode = qr__health_check,
        .encode = qr__health_encode,
        .fail = qr__fail_health,
    },
    {
        .method = "GET",
        .pattern = "/v2/health/live",
        .summary = "200 while the process answers and has not lost a device",
        .reply = QR__S_SHAPE("\"live\"", QR__S_MEMBER("live", "{\"const\":true}")),
        .flags = QR__ROUTE_OPS,
        .decode = check_live,
        .encode = encode_live,
        .fail = qr__fail_live,
    },
    {
        .method = "GET",
        .pattern = "/v2/health/ready",
        .summary = "200 when requests are answered",
        .reply = QR__S_SHAPE("\"ready\"", QR__S_MEMBER("ready", "{\"const\":true}")),
        .flags = QR__ROUTE_OPS,
        .decode = qr__health_check,
        .encode = encode_ready,
        .fail = qr__fail_ready,
    },
    {
        .method = "GET",
        .pattern = "/metrics",
        .summary = "Metrics in Prometheus' text format",
        .reply_type = "text/plain",
        .flags = QR__ROUTE_OPS,
        .encode = encode_metrics,
        .fail = qr__fail_tei,
    },
};

const qr__routes qr__health_routes = {rows, QR__LENGTH(rows)};
