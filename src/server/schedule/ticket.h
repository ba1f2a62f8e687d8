/* server/schedule/ticket.h: what the schedule handles: the jobs of a request in a ticket, the queue
 * that it names, and tasks. They live in their owners' memory; schedule.h says how they are used.
 */
#ifndef QR_SERVER_SCHEDULE_TICKET_H
#define QR_SERVER_SCHEDULE_TICKET_H

#include <stdatomic.h>

#include "server/schedule/cost.h"
#include "server/schedule/order.h"

#define QR_BATCH_JOBS 256u /* most jobs in one batch */

/** One sequence to run; what it points to belongs to the ticket's owner. */
typedef struct qr_job {
    const int32_t *ids;
    const uint8_t *types; /* NULL: all 0 */
    size_t tokens;
    size_t skip;         /* leading tokens that pooling leaves out, as qr_batch has it */
    float *room;         /* for the result; the queue's run() writes it, and nobody else */
    const float *result; /* the room once it is written, and const from then on; NULL: not run */

    /* The schedule's own. */
    qr_status failed;  /* why `result` is NULL, once it was run */
    uint64_t cost_ns;  /* what it is likely to add to a batch's time */
    uint64_t share_ns; /* what it is to be counted as of the machine's time */
} qr_job;

typedef struct qr_queue qr_queue;

/** Runs jobs as one batch on the calling worker, and writes each one's floats into its room.
 * Anything but OK: nothing that was written counts. */
typedef qr_status qr_queue_run(qr_queue *queue, int worker, const qr_job *const *jobs, size_t len);

/** Tickets with long jobs stand in a line of their own: see fill.c. */
typedef enum qr_queue_line { QR_LINE_SHORT, QR_LINE_LONG } qr_queue_line;

/** Embedded in its owner, who may free it when no ticket that names it is submitted. */
struct qr_queue {
    qr_queue_run *run;
    qr_cost cost;
    const qr_cost *team_cost; /* the same with all workers' help (borrowed); NULL: not known, and
                                 no budget is taken for impossible */
    size_t batch_tokens;      /* most tokens in a batch; a longer job runs alone */
    size_t job_tokens;        /* most tokens in one job */

    /* The schedule's own. */
    unsigned slot;             /* while tickets wait: which marks are its lines' */
    size_t tokens;             /* of the jobs that are in no batch yet */
    _Atomic double correction; /* how much longer than `cost` says its batches take of late; written
                                  with the schedule's lock held */
};

/** An empty queue whose batches cost so much. */
void qr_queue_init(qr_queue *queue, qr_queue_run *run, const qr_cost *cost, size_t batch_tokens,
                   size_t job_tokens);

/** How much longer than its cost says a queue's batches take of late. Any thread may ask. */
static inline double qr_queue_correction(const qr_queue *queue) {
    return atomic_load_explicit(&queue->correction, memory_order_relaxed);
}

/** The jobs of one request: all admitted or none, finished together. Embedded in its owner. */
typedef struct qr_ticket {
    qr_queue *queue;
    qr_job *jobs;
    size_t jobs_len;
    uint64_t received_ns; /* since when its budget runs; 0: since it is submitted */
    uint64_t deadline_ns;
    bool yields; /* may wait for others, as a ticket of very many jobs does */
    /* The deadline of the last one who waits for the jobs: they are given up then. Set by a submit,
     * moved by joins, which may also move deadline_ns, to the nearest of all. */
    uint64_t last_deadline_ns;
    void (*finished)(struct qr_ticket *ticket); /* its last call on the ticket */
    void *owner;

    /* The schedule's own; status and times are to be read once it is finished. */
    qr_status status; /* OK, LATE, GONE; DEVICE, or for other reasons INTERNAL: a job failed */
    uint64_t submitted_ns, started_ns, done_ns;
    uint64_t slack_ns;               /* from its start to its deadline */
    size_t batch_jobs, batch_tokens; /* of the last batch that it was in */
    size_t next_job;                 /* first job that is in no batch yet */
    size_t running;                  /* jobs in batches under way */
    bool ended;
    uint64_t cost_ns;    /* of its jobs */
    uint64_t offered_ns; /* the same, with their part of what batches cost by themselves; const from
                            the submit on, whatever came of it */
    qr_queue_line line;
    qr_turn turn; /* in the order of all that waits; costs are the machine's time */
    qr_link link; /* among those that just ended */
} qr_ticket;

/** How long somebody waits for the ticket: until the nearest deadline, or when that has passed the
 * last one. 0: nobody any more. */
static inline uint64_t qr_ticket_patience(const qr_ticket *ticket, uint64_t now_ns) {
    uint64_t until = now_ns < ticket->deadline_ns ? ticket->deadline_ns : ticket->last_deadline_ns;
    return until > now_ns ? until - now_ns : 0;
}

/** Work that is no job (a long text to tokenize, memory to give back): run on a worker between
 * batches. Embedded in its owner. */
typedef struct qr_task {
    void (*run)(struct qr_task *task);
    void *owner;
    bool is_long; /* may take tens of milliseconds: never are all workers given such a one */
    qr_link link;
} qr_task;

#endif
