/* server/schedule/fill.c: which jobs the next batch takes.
 *
 * Queues take turns; within a queue tickets do, TURN_TOKENS at a time, so that a request of two
 * thousand texts and a request of one share each batch. A lone ticket fills the batch. A queue that
 * could keep every worker busy is cut into their number of batches rather than run as one: on a
 * CPU, parallelism beats batching. */
#include "server/schedule/schedule_internal.h"

#define SHARE_TOKENS 64u /* a worker's share of a queue is not cut below: a token costs more then */
#define TURN_TOKENS  64u /* one ticket's turn within a batch while others wait */

/* A queue is in the ring exactly as long as tickets wait in it. */
static void update_ring(qr_schedule *schedule, qr_queue *queue) {
    bool waiting = qr_list_first(&queue->tickets) != NULL;
    if (waiting && !qr_link_listed(&queue->link))
        qr_list_append(&schedule->ring, &queue->link);
    else if (!waiting)
        qr_list_remove(&queue->link);
    QR_ASSERT(waiting == (queue->tokens > 0));
}

void qr__queue_append(qr_schedule *schedule, qr_ticket *ticket) {
    QR_ASSERT(ticket->next_job < ticket->jobs_len && !ticket->ended);
    qr_list_append(&ticket->queue->tickets, &ticket->link);
    update_ring(schedule, ticket->queue);
}

void qr__ticket_drop(qr_schedule *schedule, qr_ticket *ticket) {
    size_t tokens = 0;
    if (ticket->next_job == ticket->jobs_len)
        return;
    for (size_t i = ticket->next_job; i < ticket->jobs_len; i++)
        tokens += ticket->jobs[i].tokens;
    ticket->queue->tokens -= tokens;
    atomic_fetch_sub(&schedule->tokens, tokens);
    atomic_fetch_sub(&schedule->depth, ticket->jobs_len - ticket->next_job);
    ticket->next_job = ticket->jobs_len;
    qr_list_remove(&ticket->link);
    update_ring(schedule, ticket->queue);
}

bool qr__schedule_waiting(const qr_schedule *schedule) {
    return qr_list_first(&schedule->tasks) != NULL || qr_list_first(&schedule->ring) != NULL;
}

static size_t token_budget(const qr_schedule *schedule, const qr_queue *queue) {
    size_t workers = (size_t)schedule->options.workers;
    size_t share = qr_max((queue->tokens + workers - 1) / workers, SHARE_TOKENS);
    return qr_min(share, queue->batch_tokens);
}

/* Takes jobs of one ticket, up to its turn (or the budget, when nobody else waits). True: the batch
 * is full. */
static bool take_turn(qr__worker *worker, qr_ticket *ticket, size_t budget) {
    bool others_wait = ticket->link.next != &ticket->queue->tickets;
    size_t turn = others_wait ? TURN_TOKENS : budget, taken = 0;
    while (ticket->next_job < ticket->jobs_len) {
        qr_job *job = &ticket->jobs[ticket->next_job];
        bool fits = worker->tokens + job->tokens <= budget;
        if (worker->len == QR_BATCH_JOBS || (worker->len > 0 && !fits))
            return true; /* a job longer than the budget runs alone */
        if (taken > 0 && taken + job->tokens > turn)
            return false;
        worker->tickets[worker->len] = ticket;
        worker->jobs[worker->len++] = job;
        worker->tokens += job->tokens;
        taken += job->tokens;
        ticket->queue->tokens -= job->tokens;
        ticket->next_job++;
        ticket->running++;
    }
    return false;
}

/* Behind the others of its queue, or out of it when all its jobs are taken. */
static void end_turn(qr_ticket *ticket) {
    qr_list_remove(&ticket->link);
    if (ticket->next_job < ticket->jobs_len)
        qr_list_append(&ticket->queue->tickets, &ticket->link);
}

static void fill_from(qr__worker *worker, qr_queue *queue, uint64_t now_ns, qr_link *ended) {
    size_t budget = token_budget(worker->schedule, queue);
    bool full = false;
    while (!full && qr_list_first(&queue->tickets) != NULL) {
        qr_ticket *ticket = QR_OWNER(qr_list_first(&queue->tickets), qr_ticket, link);
        if (now_ns >= ticket->deadline_ns) {
            ticket->status = QR_LATE;
            qr__ticket_drop(worker->schedule, ticket);
            if (ticket->running == 0) {
                ticket->ended = true;
                qr_list_append(ended, &ticket->link);
            }
            continue;
        }
        size_t before = ticket->next_job;
        full = take_turn(worker, ticket, budget);
        if (ticket->next_job == before)
            break; /* full before its first job: it keeps its turn */
        if (ticket->started_ns == 0)
            ticket->started_ns = now_ns;
        end_turn(ticket);
    }
}

bool qr__batch_fill(qr__worker *worker, uint64_t now_ns, qr_link *ended) {
    qr_schedule *schedule = worker->schedule;
    worker->len = worker->tokens = 0;
    while (worker->len == 0 && qr_list_first(&schedule->ring) != NULL) {
        worker->queue = QR_OWNER(qr_list_first(&schedule->ring), qr_queue, link);
        fill_from(worker, worker->queue, now_ns, ended);
        qr_list_remove(&worker->queue->link); /* its turn is over: behind the others */
        update_ring(schedule, worker->queue);
    }
    return worker->len > 0;
}
