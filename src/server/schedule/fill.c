/* server/schedule/fill.c: which jobs the next batch takes.
 *
 * The ticket whose turn is first decides the queue and the line; the batch goes on with those
 * behind it, and ends before a job that would make a member late. A queue that could keep every
 * worker busy is cut into their number of batches rather than run as one: on a CPU, parallelism
 * beats batching.
 *
 * A batch cannot be interrupted. So long jobs have a line of their own, and while short ones wait
 * only one worker at a time takes from there: the others stay free for what comes. */
#include "server/schedule/schedule_internal.h"

#define LONG_TOKENS 128u

/* A queue is in the list exactly as long as tickets wait in it. */
static void update_list(qr_schedule *schedule, qr_queue *queue) {
    bool waiting = false;
    for (int line = 0; line < QR_LINES; line++)
        waiting = waiting || queue->lines[line].root != NULL;
    if (waiting && !qr_link_listed(&queue->link))
        qr_list_append(&schedule->queues, &queue->link);
    else if (!waiting)
        qr_list_remove(&queue->link);
    QR_ASSERT(waiting == (queue->tokens > 0));
}

void qr__ticket_add(qr_schedule *schedule, qr_ticket *ticket) {
    QR_ASSERT(ticket->next_job < ticket->jobs_len && !ticket->ended);
    ticket->line = QR_LINE_SHORT;
    for (size_t i = 0; i < ticket->jobs_len; i++)
        if (ticket->jobs[i].tokens > LONG_TOKENS)
            ticket->line = QR_LINE_LONG;
    qr_order_add(&ticket->queue->lines[ticket->line], &ticket->place);
    schedule->waiting_short += ticket->line == QR_LINE_SHORT;
    update_list(schedule, ticket->queue);
}

/* Out of its line and of the order of all: no job of it waits any more. */
static void leave(qr_schedule *schedule, qr_ticket *ticket) {
    qr_order_remove(&schedule->order, &ticket->turn);
    qr_order_remove(&ticket->queue->lines[ticket->line], &ticket->place);
    schedule->waiting_short -= ticket->line == QR_LINE_SHORT;
}

void qr__ticket_drop(qr_schedule *schedule, qr_ticket *ticket) {
    if (ticket->next_job == ticket->jobs_len)
        return;
    for (size_t i = ticket->next_job; i < ticket->jobs_len; i++)
        ticket->queue->tokens -= ticket->jobs[i].tokens;
    atomic_fetch_sub(&schedule->depth, ticket->jobs_len - ticket->next_job);
    ticket->next_job = ticket->jobs_len;
    leave(schedule, ticket);
    update_list(schedule, ticket->queue);
}

bool qr__schedule_waiting(const qr_schedule *schedule) {
    return qr_list_first(&schedule->tasks) != NULL || qr_list_first(&schedule->queues) != NULL;
}

static size_t token_budget(const qr_schedule *schedule, const qr_queue *queue) {
    size_t workers = (size_t)schedule->options.workers;
    size_t share = qr_max((queue->tokens + workers - 1) / workers, QR__SHARE_TOKENS);
    return qr_min(share, queue->batch_tokens);
}

static const qr_ticket *first_in(const qr_order *line) {
    const qr_turn *place = qr_order_first(line);
    return place == NULL ? NULL : QR_OWNER(place, qr_ticket, place);
}

/* The queue and line whose first ticket goes next. False: nothing waits. */
static bool choose_line(const qr_schedule *schedule, qr__worker *worker) {
    bool long_may = schedule->running_long == 0 || schedule->waiting_short == 0;
    const qr_ticket *first = NULL;
    for (qr_link *l = schedule->queues.next; l != &schedule->queues; l = l->next) {
        qr_queue *queue = QR_OWNER(l, qr_queue, link);
        for (int line = 0; line < (long_may ? QR_LINES : QR_LINE_LONG); line++) {
            const qr_ticket *ticket = first_in(&queue->lines[line]);
            if (ticket == NULL ||
                (first != NULL && qr_turn_comes_before(&first->turn, &ticket->turn)))
                continue;
            first = ticket;
            worker->queue = queue;
            worker->line = (qr_queue_line)line;
        }
    }
    return first != NULL;
}

/* What a batch may take. */
typedef struct batch_limits {
    size_t tokens;
    uint64_t left_ns; /* until the first member would be late */
} batch_limits;

/* Would the batch be small enough with the job, and every member be in time? One job is taken in
 * any case. */
static bool fits(const qr__worker *worker, const qr_job *job, const batch_limits *limits) {
    return worker->len == 0 ||
           (worker->len < QR_BATCH_JOBS && worker->tokens + job->tokens <= limits->tokens &&
            worker->cost_ns + job->cost_ns <= limits->left_ns);
}

static void take(qr__worker *worker, qr_ticket *ticket) {
    qr_job *job = &ticket->jobs[ticket->next_job++];
    worker->tickets[worker->len] = ticket;
    worker->jobs[worker->len++] = job;
    worker->tokens += job->tokens;
    worker->cost_ns += job->cost_ns;
    worker->share_ns += job->share_ns;
    ticket->queue->tokens -= job->tokens;
    ticket->running++;
}

/* Takes as many of the ticket's jobs as fit. False: not all. */
static bool take_jobs(qr__worker *worker, qr_ticket *ticket, uint64_t now_ns,
                      batch_limits *limits) {
    uint64_t before_ns = worker->share_ns, left_ns = ticket->deadline_ns - now_ns;
    size_t first = ticket->next_job;
    batch_limits mine = {limits->tokens, left_ns < limits->left_ns ? left_ns : limits->left_ns};
    while (ticket->next_job < ticket->jobs_len &&
           fits(worker, &ticket->jobs[ticket->next_job], &mine))
        take(worker, ticket);
    if (ticket->next_job == first)
        return false; /* and it does not limit the batch */
    *limits = mine;
    if (ticket->started_ns == 0)
        ticket->started_ns = now_ns;
    qr_order_change(&ticket->turn, ticket->turn.cost_ns - (worker->share_ns - before_ns));
    return ticket->next_job == ticket->jobs_len;
}

/* A ticket whose deadline has passed is not begun, nor gone on with; and one that would come late
 * makes room for others that need not. */
static bool is_late(const qr__worker *worker, const qr_ticket *ticket, uint64_t now_ns) {
    if (now_ns >= ticket->deadline_ns)
        return true;
    const qr_schedule *schedule = worker->schedule;
    bool others = schedule->order.root->child[0] != NULL || schedule->order.root->child[1] != NULL;
    uint64_t cost_ns = qr__batch_fixed_ns(ticket->queue) + ticket->jobs[ticket->next_job].cost_ns;
    return others && cost_ns > ticket->deadline_ns - now_ns;
}

static void drop_late(qr_schedule *schedule, qr_ticket *ticket, qr_link *ended) {
    ticket->status = QR_LATE;
    qr__ticket_drop(schedule, ticket);
    if (ticket->running == 0) {
        ticket->ended = true;
        qr_list_append(ended, &ticket->link);
    }
}

static void fill_from_line(qr__worker *worker, uint64_t now_ns, qr_link *ended) {
    qr_queue *queue = worker->queue;
    batch_limits limits = {token_budget(worker->schedule, queue), UINT64_MAX};
    bool more = true;
    worker->cost_ns = qr__batch_fixed_ns(queue);
    for (qr_turn *at = qr_order_first(&queue->lines[worker->line]), *next; at != NULL && more;
         at = next) {
        qr_ticket *ticket = QR_OWNER(at, qr_ticket, place);
        next = qr_order_next(at);
        if (is_late(worker, ticket, now_ns)) {
            drop_late(worker->schedule, ticket, ended);
            continue;
        }
        more = take_jobs(worker, ticket, now_ns, &limits);
        if (more)
            leave(worker->schedule, ticket);
    }
    update_list(worker->schedule, queue);
}

/* A batch keeps its worker, and whoever is free to help, until it is done: what is left of the
 * longest one is waited for however little of the machine's time all of them take together. */
static void note_end(qr_schedule *schedule, const qr__worker *worker, uint64_t now_ns) {
    int helpers = schedule->options.workers - schedule->busy;
    double ns = QR__MARGIN * (double)worker->cost_ns / (helpers + 1);
    uint64_t end_ns = now_ns + (uint64_t)ns;
    if (end_ns > schedule->held_until_ns)
        schedule->held_until_ns = end_ns;
}

bool qr__batch_fill(qr__worker *worker, uint64_t now_ns, qr_link *ended) {
    qr_schedule *schedule = worker->schedule;
    worker->len = worker->tokens = 0;
    worker->share_ns = 0;
    while (worker->len == 0 && choose_line(schedule, worker))
        fill_from_line(worker, now_ns, ended);
    if (worker->len == 0)
        return false;
    schedule->running_ns += worker->share_ns;
    schedule->running_long += worker->line == QR_LINE_LONG;
    schedule->busy++;
    worker->alone = schedule->busy == schedule->options.workers;
    note_end(schedule, worker, now_ns);
    return true;
}
