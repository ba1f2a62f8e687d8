/* server/machines.h: where the models of a process are computed: on the workers' cores, on GPUs;
 * each with a schedule of its own, so that what is ahead on one delays nobody on another.
 *
 *     qr__machines_start(&options, &machines, &error);          // the CPU's workers
 *     qr__machines_find(machines, plan, &machine, &error);      // where a loaded model runs
 *     qr_schedule_submit(machine->schedule, &ticket);
 *     qr__machines_stop(machines);
 *
 * A GPU's schedule is started with the first model on it, with as many workers as the CPU has: they
 * wait for it, and write its answers. It stays until the end. docs/SCHEDULE.md, "Machines", says
 * why workers are not shared. Threads: any may call; start, stop and destroy are the owner's.
 */
#ifndef QR_SERVER_MACHINES_H
#define QR_SERVER_MACHINES_H

#include "pipeline/pipeline.h"
#include "server/schedule/schedule.h"

typedef struct qr__machines qr__machines;

typedef struct qr__machines_options {
    int workers;        /* of each machine */
    size_t queue_items; /* likewise, as qr_schedule_options has it */
    /* As qr_schedule_options has it; called when nothing at all is admitted and unfinished, on any
     * machine. */
    bool (*idle)(void *state, int worker);
    void *idle_state;
    qr_schedule_observer observer; /* of all */
} qr__machines_options;

/** One of them. */
typedef struct qr__machine {
    qr_schedule *schedule;
    qr_pool *pool; /* in which its workers wait */
} qr__machine;

/** Starts the CPU's workers. QR_NO_MEMORY, QR_IO: no more threads. *out: returns owned. */
QR_MUST_USE qr_status qr__machines_start(const qr__machines_options *options, qr__machines **out,
                                         qr_error *error);

/** Finishes all that was admitted and ends the workers, as qr_schedule_stop does. NULL is
 * allowed, and so is a second time. */
void qr__machines_stop(qr__machines *machines);

/** Stops the machines, if they are not stopped, and frees them. NULL is allowed. */
void qr__machines_destroy(qr__machines *machines);

/** The CPU's, whose workers also do what no model computes: tasks. Borrowed. */
const qr__machine *qr__machines_cpu(const qr__machines *machines);

/** The one on which a model with this plan runs; a device's workers are started when it is the
 * first there. *out is borrowed. QR_NO_MEMORY, QR_IO: no more threads. */
QR_MUST_USE qr_status qr__machines_find(qr__machines *machines, const qr_plan_info *plan,
                                        const qr__machine **out, qr_error *error);

/** Jobs admitted and unfinished, on all of them. */
size_t qr__machines_depth(const qr__machines *machines);

#endif
