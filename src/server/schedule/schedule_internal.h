/* server/schedule/schedule_internal.h: the queue and the workers, shared by
 *
 *   schedule.c   submit, cancel, tasks, start and stop
 *   fill.c       which jobs the next batch takes
 *   worker.c     a worker's life: warm-up, batches, results
 */
#ifndef QR_SERVER_SCHEDULE_INTERNAL_H
#define QR_SERVER_SCHEDULE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "server/schedule/schedule.h"

#define QR_BATCH_SEQUENCES 256u
#define QR_SHARE_TOKENS                                                                            \
    64u /* splitting a queue over workers stops here: shorter batches cost more a token */
#define QR_TURN_TOKENS 64u /* one ticket's turn within a batch while others wait */

/** Tickets with jobs that are in no batch yet, of one model, oldest turn first. */
typedef struct qr_queue {
    qr_ticket *head, *tail;
    size_t tokens; /* of their jobs not yet in a batch */
} qr_queue;

typedef struct qr_slot {
    qr_ticket *ticket;
    qr_job *job;
} qr_slot;

typedef struct qr_worker {
    qr_schedule *schedule;
    int member;
    pthread_t thread;
    qr_context **contexts; /* [models] */
    /* The batch at hand. */
    size_t model;
    size_t slots_len, tokens;
    qr_slot *slots;   /* [QR_BATCH_SEQUENCES] */
    int32_t *ids;     /* [tokens_max] */
    uint8_t *types;   /* [tokens_max] */
    uint32_t *starts; /* [QR_BATCH_SEQUENCES + 1] */
    qr_error error;   /* of its start */
} qr_worker;

struct qr_schedule {
    qr_schedule_options options;
    size_t tokens_max; /* of a batch: the budget, or one longest sequence */
    qr_pool *pool;
    qr_worker *workers;
    int started; /* threads created */

    pthread_mutex_t lock;
    pthread_cond_t warmed;
    int warm;         /* workers that ended their warm-up, well or not */
    qr_queue *queues; /* [models] */
    size_t turn;      /* the model to look at first */
    qr_task *tasks_head, *tasks_tail;
    bool stopping;

    atomic_size_t depth;  /* jobs admitted and unfinished */
    atomic_size_t tokens; /* of these */
    atomic_uint_least64_t
        token_ns; /* smoothed time of one token on one worker; 0: not measured yet */
};

/* fill.c; with the lock held */
void qr__queue_push(qr_queue *queue, qr_ticket *ticket);
void qr__queue_remove(qr_queue *queue, qr_ticket *ticket);
qr_queue *qr__queue_of(qr_schedule *schedule, const qr_pipeline *model);

/** Jobs of `ticket` that no batch took are given up. */
void qr__ticket_drop(qr_schedule *schedule, qr_ticket *ticket);

/** Fills the worker's batch. False: there is nothing to run. Tickets that turn out late are put on
 * *ended. */
bool qr__batch_fill(qr_worker *worker, uint64_t now_ns, qr_ticket **ended);
bool qr__schedule_waiting(const qr_schedule *schedule);

/* worker.c */
void *qr__worker_main(void *worker);
void qr__worker_deinit(qr_worker *worker);

#endif
