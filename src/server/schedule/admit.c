/* server/schedule/admit.c: what comes in, what is refused, and what is called off. */
#include "server/schedule/schedule_internal.h"

#define RETRY_MS_MOST 60000u

/* A ticket's place is that of its deadline, or behind it: by as many times its own cost, so that
 * what is short need not wait for what is long and can itself wait; when it yields by 10 s at
 * least. Places never change: whatever comes later than that goes behind, and nobody starves. */
#define WAIT_COSTS   16
#define WAIT_NS_MOST (QR_LIMIT_BUDGET_MS * QR_NS_PER_MS)
#define YIELD_NS     (10 * QR_NS_PER_S)

#define LONG_TOKENS  128u /* a longer job is long */

void qr_queue_init(qr_queue *queue, qr_queue_run *run, const qr_cost *cost, size_t batch_tokens,
                   size_t job_tokens) {
    *queue = (qr_queue){.run = run,
                        .cost = *cost,
                        .batch_tokens = batch_tokens,
                        .job_tokens = job_tokens,
                        .correction = 1};
}

/* Prices the ticket's jobs, chooses its line, and returns its tokens; 0: a job is empty or longer
 * than its queue takes. A job's share holds its part of what a batch costs by itself. */
static size_t price(const qr_schedule *schedule, qr_ticket *ticket) {
    const qr_queue *queue = ticket->queue;
    double machine = QR__MARGIN / (double)qr__schedule_width(schedule);
    size_t share_tokens = qr__queue_share(schedule, queue);
    double correction = qr_queue_correction(queue);
    size_t tokens = 0;
    ticket->turn.cost_ns = ticket->cost_ns = ticket->offered_ns = 0;
    ticket->line = QR_LINE_SHORT;
    for (size_t i = 0; i < ticket->jobs_len; i++) {
        qr_job *job = &ticket->jobs[i];
        if (job->tokens == 0 || job->tokens > queue->job_tokens)
            return 0;
        double cost = correction * qr_cost_job(&queue->cost, job->tokens);
        double fixed = correction * queue->cost.fixed_ns *
                       (double)qr_min(job->tokens, share_tokens) / (double)share_tokens;
        job->cost_ns = (uint64_t)cost;
        job->share_ns = (uint64_t)((cost + fixed) * machine);
        ticket->cost_ns += job->cost_ns;
        ticket->offered_ns += (uint64_t)(cost + fixed);
        ticket->turn.cost_ns += job->share_ns;
        tokens += job->tokens;
        if (job->tokens > LONG_TOKENS && schedule->options.streams == 0)
            ticket->line = QR_LINE_LONG;
    }
    return tokens;
}

/* The least that a ticket takes on an idle server: its longest job with everybody's help, or all
 * of its jobs spread over the workers. A correction counts where it makes this less: what batches
 * take while all workers are busy is no measure of an idle machine. */
static double least_ns(const qr_schedule *schedule, const qr_ticket *ticket) {
    const qr_cost *alone = &ticket->queue->cost, *team = ticket->queue->team_cost;
    double correction = qr_queue_correction(ticket->queue), longest = 0;
    for (size_t i = 0; i < ticket->jobs_len; i++) {
        size_t tokens = ticket->jobs[i].tokens;
        double one = alone->fixed_ns + qr_cost_job(alone, tokens);
        double all = team->fixed_ns + qr_cost_job(team, tokens);
        double job = all < one ? all : one;
        longest = job > longest ? job : longest;
    }
    double width = (double)qr__schedule_width(schedule);
    double spread = (double)ticket->cost_ns / correction / width;
    return (spread > longest ? spread : longest) * (correction < 1 ? correction : 1);
}

/* No server could keep such a budget, and it is no use to try again. Costs are an estimate, and who
 * is refused for a wrong one would never get an answer: so only half of the least is asked for, and
 * whatever lies between is tried. The whole budget counts, not what is left of it: that this server
 * was slow so far says nothing of the next try. */
static bool is_impossible(const qr_schedule *schedule, const qr_ticket *ticket) {
    if (ticket->queue->team_cost == NULL)
        return false;
    uint64_t since_ns = ticket->received_ns > 0 ? ticket->received_ns : ticket->submitted_ns;
    return (double)(ticket->deadline_ns - since_ns) < least_ns(schedule, ticket) / 2;
}

/* The ticket is in the order. Will it be in time, and all behind it that would have been? */
static bool can_be_served(const qr_schedule *schedule, const qr_ticket *ticket, uint64_t now_ns) {
    uint64_t free_ns = now_ns + schedule->running_ns;
    uint64_t cost_ns = ticket->turn.cost_ns;
    if (free_ns + qr_order_before(&ticket->turn) + cost_ns > ticket->deadline_ns)
        return false;
    uint64_t latest_ns = qr_order_latest_behind(&ticket->turn);
    return free_ns <= latest_ns || free_ns > latest_ns + cost_ns;
}

/* The request is not decoded yet; so it is taken for a short one, as most are. */
qr_status qr_schedule_outlook(qr_schedule *schedule, uint64_t deadline_ns) {
    uint64_t now = qr_clock_read(schedule->options.clock);
    if (now >= deadline_ns)
        return QR_LATE;
    pthread_mutex_lock(&schedule->lock);
    uint64_t key = qr_saturating_add(deadline_ns, schedule->short_wait_ns);
    uint64_t busy_ns = schedule->running_ns + qr_order_before_key(&schedule->order, key);
    pthread_mutex_unlock(&schedule->lock);
    return busy_ns > deadline_ns - now ? QR_OVERLOADED : QR_OK;
}

/* How far behind its deadline the ticket's place is. */
static uint64_t wait_of(const qr_ticket *ticket) {
    double costs = WAIT_COSTS * (double)ticket->cost_ns;
    uint64_t wait_ns = costs < (double)WAIT_NS_MOST ? (uint64_t)costs : WAIT_NS_MOST;
    return ticket->yields && wait_ns < YIELD_NS ? YIELD_NS : wait_ns;
}

static void put_in_order(qr_schedule *schedule, qr_ticket *ticket) {
    ticket->turn.key = qr_saturating_add(ticket->deadline_ns, wait_of(ticket));
    ticket->turn.deadline_ns = ticket->deadline_ns;
    ticket->turn.marks = qr__line_mark(ticket->queue, ticket->line);
    qr_order_add(&schedule->order, &ticket->turn);
}

/* What a short ticket's place is behind its deadline, for qr_schedule_outlook. */
static void note_wait(qr_schedule *schedule, uint64_t wait_ns) {
    uint64_t *wait = &schedule->short_wait_ns;
    if (*wait == 0 || wait_ns < *wait)
        *wait = wait_ns; /* down at once, up slowly */
    else
        *wait += (wait_ns - *wait) / 64;
}

static qr_status admit(qr_schedule *schedule, qr_ticket *ticket) {
    size_t depth = atomic_load(&schedule->depth), more;
    if (ticket->jobs_len == 0)
        return QR_INTERNAL;
    size_t tokens = price(schedule, ticket); /* also of what is refused: it was offered */
    if (tokens == 0)
        return QR_TOO_LONG;
    if (schedule->stopping)
        return QR_DRAINING;
    if (ticket->submitted_ns >= ticket->deadline_ns)
        return QR_LATE;
    if (is_impossible(schedule, ticket))
        return QR_IMPOSSIBLE;
    if (!qr_checked_add(depth, ticket->jobs_len, &more) || more > schedule->options.queue_items)
        return QR_OVERLOADED;
    if (ticket->queue->tokens == 0)
        ticket->queue->slot = schedule->slots++; /* no ticket of it waits */
    put_in_order(schedule, ticket);
    note_wait(schedule, wait_of(ticket));
    if (ticket->line == QR_LINE_SHORT)
        schedule->short_ns = ticket->submitted_ns;
    /* An idle server tries whatever is not impossible: its prices may be wrong, or the budget just
     * enough. */
    if (depth > 0 && !can_be_served(schedule, ticket, ticket->submitted_ns)) {
        qr_order_remove(&schedule->order, &ticket->turn);
        return QR_OVERLOADED;
    }
    ticket->queue->tokens += tokens;
    atomic_fetch_add(&schedule->depth, ticket->jobs_len);
    schedule->waiting_short += ticket->line == QR_LINE_SHORT;
    return QR_OK;
}

/* The hand-over to the workers: from the unlock on, any of them may have the ticket, and may have
 * finished it before the wake-up; so nothing of the ticket is read after it. */
qr_status qr_schedule_submit(qr_schedule *schedule, qr_ticket *ticket) {
    ticket->status = QR_OK;
    ticket->last_deadline_ns = ticket->deadline_ns;
    ticket->submitted_ns = qr_clock_read(schedule->options.clock);
    ticket->started_ns = ticket->done_ns = 0;
    ticket->batch_jobs = ticket->batch_tokens = 0;
    ticket->next_job = ticket->running = 0;
    ticket->ended = false;
    ticket->turn = (qr_turn){0};
    ticket->link = (qr_link){0};
    QR_CHAOS_DELAY();
    pthread_mutex_lock(&schedule->lock);
    qr_status status = admit(schedule, ticket);
    bool wake = status == QR_OK && qr__schedule_waiting(schedule, ticket->submitted_ns);
    pthread_mutex_unlock(&schedule->lock);
    if (wake)
        qr__schedule_wake(schedule);
    return status;
}

/* From one place to the one of this deadline. */
static void move(qr_schedule *schedule, qr_ticket *ticket, uint64_t deadline_ns, bool yields) {
    qr_order_remove(&schedule->order, &ticket->turn);
    ticket->deadline_ns = deadline_ns;
    ticket->yields = yields;
    put_in_order(schedule, ticket);
}

/* A ticket that waits moves up for the newcomer, unless that makes it, or others, late. */
static bool move_up(qr_schedule *schedule, qr_ticket *ticket, uint64_t deadline_ns, bool yields) {
    uint64_t before_ns = ticket->deadline_ns;
    bool yielded = ticket->yields;
    move(schedule, ticket, deadline_ns, yields);
    if (can_be_served(schedule, ticket, qr_clock_read(schedule->options.clock)))
        return true;
    move(schedule, ticket, before_ns, yielded);
    return false;
}

/* A ticket that has ended is not yet with its owner, who asks here: what it ended with counts. */
bool qr_schedule_join(qr_schedule *schedule, qr_ticket *ticket, uint64_t deadline_ns, bool yields) {
    QR_CHAOS_DELAY();
    pthread_mutex_lock(&schedule->lock);
    bool waits = ticket->next_job < ticket->jobs_len, joined = ticket->status == QR_OK;
    uint64_t nearest_ns = qr_min(ticket->deadline_ns, deadline_ns);
    bool still_yields = ticket->yields && yields;
    if (joined && waits && (nearest_ns < ticket->deadline_ns || still_yields != ticket->yields))
        joined = move_up(schedule, ticket, nearest_ns, still_yields);
    if (joined)
        ticket->last_deadline_ns = qr_max(ticket->last_deadline_ns, deadline_ns);
    pthread_mutex_unlock(&schedule->lock);
    return joined;
}

/* Who ends a ticket is decided under the lock, by `ended`: this call, or the worker that lets go of
 * its last job; so exactly one of the two does. */
bool qr_schedule_cancel(qr_schedule *schedule, qr_ticket *ticket, qr_status status) {
    QR_CHAOS_DELAY();
    pthread_mutex_lock(&schedule->lock);
    bool here = false;
    if (!ticket->ended) {
        qr__ticket_drop(schedule, ticket);
        if (ticket->status == QR_OK)
            ticket->status = status;
        here = ticket->running == 0;
        ticket->ended = here;
    }
    pthread_mutex_unlock(&schedule->lock);
    return here;
}

/* The hand-over to a worker, as of a ticket: nothing of the task is read behind the unlock. */
void qr_schedule_call(qr_schedule *schedule, qr_task *task) {
    task->link = (qr_link){0};
    QR_CHAOS_DELAY();
    pthread_mutex_lock(&schedule->lock);
    bool stopped = schedule->stopped;
    if (!stopped)
        qr_list_append(task->is_long ? &schedule->long_tasks : &schedule->tasks, &task->link);
    pthread_mutex_unlock(&schedule->lock);
    if (stopped)
        task->run(task);
    else
        qr__schedule_wake(schedule);
}

size_t qr_schedule_depth(const qr_schedule *schedule) {
    return atomic_load(&schedule->depth);
}

/* With the margin by which tickets are admitted: who comes back then finds done what was admitted,
 * or its promises were broken. Rounded up. */
uint32_t qr_schedule_retry_ms(qr_schedule *schedule) {
    uint64_t now_ns = qr_clock_read(schedule->options.clock);
    pthread_mutex_lock(&schedule->lock);
    uint64_t ns = schedule->running_ns + qr_order_sum(&schedule->order);
    if (schedule->busy > 0 && schedule->held_until_ns > now_ns + ns)
        ns = schedule->held_until_ns - now_ns;
    pthread_mutex_unlock(&schedule->lock);
    uint64_t ms = ns / QR_NS_PER_MS + (ns % QR_NS_PER_MS != 0);
    return ms < 1 ? 1 : ms > RETRY_MS_MOST ? RETRY_MS_MOST : (uint32_t)ms;
}
