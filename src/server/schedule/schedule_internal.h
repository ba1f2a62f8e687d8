/* server/schedule/schedule_internal.h: the schedule's state, and its parts:
 *
 *     schedule.c   start and stop
 *     admit.c      submit, cancel, tasks, and what is refused
 *     fill.c       which jobs the next batch takes
 *     worker.c     a worker's life
 *
 * One lock guards queues, tickets and tasks. It is held for lists and counters only, never during a
 * batch, a task or a callback.
 */
#ifndef QR_SERVER_SCHEDULE_INTERNAL_H
#define QR_SERVER_SCHEDULE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "server/schedule/schedule.h"

/** A worker and the batch that it has in hand. */
typedef struct qr__worker {
    qr_schedule *schedule;
    int index;
    pthread_t thread;
    qr_queue *queue;
    size_t len, tokens; /* of the batch */
    qr_ticket *tickets[QR_BATCH_JOBS];
    qr_job *jobs[QR_BATCH_JOBS];
} qr__worker;

struct qr_schedule {
    qr_schedule_options options;
    int started; /* threads */

    pthread_mutex_t lock;
    qr_link ring;  /* queues with waiting tickets, the next one to be served first */
    qr_link tasks; /* oldest first */
    bool stopping, stopped;

    atomic_size_t depth;            /* jobs admitted and unfinished */
    atomic_size_t tokens;           /* of these */
    atomic_uint_least64_t token_ns; /* smoothed time of one token on one worker; 0: not known yet */

    qr__worker workers[];
};

/** A schedule without threads, which tests step by hand. */
QR_MUST_USE qr_status qr__schedule_create(const qr_schedule_options *options, qr_schedule **out);

/** What a worker's round came to. */
typedef enum qr__round {
    QR__ROUND_WORKED,
    QR__ROUND_NOTHING, /* nothing to do: park */
    QR__ROUND_OVER     /* nothing to do, and the schedule is being stopped */
} qr__round;

/** One round of a worker: the next task, or a batch, or what idle() has. */
qr__round qr__worker_round(qr__worker *worker);

/** A worker's thread. */
void *qr__worker_main(void *worker);

/* fill.c; with the lock held. */

/** Puts a ticket with waiting jobs at the end of its queue's line. */
void qr__queue_append(qr_schedule *schedule, qr_ticket *ticket);

/** Gives up those jobs of the ticket that no batch took. */
void qr__ticket_drop(qr_schedule *schedule, qr_ticket *ticket);

/** Fills the worker's batch. False: there is nothing to run. Tickets that turn out late are
 * dropped; those of them that no batch holds are appended to *ended. */
bool qr__batch_fill(qr__worker *worker, uint64_t now_ns, qr_link *ended);

/** Whether there are tasks or jobs that nobody took yet. */
bool qr__schedule_waiting(const qr_schedule *schedule);

/** Wakes one worker. */
static inline void qr__schedule_wake(const qr_schedule *schedule) {
    QR_CHAOS_DELAY();
    schedule->options.room.wake(schedule->options.room.state);
}

#endif
