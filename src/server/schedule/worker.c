/* server/schedule/worker.c: a worker's life: tasks and batches until the schedule stops.
 *
 * Results are written into the jobs' own memory with no lock held: until its last batch has let go,
 * a ticket and what it points to stay in place (`running` counts). */
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "server/schedule/tasks.h"

#define NICENESS 2 /* below the loop, which needs little and needs it now */

/* Of a queue's correction. */
#define STEP  0.01
#define LEAST 0.25
#define MOST  16.0

static qr_status run_jobs(qr__worker *worker, size_t first, size_t len) {
    qr_queue *queue = worker->queue;
    qr_job **jobs = worker->jobs + first;
    qr_status status = queue->run(queue, worker->index, (const qr_job *const *)jobs, len);
    for (size_t i = 0; i < len; i++) {
        jobs[i]->result = status == QR_OK ? jobs[i]->room : NULL;
        jobs[i]->failed = status;
    }
    return status;
}

/* A batch that is refused is run again job by job, so that only the guilty job's ticket fails. */
static void run_batch(qr__worker *worker) {
    if (run_jobs(worker, 0, worker->len) == QR_OK || worker->len == 1)
        return;
    for (size_t i = 0; i < worker->len; i++)
        (void)run_jobs(worker, i, 1); /* a job without a result tells let_go() */
}

/* With the lock held: the batch's tickets are one batch nearer to their end. Appends those that
 * reached it to *ended; from then on they are this worker's alone. */
static void let_go(qr__worker *worker, uint64_t now_ns, qr_link *ended) {
    qr_schedule *schedule = worker->schedule;
    for (size_t i = 0; i < worker->len; i++) {
        qr_ticket *ticket = worker->tickets[i];
        QR_ASSERT(ticket->running > 0 && !ticket->ended);
        ticket->running--;
        ticket->done_ns = now_ns;
        ticket->batch_jobs = worker->len;
        ticket->batch_tokens = worker->tokens;
        if (worker->jobs[i]->result == NULL && ticket->status == QR_OK) {
            ticket->status = worker->jobs[i]->failed == QR_DEVICE ? QR_DEVICE : QR_INTERNAL;
            qr__ticket_drop(schedule, ticket);
        }
        if (ticket->running == 0 && ticket->next_job == ticket->jobs_len) {
            ticket->ended = true;
            qr_list_append(ended, &ticket->link);
        }
    }
    atomic_fetch_sub(&schedule->depth, worker->len);
    schedule->running_ns -= worker->share_ns;
    schedule->running_long -= worker->line == QR_LINE_LONG;
    schedule->busy--;
}

/* With the lock held: the queue's correction follows the upper quartile of what batches take,
 * divided by what they should (a stochastic approximation, Robbins and Monro 1951): a batch that
 * takes longer moves it three steps up, one that does not a step down, whatever the difference. So
 * a neighbour on the machine who makes single batches slow moves it little. Only batches that
 * nobody was free to help with say anything. */
static void correct(const qr__worker *worker, uint64_t took_ns) {
    qr_queue *queue = worker->queue;
    if (!worker->alone || worker->cost_ns == 0)
        return;
    double next =
        qr_queue_correction(queue) * (took_ns > worker->cost_ns ? 1 + 3 * STEP : 1 - STEP);
    next = next < LEAST ? LEAST : next > MOST ? MOST : next;
    atomic_store_explicit(&queue->correction, next, memory_order_relaxed);
}

/* finished() may end the ticket's life, and its queue's. */
static void finish_all(qr_link *ended) {
    for (qr_link *link; (link = qr_list_first(ended)) != NULL;) {
        qr_ticket *ticket = QR_OWNER(link, qr_ticket, link);
        qr_list_remove(link);
        QR_ASSERT(ticket->ended && ticket->running == 0);
        QR_CHAOS_DELAY();
        ticket->finished(ticket);
    }
}

/* Unlocks. Whoever takes work and sees more wakes the next worker, so that one wake-up a submit is
 * enough for work to spread as far as it goes. */
static void unlock_and_share(qr_schedule *schedule, uint64_t now_ns) {
    bool more = qr__schedule_waiting(schedule, now_ns);
    pthread_mutex_unlock(&schedule->lock);
    if (more)
        qr__schedule_wake(schedule);
}

/* A ticket is begun by the batch with its first job. */
static void tell_begun(const qr__worker *worker) {
    const qr_schedule_observer *observer = &worker->schedule->options.observer;
    for (size_t i = 0; observer->ticket_begun != NULL && i < worker->len; i++)
        if (worker->jobs[i] == worker->tickets[i]->jobs)
            observer->ticket_begun(observer->state, worker->tickets[i]->slack_ns);
}

static void tell_ended(const qr__worker *worker, uint64_t took_ns) {
    const qr_schedule_observer *observer = &worker->schedule->options.observer;
    const qr_batch_report batch = {worker->cost_ns, took_ns, worker->alone};
    if (observer->batch_ended != NULL)
        observer->batch_ended(observer->state, &batch);
}

static void tell_worked(const qr_schedule *schedule, uint64_t begun_ns) {
    const qr_schedule_observer *observer = &schedule->options.observer;
    if (observer->worked != NULL)
        observer->worked(observer->state, qr_clock_read(schedule->options.clock) - begun_ns);
}

static qr__round idle_round(qr__worker *worker, bool stopping) {
    const qr_schedule_options *options = &worker->schedule->options;
    if (stopping)
        return QR__ROUND_OVER;
    if (options->idle != NULL && atomic_load(&worker->schedule->depth) == 0 &&
        options->idle(options->idle_state, worker->index))
        return QR__ROUND_WORKED;
    return QR__ROUND_NOTHING;
}

/* The taking of work: what is taken is this worker's alone from the unlock on. */
qr__round qr__worker_begin(qr__worker *worker) {
    qr_schedule *schedule = worker->schedule;
    qr_link late;
    qr_list_init(&late);
    QR_CHAOS_DELAY();
    pthread_mutex_lock(&schedule->lock);
    worker->begun_ns = qr_clock_read(schedule->options.clock);
    qr_task *task = qr__task_yields(schedule) ? NULL : qr__task_take(schedule);
    bool batch = task == NULL && qr__batch_fill(worker, worker->begun_ns, &late);
    if (batch)
        schedule->tasks_ns = 0;
    else if (task == NULL)
        task = qr__task_take(schedule);
    bool stopping = schedule->stopping;
    unlock_and_share(schedule, worker->begun_ns);
    bool idle = !batch && task == NULL && qr_list_first(&late) == NULL;
    finish_all(&late);
    if (task != NULL) {
        qr__task_run(schedule, task, worker->begun_ns);
        tell_worked(schedule, worker->begun_ns);
    }
    if (batch)
        tell_begun(worker);
    return batch ? QR__ROUND_BATCH : idle ? idle_round(worker, stopping) : QR__ROUND_WORKED;
}

void qr__worker_end(qr__worker *worker) {
    qr_schedule *schedule = worker->schedule;
    qr_link ended;
    qr_list_init(&ended);
    uint64_t end_ns = qr_clock_read(schedule->options.clock), took_ns = end_ns - worker->begun_ns;
    tell_ended(worker, took_ns);
    QR_CHAOS_DELAY();
    pthread_mutex_lock(&schedule->lock);
    correct(worker, took_ns);
    let_go(worker, end_ns, &ended);
    /* The device is not to wait until this worker has written its answers. */
    bool more = schedule->options.streams > 0 && qr__schedule_waiting(schedule, end_ns);
    pthread_mutex_unlock(&schedule->lock);
    if (more)
        qr__schedule_wake(schedule);
    finish_all(&ended);
    tell_worked(schedule, worker->begun_ns);
}

qr__round qr__worker_round(qr__worker *worker) {
    qr__round round = qr__worker_begin(worker);
    if (round != QR__ROUND_BATCH)
        return round;
    run_batch(worker);
    qr__worker_end(worker);
    return QR__ROUND_WORKED;
}

void *qr__worker_main(void *state) {
    qr__worker *worker = state;
    const qr_waiting_room *room = &worker->schedule->options.room;
    (void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICENESS); /* best effort */
    for (;;) {
        qr__round round = qr__worker_round(worker);
        if (round == QR__ROUND_OVER)
            break;
        if (round == QR__ROUND_NOTHING)
            room->park(room->state, worker->index);
    }
    qr__schedule_wake(worker->schedule); /* the next one learns of the end */
    return NULL;
}
