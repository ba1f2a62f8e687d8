/* server/server.c: the process's life: check, bind, load, serve, drain.
 *
 * The loop runs from the start, so that with --ops-port `live` answers while a thread of its own
 * loads the models. The main port is bound at once (a taken port is known before a model is read)
 * but listens only when the server is ready.
 *
 *     LOADING --loaded--> SERVING --signal--> DRAINING --drain-delay--> QUIESCED --all answered--> exit 0
 *        |                                        |                       |
 *        +--signal--> exit 0                      +-----second signal-----+--drain-timeout--> exit 2
 */
#include "server/server.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "server/flow.h"
#include "server/loader.h"

#define OPS_CONNECTIONS 64 /* its own, so that load on the main port cannot take them */
#define OTHER_FDS       64 /* files, epoll, eventfd: what is no connection */
#define DRAIN_LOOK_MS   10
#define LAG_PERIOD_NS   (250 * QR_NS_PER_MS)

typedef enum phase { LOADING, SERVING, DRAINING, QUIESCED } phase;

typedef struct server {
    const qr_config *config;
    _Atomic phase phase;
    int exit_code;
    qr_loop *loop;
    qr_flow *flow;
    qr_http *main, *ops;
    int workers;
    qr_team *team;
    qr_schedule *schedule;
    qr_metrics *metrics;
    qr_api *api;
    pthread_t loader;
    bool loading; /* the loader is to be joined */
    qr_serving *loaded_serving;
    qr_status load_status;
    qr_error load_error;
    qr_watch *loaded, *drain_timer;
    uint64_t drain_end_ns;
    int lag_fd;
    uint64_t lag_due_ns;
} server;

static bool is_ready(void *state) {
    const server *s = state;
    return atomic_load(&s->phase) == SERVING;
}

static void render_metrics(void *state, qr_buf *out) {
    const server *s = state;
    qr_metrics_now now = {.ready = is_ready(state), .queue_depth = qr_schedule_depth(s->schedule)};
    const qr_serving *serving = qr_flow_serving(s->flow);
    if (serving != NULL)
        now.models_len = qr_serving_labels(serving, &now.models);
    qr_metrics_render(s->metrics, &now, out);
}

static void init_log(const qr_config *config) {
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    const char *level = qr_config_text(config, QR_OPTION_LOG_LEVEL);
    const char *format = qr_config_text(config, QR_OPTION_LOG_FORMAT);
    qr_log_level lowest = QR_LOG_INFO;
    for (size_t i = 0; level != NULL && i < sizeof levels / sizeof levels[0]; i++) {
        if (strcmp(level, levels[i]) == 0)
            lowest = (qr_log_level)i;
    }
    qr_log_init(lowest, format != NULL && strcmp(format, "json") == 0,
                qr_config_flag(config, QR_OPTION_LOG_TEXT));
}

/* Descriptors for every connection, or a clear word before the first is refused. */
static qr_status reserve_fds(size_t connections, qr_error *error) {
    struct rlimit limit;
    rlim_t need = connections + OPS_CONNECTIONS + OTHER_FDS;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= need)
        return QR_OK;
    rlim_t most = limit.rlim_max;
    limit.rlim_cur = need < most ? need : most;
    if (need > most || setrlimit(RLIMIT_NOFILE, &limit) != 0)
        return qr_error_set(error, QR_BAD_OPTION,
                            "--max-connections %zu: needs %" PRIu64
                            " file descriptors, the system allows %" PRIu64 " (ulimit -n)",
                            connections, (uint64_t)need, (uint64_t)most);
    return QR_OK;
}

/* How late the loop comes to what is due: its own long steps, and the system's scheduling. */
static void on_lag_tick(void *state) {
    server *s = state;
    uint64_t expired, now = qr_clock_ns();
    if (read(s->lag_fd, &expired, sizeof expired) != sizeof expired)
        return;
    if (atomic_load(&s->phase) != LOADING && now > s->lag_due_ns)
        qr_metrics_loop_lag(s->metrics, now - s->lag_due_ns);
    s->lag_due_ns += expired * LAG_PERIOD_NS;
}

static bool watch_lag(server *s) {
    const struct timespec period = {.tv_nsec = (long)LAG_PERIOD_NS};
    s->lag_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (s->lag_fd < 0)
        return false;
    s->lag_due_ns = qr_clock_ns() + LAG_PERIOD_NS;
    return timerfd_settime(s->lag_fd, 0, &(struct itimerspec){period, period}, NULL) == 0 &&
           qr_watch_fd(s->loop, s->lag_fd, on_lag_tick, s) != NULL;
}

/* Drain */

static void look_for_end(void *state) {
    server *s = state;
    if (qr_http_open_requests(s->main) == 0 && qr_http_open_connections(s->main) == 0 &&
        qr_flow_at_work(s->flow) == 0) {
        qr_log(QR_LOG_INFO, "drained: every admitted request is answered");
        qr_loop_stop(s->loop);
    } else if (qr_clock_ns() >= s->drain_end_ns) {
        qr_log(QR_LOG_ERROR, "drain timed out: %zu requests and %zu connections are given up",
               qr_http_open_requests(s->main), qr_http_open_connections(s->main));
        _exit(2); /* suspended connections and busy workers cannot be waited for */
    }
}

static void quiesce(void *state) {
    server *s = state;
    atomic_store(&s->phase, QUIESCED);
    s->drain_end_ns =
        qr_clock_ns() + qr_config_number(s->config, QR_OPTION_DRAIN_TIMEOUT_MS) * QR_NS_PER_MS;
    qr_http_quiesce(s->main);
    qr_watch_close(s->drain_timer);
    s->drain_timer = qr_watch_timer(s->loop, look_for_end, s);
    if (s->drain_timer == NULL)
        _exit(2);
    qr_watch_arm(s->drain_timer, 0, DRAIN_LOOK_MS);
}

static void on_stop_signal(void *state) {
    server *s = state;
    switch (atomic_load(&s->phase)) {
    case LOADING:
        qr_log(QR_LOG_INFO, "told to stop while loading");
        _exit(0); /* nothing was admitted, and the loader cannot be interrupted */
    case SERVING:
        break;
    case DRAINING:
    case QUIESCED:
        qr_log(QR_LOG_WARN, "told to stop again: leaving without finishing");
        _exit(2);
    }
    size_t delay_ms = qr_config_number(s->config, QR_OPTION_DRAIN_DELAY_MS);
    qr_log(QR_LOG_INFO, "told to stop: not ready from now on, accepting for %zu ms more", delay_ms);
    atomic_store(&s->phase, DRAINING);
    qr_http_closing(s->main);
    if (delay_ms == 0)
        quiesce(s);
    else
        qr_watch_arm(s->drain_timer, delay_ms, 0);
}

/* Load */

static void *load(void *state) {
    server *s = state;
    const qr__loader_options options = {.config = s->config,
                                        .api = s->api,
                                        .schedule = s->schedule,
                                        .workers = s->workers,
                                        .team = s->team,
                                        .metrics = s->metrics};
    s->load_status = qr__loader_load(&options, &s->loaded_serving, &s->load_error);
    qr_watch_wake(s->loaded);
    return NULL;
}

static void give_up(server *s, const qr_error *error) {
    qr_log(QR_LOG_ERROR, "cannot start: %s", error->message);
    s->exit_code = 1;
    if (s->loop != NULL)
        qr_loop_stop(s->loop);
}

static void announce(const server *s, const qr_http *http, const char *what) {
    const char *host = qr_config_text(s->config, QR_OPTION_HOST);
    bool v6 = host != NULL && strchr(host, ':') != NULL;
    char line[256];
    int len =
        snprintf(line, sizeof line, "querent: %s on http://%s%s%s:%u\n", what, v6 ? "[" : "",
                 host == NULL ? "127.0.0.1" : host, v6 ? "]" : "", (unsigned)qr_http_port(http));
    if (len > 0 && write(STDERR_FILENO, line, (size_t)len) < 0)
        return; /* a closed stderr must not stop the server */
}

static void on_loaded(void *state) {
    server *s = state;
    qr_error error = {0};
    pthread_join(s->loader, NULL);
    s->loading = false;
    if (s->load_status != QR_OK) {
        give_up(s, &s->load_error);
        return;
    }
    qr_flow_serve(s->flow, s->loaded_serving);
    s->loaded_serving = NULL;
    if (qr_http_listen(s->main, &error) != QR_OK) {
        give_up(s, &error);
        return;
    }
    atomic_store(&s->phase, SERVING);
    if (s->ops != NULL)
        announce(s, s->ops, "ops");
    announce(s, s->main, "listening");
}

/* Start */

static qr_status open_listener(server *s, unsigned listener, qr_http **http, qr_error *error) {
    const qr_config *config = s->config;
    bool ops = listener == QR_LISTENER_OPS;
    qr_http_options options = {
        .host = qr_config_text(config, QR_OPTION_HOST),
        .port = (uint16_t)qr_config_number(config, ops ? QR_OPTION_OPS_PORT : QR_OPTION_PORT),
        .max_connections =
            ops ? OPS_CONNECTIONS : qr_config_number(config, QR_OPTION_MAX_CONNECTIONS),
        .max_body_bytes = qr_config_number(config, QR_OPTION_MAX_BODY_BYTES),
        .loop = s->loop,
    };
    qr_flow_connect(s->flow, listener, &options);
    qr_status status = qr_http_open(&options, http, error);
    if (status == QR_OK)
        qr_flow_listener(s->flow, listener, *http);
    return status;
}

static qr_status make_metrics(server *s, qr_error *error) {
    const char *patterns[QR_ROUTES_MAX];
    size_t len = qr_api_patterns(patterns);
    qr_status status = qr_metrics_create(
        &(qr_metrics_options){.routes = patterns, .routes_len = len}, &s->metrics);
    return status == QR_OK ? QR_OK
                           : qr_error_set(error, status, "out of memory while preparing metrics");
}

static qr_status make_api(server *s, qr_error *error) {
    const qr_api_options options = {
        .max_inputs = qr_config_number(s->config, QR_OPTION_MAX_INPUTS),
        .queue_items = qr_config_number(s->config, QR_OPTION_QUEUE_ITEMS),
        .batch_tokens = qr_config_number(s->config, QR_OPTION_BATCH_TOKENS),
        .workers = (size_t)s->workers,
        .hooks = {.ready = is_ready, .metrics = render_metrics, .state = s},
    };
    qr_status status = qr_api_create(&options, &s->api);
    return status == QR_OK ? QR_OK
                           : qr_error_set(error, status, "out of memory while preparing routes");
}

static void park(void *team, int worker) {
    qr_team_park(team, worker);
}

static void wake(void *team) {
    qr_team_wake(team);
}

/* Workers, and what answers requests to no model: all that lives as long as the process. */
static qr_status start_workers(server *s, qr_error *error) {
    const qr_config *config = s->config;
    size_t threads = qr_config_number(config, QR_OPTION_THREADS);
    s->workers = threads == 0 ? qr_cores_available() : (int)threads;
    qr_status status = make_metrics(s, error);
    if (status == QR_OK)
        status = make_api(s, error);
    if (status != QR_OK)
        return status;
    if (qr_team_create(s->workers, &s->team) != QR_OK)
        return qr_error_set(error, QR_NO_MEMORY, "out of memory while starting %d workers",
                            s->workers);
    return qr_schedule_start(
        &(qr_schedule_options){.workers = s->workers,
                               .queue_items = qr_config_number(config, QR_OPTION_QUEUE_ITEMS),
                               .room = {.park = park, .wake = wake, .state = s->team}},
        &s->schedule, error);
}

static qr_status open_all(server *s, qr_error *error) {
    const qr_config *config = s->config;
    qr_status status = qr_loop_create(&s->loop);
    const qr_flow_options options = {
        .loop = s->loop,
        .api = s->api,
        .schedule = s->schedule,
        .metrics = s->metrics,
        .connections_max = qr_config_number(config, QR_OPTION_MAX_CONNECTIONS) + OPS_CONNECTIONS,
        .max_body_bytes = qr_config_number(config, QR_OPTION_MAX_BODY_BYTES),
        .default_budget_ns = qr_config_number(config, QR_OPTION_BUDGET_MS) * QR_NS_PER_MS,
        .slow_ns = qr_config_number(config, QR_OPTION_SLOW_MS) * QR_NS_PER_MS};
    if (status == QR_OK)
        status = qr_flow_create(&options, &s->flow);
    if (status != QR_OK)
        return qr_error_set(error, status, "cannot start the event loop");
    s->loaded = qr_watch_wakeup(s->loop, on_loaded, s);
    s->drain_timer = qr_watch_timer(s->loop, quiesce, s);
    if (s->loaded == NULL || s->drain_timer == NULL || !watch_lag(s) ||
        qr_watch_signal(s->loop, SIGTERM, on_stop_signal, s) == NULL ||
        qr_watch_signal(s->loop, SIGINT, on_stop_signal, s) == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "cannot watch signals and timers");
    if (qr_config_number(config, QR_OPTION_OPS_PORT) == 0)
        return open_listener(s, QR_LISTENER_MAIN | QR_LISTENER_OPS, &s->main, error);
    status = open_listener(s, QR_LISTENER_MAIN, &s->main, error);
    if (status == QR_OK)
        status = open_listener(s, QR_LISTENER_OPS, &s->ops, error);
    return status == QR_OK ? qr_http_listen(s->ops, error) : status;
}

static qr_status check_device(const char *device, qr_error *error) {
    if (device == NULL || strcmp(device, "cpu") == 0 || strcmp(device, "auto") == 0)
        return QR_OK;
    if (strncmp(device, "cuda", 4) == 0 && (device[4] == '\0' || device[4] == ':'))
        return qr_error_set(error, QR_BAD_OPTION,
                            "--device %s: this build has no GPU part; use cpu or auto", device);
    return qr_error_set(error, QR_BAD_OPTION, "--device %s: must be cpu, cuda[:N] or auto", device);
}

static qr_status check_options(const qr_config *config, qr_error *error) {
    size_t port = qr_config_number(config, QR_OPTION_PORT),
           ops = qr_config_number(config, QR_OPTION_OPS_PORT);
    if (ops != 0 && ops == port)
        return qr_error_set(error, QR_BAD_OPTION,
                            "--ops-port %zu: is the main port; give it one of its own", ops);
    qr_status status = check_device(qr_config_text(config, QR_OPTION_DEVICE), error);
    return status == QR_OK ? qr__loader_check(config, error) : status;
}

static qr_status start(server *s, qr_error *error) {
    qr_status status = check_options(s->config, error);
    if (status == QR_OK)
        status = reserve_fds(qr_config_number(s->config, QR_OPTION_MAX_CONNECTIONS), error);
    if (status == QR_OK)
        status = start_workers(s, error);
    if (status == QR_OK)
        status = open_all(s, error);
    if (status != QR_OK)
        return status;
    int failed = pthread_create(&s->loader, NULL, load, s);
    if (failed != 0)
        return qr_error_set(error, QR_IO, "cannot start a thread: %s", strerror(failed));
    s->loading = true;
    return QR_OK;
}

static void close_all(server *s) {
    if (s->loading)
        pthread_join(s->loader, NULL);
    qr_http_close(s->main);
    qr_http_close(s->ops);
    qr_serving_unpin(s->loaded_serving);
    qr_schedule_stop(s->schedule); /* then nobody else holds an exchange or a generation */
    qr_flow_destroy(s->flow);
    qr_schedule_destroy(s->schedule);
    qr_loop_destroy(s->loop);
    qr_api_destroy(s->api);
    qr_metrics_destroy(s->metrics);
    qr_team_destroy(s->team);
    if (s->lag_fd >= 0)
        close(s->lag_fd);
}

int qr_server_run(const qr_config *config) {
    server s = {.config = config, .phase = LOADING, .lag_fd = -1};
    qr_error error = {0};
    init_log(config);
    signal(SIGPIPE, SIG_IGN);
    if (start(&s, &error) == QR_OK)
        qr_loop_run(s.loop);
    else
        give_up(&s, &error);
    close_all(&s);
    return s.exit_code;
}
