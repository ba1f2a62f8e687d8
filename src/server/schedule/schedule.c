/* server/schedule/schedule.c: submit, cancel, tasks; start and stop. */
#include "server/schedule/schedule.h"

#include <signal.h>
#include <stdlib.h>

#include "server/schedule/schedule_internal.h"

#define WORKER_STACK_BYTES (2u << 20) /* stated, so that no libc's default decides */
#define RETRY_MS_MOST      60000u

static bool worker_init(qr_schedule *schedule, int member) {
    qr_worker *worker = &schedule->workers[member];
    worker->schedule = schedule;
    worker->member = member;
    worker->contexts = calloc(qr_max(schedule->options.models_len, 1), sizeof(qr_context *));
    worker->slots = calloc(QR_BATCH_SEQUENCES, sizeof *worker->slots);
    worker->ids = calloc(schedule->tokens_max, sizeof *worker->ids);
    worker->types = calloc(schedule->tokens_max, sizeof *worker->types);
    worker->starts = calloc(QR_BATCH_SEQUENCES + 1, sizeof *worker->starts);
    return worker->contexts != NULL && worker->slots != NULL && worker->ids != NULL &&
           worker->types != NULL && worker->starts != NULL;
}

/* Signals are for the loop's thread. */
static int spawn(qr_worker *worker) {
    sigset_t all, before;
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, WORKER_STACK_BYTES);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&worker->thread, &attr, qr__worker_main, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return failed;
}

static qr_status start_workers(qr_schedule *schedule, qr_error *error) {
    int threads = schedule->options.threads;
    for (int i = 0; i < threads; i++) {
        if (!worker_init(schedule, i))
            return qr_error_set(error, QR_NO_MEMORY, "out of memory while starting %d workers",
                                threads);
        int failed = spawn(&schedule->workers[i]);
        if (failed != 0)
            return qr_error_set(error, QR_IO, "cannot start worker %d of %d: %s (try --threads)",
                                i + 1, threads, strerror(failed));
        schedule->started++;
    }
    pthread_mutex_lock(&schedule->lock);
    while (schedule->warm < schedule->started)
        pthread_cond_wait(&schedule->warmed, &schedule->lock);
    pthread_mutex_unlock(&schedule->lock);
    for (int i = 0; i < threads; i++) {
        const qr_error *fault = &schedule->workers[i].error;
        if (fault->status != QR_OK)
            return qr_error_set(error, fault->status, "%s", fault->message);
    }
    return QR_OK;
}

qr_status qr_schedule_start(const qr_schedule_options *options, qr_schedule **out,
                            qr_error *error) {
    *out = NULL;
    qr_schedule *schedule = calloc(1, sizeof *schedule);
    if (schedule == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "out of memory while starting the schedule");
    schedule->options = *options;
    pthread_mutex_init(&schedule->lock, NULL);
    pthread_cond_init(&schedule->warmed, NULL);
    schedule->tokens_max = options->batch_tokens;
    for (size_t i = 0; i < options->models_len; i++)
        schedule->tokens_max =
            qr_max(schedule->tokens_max, qr_pipeline_max_tokens(options->models[i]));
    schedule->queues = calloc(qr_max(options->models_len, 1), sizeof *schedule->queues);
    schedule->workers = calloc((size_t)options->threads, sizeof *schedule->workers);
    qr_status status = qr_pool_create(options->threads, &schedule->pool);
    if (status != QR_OK || schedule->queues == NULL || schedule->workers == NULL)
        status = qr_error_set(error, QR_NO_MEMORY, "out of memory while starting the schedule");
    else
        status = start_workers(schedule, error);
    if (status != QR_OK) {
        qr_schedule_stop(schedule);
        return status;
    }
    *out = schedule;
    return QR_OK;
}

/* How long the workers are busy with `more` tokens and all that was admitted before them. */
static uint64_t busy_ns(const qr_schedule *schedule, size_t more) {
    uint64_t tokens = atomic_load(&schedule->tokens) + more;
    return tokens * atomic_load(&schedule->token_ns) / (uint64_t)schedule->options.threads;
}

/* With room for what the measure misses (batch mates behind, encoding, other programs): an answer
 * that comes late was work for nothing, and a queue of such answers serves nobody. */
static bool too_busy_for(const qr_schedule *schedule, size_t more, uint64_t left_ns) {
    uint64_t busy = busy_ns(schedule, more);
    return busy + busy / 2 > left_ns;
}

qr_status qr_schedule_outlook(const qr_schedule *schedule, uint64_t deadline_ns) {
    uint64_t now = qr_clock_ns();
    if (now >= deadline_ns)
        return QR_LATE;
    return too_busy_for(schedule, 0, deadline_ns - now) ? QR_OVERLOADED : QR_OK;
}

static qr_status admit(qr_schedule *schedule, qr_ticket *ticket, uint64_t now_ns) {
    qr_queue *queue = qr__queue_of(schedule, ticket->model);
    if (queue == NULL || ticket->jobs_len == 0)
        return QR_INTERNAL;
    if (schedule->stopping)
        return QR_DRAINING;
    if (now_ns >= ticket->deadline_ns)
        return QR_LATE;
    size_t depth;
    if (!qr_checked_add(atomic_load(&schedule->depth), ticket->jobs_len, &depth) ||
        depth > schedule->options.queue_items)
        return QR_OVERLOADED;
    size_t tokens = 0;
    for (size_t i = 0; i < ticket->jobs_len; i++) {
        if (ticket->jobs[i].tokens == 0 || ticket->jobs[i].tokens > schedule->tokens_max)
            return QR_TOO_LONG;
        tokens += ticket->jobs[i].tokens;
    }
    /* An idle server tries whatever it is asked; its measure may be wrong, or the budget just
     * enough. */
    if (atomic_load(&schedule->tokens) > 0 &&
        too_busy_for(schedule, tokens, ticket->deadline_ns - now_ns))
        return QR_OVERLOADED;
    queue->tokens += tokens;
    atomic_fetch_add(&schedule->tokens, tokens);
    atomic_fetch_add(&schedule->depth, ticket->jobs_len);
    qr__queue_push(queue, ticket);
    return QR_OK;
}

qr_status qr_schedule_submit(qr_schedule *schedule, qr_ticket *ticket) {
    uint64_t now = qr_clock_ns();
    ticket->status = QR_OK;
    ticket->submitted_ns = now;
    ticket->started_ns = ticket->done_ns = 0;
    ticket->next_job = ticket->running = 0;
    ticket->queued = ticket->ended = false;
    pthread_mutex_lock(&schedule->lock);
    qr_status status = admit(schedule, ticket, now);
    pthread_mutex_unlock(&schedule->lock);
    if (status == QR_OK)
        qr_pool_wake(schedule->pool);
    return status;
}

bool qr_schedule_cancel(qr_schedule *schedule, qr_ticket *ticket, qr_status status) {
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

void qr_schedule_call(qr_schedule *schedule, qr_task *task) {
    task->next = NULL;
    pthread_mutex_lock(&schedule->lock);
    if (schedule->tasks_tail != NULL)
        schedule->tasks_tail->next = task;
    else
        schedule->tasks_head = task;
    schedule->tasks_tail = task;
    pthread_mutex_unlock(&schedule->lock);
    qr_pool_wake(schedule->pool);
}

void qr_schedule_expect(qr_schedule *schedule) {
    if (atomic_load(&schedule->depth) == 0) /* else somebody is awake */
        qr_pool_wake(schedule->pool);
}

size_t qr_schedule_depth(const qr_schedule *schedule) {
    return atomic_load(&schedule->depth);
}

uint32_t qr_schedule_retry_ms(const qr_schedule *schedule) {
    uint64_t ms = busy_ns(schedule, 0) / QR_NS_PER_MS;
    return (uint32_t)(ms < 1 ? 1 : ms > RETRY_MS_MOST ? RETRY_MS_MOST : ms);
}

void qr_schedule_stop(qr_schedule *schedule) {
    if (schedule == NULL)
        return;
    pthread_mutex_lock(&schedule->lock);
    schedule->stopping = true;
    pthread_mutex_unlock(&schedule->lock);
    if (schedule->pool != NULL)
        qr_pool_wake(schedule->pool);
    for (int i = 0; i < schedule->started; i++)
        pthread_join(schedule->workers[i].thread, NULL);
    for (int i = 0; schedule->workers != NULL && i < schedule->options.threads; i++) {
        if (schedule->workers[i].schedule != NULL)
            qr__worker_deinit(&schedule->workers[i]);
    }
    qr_pool_destroy(schedule->pool);
    free(schedule->workers);
    free(schedule->queues);
    pthread_cond_destroy(&schedule->warmed);
    pthread_mutex_destroy(&schedule->lock);
    free(schedule);
}
