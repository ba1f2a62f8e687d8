/* server/loop.c: a thin coat over libuv, so that nothing else depends on it. */
#include "server/loop.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <uv.h>

struct qr_loop {
    uv_loop_t uv;
};

struct qr_watch {
    union {
        uv_handle_t any;
        uv_poll_t poll;
        uv_timer_t timer;
        uv_signal_t signal;
    } uv;          /* first: a handle's address is its watch's */
    int wakeup_fd; /* -1: no wake-up; owned */
    qr_watch_call call;
    void *state;
};

static void fire(qr_watch *watch) {
    if (!uv_is_closing(&watch->uv.any))
        watch->call(watch->state);
}

static void on_poll(uv_poll_t *handle, int status, int events) {
    (void)status; /* an error on the descriptor is for its owner to find when it reads */
    (void)events;
    fire((qr_watch *)handle);
}

static void on_timer(uv_timer_t *handle) {
    fire((qr_watch *)handle);
}

/* Not libuv's uv_async: its receiver waits for a sender that it has just preempted. */
static void on_wakeup(uv_poll_t *handle, int status, int events) {
    (void)status;
    (void)events;
    uint64_t wakes;
    if (read(((qr_watch *)handle)->wakeup_fd, &wakes, sizeof wakes) == sizeof wakes)
        fire((qr_watch *)handle);
}

static void on_signal(uv_signal_t *handle, int signal) {
    (void)signal;
    fire((qr_watch *)handle);
}

static void on_closed(uv_handle_t *handle) {
    qr_watch *watch = (qr_watch *)handle;
    if (watch->wakeup_fd >= 0)
        close(watch->wakeup_fd);
    free(watch);
}

qr_status qr_loop_create(qr_loop **out) {
    *out = NULL;
    qr_loop *loop = calloc(1, sizeof *loop);
    if (loop == NULL)
        return QR_NO_MEMORY;
    if (uv_loop_init(&loop->uv) != 0) {
        free(loop);
        return QR_IO;
    }
    *out = loop;
    return QR_OK;
}

void qr_loop_run(qr_loop *loop) {
    uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void qr_loop_stop(qr_loop *loop) {
    uv_stop(&loop->uv);
}

static void close_handle(uv_handle_t *handle, void *state) {
    (void)state;
    if (!uv_is_closing(handle))
        uv_close(handle, on_closed);
}

void qr_loop_destroy(qr_loop *loop) {
    if (loop == NULL)
        return;
    uv_walk(&loop->uv, close_handle, NULL);
    while (uv_run(&loop->uv, UV_RUN_DEFAULT) != 0)
        ; /* the close callbacks; a stop that nobody ran for ends the first round at once */
    uv_loop_close(&loop->uv);
    free(loop);
}

static qr_watch *watch_create(qr_watch_call call, void *state) {
    qr_watch *watch = calloc(1, sizeof *watch);
    if (watch != NULL) {
        watch->wakeup_fd = -1;
        watch->call = call;
        watch->state = state;
    }
    return watch;
}

/* A handle that libuv did not take is plain memory; one that it took must be closed. */
static qr_watch *watch_checked(qr_watch *watch, int init_error, int start_error) {
    if (init_error != 0) {
        free(watch);
        return NULL;
    }
    if (start_error != 0) {
        qr_watch_close(watch);
        return NULL;
    }
    return watch;
}

qr_watch *qr_watch_fd(qr_loop *loop, int fd, qr_watch_call call, void *state) {
    qr_watch *watch = watch_create(call, state);
    if (watch == NULL)
        return NULL;
    int init = uv_poll_init(&loop->uv, &watch->uv.poll, fd);
    int start = init != 0 ? 0 : uv_poll_start(&watch->uv.poll, UV_READABLE, on_poll);
    return watch_checked(watch, init, start);
}

void qr_watch_pause(qr_watch *watch) {
    uv_poll_stop(&watch->uv.poll);
}

void qr_watch_resume(qr_watch *watch) {
    uv_poll_start(&watch->uv.poll, UV_READABLE, on_poll);
}

qr_watch *qr_watch_timer(qr_loop *loop, qr_watch_call call, void *state) {
    qr_watch *watch = watch_create(call, state);
    return watch == NULL ? NULL
                         : watch_checked(watch, uv_timer_init(&loop->uv, &watch->uv.timer), 0);
}

void qr_watch_arm(qr_watch *timer, uint64_t delay_ms, uint64_t repeat_ms) {
    uv_timer_start(&timer->uv.timer, on_timer, delay_ms, repeat_ms);
}

void qr_watch_disarm(qr_watch *timer) {
    uv_timer_stop(&timer->uv.timer);
}

qr_watch *qr_watch_signal(qr_loop *loop, int signal, qr_watch_call call, void *state) {
    qr_watch *watch = watch_create(call, state);
    if (watch == NULL)
        return NULL;
    int init = uv_signal_init(&loop->uv, &watch->uv.signal);
    int start = init != 0 ? 0 : uv_signal_start(&watch->uv.signal, on_signal, signal);
    return watch_checked(watch, init, start);
}

qr_watch *qr_watch_wakeup(qr_loop *loop, qr_watch_call call, void *state) {
    qr_watch *watch = watch_create(call, state);
    int fd = watch == NULL ? -1 : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0 || uv_poll_init(&loop->uv, &watch->uv.poll, fd) != 0) {
        if (fd >= 0)
            close(fd);
        free(watch);
        return NULL;
    }
    watch->wakeup_fd = fd;
    return watch_checked(watch, 0, uv_poll_start(&watch->uv.poll, UV_READABLE, on_wakeup));
}

void qr_watch_wake(qr_watch *wakeup) {
    const uint64_t one = 1;
    ssize_t written = write(wakeup->wakeup_fd, &one, sizeof one);
    (void)written; /* a full counter means that a wake-up is pending, which is all that is asked for
                    */
}

void qr_watch_close(qr_watch *watch) {
    if (watch != NULL && !uv_is_closing(&watch->uv.any))
        uv_close(&watch->uv.any, on_closed);
}
