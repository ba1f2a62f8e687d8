/* server/drain.c: from the first signal to the process's end.
 *
 *     LOADING ---signal---> exit 0
 *     SERVING ---signal---> DRAINING ---delay---> QUIESCED ---all answered---> exit 0
 *                              |                     |
 *                              |                     +---timeout-------------> exit 2
 *                              +---second signal-----+-----------------------> exit 2
 */
#include <signal.h>
#include <unistd.h>

#include "server/server_internal.h"

#define LOOK_MS       10
#define LAST_LINES_NS (2 * QR_NS_PER_S)

void qr__log_wait_briefly(void) {
    qr_log_wait_until(qr_clock_ns() + LAST_LINES_NS);
}

/* The ops listener is not waited for: probes come until the very end. */
static void look_for_end(void *state) {
    qr__server *s = state;
    size_t requests = 0, connections = 0;
    for (size_t i = 0; i < s->mains_len; i++) {
        requests += qr_http_open_requests(s->mains[i]);
        connections += qr_http_open_connections(s->mains[i]);
    }
    if (requests == 0 && connections == 0 && qr__flow_at_work(s->flow) == 0) {
        qr__log_wait_briefly();
        qr_log(QR_LOG_INFO, "drained: every admitted request is answered");
        if (qr__admin_is_busy(s->admin) || qr_device_hangs())
            _exit(0); /* a load cannot be interrupted, nor a GPU, and nobody waits for them */
        qr_loop_stop(s->loop);
    } else if (qr_clock_ns() >= s->drain_end_ns) {
        qr__log_wait_briefly();
        qr_log(QR_LOG_ERROR, "drain timed out: %zu requests and %zu connections are given up",
               requests, connections);
        _exit(2); /* suspended connections and busy workers cannot be waited for */
    }
}

static void quiesce(void *state) {
    qr__server *s = state;
    atomic_store(&s->phase, QR__QUIESCED);
    s->drain_end_ns =
        qr_clock_ns() + qr_config_number(s->config, QR_OPTION_DRAIN_TIMEOUT_MS) * QR_NS_PER_MS;
    for (size_t i = 0; i < s->mains_len; i++)
        qr_http_quiesce(s->mains[i]);
    qr_watch_arm(s->end_timer, 0, LOOK_MS);
}

static void on_stop_signal(void *state) {
    qr__server *s = state;
    if (atomic_load(&s->phase) == QR__LOADING || atomic_load(&s->phase) == QR__SERVING)
        qr__notify_send(&s->notify, "STOPPING=1\nSTATUS=answering what was admitted");
    switch (atomic_load(&s->phase)) {
    case QR__LOADING:
        qr__log_wait_briefly();
        qr_log(QR_LOG_INFO, "told to stop while loading");
        _exit(0); /* nothing was admitted, and the loader cannot be interrupted */
    case QR__SERVING:
        break;
    case QR__DRAINING:
    case QR__QUIESCED:
        qr__log_wait_briefly();
        qr_log(QR_LOG_WARN, "told to stop again: leaving without finishing");
        for (size_t i = 0; i < s->mains_len; i++)
            qr_http_forget(s->mains[i]);
        _exit(2);
    }
    size_t delay_ms = qr_config_number(s->config, QR_OPTION_DRAIN_DELAY_MS);
    qr_log(QR_LOG_INFO, "told to stop: not ready from now on, accepting for %zu ms more", delay_ms);
    atomic_store(&s->phase, QR__DRAINING);
    for (size_t i = 0; i < s->mains_len; i++)
        qr_http_closing(s->mains[i]);
    if (delay_ms == 0)
        quiesce(s);
    else
        qr_watch_arm(s->drain_timer, delay_ms, 0);
}

qr_status qr__drain_watch(qr__server *s, qr_error *error) {
    s->drain_timer = qr_watch_timer(s->loop, quiesce, s);
    s->end_timer = qr_watch_timer(s->loop, look_for_end, s);
    if (s->drain_timer == NULL || s->end_timer == NULL ||
        qr_watch_signal(s->loop, SIGTERM, on_stop_signal, s) == NULL ||
        qr_watch_signal(s->loop, SIGINT, on_stop_signal, s) == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "cannot watch signals and timers");
    return QR_OK;
}
