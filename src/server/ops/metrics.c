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
    metrics->workers = options->workers;
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

/* The key's histogram, or the next free one, which it takes; `rest` when there is none. */
static qr__histogram *find_histogram(qr__slot *slots, size_t len, uint32_t key,
                                     qr__histogram *rest) {
    for (size_t i = 0; i < len; i++) {
        qr__slot *slot = &slots[i];
        uint32_t held = atomic_load_explicit(&slot->key, memory_order_relaxed);
        if (held == 0 && atomic_compare_exchange_strong(&slot->key, &held, key))
            return &slot->duration;
        if (held == key)
            return &slot->duration;
    }
    return rest;
}

/* Whoever asks for what is in no table, or is a probe, has one series: they say little, and are not
 * to spend the slots. */
static void count_duration(qr_metrics *metrics, const qr_record *record, size_t model,
                           uint64_t took) {
    size_t route = route_index(metrics, record->route);
    int code = record->code >= 0 && record->code < 1000 ? record->code : 0;
    qr__histogram *histogram = &metrics->requests_unrouted;
    if (route < metrics->routes_len)
        histogram = find_histogram(metrics->requests, QR__REQUEST_SLOTS,
                                   QR__KEY(route, model, code), &metrics->requests_rest);
    qr__histogram_count(histogram, &qr__scale_seconds, took);
}

static void count_stages(qr_metrics *metrics, const qr_stages *stages, size_t model) {
    const uint64_t times[QR__STAGES] = {
        [QR__STAGE_TOKENIZE] = stages->tokenize_ns,
        [QR__STAGE_QUEUE] = stages->queue_ns,
        [QR__STAGE_COMPUTE] = stages->compute_ns,
        [QR__STAGE_ENCODE] = stages->encode_ns,
    };
    for (size_t s = 0; s < QR__STAGES; s++)
        if (times[s] > 0)
            qr__histogram_count(find_histogram(metrics->stages, QR__STAGE_SLOTS,
                                               QR__KEY(s, model, 0), &metrics->stages_rest[s]),
                                &qr__scale_seconds, times[s]);
}

/* What is wrong with a request (400, 422), or with the server (503, 500), is no outcome of its
 * budget. */
static void count_outcome(qr_metrics *metrics, const qr_record *record, bool late) {
    if (late)
        add(&metrics->outcomes[QR__OUTCOME_LATE], 1);
    else if (record->status == QR_OK)
        add(&metrics->outcomes[QR__OUTCOME_MET], 1);
    else if (record->status == QR_OVERLOADED || record->status == QR_IMPOSSIBLE)
        add(&metrics->outcomes[QR__OUTCOME_REFUSED], 1);
    else if (record->status == QR_GONE)
        add(&metrics->outcomes[QR__OUTCOME_GONE], 1);
}

void qr_metrics_request(qr_metrics *metrics, const qr_record *record) {
    size_t model = record->model == QR_NO_MODEL_SLOT ? QR__KEY_NO_MODEL : record->model;
    uint64_t took = record->end_ns > record->head_ns ? record->end_ns - record->head_ns : 0;
    bool overrun = record->status == QR_OK && record->budget_ns > 0 && took > record->budget_ns;
    bool late = record->status == QR_LATE || overrun;
    count_duration(metrics, record, model, took);
    count_stages(metrics, &record->stages, model);
    if (record->status != QR_OK)
        qr_metrics_refused(metrics, record->status);
    if (late)
        add(&metrics->deadline_misses, 1);
    if (record->budgeted)
        count_outcome(metrics, record, late);
}

static qr__model_slot *model_of(qr_metrics *metrics, size_t slot) {
    return &metrics->models[qr_min(slot, QR__MODEL_SLOTS)];
}

void qr_metrics_reloaded(qr_metrics *metrics, size_t slot, qr_reload outcome) {
    add(&model_of(metrics, slot)->reloads[outcome], 1);
}

void qr_metrics_batch(qr_metrics *metrics, size_t slot, size_t items, size_t tokens,
                      uint64_t compute_ns) {
    qr__model_slot *model = model_of(metrics, slot);
    qr__histogram_count(&metrics->batch_items, &qr__scale_items, items);
    qr__histogram_count(&metrics->batch_tokens, &qr__scale_tokens, tokens);
    qr__histogram_count(&metrics->batch_duration, &qr__scale_seconds, compute_ns);
    add(&model->batches, 1);
    add(&model->items, items);
    add(&model->tokens, tokens);
    add(&model->compute_ns, compute_ns);
}

void qr_metrics_device_failed(qr_metrics *metrics, size_t slot) {
    add(&model_of(metrics, slot)->device_failures, 1);
}

void qr_metrics_offered(qr_metrics *metrics, size_t slot, size_t body_bytes, uint64_t cost_ns) {
    qr__model_slot *model = model_of(metrics, slot);
    add(&model->offered_ns, cost_ns);
    add(&model->read_bytes, body_bytes);
    add(&model->read_ns, cost_ns);
}

void qr_metrics_offered_unread(qr_metrics *metrics, size_t slot, size_t body_bytes) {
    qr__model_slot *model = model_of(metrics, slot);
    double ns = (double)atomic_load_explicit(&model->read_ns, memory_order_relaxed);
    double bytes = (double)atomic_load_explicit(&model->read_bytes, memory_order_relaxed);
    if (bytes > 0)
        add(&model->offered_ns, (uint64_t)(ns / bytes * (double)body_bytes));
}

void qr_metrics_joined(qr_metrics *metrics) {
    add(&metrics->joins, 1);
}

void qr_metrics_predicted(qr_metrics *metrics, uint64_t expected_ns, uint64_t took_ns) {
    if (expected_ns == 0)
        return;
    double ratio = (double)took_ns / (double)expected_ns * (double)QR_NS_PER_S;
    qr__histogram_count(&metrics->predicted_ratio, &qr__scale_ratio, (uint64_t)ratio);
}

void qr_metrics_slack(qr_metrics *metrics, uint64_t slack_ns) {
    qr__histogram_count(&metrics->slack, &qr__scale_seconds, slack_ns);
}

void qr_metrics_worked(qr_metrics *metrics, uint64_t ns) {
    add(&metrics->worked_ns, ns);
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
