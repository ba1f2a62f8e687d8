/* server/http/http.c: one listener's life: open, pump, drain, close. */
#include "server/http/http.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "server/http/http_internal.h"

#define STEP_NS    (QR_NS_PER_MS / 2) /* then others of the loop get their turn */
#define ONE_THREAD (1u << 19) /* MHD_USE_NO_THREAD_SAFETY, for which 0.9's header has no name */

/* libmicrohttpd's own complaints are about clients; they never hold what clients sent but in its
 * words "%s", so only the format goes to the log. */
static void log_complaint(void *state, const char *format, va_list args) {
    (void)state;
    (void)args;
    size_t len = strcspn(format, "\n");
    qr_log(QR_LOG_DEBUG, "http: %.*s", (int)len, format);
}

/* After a resumption one MHD_run is not enough: it goes on while it says that it need not wait. */
void qr_http_pump(qr_http *http) {
    if (http->running)
        return; /* called from within: the run under way goes on */
    http->running = true;
    bool more = true;
    for (uint64_t end = qr_clock_ns() + STEP_NS; more && qr_clock_ns() < end;) {
        MHD_UNSIGNED_LONG_LONG wait_ms = 1;
        MHD_run(http->daemon);
        more = MHD_get_timeout(http->daemon, &wait_ms) == MHD_YES && wait_ms == 0;
    }
    http->running = false;
    http->behind = more;
    if (more)
        qr_watch_wake(http->again);
}

static void pump(void *http) {
    qr_http_pump(http);
}

/* Without ONE_THREAD 1.0 begins a connection that is added in its next run, so that accepting would
 * see the limit too late. */
static qr_status start_daemon(qr_http *http, qr_error *error) {
    http->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_TURBO | MHD_USE_NO_LISTEN_SOCKET |
            MHD_USE_ERROR_LOG | (qr__mhd_is_old() ? 0 : ONE_THREAD),
        0, NULL, NULL, qr__request_access, http,         /* */
        MHD_OPTION_EXTERNAL_LOGGER, log_complaint, NULL, /* first: it hears of the others' faults */
        MHD_OPTION_NOTIFY_CONNECTION, qr__connection_notify, http,            /* */
        MHD_OPTION_NOTIFY_COMPLETED, qr__request_completed, http,             /* */
        MHD_OPTION_URI_LOG_CALLBACK, qr__request_line, http,                  /* */
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)http->options.max_connections, /* */
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)QR__MHD_MEMORY_BYTES,     /* */
        /* our guard is stricter than 0.9 and answers in one voice; 1.0 alone sees how lines end */
        MHD_OPTION_STRICT_FOR_CLIENT, qr__mhd_is_old() ? 0 : 1, /* */
        MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_END);
    if (http->daemon == NULL)
        return qr_error_set(error, QR_IO, "cannot start libmicrohttpd");
    return QR_OK;
}

static qr_status watch_all(qr_http *http, qr_error *error) {
    struct qr_loop *loop = http->options.loop;
    http->hangup_fd = epoll_create1(EPOLL_CLOEXEC);
    if (http->hangup_fd < 0)
        return qr_error_set(error, QR_IO, "cannot create an epoll descriptor");
    int epoll_fd = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    http->daemon_watch = qr_watch_fd(loop, epoll_fd, pump, http);
    http->hangup_watch = qr_watch_fd(loop, http->hangup_fd, qr__http_hangups, http);
    http->sweep = qr_watch_timer(loop, qr__http_sweep, http);
    http->accept_retry = qr_watch_timer(loop, qr__http_accept_again, http);
    http->again = qr_watch_wakeup(loop, pump, http);
    if (http->daemon_watch == NULL || http->hangup_watch == NULL || http->sweep == NULL ||
        http->accept_retry == NULL || http->again == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "out of memory while opening a listener");
    return QR_OK;
}

qr_status qr_http_open(const qr_http_options *options, qr_http **out, qr_error *error) {
    *out = NULL;
    qr_http *http = calloc(1, sizeof *http);
    if (http == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "out of memory while opening a listener");
    http->options = *options;
    http->listen_fd = -1;
    http->hangup_fd = -1;
    qr_list_init(&http->connections);
    qr_list_init(&http->lingering);
    qr_random_init(&http->random);
    qr_status status = qr__http_bind(http, error);
    if (status == QR_OK)
        status = start_daemon(http, error);
    if (status == QR_OK)
        status = watch_all(http, error);
    if (status != QR_OK) {
        qr_http_close(http);
        return status;
    }
    *out = http;
    return QR_OK;
}

uint16_t qr_http_port(const qr_http *http) {
    return http->port;
}

void qr_http_forget(qr_http *http) {
    if (http != NULL)
        qr__socket_file_remove(&http->file);
}

size_t qr_http_open_requests(const qr_http *http) {
    return http->requests_open;
}

size_t qr_http_open_connections(const qr_http *http) {
    return http->connections_len;
}

void qr_http_closing(qr_http *http) {
    http->closing = true;
}

void qr_http_quiesce(qr_http *http) {
    if (http->quiesced)
        return;
    http->quiesced = true;
    if (http->listening)
        qr__http_accept_last(http);
    http->listening = false;
    qr_watch_close(http->listen_watch);
    http->listen_watch = NULL;
    close(http->listen_fd);
    http->listen_fd = -1;
}

void qr_http_close(qr_http *http) {
    if (http == NULL)
        return;
    qr_watch_close(http->listen_watch);
    qr_watch_close(http->daemon_watch);
    qr_watch_close(http->hangup_watch);
    qr_watch_close(http->accept_retry);
    qr_watch_close(http->again);
    if (http->daemon != NULL)
        MHD_stop_daemon(http->daemon); /* its last callbacks still use sweep and hangup_fd */
    qr__linger_end(http);
    qr_watch_close(http->sweep);
    qr_http_forget(http); /* while the socket is open, nobody else's file has its inode number */
    if (http->listen_fd >= 0)
        close(http->listen_fd);
    if (http->hangup_fd >= 0)
        close(http->hangup_fd);
    qr__requests_free(http);
    free(http);
}
