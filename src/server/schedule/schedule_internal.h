/* server/schedule/schedule_internal.h: the schedule's state, and its parts:
 *
 *     schedule.c     start and stop
 *     admit.c        submit, cancel, tasks, and what is refused
 *     order.c        what waits, by deadline, and whether all of it can be in time
 *     cost.c         what a batch takes of a worker's time
 *     fill.c         which jobs the next batch takes
 *     tasks.c        which task is next, and whether one is
 *     worker.c       a worker's life
 *     simulation.c   all of this on a clock that it moves, without threads or engine
 *
 * One lock guards queues, tickets and tasks. It is held for lists and counters only, never during a
 * batch, a task or a callback.
 */
#ifndef QR_SERVER_SCHEDULE_INTERNAL_H
#define QR_SERVER_SCHEDULE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "server/schedule/schedule.h"

/** A worker's share of a queue is not cut below: a token costs more then. */
#define QR__SHARE_TOKENS 64u

/** What is foreseen is counted half as much again, for what is not (encoding, other programs): an
 * answer that comes late was work for nothing, and a queue of such answers serves nobody. */
#define QR__MARGIN 1.5

/** A worker and the batch that it has in hand. */
typedef struct qr__worker {
    qr_schedule *schedule;
    int index;
    pthread_t thread;
    qr_queue *queue;
    qr_queue_line line;
    uint64_t begun_ns;  /* when it was taken */
    size_t len, tokens; /* of the batch */
    uint64_t cost_ns;   /* likely, of this worker's time */
    uint64_t share_ns;  /* the same of the machine's, as it was in the order */
    bool alone; /* nobody was free to help with it, or its device had all the batches that it may
                   have: its time says what it costs when there is much to do */
    qr_ticket *tickets[QR_BATCH_JOBS];
    qr_job *jobs[QR_BATCH_JOBS];
} qr__worker;

struct qr_schedule {
    qr_schedule_options options;
    int started; /* threads */

    pthread_mutex_t lock;
    qr_order order;         /* the tickets that wait; costs are the machine's time */
    unsigned slots;         /* given to queues so far */
    size_t waiting_short;   /* tickets in short lines */
    uint64_t short_wait_ns; /* what short tickets' places are behind their deadlines, about */
    uint64_t short_ns;      /* when the last one was submitted; 0: none was */
    uint64_t running_ns;    /* of the machine's time, in batches under way */
    uint64_t held_until_ns; /* by when the longest of these is likely to have ended */
    int busy, running_long; /* workers with a batch, and with one of long jobs */
    qr_link tasks;          /* oldest first */
    qr_link long_tasks;     /* likewise, those that may take long */
    int running_long_tasks;
    uint64_t tasks_ns; /* workers' time in tasks since a batch was begun */
    bool stopping, stopped;

    atomic_size_t depth; /* jobs admitted and unfinished */

    qr__worker workers[];
};

/** A schedule without threads, which tests step by hand. */
QR_MUST_USE qr_status qr__schedule_create(const qr_schedule_options *options, qr_schedule **out);

/** What a worker's round, or the first half of one, came to. */
typedef enum qr__round {
    QR__ROUND_WORKED,
    QR__ROUND_BATCH,   /* of qr__worker_begin alone: the worker has a batch in hand */
    QR__ROUND_NOTHING, /* nothing to do: park */
    QR__ROUND_OVER     /* nothing to do, and the schedule is being stopped */
} qr__round;

/** One round of a worker: the next task, or a batch, or what idle() has. */
qr__round qr__worker_round(qr__worker *worker);

/** The same up to the point where the batch, if one was taken, would be run: the simulator, whose
 * batches take their time without being computed, calls the halves by themselves. Behind
 * QR__ROUND_BATCH qr__worker_end() must come. */
qr__round qr__worker_begin(qr__worker *worker);

/** The rest of it: the batch has run, and each of its jobs has its result or NULL. Learns what it
 * took and finishes its tickets. */
void qr__worker_end(qr__worker *worker);

/** A worker's thread. */
void *qr__worker_main(void *worker);

/* fill.c; with the lock held. */

/** What a batch of this queue costs by itself. */
static inline uint64_t qr__batch_fixed_ns(const qr_queue *queue) {
    return (uint64_t)(queue->cost.fixed_ns * qr_queue_correction(queue));
}

/* Each line of a queue that has waiting tickets has a mark in the order. Of more queues than there
 * are marks for, two share theirs, which costs whoever looks for one of them some steps more. */
#define QR__SLOTS       32u
#define QR__SHORT_MARKS (UINT64_MAX / 3) /* every other bit: short lines */

/** The mark of the tickets of a queue's line. */
static inline uint64_t qr__line_mark(const qr_queue *queue, qr_queue_line line) {
    return 1ull << (2 * (queue->slot % QR__SLOTS) + line);
}

/** So many batches are run side by side. */
static inline size_t qr__schedule_width(const qr_schedule *schedule) {
    const qr_schedule_options *options = &schedule->options;
    return options->streams > 0 ? options->streams : (size_t)options->workers;
}

/** Tokens over which what a batch costs by itself is spread when there is much to do: batches that
 * are cut for the workers end there, those of a device are filled. */
static inline size_t qr__queue_share(const qr_schedule *schedule, const qr_queue *queue) {
    return schedule->options.streams > 0 ? queue->batch_tokens : QR__SHARE_TOKENS;
}

/** Gives up those jobs of the ticket that no batch took. */
void qr__ticket_drop(qr_schedule *schedule, qr_ticket *ticket);

/** Fills the worker's batch. False: there is nothing to run. Tickets that turn out late are
 * dropped; those of them that no batch holds are appended to *ended. */
bool qr__batch_fill(qr__worker *worker, uint64_t now_ns, qr_link *ended);

/** Whether there are tasks, or jobs that may be taken now, and nobody took yet. With the lock
 * held. Long jobs that may not go are none: whoever runs the others takes them when it is done. */
bool qr__schedule_waiting(const qr_schedule *schedule, uint64_t now_ns);

/** Wakes one worker. */
static inline void qr__schedule_wake(const qr_schedule *schedule) {
    QR_CHAOS_DELAY();
    schedule->options.room.wake(schedule->options.room.state);
}

#endif
