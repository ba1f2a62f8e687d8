/* server/schedule/schedule.h: the queues between requests and one machine: bounded, batched by
 * tokens, served by deadlines.
 *
 *     qr_queue_init(&queue, run_batch, &cost, 512, 256);  // its owner says how a batch is run
 *
 *     ticket.queue = &queue;
 *     ticket.jobs = jobs, ticket.jobs_len = n;
 *     ticket.deadline_ns = ..., ticket.finished = done;
 *     status = qr_schedule_submit(schedule, &ticket);     // QR_OVERLOADED: nothing was taken
 *     ...
 *     done(&ticket);              // on a worker, exactly once for each ticket that was admitted
 *
 * A queue holds the jobs that can share a batch: those of one model. What is to be answered first
 * is run first, and what could not be answered in time, or would make others late, is refused: a
 * queue knows what its jobs cost. A job whose deadline has passed or whose ticket was cancelled is
 * never run: its ticket ends LATE or GONE. The schedule knows nothing of models, only queues, and
 * of one machine only, the workers' cores or a device: a process that computes on several has a
 * schedule for each. docs/SCHEDULE.md tells the rest.
 * Threads: any may submit, cancel and call; run(), finished() and tasks are called on workers.
 */
#ifndef QR_SERVER_SCHEDULE_H
#define QR_SERVER_SCHEDULE_H

#include "server/schedule/ticket.h"

/** Where workers without work wait. The server's is the engine's pool, whose waiting threads help
 * with others' batches. */
typedef struct qr_waiting_room {
    void (*park)(void *state, int worker); /* returns after a wake(); may return for nothing */
    void (*wake)(void *state);             /* one parked worker, or the next one that parks */
    void *state;
} qr_waiting_room;

typedef struct qr_schedule qr_schedule;

/** A batch that was run. */
typedef struct qr_batch_report {
    uint64_t expected_ns; /* of one worker without help, correction included; 0: no costs */
    uint64_t took_ns;
    bool alone; /* nobody was free to help: the two can be compared, and correct the costs */
} qr_batch_report;

/** Who is told what workers do, for metrics. Called on the worker, without a lock; a function may
 * be NULL. */
typedef struct qr_schedule_observer {
    void (*ticket_begun)(void *state, uint64_t slack_ns); /* so long before its deadline */
    void (*batch_ended)(void *state, const qr_batch_report *batch);
    void (*worked)(void *state, uint64_t ns); /* on a batch and its finished(), or on a task */
    void *state;
} qr_schedule_observer;

typedef struct qr_schedule_options {
    int workers;
    /* A device with processors of its own is the machine: so many batches are run side by side, by
     * workers that wait for it and that nobody can help. 0: the workers' cores are. */
    size_t streams;
    size_t queue_items; /* most jobs admitted and unfinished, of all queues */
    qr_waiting_room room;
    const qr_clock *clock; /* borrowed; NULL: the system's */
    /* What a worker may do when nothing at all is admitted and unfinished, before it parks: one
     * short piece of work, or false when there is none. NULL: nothing. */
    bool (*idle)(void *state, int worker);
    void *idle_state;
    qr_schedule_observer observer; /* zeroed: nobody */
} qr_schedule_options;

/** Starts the workers. QR_NO_MEMORY, QR_IO: no more threads. *out: returns owned. */
QR_MUST_USE qr_status qr_schedule_start(const qr_schedule_options *options, qr_schedule **out,
                                        qr_error *error);

/** Finishes all that was admitted and all tasks, then ends the workers. From then on tickets are
 * refused and tasks run within qr_schedule_call. NULL is allowed, and so is a second time. */
void qr_schedule_stop(qr_schedule *schedule);

/** Stops the schedule, if it is not stopped, and frees it. NULL is allowed. */
void qr_schedule_destroy(qr_schedule *schedule);

/** Whether a request with this deadline is worth decoding. QR_OVERLOADED: what is ahead of it would
 * take longer; QR_LATE. */
QR_MUST_USE qr_status qr_schedule_outlook(qr_schedule *schedule, uint64_t deadline_ns);

/** QR_OVERLOADED: too many jobs, or too much work ahead for this deadline, or others would be late
 * because of it; QR_IMPOSSIBLE: the whole budget is too short for it, whatever else there is to do;
 * QR_LATE: the deadline has passed; QR_TOO_LONG: a job is empty or longer than its queue takes;
 * QR_DRAINING; QR_INTERNAL: no jobs. Anything but OK: nothing was taken, and finished() is not
 * called. */
QR_MUST_USE qr_status qr_schedule_submit(qr_schedule *schedule, qr_ticket *ticket);

/** One more waits for a submitted ticket, until this deadline: the ticket takes the nearest of its
 * deadlines (and its place, if it has not begun), is given up at the last one, and yields only as
 * long as all would. False: it has failed or was given up, or would be late at that place, or make
 * others late; nothing has changed. Not to be called once its owner has it back. */
QR_MUST_USE bool qr_schedule_join(qr_schedule *schedule, qr_ticket *ticket, uint64_t deadline_ns,
                                  bool yields);

/** Ends a submitted ticket early, with QR_LATE or QR_GONE: jobs not yet started will not run. True:
 * it has ended here, finished() is not called, and its memory is the caller's again. False: a
 * worker still holds it, and finished() comes (or has come). */
QR_MUST_USE bool qr_schedule_cancel(qr_schedule *schedule, qr_ticket *ticket, qr_status status);

/** Queues a task. Tasks come before batches, but when they have had the workers for a while a batch
 * that waits is next; long ones have half of the workers at most, and come behind the others. None
 * counts against queue_items: callers bound their number. When the schedule is stopped the task has
 * run on return. */
void qr_schedule_call(qr_schedule *schedule, qr_task *task);

/** Jobs admitted and unfinished. */
size_t qr_schedule_depth(const qr_schedule *schedule);

/** Milliseconds until a refused client should try again: then what is admitted now is likely to be
 * done (at least 1). */
uint32_t qr_schedule_retry_ms(qr_schedule *schedule);

#endif
