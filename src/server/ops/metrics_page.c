/* server/ops/metrics_page.c: the page of GET /metrics. Names, types and labels are those of
 * docs/METRICS.md; a test compares them. */
#include <stdio.h>

#include "server/ops/metrics.h"
#include "server/ops/metrics_text.h"

static qr_text text_of(const qr_buf *buf) {
    return (qr_text){buf->data, buf->len};
}

static uint64_t load(const _Atomic uint64_t *counter) {
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/* A histogram of times with such labels, if it was used. */
static void render_used(const qr__histogram *histogram, const char *name, const char *labels,
                        qr_buf *out) {
    if (qr__histogram_used(histogram))
        qr__histogram_render(histogram, &qr__scale_seconds, name, qr_text_of(labels), out);
}

static void render_requests(const qr_metrics *metrics, qr_buf *labels, qr_buf *out) {
    static const char name[] = "querent_request_duration_seconds";
    qr__metric_head(out, name, "histogram",
                    "From the request's head to its answer sent, by route, model and code.");
    for (size_t i = 0; i < QR__REQUEST_SLOTS; i++) {
        const qr__slot *slot = &metrics->requests[i];
        uint32_t key = atomic_load_explicit(&slot->key, memory_order_relaxed);
        if (key == 0)
            continue;
        size_t route = QR__KEY_ROUTE(key), model = QR__KEY_MODEL(key);
        char code[8];
        snprintf(code, sizeof code, "%u", (unsigned)QR__KEY_CODE(key));
        qr_buf_reset(labels);
        qr__metric_label(labels, "route", metrics->routes[route]);
        qr__metric_label(labels, "model", qr__metrics_model_name(metrics, model));
        qr__metric_label(labels, "code", code);
        qr__histogram_render(&slot->duration, &qr__scale_seconds, name, text_of(labels), out);
    }
    render_used(&metrics->requests_unrouted, name, "route=\"other\",model=\"\",code=\"\"", out);
    render_used(&metrics->requests_rest, name, "route=\"other\",model=\"other\",code=\"other\"",
                out);
}

static void render_stages(const qr_metrics *metrics, qr_buf *labels, qr_buf *out) {
    static const char name[] = "querent_stage_duration_seconds";
    static const char *const names[QR__STAGES] = {"tokenize", "queue", "compute", "encode"};
    qr__metric_head(out, name, "histogram",
                    "Where requests to models spent their time, by stage and model.");
    for (size_t i = 0; i < QR__STAGE_SLOTS; i++) {
        const qr__slot *slot = &metrics->stages[i];
        uint32_t key = atomic_load_explicit(&slot->key, memory_order_relaxed);
        if (key == 0)
            continue;
        qr_buf_reset(labels);
        qr__metric_label(labels, "stage", names[QR__KEY_ROUTE(key)]);
        qr__metric_label(labels, "model", qr__metrics_model_name(metrics, QR__KEY_MODEL(key)));
        qr__histogram_render(&slot->duration, &qr__scale_seconds, name, text_of(labels), out);
    }
    for (size_t s = 0; s < QR__STAGES; s++) {
        qr_buf_reset(labels);
        qr__metric_label(labels, "stage", names[s]);
        qr__metric_label(labels, "model", "other");
        if (qr__histogram_used(&metrics->stages_rest[s]))
            qr__histogram_render(&metrics->stages_rest[s], &qr__scale_seconds, name,
                                 text_of(labels), out);
    }
}

static void render_alone(const qr__histogram *histogram, const qr__scale *scale, const char *name,
                         const char *help, qr_buf *out) {
    qr__metric_head(out, name, "histogram", help);
    qr__histogram_render(histogram, scale, name, (qr_text){0}, out);
}

/* One counter a name; "other" only when a name found no slot. */
static void render_model_counter(const qr_metrics *metrics, const char *name, const char *help,
                                 size_t field, bool billionths, qr_buf *labels, qr_buf *out) {
    size_t named = atomic_load_explicit(&metrics->models_len, memory_order_acquire);
    qr__metric_head(out, name, "counter", help);
    for (size_t m = 0; m <= QR__MODEL_SLOTS; m++) {
        const qr__model_slot *model = &metrics->models[m];
        const _Atomic uint64_t *fields[] = {&model->batches,    &model->items,
                                            &model->tokens,     &model->compute_ns,
                                            &model->offered_ns, &model->device_failures};
        bool other = m == QR__MODEL_SLOTS;
        if (other ? load(&model->batches) == 0 : m >= named)
            continue;
        qr_buf_reset(labels);
        qr__metric_label(labels, "model", qr__metrics_model_name(metrics, m));
        qr_buf_printf(out, "%s{", name);
        qr_buf_text(out, text_of(labels));
        qr_buf_literal(out, "} ");
        qr__metric_amount(out, load(fields[field]), billionths);
        qr_buf_byte(out, '\n');
    }
}

static void render_reloads(const qr_metrics *metrics, qr_buf *labels, qr_buf *out) {
    static const char *const outcomes[] = {
        [QR_RELOAD_OK] = "ok", [QR_RELOAD_FAILED] = "failed", [QR_RELOAD_REFUSED] = "refused"};
    qr__metric_head(out, "querent_reloads_total", "counter",
                    "Orders to load a model again, by what became of them.");
    size_t named = atomic_load_explicit(&metrics->models_len, memory_order_acquire);
    for (size_t m = 0; m <= QR__MODEL_SLOTS; m++) {
        for (unsigned o = 0; o < QR_RELOADS; o++) {
            uint64_t count = load(&metrics->models[m].reloads[o]);
            if (count == 0 && (o != QR_RELOAD_OK || m >= named)) /* few series while all is well */
                continue;
            qr_buf_reset(labels);
            qr__metric_label(labels, "model", qr__metrics_model_name(metrics, m));
            qr__metric_label(labels, "outcome", outcomes[o]);
            qr_buf_literal(out, "querent_reloads_total{");
            qr_buf_text(out, text_of(labels));
            qr_buf_literal(out, "} ");
            qr__metric_amount(out, count, false);
            qr_buf_byte(out, '\n');
        }
    }
}

static void render_models(const qr_metrics *metrics, const qr_metrics_now *now, qr_buf *labels,
                          qr_buf *out) {
    static const char info[] = "querent_model_info", fallback[] = "querent_model_plan_fallback";
    render_model_counter(metrics, "querent_model_batches_total", "Batches run, by model.", 0, false,
                         labels, out);
    render_model_counter(metrics, "querent_model_items_total", "Sequences run, by model.", 1, false,
                         labels, out);
    render_model_counter(metrics, "querent_model_tokens_total", "Tokens run, by model.", 2, false,
                         labels, out);
    render_model_counter(metrics, "querent_model_compute_seconds_total",
                         "Time in forward passes, by model.", 3, true, labels, out);
    render_model_counter(metrics, "querent_offered_compute_seconds_total",
                         "What requests were to cost one worker, by model.", 4, true, labels, out);
    render_model_counter(metrics, "querent_model_device_failures_total",
                         "Batches that a model's device failed.", 5, false, labels, out);
    render_reloads(metrics, labels, out);
    qr__metric_head(out, info, "gauge", "1 for each model, with what it is and how it runs.");
    for (size_t m = 0; m < now->models_len; m++) {
        const qr_model_labels *model = &now->models[m];
        qr_buf_reset(labels);
        qr__metric_label(labels, "model", model->name);
        qr__metric_label(labels, "kind", model->kind);
        qr__metric_label(labels, "precision", model->precision);
        qr__metric_label(labels, "device", model->device);
        qr__metric_label(labels, "isa", model->isa);
        qr__metric_sample(out, info, text_of(labels), 1);
    }
    qr__metric_head(out, fallback, "gauge",
                    "1 when a model runs in another precision than the fastest of this machine.");
    for (size_t m = 0; m < now->models_len; m++) {
        qr_buf_reset(labels);
        qr__metric_label(labels, "model", now->models[m].name);
        qr__metric_sample(out, fallback, text_of(labels), now->models[m].fell_back);
    }
}

/* Statuses of start-up and of success are no answers to refused requests. */
static bool is_rejection(qr_status status) {
    return status != QR_OK && status != QR_BAD_OPTION && status != QR_BAD_MODEL && status != QR_IO;
}

static void render_rejections(const qr_metrics *metrics, qr_buf *out) {
    static const char name[] = "querent_rejections_total";
    qr__metric_head(out, name, "counter", "Requests that got no result, by reason.");
    for (qr_status s = QR_OK; s < QR_STATUS_COUNT; s++)
        if (is_rejection(s) || load(&metrics->rejections[s]) > 0)
            qr_buf_printf(out, "%s{reason=\"%s\"} %llu\n", name, qr_status_name(s),
                          (unsigned long long)load(&metrics->rejections[s]));
}

static void render_outcomes(const qr_metrics *metrics, qr_buf *out) {
    static const char name[] = "querent_budget_requests_total";
    static const char *const names[QR__OUTCOMES] = {"met", "late", "refused", "gone"};
    qr__metric_head(out, name, "counter", "Requests to models, by what became of their budget.");
    for (size_t o = 0; o < QR__OUTCOMES; o++)
        qr_buf_printf(out, "%s{outcome=\"%s\"} %llu\n", name, names[o],
                      (unsigned long long)load(&metrics->outcomes[o]));
}

/* The workers and how well it is known what they will be doing. */
static void render_workers(const qr_metrics *metrics, qr_buf *out) {
    static const char busy[] = "querent_worker_busy_seconds_total";
    qr__metric_alone(out, "querent_workers", "gauge", "Workers.", metrics->workers);
    qr__metric_head(out, busy, "counter", "Time of all workers in batches and tasks.");
    qr_buf_printf(out, "%s ", busy);
    qr__metric_amount(out, load(&metrics->worked_ns), true);
    qr_buf_byte(out, '\n');
    render_alone(&metrics->predicted_ratio, &qr__scale_ratio, "querent_predicted_ratio",
                 "Time of a batch that ran without help, divided by what was expected.", out);
    render_alone(&metrics->slack, &qr__scale_seconds, "querent_slack_seconds",
                 "From the start of a request's first batch to its deadline.", out);
    qr__metric_alone(out, "querent_joins_total", "counter",
                     "Requests that got the results of another one under way.",
                     load(&metrics->joins));
}

static void render_verified(const qr_metrics *metrics, qr_buf *out) {
    qr__metric_alone(out, "querent_verify_checked_total", "counter",
                     "Answers' sequences that were computed again, alone.",
                     load(&metrics->verified[QR_VERIFY_CHECKED]));
    qr__metric_alone(out, "querent_verify_mismatches_total", "counter",
                     "Sequences that gave other numbers then.",
                     load(&metrics->verified[QR_VERIFY_MISMATCH]));
    qr__metric_alone(out, "querent_verify_dropped_total", "counter",
                     "Sequences that were chosen to be checked and were not.",
                     load(&metrics->verified[QR_VERIFY_DROPPED]));
}

static void render_cache(const qr_cache_counts *cache, qr_buf *out) {
    qr__metric_alone(out, "querent_cache_hits_total", "counter",
                     "Sequences whose results were in the cache.", cache->hits);
    qr__metric_alone(out, "querent_cache_misses_total", "counter",
                     "Sequences that were looked for there in vain.", cache->misses);
    qr__metric_alone(out, "querent_cache_evictions_total", "counter",
                     "Results that made room for others.", cache->evictions);
    qr__metric_alone(out, "querent_cache_bytes", "gauge", "Memory of the cache.", cache->bytes);
}

void qr_metrics_render(const qr_metrics *metrics, const qr_metrics_now *now, qr_buf *out) {
    qr_buf labels;
    qr_buf_init(&labels, 64u << 10);
    qr__metric_head(out, "querent_build_info", "gauge", "1, with the version.");
    qr_buf_printf(out, "querent_build_info{version=\"%s\"} 1\n", QR_VERSION);
    qr__metric_alone(out, "querent_ready", "gauge", "1 when the server takes requests to models.",
                     now->ready);
    qr__metric_alone(out, "querent_device_lost", "gauge",
                     "1 when a model's device has failed for good.", now->lost);
    render_requests(metrics, &labels, out);
    render_stages(metrics, &labels, out);
    render_alone(&metrics->batch_tokens, &qr__scale_tokens, "querent_batch_tokens",
                 "Tokens in a batch.", out);
    render_alone(&metrics->batch_items, &qr__scale_items, "querent_batch_items",
                 "Sequences in a batch.", out);
    render_alone(&metrics->batch_duration, &qr__scale_seconds, "querent_batch_duration_seconds",
                 "Time of a batch's forward pass.", out);
    render_alone(&metrics->loop_lag, &qr__scale_seconds, "querent_loop_lag_seconds",
                 "How much later than asked the event loop ran its timer.", out);
    qr__metric_alone(out, "querent_queue_depth", "gauge", "Sequences admitted and unfinished.",
                     now->queue_depth);
    qr__metric_alone(out, "querent_inflight_bytes", "gauge",
                     "Memory of bodies, of what is made of them, and of answers.",
                     now->inflight_bytes);
    qr__metric_alone(out, "querent_inflight_limit_bytes", "gauge",
                     "Most of it that there may be at a time.", now->inflight_limit_bytes);
    qr__metric_alone(out, "querent_connections", "gauge", "Open connections.",
                     load(&metrics->connections));
    render_workers(metrics, out);
    render_rejections(metrics, out);
    render_outcomes(metrics, out);
    qr__metric_alone(out, "querent_deadline_misses_total", "counter",
                     "Requests whose budget ran out before their answer was sent.",
                     load(&metrics->deadline_misses));
    qr__metric_alone(out, "querent_stale_starts_total", "counter",
                     "X-Request-Start fields of trusted proxies that were ignored.",
                     load(&metrics->stale_starts));
    qr__metric_alone(out, "querent_log_lines_lost_total", "counter",
                     "Lines of the log that were lost: stderr was full.", qr_log_lost());
    render_models(metrics, now, &labels, out);
    render_verified(metrics, out);
    render_cache(&now->cache, out);
    qr__metrics_process_render(metrics, out);
    if (now->memory_limit_bytes > 0)
        qr__metric_alone(out, "querent_memory_limit_bytes", "gauge",
                         "Least memory limit of the process's cgroups.", now->memory_limit_bytes);
    if (qr_buf_failed(&labels))
        out->failed = true;
    qr_buf_deinit(&labels);
}
