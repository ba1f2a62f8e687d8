/* server/schedule/schedule.c: a schedule's start and its end. */
#include <signal.h>
#include <stdlib.h>

#include "server/schedule/tasks.h"

#define WORKER_STACK_BYTES (2u << 20) /* stated, so that no libc's default decides */

qr_status qr__schedule_create(const qr_schedule_options *options, qr_schedule **out) {
    size_t workers = (size_t)options->workers;
    qr_schedule *schedule = calloc(1, sizeof *schedule + workers * sizeof(qr__worker));
    *out = NULL;
    if (schedule == NULL || qr_order_init(&schedule->order, options->queue_items) != QR_OK) {
        free(schedule);
        return QR_NO_MEMORY;
    }
    schedule->options = *options;
    pthread_mutex_init(&schedule->lock, NULL);
    qr_list_init(&schedule->tasks);
    qr_list_init(&schedule->long_tasks);
    for (int i = 0; i < options->workers; i++) {
        schedule->workers[i].schedule = schedule;
        schedule->workers[i].index = i;
    }
    *out = schedule;
    return QR_OK;
}

/* Signals are for the loop's thread. */
static int spawn(qr__worker *worker) {
    sigset_t all, before;
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, WORKER_STACK_BYTES);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&worker->thread, &attr, qr__worker_main, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return failed;
}

qr_status qr_schedule_start(const qr_schedule_options *options, qr_schedule **out,
                            qr_error *error) {
    qr_schedule *schedule;
    *out = NULL;
    if (qr__schedule_create(options, &schedule) != QR_OK)
        return qr_error_set(error, QR_NO_MEMORY, "out of memory while starting %d workers",
                            options->workers);
    for (int i = 0; i < options->workers; i++) {
        int failed = spawn(&schedule->workers[i]);
        if (failed != 0) {
            qr_schedule_destroy(schedule);
            return qr_error_set(error, QR_IO, "cannot start worker %d of %d: %s (try --threads)",
                                i + 1, options->workers, strerror(failed));
        }
        schedule->started++;
    }
    *out = schedule;
    return QR_OK;
}

/* One wake-up is enough: a worker that leaves wakes the next. */
void qr_schedule_stop(qr_schedule *schedule) {
    if (schedule == NULL || schedule->stopped)
        return;
    pthread_mutex_lock(&schedule->lock);
    schedule->stopping = true;
    pthread_mutex_unlock(&schedule->lock);
    if (schedule->started > 0)
        qr__schedule_wake(schedule);
    for (int i = 0; i < schedule->started; i++)
        pthread_join(schedule->workers[i].thread, NULL);
    QR_ASSERT(schedule->started == 0 || (!qr__task_waiting(schedule) && schedule->order.len == 0));
    pthread_mutex_lock(&schedule->lock);
    schedule->stopped = true;
    pthread_mutex_unlock(&schedule->lock);
}

void qr_schedule_destroy(qr_schedule *schedule) {
    if (schedule == NULL)
        return;
    qr_schedule_stop(schedule);
    QR_ASSERT(atomic_load(&schedule->depth) == 0 && schedule->order.len == 0);
    QR_ASSERT(schedule->running_ns == 0 && schedule->busy == 0 && schedule->running_long == 0);
    qr_order_deinit(&schedule->order);
    pthread_mutex_destroy(&schedule->lock);
    free(schedule);
}
