/* server/server.c: the process's life: check, start, load, serve, close.
 *
 * The loop runs from the start, so that with --ops-port `live` answers while a thread of its own
 * loads the models. The main port is bound at once (a taken port is known before a model is read)
 * but listens only when the models are ready. drain.c has the end. */
#include "server/server.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/inflight.h"
#include "server/server_internal.h"

/* Whoever replaces the model, or the process, ends it. */
static bool is_lost(void *state) {
    const qr__server *s = state;
    qr_serving *serving = s->flow == NULL ? NULL : qr__flow_serving(s->flow);
    bool lost = false;
    for (size_t i = 0; serving != NULL && i < qr_serving_len(serving); i++)
        lost = lost || qr_engine_lost(qr_pipeline_engine(qr_serving_at(serving, i)->pipeline));
    return lost;
}

static bool is_well(void *state) {
    return !is_lost(state);
}

static bool is_ready(void *state) {
    const qr__server *s = state;
    return atomic_load(&s->phase) == QR__SERVING && !is_lost(state);
}

static void render_metrics(void *state, qr_buf *out) {
    const qr__server *s = state;
    qr_metrics_now now = {.ready = is_ready(state),
                          .lost = is_lost(state),
                          .queue_depth = qr__machines_depth(s->machines),
                          .inflight_bytes = qr_quota_held(&s->inflight),
                          .inflight_limit_bytes = qr_quota_max(&s->inflight),
                          .memory_limit_bytes = s->memory_limit_bytes};
    const qr_serving *serving = qr__flow_serving(s->flow);
    if (s->cache != NULL)
        qr__cache_counts(s->cache, &now.cache);
    if (serving != NULL)
        now.models_len = qr_serving_labels(serving, &now.models);
    qr_metrics_render(s->metrics, &now, out);
}

static void give_up(qr__server *s, qr_status status, const qr_error *error) {
    qr_log(QR_LOG_ERROR, "cannot start: %s", error->message);
    s->exit_code = status == QR_BAD_OPTION ? 2 : 1;
    if (s->loop != NULL)
        qr_loop_stop(s->loop);
}

/* What the process was given, so that a fractional quota is seen in the log. */
static void tell_machine(const qr__server *s) {
    char quota[32] = "none", memory[32] = "none";
    if (s->cores.quota > 0)
        snprintf(quota, sizeof quota, "%.2f cores", s->cores.quota);
    if (s->memory_limit_bytes > 0)
        snprintf(memory, sizeof memory, "%.0f MB", (double)s->memory_limit_bytes / 1e6);
    qr_log(QR_LOG_INFO,
           "machine: %d cores of the mask, cgroup quota %s, %d workers that %s, memory "
           "limit %s",
           s->cores.mask, quota, s->workers, s->cores.throttled ? "sleep" : "spin", memory);
}

static void on_started(void *state, qr_status status, const qr_error *fault) {
    qr__server *s = state;
    qr_error error;
    qr__log_wait_briefly(); /* nobody is served yet */
    if (status != QR_OK) {
        give_up(s, status, fault);
        return;
    }
    status = qr__loop_lag_start(s->loop, s->metrics, &s->lag);
    if (status != QR_OK)
        qr_error_set(&error, status, "cannot measure the event loop");
    for (size_t i = 0; status == QR_OK && i < s->mains_len; i++)
        status = qr_http_listen(s->mains[i], &error);
    if (status == QR_OK)
        status = qr__sandbox_calls(s, &error);
    if (status != QR_OK) {
        give_up(s, status, &error);
        return;
    }
    atomic_store(&s->phase, QR__SERVING);
    tell_machine(s);
    qr__listeners_announce(s);
    qr_log_wait_until(0);
    qr__notify_send(&s->notify, "READY=1\nSTATUS=serving");
    qr__models_started(s);
}

static qr_status begin_loading(qr__server *s, qr_error *error) {
    return qr__models_start(s, on_started, error);
}

/* Start */

static qr_status check_options(qr__server *s, qr_error *error) {
    const qr_config *config = s->config;
    qr_status status = qr__listeners_check(s, error);
    if (status == QR_OK)
        status = qr__activation_check(&s->passed, config, error);
    if (status == QR_OK)
        status = qr__loader_specs(config, s->specs, &s->specs_len, error);
    if (status == QR_OK)
        status = qr__loader_names(s->specs, s->specs_len, error);
    if (status == QR_OK)
        status = qr__inflight_init(config, s->memory_limit_bytes, &s->inflight, error);
    if (status == QR_OK)
        status = qr__descriptors_reserve(s, error);
    return status;
}

static qr_status make_metrics(qr__server *s, qr_error *error) {
    const char *patterns[QR_ROUTES_MAX];
    size_t len = qr_api_patterns(patterns);
    qr_status status = qr_metrics_create(
        &(qr_metrics_options){.routes = patterns, .routes_len = len, .workers = (size_t)s->workers},
        &s->metrics);
    return status == QR_OK ? QR_OK
                           : qr_error_set(error, status, "out of memory while preparing metrics");
}

static qr_status make_api(qr__server *s, qr_error *error) {
    const qr_api_options options = {
        .max_inputs = qr_config_number(s->config, QR_OPTION_MAX_INPUTS),
        .queue_items = qr_config_number(s->config, QR_OPTION_QUEUE_ITEMS),
        .batch_tokens = qr_config_number(s->config, QR_OPTION_BATCH_TOKENS),
        .workers = (size_t)s->workers,
        .cores = s->cores,
        .memory_limit_bytes = s->memory_limit_bytes,
        .keyed = s->access.keys != NULL,
        .playground = qr_config_flag(s->config, QR_OPTION_PLAYGROUND),
        .hooks = {.ready = is_ready,
                  .lost = is_lost,
                  .metrics = render_metrics,
                  .models = qr__models_index,
                  .state = s},
    };
    qr_status status = qr_api_create(&options, &s->api);
    return status == QR_OK ? QR_OK
                           : qr_error_set(error, status, "out of memory while preparing routes");
}

static qr_status make_verify(qr__server *s, qr_error *error) {
    unsigned ppm = (unsigned)qr_config_number(s->config, QR_OPTION_VERIFY_PPM);
    if (ppm == 0)
        return QR_OK;
    qr_status status = qr__verify_create(ppm, s->metrics, &s->verify);
    return status == QR_OK
               ? QR_OK
               : qr_error_set(error, status, "out of memory while preparing --verify-ppm");
}

static qr_status make_cache(qr__server *s, qr_error *error) {
    size_t bytes = qr_config_number(s->config, QR_OPTION_CACHE_BYTES);
    if (bytes == 0)
        return QR_OK;
    qr_status status = qr__cache_create(bytes, &s->cache);
    return status == QR_OK
               ? QR_OK
               : qr_error_set(error, status, "out of memory while preparing --cache-bytes");
}

/* The metrics as the schedules' observer. */
static void on_ticket_begun(void *metrics, uint64_t slack_ns) {
    qr_metrics_slack(metrics, slack_ns);
}

static void on_batch_ended(void *metrics, const qr_batch_report *batch) {
    if (batch->alone)
        qr_metrics_predicted(metrics, batch->expected_ns, batch->took_ns);
}

static void on_worked(void *metrics, uint64_t ns) {
    qr_metrics_worked(metrics, ns);
}

static qr_status start_workers(qr__server *s, qr_error *error) {
    const qr__machines_options options = {
        .workers = s->workers,
        .queue_items = qr_config_number(s->config, QR_OPTION_QUEUE_ITEMS),
        .idle = s->verify == NULL ? NULL : qr__verify_step,
        .idle_state = s->verify,
        .observer = {on_ticket_begun, on_batch_ended, on_worked, s->metrics},
    };
    return qr__machines_start(&options, &s->machines, error);
}

static qr_status start_loop(qr__server *s, qr_error *error) {
    const qr_config *config = s->config;
    qr_status status = qr_loop_create(&s->loop);
    const qr__flow_options options = {
        .loop = s->loop,
        .api = s->api,
        .schedule = qr__machines_cpu(s->machines)->schedule,
        .metrics = s->metrics,
        .verify = s->verify,
        .cache = s->cache,
        .connections_max = qr__listeners_connections(s),
        .max_body_bytes = qr_config_number(config, QR_OPTION_MAX_BODY_BYTES),
        .quota = &s->inflight,
        .default_budget_ns = qr_config_number(config, QR_OPTION_BUDGET_MS) * QR_NS_PER_MS,
        .max_budget_ns = qr_config_number(config, QR_OPTION_MAX_BUDGET_MS) * QR_NS_PER_MS,
        .proxies = s->proxies,
        .proxies_len = s->proxies_len,
        .access = &s->access,
        .admin = &s->admin_access,
        .command = qr__models_command,
        .command_state = s,
        .slow_ns = qr_config_number(config, QR_OPTION_SLOW_MS) * QR_NS_PER_MS,
    };
    if (status == QR_OK)
        status = qr__flow_create(&options, &s->flow);
    if (status != QR_OK)
        return qr_error_set(error, status, "cannot start the event loop");
    status = qr__drain_watch(s, error);
    return status == QR_OK ? qr__notify_watch(&s->notify, s->loop, error) : status;
}

static void look_at_machine(qr__server *s) {
    qr__memory_room room;
    s->cores = qr_cores_find();
    if (qr__memory_room_read("", &room))
        s->memory_limit_bytes = room.group_bytes;
}

static qr_status start(qr__server *s, qr_error *error) {
    static qr_status (*const steps[])(qr__server *s, qr_error *error) = {
        qr__server_askers, qr__sandbox_files, make_metrics, make_api,           make_verify,
        make_cache,        start_workers,     start_loop,   qr__listeners_open, begin_loading};
    qr_status status = qr__activation_take(&s->passed, error);
    if (status == QR_OK)
        status = check_options(s, error);
    for (size_t i = 0; status == QR_OK && i < sizeof steps / sizeof steps[0]; i++)
        status = steps[i](s, error);
    return status;
}

/* In the order of start(), backwards; but workers end before what they hold is freed. */
static void close_all(qr__server *s) {
    qr__admin_destroy(s->admin); /* waits for a load under way */
    for (size_t i = 0; i < s->mains_len; i++)
        qr_http_close(s->mains[i]);
    qr_http_close(s->ops);
    qr__machines_stop(s->machines);
    qr__loop_lag_stop(s->lag);
    qr__flow_destroy(s->flow);
    qr__verify_destroy(s->verify);
    qr__cache_destroy(s->cache);
    qr__machines_destroy(s->machines);
    qr_loop_destroy(s->loop);
    qr_api_destroy(s->api);
    qr_metrics_destroy(s->metrics);
    qr__access_deinit(&s->access);
    qr__access_deinit(&s->admin_access);
}

int qr_server_run(const qr_config *config) {
    qr__server s = {.config = config,
                    .phase = QR__LOADING,
                    .workers = (int)qr_config_number(config, QR_OPTION_THREADS)};
    qr_error error = {0};
    qr_log_init((qr_log_level)qr_config_choice(config, QR_OPTION_LOG_LEVEL),
                (qr_log_format)qr_config_choice(config, QR_OPTION_LOG_FORMAT));
    signal(SIGPIPE, SIG_IGN);
    look_at_machine(&s);
    qr__notify_init(&s.notify);
    s.notify.well = is_well;
    s.notify.well_state = &s;
    qr__notify_send(&s.notify, "STATUS=loading models");
    qr_status status = start(&s, &error);
    if (status == QR_OK) {
        qr_log_wait_until(0); /* but the thread that loads the models, whom nobody waits for */
        qr_loop_run(s.loop);
    } else {
        give_up(&s, status, &error);
    }
    close_all(&s);
    qr__notify_deinit(&s.notify);
    return s.exit_code;
}
