/* server/schedule/fill.c: which jobs the next batch takes.
 *
 * The ticket whose turn is first decides the queue and the line; the batch goes on with those
 * behind it, and ends before a job that would make a member late. A queue that could keep every
 * worker busy is cut into their number of batches rather than run as one: on a CPU, parallelism
 * beats batching.
 *
 * A device with processors of its own (`streams`) is the other way round: a batch costs there as
 * much as a single text, up to some hundred tokens. So its queues are not cut, no more batches than
 * keep it busy are begun (meanwhile the next one fills), and there is one line.
 *
 * A batch cannot be interrupted. So long jobs have a line of their own. While short ones wait only
 * one worker at a time takes from there, and while short ones come at all one worker never does: it
 * helps with the long ones instead, and leaves them when a short one comes (base/pool.h). */
#include "server/schedule/tasks.h"

#define SHORT_MEMORY_NS QR_NS_PER_S /* who came in the last second will come again */

/* No job of the ticket waits any more. */
static void leave(qr_schedule *schedule, qr_ticket *ticket) {
    qr_order_remove(&schedule->order, &ticket->turn);
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
}

static size_t token_budget(const qr_schedule *schedule, const qr_queue *queue) {
    if (schedule->options.streams > 0)
        return queue->batch_tokens;
    size_t workers = (size_t)schedule->options.workers;
    size_t share = qr_max((queue->tokens + workers - 1) / workers, QR__SHARE_TOKENS);
    return qr_min(share, queue->batch_tokens);
}

static qr_ticket *ticket_of(qr_turn *turn) {
    return turn == NULL ? NULL : QR_OWNER(turn, qr_ticket, turn);
}

/* Whether a worker more may take long jobs. */
static bool long_may_go(const qr_schedule *schedule, uint64_t now_ns) {
    bool short_come = schedule->short_ns > 0 && now_ns - schedule->short_ns < SHORT_MEMORY_NS;
    return schedule->running_long == 0 ||
           (schedule->waiting_short == 0 &&
            (!short_come || schedule->running_long + 1 < schedule->options.workers));
}

/* Whether the device has all the batches that it may have. */
static bool is_full(const qr_schedule *schedule) {
    size_t streams = schedule->options.streams;
    return streams > 0 && (size_t)schedule->busy >= streams;
}

/* The ticket that goes next; NULL: nothing waits that may go. */
static const qr_ticket *next_ticket(const qr_schedule *schedule, uint64_t now_ns) {
    uint64_t marks = long_may_go(schedule, now_ns) ? QR_ORDER_ANY : QR__SHORT_MARKS;
    return is_full(schedule) ? NULL : ticket_of(qr_order_first(&schedule->order, marks));
}

bool qr__schedule_waiting(const qr_schedule *schedule, uint64_t now_ns) {
    return qr__task_waiting(schedule) || next_ticket(schedule, now_ns) != NULL;
}

/* Its queue and line are the batch's. False: nothing waits that may go. */
static bool choose_line(qr__worker *worker, uint64_t now_ns) {
    const qr_ticket *first = next_ticket(worker->schedule, now_ns);
    if (first == NULL)
        return false;
    worker->queue = first->queue;
    worker->line = first->line;
    return true;
}

/* The first ticket of the worker's line, or the one behind `turn` there. */
static qr_ticket *next_in_line(const qr__worker *worker, const qr_turn *turn) {
    uint64_t mark = qr__line_mark(worker->queue, worker->line);
    qr_turn *next =
        turn == NULL ? qr_order_first(&worker->schedule->order, mark) : qr_order_next(turn, mark);
    while (next != NULL && ticket_of(next)->queue != worker->queue)
        next = qr_order_next(next, mark); /* of a queue that shares the mark */
    return ticket_of(next);
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
    uint64_t before_ns = worker->share_ns, left_ns = qr_ticket_patience(ticket, now_ns);
    size_t first = ticket->next_job;
    batch_limits mine = {limits->tokens, left_ns < limits->left_ns ? left_ns : limits->left_ns};
    while (ticket->next_job < ticket->jobs_len &&
           fits(worker, &ticket->jobs[ticket->next_job], &mine))
        take(worker, ticket);
    if (ticket->next_job == first)
        return false; /* and it does not limit the batch */
    *limits = mine;
    if (ticket->started_ns == 0) {
        ticket->started_ns = now_ns;
        ticket->slack_ns = left_ns;
    }
    if (ticket->next_job == ticket->jobs_len)
        return true;
    qr_order_change(&ticket->turn, ticket->turn.cost_ns - (worker->share_ns - before_ns));
    return false;
}

/* A ticket that nobody waits for any more is not begun, nor gone on with; and one that would come
 * late for all makes room for others that need not. */
static bool is_late(const qr__worker *worker, const qr_ticket *ticket, uint64_t now_ns) {
    if (now_ns >= ticket->last_deadline_ns)
        return true;
    const qr_schedule *schedule = worker->schedule;
    bool others = schedule->order.len > 1;
    uint64_t cost_ns = qr__batch_fixed_ns(ticket->queue) + ticket->jobs[ticket->next_job].cost_ns;
    return others && cost_ns > ticket->last_deadline_ns - now_ns;
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
    for (qr_ticket *ticket = next_in_line(worker, NULL), *next; ticket != NULL && more;
         ticket = next) {
        next = next_in_line(worker, &ticket->turn);
        if (is_late(worker, ticket, now_ns)) {
            drop_late(worker->schedule, ticket, ended);
            continue;
        }
        more = take_jobs(worker, ticket, now_ns, &limits);
        if (more)
            leave(worker->schedule, ticket);
    }
}

/* A batch keeps its worker, and whoever is free to help, until it is done: what is left of the
 * longest one is waited for however little of the machine's time all of them take together. */
static void note_end(qr_schedule *schedule, const qr__worker *worker, uint64_t now_ns) {
    int helpers = schedule->options.streams > 0 ? 0 : schedule->options.workers - schedule->busy;
    double ns = QR__MARGIN * (double)worker->cost_ns / (helpers + 1);
    uint64_t end_ns = now_ns + (uint64_t)ns;
    if (end_ns > schedule->held_until_ns)
        schedule->held_until_ns = end_ns;
}

/* A batch of a device takes its whole time however few jobs are in it. */
static void count_whole(qr__worker *worker) {
    double ns = QR__MARGIN * (double)worker->cost_ns / (double)qr__schedule_width(worker->schedule);
    if (worker->schedule->options.streams > 0)
        worker->share_ns = qr_max(worker->share_ns, (uint64_t)ns);
}

bool qr__batch_fill(qr__worker *worker, uint64_t now_ns, qr_link *ended) {
    qr_schedule *schedule = worker->schedule;
    worker->len = worker->tokens = 0;
    worker->share_ns = 0;
    while (worker->len == 0 && choose_line(worker, now_ns))
        fill_from_line(worker, now_ns, ended);
    if (worker->len == 0)
        return false;
    count_whole(worker);
    schedule->running_ns += worker->share_ns;
    schedule->running_long += worker->line == QR_LINE_LONG;
    schedule->busy++;
    worker->alone = (size_t)schedule->busy == qr__schedule_width(schedule);
    note_end(schedule, worker, now_ns);
    return true;
}
