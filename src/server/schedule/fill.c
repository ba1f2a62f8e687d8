/* server/schedule/fill.c: which jobs the next batch takes.
 *
 * Models take turns; within a model tickets do, QR_TURN_TOKENS at a time, so that a request of two
 * thousand texts and a request of one share each batch. A lone ticket fills the batch. A queue that
 * could keep every worker busy is cut into their number of batches rather than run as one: on a
 * CPU, parallelism beats batching. */
#include "server/schedule/schedule_internal.h"

void qr__queue_push(qr_queue *queue, qr_ticket *ticket) {
    ticket->next = NULL;
    if (queue->tail != NULL)
        queue->tail->next = ticket;
    else
        queue->head = ticket;
    queue->tail = ticket;
    ticket->queued = true;
}

void qr__queue_remove(qr_queue *queue, qr_ticket *ticket) {
    qr_ticket *previous = NULL;
    for (qr_ticket *t = queue->head; t != ticket; t = t->next)
        previous = t;
    if (previous != NULL)
        previous->next = ticket->next;
    else
        queue->head = ticket->next;
    if (queue->tail == ticket)
        queue->tail = previous;
    ticket->next = NULL;
    ticket->queued = false;
}

qr_queue *qr__queue_of(qr_schedule *schedule, const qr_pipeline *model) {
    for (size_t i = 0; i < schedule->options.models_len; i++) {
        if (schedule->options.models[i] == model)
            return &schedule->queues[i];
    }
    return NULL;
}

void qr__ticket_drop(qr_schedule *schedule, qr_ticket *ticket) {
    qr_queue *queue = qr__queue_of(schedule, ticket->model);
    size_t tokens = 0;
    for (size_t i = ticket->next_job; i < ticket->jobs_len; i++)
        tokens += ticket->jobs[i].tokens;
    queue->tokens -= tokens;
    atomic_fetch_sub(&schedule->tokens, tokens);
    atomic_fetch_sub(&schedule->depth, ticket->jobs_len - ticket->next_job);
    ticket->next_job = ticket->jobs_len;
    if (ticket->queued)
        qr__queue_remove(queue, ticket);
}

bool qr__schedule_waiting(const qr_schedule *schedule) {
    if (schedule->tasks_head != NULL)
        return true;
    for (size_t i = 0; i < schedule->options.models_len; i++) {
        if (schedule->queues[i].head != NULL)
            return true;
    }
    return false;
}

static size_t token_budget(const qr_schedule *schedule, const qr_queue *queue) {
    size_t workers = (size_t)schedule->options.threads;
    size_t share = qr_max((queue->tokens + workers - 1) / workers, QR_SHARE_TOKENS);
    return qr_min(share, schedule->options.batch_tokens);
}

/* Takes jobs of one ticket, up to its turn (or the budget, when nobody else waits). True: the batch
 * is full. */
static bool take_turn(qr_worker *worker, qr_queue *queue, qr_ticket *ticket, size_t budget) {
    size_t turn = ticket->next == NULL ? budget : QR_TURN_TOKENS, taken = 0;
    while (ticket->next_job < ticket->jobs_len) {
        qr_job *job = &ticket->jobs[ticket->next_job];
        bool fits = worker->tokens + job->tokens <= budget;
        if (worker->slots_len == QR_BATCH_SEQUENCES || (worker->slots_len > 0 && !fits))
            return true; /* a sequence longer than the budget runs alone */
        if (taken > 0 && taken + job->tokens > turn)
            return false;
        worker->slots[worker->slots_len++] = (qr_slot){ticket, job};
        worker->tokens += job->tokens;
        queue->tokens -= job->tokens;
        taken += job->tokens;
        ticket->next_job++;
        ticket->running++;
    }
    return false;
}

static void fill_from(qr_worker *worker, qr_queue *queue, uint64_t now_ns, qr_ticket **ended) {
    size_t budget = token_budget(worker->schedule, queue);
    bool full = false;
    while (!full && queue->head != NULL) {
        qr_ticket *ticket = queue->head;
        if (now_ns >= ticket->deadline_ns) {
            ticket->status = QR_LATE;
            qr__ticket_drop(worker->schedule, ticket);
            if (ticket->running == 0) {
                ticket->ended = true;
                ticket->next = *ended;
                *ended = ticket;
            }
            continue;
        }
        size_t before = ticket->next_job;
        full = take_turn(worker, queue, ticket, budget);
        if (ticket->next_job == before)
            continue; /* full before its first job: it keeps its turn */
        if (ticket->started_ns == 0)
            ticket->started_ns = now_ns;
        qr__queue_remove(queue, ticket);
        if (ticket->next_job < ticket->jobs_len)
            qr__queue_push(queue, ticket);
    }
}

bool qr__batch_fill(qr_worker *worker, uint64_t now_ns, qr_ticket **ended) {
    qr_schedule *schedule = worker->schedule;
    worker->slots_len = worker->tokens = 0;
    for (size_t i = 0; i < schedule->options.models_len; i++) {
        size_t model = (schedule->turn + i) % schedule->options.models_len;
        fill_from(worker, &schedule->queues[model], now_ns, ended);
        if (worker->slots_len > 0) {
            worker->model = model;
            schedule->turn = (model + 1) % schedule->options.models_len;
            return true;
        }
    }
    return false;
}
