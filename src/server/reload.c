/* server/reload.c: who has models loaded, and how: the start, SIGHUP, /v2/repository. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>

#include "server/inflight.h"
#include "server/server.h"
#include "server/server_internal.h"

#define LOOK_MS 50

/* What the load of a model takes by the headers of its files, at the least and at the most. */
typedef struct load_bounds {
    qr__memory_item least, most;
} load_bounds;

static qr_status measure(const qr__server *s, const qr__model_spec *spec, size_t graph_bytes,
                         load_bounds *out, qr_error *error) {
    qr_model *model;
    qr_status status = qr_model_open_pooled(spec->dir, spec->pooling, &model, error);
    if (status != QR_OK)
        return status;
    const qr_model_info *info = qr_model_get_info(model);
    size_t batch = qr_config_number(s->config, QR_OPTION_BATCH_TOKENS);
    size_t longest = spec->max_tokens > 0 ? spec->max_tokens : info->positions;
    qr__memory_load load = {.model = info,
                            .precision = spec->precision,
                            .graph_bytes = graph_bytes,
                            .workers = (size_t)s->workers + 1, /* and one that measures */
                            .tokens = qr_max(batch, longest),
                            .away = qr_device_is_away(spec->device)};
    out->most.need_bytes = qr__memory_room_need(&load);
    out->most.stay_bytes = qr__memory_room_stay(&load);
    load.accepted = true;
    out->least.need_bytes = qr__memory_room_need(&load);
    out->least.stay_bytes = qr__memory_room_stay(&load);
    qr_model_close(model);
    return QR_OK;
}

/* Refuses what there is no room for before its weights are read. A graph is read with them, so its
 * files' sizes come first. */
static qr_status check_room(const qr__server *s, const qr__model_spec *spec, const char *name,
                            qr_error *error) {
    qr__memory_room room;
    qr_model_files files;
    load_bounds model;
    if (!qr__memory_room_read("", &room))
        return QR_OK;
    qr_status status = qr_model_files_find(spec->dir, &files, error);
    if (status != QR_OK)
        return status;
    const size_t graph_bytes = qr_model_files_onnx_bytes(&files);
    if (graph_bytes > 0)
        status = qr__memory_room_check(&room, name, qr__memory_room_graph(graph_bytes), error);
    if (status == QR_OK)
        status = measure(s, spec, graph_bytes, &model, error);
    return status == QR_OK ? qr__memory_room_check(&room, name, model.most.need_bytes, error)
                           : status;
}

/* All models of the start, and behind them what requests may hold. */
typedef struct first_models {
    qr__memory_item least[QR_LIMIT_MODELS + 1], most[QR_LIMIT_MODELS + 1];
} first_models;

#define LEAST "loading the models takes"
#define MOST  "if the gate refuses the first plan, loading the models may take"

/* Adds a model to those that come before it. One that cannot be opened counts nothing: its load
 * says what is wrong with it. */
static qr_status add_first(const qr__server *s, const qr__memory_group *group, size_t index,
                           first_models *models, qr_error *error) {
    const qr__model_spec *spec = &s->specs[index];
    qr_status status = QR_OK;
    qr_model_files files;
    qr_error unread;
    load_bounds model = {.least = {.name = spec->name}, .most = {.name = spec->name}};
    models->least[index] = models->most[index] = model.least;
    if (qr_model_files_find(spec->dir, &files, &unread) != QR_OK)
        return QR_OK;
    const size_t graph_bytes = qr_model_files_onnx_bytes(&files);
    if (graph_bytes > 0) { /* opening it takes its memory */
        models->least[index].need_bytes = qr__memory_room_graph(graph_bytes);
        status = qr__memory_start_models(group, models->least, index + 1, LEAST, error);
        models->least[index].need_bytes = 0;
    }
    if (status == QR_OK && measure(s, spec, graph_bytes, &model, &unread) == QR_OK) {
        models->least[index] = model.least;
        models->most[index] = model.most;
    }
    return status;
}

/* Requests come first: without them no cache is of use. */
static qr_status fit_inflight(qr__server *s, const qr__memory_group *group, first_models *models,
                              qr_error *error) {
    qr_status status =
        qr__inflight_fit(s->config, group, models->least, s->specs_len, &s->inflight, error);
    const uint64_t bytes = qr_quota_max(&s->inflight);
    const qr__memory_item requests = {"requests in flight", bytes, bytes};
    models->least[s->specs_len] = models->most[s->specs_len] = requests;
    return status;
}

/* Nobody asked for the default's cache, so it takes what is left; one that was asked for is had
 * whole, or not at all. */
static qr_status fit_cache(const qr__server *s, const qr__memory_group *group,
                           const first_models *models, qr_error *error) {
    const size_t wanted = qr_config_number(s->config, QR_OPTION_CACHE_BYTES);
    const size_t len = s->specs_len + 1;
    const uint64_t left = qr__memory_start_left(group, models->most, len);
    if (wanted <= left)
        return QR_OK;
    if (qr_config_given(s->config, QR_OPTION_CACHE_BYTES))
        return qr__memory_start_beside(group, models->least, len, "the models and the cache take",
                                       qr_config_source(s->config, QR_OPTION_CACHE_BYTES), wanted,
                                       error);
    qr_log(QR_LOG_WARN,
           "the cache gets %.0f MB, not %.0f MB: %s leaves no more beside models and requests; "
           "raise it, or say --cache-bytes",
           (double)left / 1e6, (double)wanted / 1e6, group->limit);
    qr__cache_limit(s->cache, (size_t)left);
    return QR_OK;
}

/* Before the first model is read: with a limit of its cgroup, what cannot be held is refused, not
 * killed when it is half loaded. What may not be held is told: to refuse it would keep models from
 * starting that would have fitted. */
static qr_status check_start(qr__server *s, qr_error *error) {
    qr__memory_room room;
    first_models models;
    qr_error doubt;
    qr_status status = QR_OK;
    if (!qr__memory_room_read("", &room) || room.tightest.limit == NULL)
        return QR_OK;
    for (size_t i = 0; status == QR_OK && i < s->specs_len; i++)
        status = add_first(s, &room.tightest, i, &models, error);
    if (status == QR_OK)
        status = qr__memory_start_models(&room.tightest, models.least, s->specs_len, LEAST, error);
    if (status != QR_OK)
        return status;
    if (qr__memory_start_models(&room.tightest, models.most, s->specs_len, MOST, &doubt) != QR_OK)
        qr_log(QR_LOG_WARN, "%s", doubt.message);
    status = fit_inflight(s, &room.tightest, &models, error);
    return status == QR_OK ? fit_cache(s, &room.tightest, &models, error) : status;
}

static qr_status check(qr__server *s, size_t index, const char *name, qr_error *error) {
    if (name != NULL)
        return check_room(s, &s->specs[index], name, error);
    return index == 0 ? check_start(s, error) : QR_OK;
}

/* The first time everybody waits for it; later it packs on one thread, beside requests. */
static qr_status load(void *state, size_t index, const char *name, const qr_served *before,
                      qr_served **out, qr_error *error) {
    qr__server *s = state;
    const qr__model_spec *spec = &s->specs[index];
    const qr__loader_options options = {
        .config = s->config,
        .api = s->api,
        .machines = s->machines,
        .workers = s->workers,
        .threads = name == NULL ? (int)qr_config_number(s->config, QR_OPTION_THREADS) : 1,
        .metrics = s->metrics,
        .checked = s->verify != NULL,
        .name = name,
        .before = before,
        .others_run = name != NULL};
    qr_status status = check(s, index, name, error);
    return status == QR_OK ? qr__loader_load(&options, spec, out, error) : status;
}

static void serve(void *state, qr_serving *serving) {
    qr__flow_serve(((qr__server *)state)->flow, serving);
}

/* Commands of /v2/repository. The log says more of a fault than its client may know. */
static void on_commanded(void *owner, qr_status status, const qr_error *error) {
    qr_exchange *x = owner;
    (void)error;
    qr__flow_commanded(x->flow, x, status);
}

qr_status qr__models_command(void *state, qr_exchange *x) {
    qr__admin *admin = ((qr__server *)state)->admin;
    return x->command == QR_COMMAND_LOAD ? qr__admin_load(admin, x->path_model, on_commanded, x)
                                         : qr__admin_unload(admin, x->path_model, on_commanded, x);
}

void qr__models_index(void *state, bool ready_only, qr_buf *out) {
    qr__admin_index(((const qr__server *)state)->admin, ready_only, out);
}

/* A file that cannot be read leaves the keys that were read before, and the other file alone. */
static void read_keys(qr__access *access, const char *what) {
    qr_error error;
    if (qr__access_reload(access, &error) != QR_OK)
        qr_log(QR_LOG_ERROR, "the old %s keys stay: %s", what, error.message);
}

/* The service manager waits for the end of a reload. */
static void look_for_reloaded(void *state) {
    qr__server *s = state;
    if (!qr__admin_is_done(s->admin))
        return;
    qr_watch_disarm(s->reload_timer);
    if (atomic_load(&s->phase) == QR__SERVING) /* not behind its STOPPING */
        qr__notify_send(&s->notify, "READY=1\nSTATUS=serving");
}

static void tell_of_reload(qr__server *s) {
    char text[96];
    snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "\nSTATUS=reloading",
             qr_clock_ns() / 1000);
    qr__notify_send(&s->notify, text);
    qr_watch_arm(s->reload_timer, LOOK_MS, LOOK_MS);
}

/* Whatever cannot be read leaves what was read before. */
static void reload(qr__server *s) {
    qr_log(QR_LOG_INFO, "told to reload: keys, then models");
    read_keys(&s->access, "API");
    read_keys(&s->admin_access, "admin");
    qr__admin_reload(s->admin);
    tell_of_reload(s);
}

/* What changed while the models load may have been read before it did. */
static void on_reload_signal(void *state) {
    qr__server *s = state;
    switch (atomic_load(&s->phase)) {
    case QR__LOADING:
        if (!s->reload_waits)
            qr_log(QR_LOG_INFO, "told to reload while it loads: it will when it serves");
        s->reload_waits = true;
        break;
    case QR__SERVING:
        reload(s);
        break;
    case QR__DRAINING:
    case QR__QUIESCED:
        qr_log(QR_LOG_WARN, "told to reload while it ends: nothing is done");
        break;
    }
}

void qr__models_started(qr__server *s) {
    if (s->reload_waits)
        reload(s);
}

static volatile sig_atomic_t told_early;

static void note_early(int signal) {
    (void)signal;
    told_early = 1;
}

/* Not blocked: a library's threads, which began before main, would take it. */
void qr_server_hold_reload(void) {
    struct sigaction note = {.sa_handler = note_early, .sa_flags = SA_RESTART};
    sigemptyset(&note.sa_mask);
    (void)sigaction(SIGHUP, &note, NULL);
}

qr_status qr__models_start(qr__server *s, qr__admin_done done, qr_error *error) {
    const qr__admin_options options = {.loop = s->loop,
                                       .metrics = s->metrics,
                                       .models = s->specs_len,
                                       .load = load,
                                       .serve = serve,
                                       .state = s};
    s->reload_timer = qr_watch_timer(s->loop, look_for_reloaded, s);
    if (s->reload_timer == NULL || qr_watch_signal(s->loop, SIGHUP, on_reload_signal, s) == NULL ||
        qr__admin_create(&options, &s->admin) != QR_OK)
        return qr_error_set(error, QR_NO_MEMORY, "no memory for a loader");
    s->reload_waits = told_early != 0;
    qr__admin_start(s->admin, done, s);
    return QR_OK;
}
