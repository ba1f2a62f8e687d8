/* server/schedule/schedule.h: the queues between requests and engine: bounded, batched by tokens,
 * deadline-aware.
 *
 *     qr_queue_init(&queue, run_batch, 512, 256);         // its owner says how a batch is run
 *
 *     ticket.queue = &queue;
 *     ticket.jobs = jobs, ticket.jobs_len = n;
 *     ticket.deadline_ns = ..., ticket.finished = done;
 *     status = qr_schedule_submit(schedule, &ticket);     // QR_OVERLOADED: nothing was taken
 *     ...
 *     done(&ticket);              // on a worker, exactly once for each ticket that was admitted
 *
 * A queue holds the jobs that can share a batch: those of one model. Workers take queues in turn,
 * and from a queue its tickets' jobs first come first served, as many as the token budget allows. A
 * job whose deadline has passed or whose ticket was cancelled is never run: its ticket ends LATE or
 * GONE. The schedule knows nothing of models, only queues; docs/SCHEDULE.md tells the rest.
 * Threads: any may submit, cancel and call; run(), finished() and tasks are called on workers.
 */
#ifndef QR_SERVER_SCHEDULE_H
#define QR_SERVER_SCHEDULE_H

#include "base/base.h"

#define QR_BATCH_JOBS 256u /* most jobs in one batch */

/** One sequence to run; what it points to belongs to the ticket's owner. */
typedef struct qr_job {
    const int32_t *ids;
    const uint8_t *types; /* NULL: all 0 */
    size_t tokens;
    float *room;         /* for the result; the queue's run() writes it, and nobody else */
    const float *result; /* the room once it is written, and const from then on; NULL: not run */
} qr_job;

typedef struct qr_queue qr_queue;

/** Runs jobs as one batch on the calling worker, and writes each one's floats into its room.
 * Anything but OK: nothing that was written counts. */
typedef qr_status qr_queue_run(qr_queue *queue, int worker, const qr_job *const *jobs, size_t len);

/** Embedded in its owner, who may free it when no ticket that names it is submitted. */
struct qr_queue {
    qr_queue_run *run;
    size_t batch_tokens; /* most tokens in a batch; a longer job runs alone */
    size_t job_tokens;   /* most tokens in one job */

    /* The schedule's own. */
    qr_link link;    /* in the ring of queues that have waiting tickets */
    qr_link tickets; /* those with jobs that are in no batch yet, whose turn is next first */
    size_t tokens;   /* of these jobs */
};

/** An empty queue. */
void qr_queue_init(qr_queue *queue, qr_queue_run *run, size_t batch_tokens, size_t job_tokens);

/** The jobs of one request: all admitted or none, finished together. Embedded in its owner. */
typedef struct qr_ticket {
    qr_queue *queue;
    qr_job *jobs;
    size_t jobs_len;
    uint64_t deadline_ns;
    void (*finished)(struct qr_ticket *ticket); /* its last call on the ticket */
    void *owner;

    /* The schedule's own; status and times are to be read once it is finished. */
    qr_status status; /* OK, LATE, GONE, or INTERNAL: a job could not be run */
    uint64_t submitted_ns, started_ns, done_ns;
    size_t next_job; /* first job that is in no batch yet */
    size_t running;  /* jobs in batches under way */
    bool ended;
    qr_link link; /* in its queue, or among those that just ended */
} qr_ticket;

/** Work that is no job (a long text to tokenize, memory to give back): run on a worker between
 * batches. Embedded in its owner. */
typedef struct qr_task {
    void (*run)(struct qr_task *task);
    void *owner;
    qr_link link;
} qr_task;

/** Where workers without work wait. The server's is the engine's pool, whose waiting threads help
 * with others' batches. */
typedef struct qr_waiting_room {
    void (*park)(void *state, int worker); /* returns after a wake(); may return for nothing */
    void (*wake)(void *state);             /* one parked worker, or the next one that parks */
    void *state;
} qr_waiting_room;

typedef struct qr_schedule qr_schedule;

typedef struct qr_schedule_options {
    int workers;
    size_t queue_items; /* most jobs admitted and unfinished, of all queues */
    qr_waiting_room room;
    const qr_clock *clock; /* borrowed; NULL: the system's */
    /* What a worker may do when nothing at all is admitted and unfinished, before it parks: one
     * short piece of work, or false when there is none. NULL: nothing. */
    bool (*idle)(void *state, int worker);
    void *idle_state;
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
QR_MUST_USE qr_status qr_schedule_outlook(const qr_schedule *schedule, uint64_t deadline_ns);

/** QR_OVERLOADED: too many jobs, or too much work ahead for this deadline; QR_LATE: the deadline
 * has passed; QR_TOO_LONG: a job is empty or longer than its queue takes; QR_DRAINING; QR_INTERNAL:
 * no jobs. Anything but OK: nothing was taken, and finished() is not called. */
QR_MUST_USE qr_status qr_schedule_submit(qr_schedule *schedule, qr_ticket *ticket);

/** Ends a submitted ticket early, with QR_LATE or QR_GONE: jobs not yet started will not run. True:
 * it has ended here, finished() is not called, and its memory is the caller's again. False: a
 * worker still holds it, and finished() comes (or has come). */
QR_MUST_USE bool qr_schedule_cancel(qr_schedule *schedule, qr_ticket *ticket, qr_status status);

/** Queues a task. Tasks come before batches and are not counted against queue_items: callers bound
 * their number. When the schedule is stopped the task has run on return. */
void qr_schedule_call(qr_schedule *schedule, qr_task *task);

/** Jobs admitted and unfinished. */
size_t qr_schedule_depth(const qr_schedule *schedule);

/** Milliseconds until a refused client should try again, from depth and measured speed (at least
 * 1). */
uint32_t qr_schedule_retry_ms(const qr_schedule *schedule);

#endif
