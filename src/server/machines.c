/* server/machines.c: a schedule and a waiting room for each machine. */
#include "server/machines.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define MACHINES_MOST (1 + QR_LIMIT_MODELS) /* each model on a device of its own, and the CPU */

/* One, and whose it is. */
typedef struct place {
    qr__machine machine;
    char device[16]; /* as qr_plan_info has both; the CPU's is the first place */
    unsigned number;
} place;

struct qr__machines {
    qr__machines_options options;
    pthread_mutex_t lock; /* of who adds one */
    atomic_size_t len;    /* what counts is const: its increment releases a new place */
    place places[MACHINES_MOST];
};

/* A pool as a schedule's waiting room. */
static void park(void *pool, int worker) {
    qr_pool_park(pool, worker);
}

static void wake(void *pool) {
    qr_pool_wake(pool);
}

/* A machine's worker has nothing to do; others' may. Whoever ends the last job of all sees that. */
static bool on_idle(void *state, int worker) {
    const qr__machines *machines = state;
    return qr__machines_depth(machines) == 0 &&
           machines->options.idle(machines->options.idle_state, worker);
}

/* With the lock held, or before anybody else knows the machines. */
static qr_status add(qr__machines *machines, const char *device, unsigned number, size_t streams,
                     qr_error *error) {
    const qr__machines_options *options = &machines->options;
    place *p = &machines->places[atomic_load(&machines->len)];
    if (qr_pool_create(options->workers, &p->machine.pool) != QR_OK)
        return qr_error_set(error, QR_NO_MEMORY, "out of memory while starting %d workers",
                            options->workers);
    const qr_schedule_options schedule = {
        .workers = options->workers,
        .streams = qr_min(streams, (size_t)options->workers),
        .queue_items = options->queue_items,
        .room = {.park = park, .wake = wake, .state = p->machine.pool},
        .idle = options->idle == NULL ? NULL : on_idle,
        .idle_state = machines,
        .observer = options->observer,
    };
    qr_status status = qr_schedule_start(&schedule, &p->machine.schedule, error);
    if (status != QR_OK) {
        qr_pool_destroy(p->machine.pool);
        *p = (place){0};
        return status;
    }
    snprintf(p->device, sizeof p->device, "%s", device);
    p->number = number;
    atomic_fetch_add(&machines->len, 1);
    return QR_OK;
}

qr_status qr__machines_start(const qr__machines_options *options, qr__machines **out,
                             qr_error *error) {
    qr__machines *machines = calloc(1, sizeof *machines);
    *out = NULL;
    if (machines == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "out of memory while starting %d workers",
                            options->workers);
    machines->options = *options;
    pthread_mutex_init(&machines->lock, NULL);
    qr_status status = add(machines, "cpu", 0, 0, error);
    if (status == QR_OK)
        *out = machines;
    else
        qr__machines_destroy(machines);
    return status;
}

void qr__machines_stop(qr__machines *machines) {
    for (size_t i = machines == NULL ? 0 : atomic_load(&machines->len); i-- > 0;)
        qr_schedule_stop(machines->places[i].machine.schedule);
}

/* All are stopped before any is freed: what ends on one may call another. */
void qr__machines_destroy(qr__machines *machines) {
    if (machines == NULL)
        return;
    qr__machines_stop(machines);
    for (size_t i = atomic_load(&machines->len); i-- > 0;) {
        qr_schedule_destroy(machines->places[i].machine.schedule);
        qr_pool_destroy(machines->places[i].machine.pool);
    }
    pthread_mutex_destroy(&machines->lock);
    free(machines);
}

const qr__machine *qr__machines_cpu(const qr__machines *machines) {
    return &machines->places[0].machine;
}

/* NULL: not yet one of them. */
static const qr__machine *find(const qr__machines *machines, const qr_plan_info *plan) {
    size_t len = atomic_load(&machines->len);
    for (size_t i = 1; i < len; i++) {
        const place *p = &machines->places[i];
        if (p->number == plan->number && strcmp(p->device, plan->device) == 0)
            return &p->machine;
    }
    return NULL;
}

qr_status qr__machines_find(qr__machines *machines, const qr_plan_info *plan,
                            const qr__machine **out, qr_error *error) {
    qr_status status = QR_OK;
    *out = plan->streams == 0 ? qr__machines_cpu(machines) : NULL;
    if (*out != NULL)
        return QR_OK;
    pthread_mutex_lock(&machines->lock);
    if (find(machines, plan) == NULL) {
        QR_ASSERT(atomic_load(&machines->len) < MACHINES_MOST);
        status = add(machines, plan->device, plan->number, plan->streams, error);
    }
    *out = find(machines, plan);
    pthread_mutex_unlock(&machines->lock);
    return status;
}

size_t qr__machines_depth(const qr__machines *machines) {
    size_t depth = 0, len = atomic_load(&machines->len);
    for (size_t i = 0; i < len; i++)
        depth += qr_schedule_depth(machines->places[i].machine.schedule);
    return depth;
}
