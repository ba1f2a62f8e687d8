/* server/ops/metrics.c: counting. Every call is a few relaxed atomic additions. */
#include "server/ops/metrics.h"

#include <stdlib.h>

qr_status qr_metrics_create(const qr_metrics_options *options, qr_metrics **out) {
    *out = NULL;
    if (options->routes_len >= 0xFF)
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
    metrics->routes = routes;
    metrics->routes_len = options->routes_len;
    metrics->start_time = qr__process_start_time();
    pthread_mutex_init(&metrics->naming, NULL);
    *out = metrics;
    return QR_OK;
}

void qr_metrics_destroy(qr_metrics *metrics) {
    if (metrics == NULL)
        return;
    for (size_t i = 0; i < QR__MODEL_SLOTS; i++)
        free(metrics->models[i].name);
    pthread_mutex_destroy(&metrics->naming);
    free(metrics->routes);
    free(metrics);
}

/* A slot is filled before models_len counts it, so that readers need no lock. */
size_t qr_metrics_model(qr_metrics *metrics, const char *name) {
    size_t slot = 0;
    pthread_mutex_lock(&metrics->naming);
    size_t len = atomic_load_explicit(&metrics->models_len, memory_order_relaxed);
    while (slot < len && strcmp(metrics->models[slot].name, name) != 0)
        slot++;
    if (slot == len && len < QR__MODEL_SLOTS) {
        metrics->models[slot].name = strdup(name);
        if (metrics->models[slot].name != NULL)
            atomic_store_explicit(&metrics->models_len, len + 1, memory_order_release);
        else
            slot = QR__MODEL_SLOTS;
    }
    pthread_mutex_unlock(&metrics->naming);
    return slot;
}

const char *qr__metrics_model_name(const qr_metrics *metrics, size_t slot) {
    if (slot == QR__KEY_NO_MODEL)
        return "";
    return slot < QR__MODEL_SLOTS ? metrics->models[slot].name : "other";
}

static void add(_Atomic uint64_t *counter, uint64_t n) {
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

/* The index of the route's name; routes_len for "other". */
static size_t route_index(const qr_metrics *metrics, const char *route) {
    size_t i = 0;
    if (route == NULL)
        return metrics->routes_len;
    while (i < metrics->routes_len && strcmp(metrics->routes[i], route) != 0)
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

static void count_stages(qr_metrics *metrics, const qr_stages *stages) {
    const uint64_t times[QR__STAGES] = {
        [QR__STAGE_TOKENIZE] = stages->tokenize_ns,
        [QR__STAGE_QUEUE] = stages->queue_ns,
        [QR__STAGE_COMPUTE] = stages->compute_ns,
        [QR__STAGE_ENCODE] = stages->encode_ns,
    };
    for (size_t s = 0; s < QR__STAGES; s++)
        if (times[s] > 0)
            qr__histogram_count(&metrics->stages[s], &qr__scale_seconds, times[s]);
}

void qr_metrics_request(qr_metrics *metrics, const qr_record *record) {
    size_t route = route_index(metrics, record->route);
    size_t model = record->model == QR_NO_MODEL_SLOT ? QR__KEY_NO_MODEL : record->model;
    int code = record->code >= 0 && record->code < 1000 ? record->code : 0;
    uint64_t took = record->end_ns > record->head_ns ? record->end_ns - record->head_ns : 0;
    qr__histogram_count(&find_slot(metrics, QR__KEY(route, model, code))->duration,
                        &qr__scale_seconds, took);
    count_stages(metrics, &record->stages);
    if (record->status != QR_OK)
        qr_metrics_refused(metrics, record->status);
    bool overrun = record->status == QR_OK && record->budget_ns > 0 && took > record->budget_ns;
    if (record->status == QR_LATE || overrun)
        add(&metrics->deadline_misses, 1);
}

void qr_metrics_batch(qr_metrics *metrics, size_t slot, size_t items, size_t tokens,
                      uint64_t compute_ns) {
    qr__model_slot *model = &metrics->models[qr_min(slot, QR__MODEL_SLOTS)];
    qr__histogram_count(&metrics->batch_items, &qr__scale_items, items);
    qr__histogram_count(&metrics->batch_tokens, &qr__scale_tokens, tokens);
    qr__histogram_count(&metrics->batch_duration, &qr__scale_seconds, compute_ns);
    add(&model->batches, 1);
    add(&model->items, items);
    add(&model->tokens, tokens);
    add(&model->compute_ns, compute_ns);
}

void qr_metrics_loop_lag(qr_metrics *metrics, uint64_t lag_ns) {
    qr__histogram_count(&metrics->loop_lag, &qr__scale_seconds, lag_ns);
}

void qr_metrics_refused(qr_metrics *metrics, qr_status status) {
    if ((unsigned)status < QR_STATUS_COUNT)
        add(&metrics->rejections[status], 1);
}

void qr_metrics_verified(qr_metrics *metrics, qr_verify_outcome outcome) {
    add(&metrics->verified[outcome], 1);
}

void qr_metrics_connections(qr_metrics *metrics, size_t open) {
    atomic_store_explicit(&metrics->connections, open, memory_order_relaxed);
}

void qr_metrics_stale_start(qr_metrics *metrics) {
    add(&metrics->stale_starts, 1);
}
