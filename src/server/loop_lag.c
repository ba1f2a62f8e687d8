/* server/loop_lag.c: a timer of the kernel's, which unlike the loop's own knows when it was due. */
#include "server/loop_lag.h"

#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define PERIOD_NS (250 * QR_NS_PER_MS)

struct qr__loop_lag {
    qr_metrics *metrics;
    int fd;
    qr_watch *watch;
    uint64_t due_ns;
};

static void on_tick(void *state) {
    qr__loop_lag *lag = state;
    uint64_t expired, now = qr_clock_ns();
    if (read(lag->fd, &expired, sizeof expired) != sizeof expired)
        return;
    if (now > lag->due_ns)
        qr_metrics_loop_lag(lag->metrics, now - lag->due_ns);
    lag->due_ns += expired * PERIOD_NS;
}

qr_status qr__loop_lag_start(qr_loop *loop, qr_metrics *metrics, qr__loop_lag **out) {
    const struct timespec period = {.tv_nsec = (long)PERIOD_NS};
    qr__loop_lag *lag = calloc(1, sizeof *lag);
    *out = lag;
    if (lag == NULL)
        return QR_NO_MEMORY;
    lag->metrics = metrics;
    lag->fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    lag->due_ns = qr_clock_ns() + PERIOD_NS;
    if (lag->fd >= 0 &&
        timerfd_settime(lag->fd, 0, &(struct itimerspec){period, period}, NULL) == 0)
        lag->watch = qr_watch_fd(loop, lag->fd, on_tick, lag);
    if (lag->watch != NULL)
        return QR_OK;
    qr__loop_lag_stop(lag);
    *out = NULL;
    return QR_IO;
}

void qr__loop_lag_stop(qr__loop_lag *lag) {
    if (lag == NULL)
        return;
    qr_watch_close(lag->watch);
    if (lag->fd >= 0)
        close(lag->fd);
    free(lag);
}
