/* server/schedule/admit.c: what comes in, what is refused, and what is called off. */
#include "server/schedule/schedule_internal.h"

#define RETRY_MS_MOST 60000u

void qr_queue_init(qr_queue *queue, qr_queue_run *run, size_t batch_tokens, size_t job_tokens) {
    *queue = (qr_queue){.run = run, .batch_tokens = batch_tokens, .job_tokens = job_tokens};
    qr_list_init(&queue->tickets);
}

/* How long the workers are busy with `more` tokens and all that was admitted before them. */
static uint64_t busy_ns(const qr_schedule *schedule, size_t more) {
    uint64_t tokens = atomic_load(&schedule->tokens) + more;
    return tokens * atomic_load(&schedule->token_ns) / (uint64_t)schedule->options.workers;
}

/* With half as much again for what the measure misses (batch mates behind, encoding, other
 * programs): an answer that comes late was work for nothing, and a queue of such answers serves
 * nobody. */
static bool too_busy_for(const qr_schedule *schedule, size_t more, uint64_t left_ns) {
    uint64_t busy = busy_ns(schedule, more);
    return busy + busy / 2 > left_ns;
}

qr_status qr_schedule_outlook(const qr_schedule *schedule, uint64_t deadline_ns) {
    uint64_t now = qr_clock_read(schedule->options.clock);
    if (now >= deadline_ns)
        return QR_LATE;
    return too_busy_for(schedule, 0, deadline_ns - now) ? QR_OVERLOADED : QR_OK;
}

/* The tokens of all jobs; 0: one of them is empty or longer than its queue takes. */
static size_t count_tokens(const qr_ticket *ticket) {
    size_t tokens = 0;
    for (size_t i = 0; i < ticket->jobs_len; i++) {
        if (ticket->jobs[i].tokens == 0 || ticket->jobs[i].tokens > ticket->queue->job_tokens)
            return 0;
        tokens += ticket->jobs[i].tokens;
    }
    return tokens;
}

static qr_status admit(qr_schedule *schedule, qr_ticket *ticket) {
    if (ticket->jobs_len == 0)
        return QR_INTERNAL;
    if (schedule->stopping)
        return QR_DRAINING;
    if (ticket->submitted_ns >= ticket->deadline_ns)
        return QR_LATE;
    size_t depth;
    if (!qr_checked_add(atomic_load(&schedule->depth), ticket->jobs_len, &depth) ||
        depth > schedule->options.queue_items)
        return QR_OVERLOADED;
    size_t tokens = count_tokens(ticket);
    if (tokens == 0)
        return QR_TOO_LONG;
    /* An idle server tries whatever it is asked: its measure may be wrong, or the budget just
     * enough. */
    if (atomic_load(&schedule->tokens) > 0 &&
        too_busy_for(schedule, tokens, ticket->deadline_ns - ticket->submitted_ns))
        return QR_OVERLOADED;
    ticket->queue->tokens += tokens;
    atomic_fetch_add(&schedule->tokens, tokens);
    atomic_fetch_add(&schedule->depth, ticket->jobs_len);
    qr__queue_append(schedule, ticket);
    return QR_OK;
}

/* The hand-over to the workers: from the unlock on, any of them may have the ticket, and may have
 * finished it before the wake-up; so nothing of the ticket is read after it. */
qr_status qr_schedule_submit(qr_schedule *schedule, qr_ticket *ticket) {
    ticket->status = QR_OK;
    ticket->submitted_ns = qr_clock_read(schedule->options.clock);
    ticket->started_ns = ticket->done_ns = 0;
    ticket->next_job = ticket->running = 0;
    ticket->ended = false;
    ticket->link = (qr_link){0};
    QR_CHAOS_DELAY();
    pthread_mutex_lock(&schedule->lock);
    qr_status status = admit(schedule, ticket);
    pthread_mutex_unlock(&schedule->lock);
    if (status == QR_OK)
        qr__schedule_wake(schedule);
    return status;
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
        qr_list_append(&schedule->tasks, &task->link);
    pthread_mutex_unlock(&schedule->lock);
    if (stopped)
        task->run(task);
    else
        qr__schedule_wake(schedule);
}

size_t qr_schedule_depth(const qr_schedule *schedule) {
    return atomic_load(&schedule->depth);
}

uint32_t qr_schedule_retry_ms(const qr_schedule *schedule) {
    uint64_t ms = busy_ns(schedule, 0) / QR_NS_PER_MS;
    return (uint32_t)(ms < 1 ? 1 : ms > RETRY_MS_MOST ? RETRY_MS_MOST : ms);
}
