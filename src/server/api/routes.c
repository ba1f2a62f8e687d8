/* server/api/routes.c: the table of routes, and the two calls that every exchange makes: decode and
 * encode. */
#include <stdlib.h>

#include "server/api/call.h"
#include "server/api/dialects.h"

static const qr_route routes[] = {
    {QR_POST, "/embed", "/embed", false, true, qr__embed_decode, qr__embed_encode, qr__fail_tei},
    {QR_POST, "/span", "/span", false, true, qr__span_decode, qr__span_encode, qr__fail_tei},
    {QR_POST, "/v1/embeddings", "/v1/embeddings", false, true, qr__openai_decode, qr__openai_encode,
     qr__fail_openai},
    {QR_POST, "/tokenize", "/tokenize", false, true, qr__tokenize_decode, qr__tokenize_encode,
     qr__fail_tei},
    {QR_POST, "/rerank", "/rerank", false, true, qr__rerank_decode, qr__rerank_encode,
     qr__fail_tei},
    {QR_POST, "/predict", "/predict", false, true, qr__predict_decode, qr__predict_encode,
     qr__fail_tei},
    {QR_POST, "/", "/", false, true, qr__root_decode, qr__root_encode, qr__fail_tei},
    {QR_GET, "/info", "/info", false, false, NULL, qr__info_encode, qr__fail_tei},
    {QR_GET, "/health", "/health", true, false, qr__ready_decode, qr__health_encode,
     qr__health_fail},
    {QR_GET, "/v2/health/live", "/v2/health/live", true, false, NULL, qr__live_encode,
     qr__fail_tei},
    {QR_GET, "/v2/health/ready", "/v2/health/ready", true, false, qr__ready_decode,
     qr__ready_encode, qr__ready_fail},
    {QR_GET, "/metrics", "/metrics", true, false, NULL, qr__metrics_encode, qr__fail_tei},
};

#define ROUTES (sizeof routes / sizeof routes[0])

size_t qr_api_routes(const qr_route **out) {
    *out = routes;
    return ROUTES;
}

const qr_route *qr_api_route(qr_method method, qr_text path, qr_status *status,
                             const char **allow) {
    *status = QR_NO_ROUTE;
    for (size_t i = 0; i < ROUTES; i++) {
        if (!qr_text_is(path, routes[i].path))
            continue;
        if (routes[i].method == method) {
            *status = QR_OK;
            return &routes[i];
        }
        *status = QR_BAD_METHOD;
        *allow = routes[i].method == QR_GET ? "GET" : "POST";
    }
    return NULL;
}

qr_status qr_api_create(const qr_api_options *options, qr_api **out, qr_error *error) {
    *out = NULL;
    qr_api *api = malloc(sizeof *api);
    if (api == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "no memory for the routes");
    *api = (qr_api){.config = options->config, .hooks = options->hooks};
    api->max_inputs = options->config == NULL
                          ? QR_LIMIT_INPUTS
                          : qr_config_number(options->config, QR_OPTION_MAX_INPUTS);
    qr__value_seed();
    *out = api;
    return QR_OK;
}

void qr_api_destroy(qr_api *api) {
    free(api);
}

qr_status qr_api_decode(const qr_api *api, qr_exchange *exchange) {
    uint64_t begun = qr_clock_ns();
    const qr_route *route = exchange->route;
    exchange->status = QR_OK;
    exchange->ticket.jobs_len = 0;
    if (route->decode != NULL)
        exchange->status = route->decode(api, exchange);
    if (exchange->status != QR_OK)
        exchange->ticket.jobs_len = 0; /* half-made jobs must not run */
    exchange->ticket.queue = exchange->model == NULL ? NULL : &exchange->model->queue;
    exchange->ticket.deadline_ns = exchange->deadline.at_ns;
    exchange->stages.tokenize_ns = qr_clock_ns() - begun;
    return exchange->status;
}

static void note_stages(qr_exchange *exchange) {
    const qr_ticket *ticket = &exchange->ticket;
    if (ticket->jobs_len == 0 || ticket->started_ns < ticket->submitted_ns ||
        ticket->submitted_ns == 0)
        return;
    exchange->stages.queue_ns = ticket->started_ns - ticket->submitted_ns;
    if (ticket->done_ns >= ticket->started_ns)
        exchange->stages.compute_ns = ticket->done_ns - ticket->started_ns;
}

static void encode_fault(const qr_api *api, qr_exchange *exchange) {
    const qr_route *route = exchange->route;
    qr_buf_reset(&exchange->out);
    exchange->content_type = "application/json";
    exchange->http_code = qr_status_http(exchange->status);
    exchange->allow_header = exchange->status == QR_BAD_METHOD;
    exchange->retry_header =
        exchange->http_code == 429 || exchange->http_code == 503 || exchange->http_code == 504;
    (route == NULL || route->fail == NULL ? qr__fail_tei : route->fail)(api, exchange);
}

void qr_api_encode(const qr_api *api, qr_exchange *exchange) {
    uint64_t begun = qr_clock_ns();
    note_stages(exchange);
    qr_buf_reset(&exchange->out);
    exchange->content_type = "application/json";
    exchange->http_code = 200;
    if (exchange->status == QR_OK)
        exchange->route->encode(api, exchange);
    if (exchange->status == QR_OK && qr_buf_failed(&exchange->out)) {
        qr_log(QR_LOG_WARN, "%s: an answer did not fit into %zu bytes or memory (trace %s)",
               exchange->route->name, exchange->out.max_bytes, exchange->trace_id);
        exchange->status = QR_INTERNAL;
    }
    if (exchange->status != QR_OK)
        encode_fault(api, exchange);
    if (qr_buf_failed(&exchange->out)) /* not even that: the code alone says it */
        qr_buf_reset(&exchange->out);
    exchange->stages.encode_ns = qr_clock_ns() - begun;
}
