/* server/ops/metrics.c: counting. Every call is a few relaxed atomic additions. */
#include "server/ops/metrics.h"

#include <stdlib.h>

#include "server/api/api.h"

qr_status qr_metrics_create(const qr_metrics_options *options, qr_metrics **out) {
    *out = NULL;
    if (options->models_len > QR_LIMIT_MODELS || options->routes_len > 0xFF)
        return QR_BAD_OPTION;
    qr_metrics *metrics = calloc(1, sizeof *metrics);
    const char **routes = calloc(options->routes_len + 1, sizeof *routes);
    if (metrics == NULL || routes == NULL) {
        free(metrics);
        free(routes);
        return QR_NO_MEMORY;
    }
    for (size_t i = 0; i < options->routes_len; i++)
        routes[i] = options->routes[i];
    for (size_t i = 0; i < options->models_len; i++)
        metrics->models[i] = options->models[i];
    metrics->models_len = options->models_len;
    metrics->routes = routes;
    metrics->routes_len = options->routes_len;
    metrics->start_time = qr__process_start_time();
    *out = metrics;
    return QR_OK;
}

void qr_metrics_destroy(qr_metrics *metrics) {
    if (metrics == NULL)
        return;
    free((void *)metrics->routes);
    free(metrics);
}

static void add(_Atomic uint64_t *counter, uint64_t n) {
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

/* The index of the route's name; routes_len for "other". */
static size_t route_index(const qr_metrics *metrics, const qr_exchange *exchange) {
    size_t i = 0;
    if (exchange->route == NULL)
        return metrics->routes_len;
    while (i < metrics->routes_len && strcmp(metrics->routes[i], exchange->route->name) != 0)
        i++;
    return i;
}

/* models_len when no model answered. */
static size_t model_index(const qr_metrics *metrics, const qr_pipeline *model) {
    size_t i = 0;
    while (i < metrics->models_len && metrics->models[i] != model)
        i++;
    return i;
}

static qr__request_slot *find_slot(qr_metrics *metrics, uint32_t key) {
    for (size_t i = 0; i < QR__REQUEST_SLOTS; i++) {
        qr__request_slot *slot = &metrics->requests[i];
        uint32_t held = atomic_load_explicit(&slot->key, memory_order_relaxed);
        if (held == 0 && atomic_compare_exchange_strong(&slot->key, &held, key))
            return slot;
        if (held == key)
            return slot;
    }
    return &metrics->requests[QR__REQUEST_SLOTS];
}

static void count_stages(qr_metrics *metrics, const qr_exchange *exchange) {
    const uint64_t times[QR__STAGES] = {
        [QR__STAGE_TOKENIZE] = exchange->stages.tokenize_ns,
        [QR__STAGE_QUEUE] = exchange->stages.queue_ns,
        [QR__STAGE_COMPUTE] = exchange->stages.compute_ns,
        [QR__STAGE_ENCODE] = exchange->stages.encode_ns,
    };
    for (size_t s = 0; s < QR__STAGES; s++)
        if (times[s] > 0)
            qr__histogram_count(&metrics->stages[s], &qr__scale_seconds, times[s]);
}

void qr_metrics_exchange(qr_metrics *metrics, const qr_exchange *exchange, uint64_t now_ns) {
    size_t route = route_index(metrics, exchange), model = model_index(metrics, exchange->model);
    int code = exchange->status == QR_GONE ? qr_status_http(QR_GONE) : exchange->http_code;
    uint32_t key = QR__KEY(route, model, code >= 0 && code < 1000 ? code : 0);
    uint64_t duration = now_ns > exchange->received_ns ? now_ns - exchange->received_ns : 0;
    qr__histogram_count(&find_slot(metrics, key)->duration, &qr__scale_seconds, duration);
    if (exchange->route != NULL && exchange->route->needs_model)
        count_stages(metrics, exchange);
    if (exchange->status != QR_OK)
        qr_metrics_refused(metrics, exchange->status);
    bool late =
        exchange->status == QR_OK && exchange->deadline_ns > 0 && now_ns > exchange->deadline_ns;
    if (exchange->status == QR_LATE || late)
        add(&metrics->deadline_misses, 1);
}

void qr_metrics_batch(qr_metrics *metrics, const qr_pipeline *model, size_t items, size_t tokens,
                      uint64_t compute_ns) {
    size_t index = model_index(metrics, model);
    qr__histogram_count(&metrics->batch_items, &qr__scale_items, items);
    qr__histogram_count(&metrics->batch_tokens, &qr__scale_tokens, tokens);
    qr__histogram_count(&metrics->batch_duration, &qr__scale_seconds, compute_ns);
    if (index == metrics->models_len)
        return;
    qr__model_counts *counts = &metrics->model_counts[index];
    add(&counts->batches, 1);
    add(&counts->items, items);
    add(&counts->tokens, tokens);
    add(&counts->compute_ns, compute_ns);
}

void qr_metrics_loop_lag(qr_metrics *metrics, uint64_t lag_ns) {
    qr__histogram_count(&metrics->loop_lag, &qr__scale_seconds, lag_ns);
}

void qr_metrics_refused(qr_metrics *metrics, qr_status status) {
    if ((unsigned)status < QR_STATUS_COUNT)
        add(&metrics->rejections[status], 1);
}

void qr_metrics_connections(qr_metrics *metrics, size_t open) {
    atomic_store_explicit(&metrics->connections, open, memory_order_relaxed);
}
