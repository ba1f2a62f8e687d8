/* server/schedule/worker.c: a worker's life: its contexts and their warm-up, then tasks and batches
 * until the schedule stops.
 *
 * Results are written into the jobs' own memory, with no lock held: until its last batch has let
 * go, a ticket and what it points to stay in place (`running` counts). */
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "server/schedule/schedule_internal.h"

#define NICENESS        2 /* below the loop, which needs little and needs it now */
#define WARM_RUNS_LEAST 3
#define WARM_RUNS_MOST  50
#define WARM_NS_MOST    (300 * QR_NS_PER_MS)
#define WARM_TOKENS     12

static qr_status contexts_create(qr_worker *worker) {
    qr_schedule *schedule = worker->schedule;
    for (size_t i = 0; i < schedule->options.models_len; i++) {
        const qr_pipeline *model = schedule->options.models[i];
        size_t tokens = qr_max(schedule->options.batch_tokens, qr_pipeline_max_tokens(model));
        const qr_context_options wanted = {
            .tokens_max = tokens, .sequences_max = QR_BATCH_SEQUENCES, .pool = schedule->pool};
        qr_status status = qr_context_create(qr_pipeline_engine(model), &wanted,
                                             &worker->contexts[i], &worker->error);
        if (status != QR_OK)
            return status;
    }
    return QR_OK;
}

/* Runs a short query until a run takes no longer than one and a half of the fastest before it:
 * pages touched, caches filled. */
static qr_status warm_up(qr_worker *worker, size_t model) {
    const qr_pipeline *pipeline = worker->schedule->options.models[model];
    size_t vocab = qr_engine_model(qr_pipeline_engine(pipeline))->vocab;
    size_t tokens = qr_min(WARM_TOKENS, qr_pipeline_max_tokens(pipeline));
    for (size_t i = 0; i < tokens; i++) {
        worker->ids[i] = (int32_t)((i * 997) % vocab);
        worker->types[i] = 0;
    }
    worker->starts[0] = 0;
    worker->starts[1] = (uint32_t)tokens;
    const qr_batch batch = {worker->ids, worker->types, worker->starts, 1};
    uint64_t begin = qr_clock_ns(), fastest = UINT64_MAX;
    for (int run = 0; run < WARM_RUNS_MOST; run++) {
        const float *out;
        uint64_t start = qr_clock_ns();
        qr_status status =
            qr_context_forward(worker->contexts[model], &batch, qr_pipeline_output(pipeline), &out);
        if (status != QR_OK)
            return qr_error_set(&worker->error, status, "model %s: warm-up failed: %s",
                                qr_pipeline_name(pipeline), qr_status_sentence(status));
        uint64_t end = qr_clock_ns(), took = end - start;
        if (run + 1 >= WARM_RUNS_LEAST &&
            (took <= fastest + fastest / 2 || end - begin > WARM_NS_MOST))
            return QR_OK;
        fastest = took < fastest ? took : fastest;
    }
    return QR_OK;
}

static void prepare(qr_worker *worker) {
    qr_schedule *schedule = worker->schedule;
    (void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICENESS); /* best effort */
    qr_status status = contexts_create(worker);
    for (size_t i = 0; status == QR_OK && i < schedule->options.models_len; i++)
        status = warm_up(worker, i);
    worker->error.status = status;
    pthread_mutex_lock(&schedule->lock);
    schedule->warm++;
    pthread_cond_signal(&schedule->warmed);
    pthread_mutex_unlock(&schedule->lock);
}

/* Copies the batch's jobs [first, first + count) end to end, runs them, and gives each its floats.
 */
static qr_status run_slots(qr_worker *worker, size_t first, size_t count) {
    const qr_pipeline *pipeline = worker->schedule->options.models[worker->model];
    uint32_t at = 0;
    for (size_t i = 0; i < count; i++) {
        const qr_job *job = worker->slots[first + i].job;
        worker->starts[i] = at;
        memcpy(worker->ids + at, job->ids, job->tokens * sizeof *job->ids);
        if (job->types != NULL)
            memcpy(worker->types + at, job->types, job->tokens);
        else
            memset(worker->types + at, 0, job->tokens);
        at += (uint32_t)job->tokens;
    }
    worker->starts[count] = at;
    const qr_batch batch = {worker->ids, worker->types, worker->starts, count};
    const float *out;
    qr_status status = qr_context_forward(worker->contexts[worker->model], &batch,
                                          qr_pipeline_output(pipeline), &out);
    for (size_t i = 0; status == QR_OK && i < count; i++) {
        const qr_job *job = worker->slots[first + i].job;
        size_t floats = qr_pipeline_output_floats(pipeline, job->tokens);
        memcpy(job->result, out, floats * sizeof *out);
        out += floats;
    }
    return status;
}

/* A batch that the engine refuses is run again one by one, so that only the guilty ticket fails. */
static void run_batch(qr_worker *worker) {
    if (run_slots(worker, 0, worker->slots_len) == QR_OK)
        return;
    for (size_t i = 0; i < worker->slots_len; i++) {
        qr_status status = run_slots(worker, i, 1);
        if (status == QR_OK)
            continue;
        qr_log(QR_LOG_ERROR, "model %s: the engine refused a sequence of %zu tokens: %s",
               qr_pipeline_name(worker->schedule->options.models[worker->model]),
               worker->slots[i].job->tokens, qr_status_name(status));
        worker->slots[i].job->result = NULL; /* marks it for let_go() */
    }
}

/* With the lock held: the batch's tickets are one batch nearer to their end. */
static qr_ticket *let_go(qr_worker *worker, uint64_t now_ns, qr_ticket *ended) {
    qr_schedule *schedule = worker->schedule;
    for (size_t i = 0; i < worker->slots_len; i++) {
        qr_ticket *ticket = worker->slots[i].ticket;
        ticket->running--;
        ticket->done_ns = now_ns;
        if (worker->slots[i].job->result == NULL && ticket->status == QR_OK) {
            ticket->status = QR_INTERNAL;
            qr__ticket_drop(schedule, ticket);
        }
        if (ticket->running == 0 && ticket->next_job == ticket->jobs_len && !ticket->ended) {
            ticket->ended = true;
            ticket->next = ended;
            ended = ticket;
        }
    }
    atomic_fetch_sub(&schedule->depth, worker->slots_len);
    atomic_fetch_sub(&schedule->tokens, worker->tokens);
    return ended;
}

static void measure(qr_worker *worker, uint64_t took_ns) {
    qr_schedule *schedule = worker->schedule;
    uint64_t token = took_ns / worker->tokens, old = atomic_load(&schedule->token_ns);
    atomic_store(&schedule->token_ns, old == 0 ? token : old - old / 8 + token / 8);
    if (schedule->options.on_batch != NULL)
        schedule->options.on_batch(schedule->options.state, schedule->options.models[worker->model],
                                   worker->slots_len, worker->tokens, took_ns);
}

static void finish_all(qr_ticket *ended) {
    while (ended != NULL) {
        qr_ticket *next = ended->next; /* finished() may end the ticket's life */
        ended->finished(ended);
        ended = next;
    }
}

/* With the lock held on entry and on return. False: nothing to do. */
static bool work_once(qr_worker *worker) {
    qr_schedule *schedule = worker->schedule;
    qr_task *task = schedule->tasks_head;
    if (task != NULL) {
        schedule->tasks_head = task->next;
        if (task->next == NULL)
            schedule->tasks_tail = NULL;
        bool more = qr__schedule_waiting(schedule);
        pthread_mutex_unlock(&schedule->lock);
        if (more)
            qr_pool_wake(schedule->pool);
        task->run(task);
        pthread_mutex_lock(&schedule->lock);
        return true;
    }
    qr_ticket *ended = NULL;
    uint64_t start = qr_clock_ns();
    bool batch = qr__batch_fill(worker, start, &ended);
    bool more = batch && qr__schedule_waiting(schedule);
    if (!batch && ended == NULL)
        return false;
    pthread_mutex_unlock(&schedule->lock);
    if (more)
        qr_pool_wake(schedule->pool);
    finish_all(ended);
    ended = NULL;
    if (batch) {
        run_batch(worker);
        uint64_t end = qr_clock_ns();
        measure(worker, end - start);
        pthread_mutex_lock(&schedule->lock);
        ended = let_go(worker, end, NULL);
        pthread_mutex_unlock(&schedule->lock);
        finish_all(ended);
    }
    pthread_mutex_lock(&schedule->lock);
    return true;
}

void *qr__worker_main(void *state) {
    qr_worker *worker = state;
    qr_schedule *schedule = worker->schedule;
    prepare(worker);
    pthread_mutex_lock(&schedule->lock);
    for (;;) {
        if (work_once(worker))
            continue;
        if (schedule->stopping)
            break;
        pthread_mutex_unlock(&schedule->lock);
        qr_pool_park(schedule->pool, worker->member);
        pthread_mutex_lock(&schedule->lock);
    }
    pthread_mutex_unlock(&schedule->lock);
    qr_pool_wake(schedule->pool); /* the next one learns of the end */
    return NULL;
}

void qr__worker_deinit(qr_worker *worker) {
    if (worker->contexts != NULL) {
        for (size_t i = 0; i < worker->schedule->options.models_len; i++)
            qr_context_destroy(worker->contexts[i]);
    }
    free(worker->contexts);
    free(worker->slots);
    free(worker->ids);
    free(worker->types);
    free(worker->starts);
}
