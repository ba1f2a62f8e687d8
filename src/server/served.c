/* server/served.c: a served model's making, its users, and its end. */
#include "server/served.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "server/lane.h"

#define MEASURED_ROUNDS       1 /* the start waits for them, and costs are corrected later */
#define DEVICE_LINES_A_SECOND 10
#define CONTENDED_ROUNDS      5 /* beside traffic: the least is nearest to an idle machine's */

/* A model with its lanes; `served` is what others see of it. */
typedef struct model {
    qr_served served; /* first: its address is the model's */
    qr__served_options options;
    atomic_size_t pins;
    qr_task destruction;   /* a worker's, when nobody pins it any more */
    qr_pipeline *pipeline; /* owned once the model stands */
    size_t lanes_len;      /* one a worker; on a device with processors of its own one a stream */
    qr__lane *lanes;       /* [lanes_len] */
    atomic_flag *taken;    /* [lanes_len] with streams: a worker has the lane */
    size_t streams;        /* of its device; 0: it runs on the workers' cores */
    qr__lane check_lane;   /* without helpers; no context: the model is not checked */
} model;

static atomic_uint_least64_t models_made;

/* A batch that fails is run again job by job, so one failure may be told more than once. That a
 * device is lost its backend tells, once for all models on it. */
static void tell_device(model *m) {
    static qr_rate rate;
    const qr_engine *engine = qr_pipeline_engine(m->pipeline);
    const char *name = qr_pipeline_name(m->pipeline), *device = qr_engine_plan(engine)->device;
    uint64_t dropped;
    if (m->options.metrics != NULL)
        qr_metrics_device_failed(m->options.metrics, m->served.slot);
    if (!qr_engine_lost(engine) &&
        qr_rate_allow(&rate, DEVICE_LINES_A_SECOND, qr_clock_ns(), &dropped))
        qr_log(QR_LOG_ERROR,
               "model %s: its device (%s) failed a batch (%" PRIu64 " like it not logged)", name,
               device, dropped);
}

/* The schedule runs no more batches side by side than there are streams. */
static size_t take_lane(model *m, int worker) {
    size_t lane = 0;
    if (m->streams == 0)
        return (size_t)worker;
    while (lane < m->lanes_len &&
           atomic_flag_test_and_set_explicit(&m->taken[lane], memory_order_acquire))
        lane++;
    QR_ASSERT(lane < m->lanes_len);
    return lane;
}

static void give_lane(model *m, size_t lane) {
    if (m->streams > 0)
        atomic_flag_clear_explicit(&m->taken[lane], memory_order_release);
}

static qr_status run(model *m, int worker, const qr_job *const *jobs, size_t len, bool hidden) {
    qr_metrics *metrics = m->options.metrics;
    uint64_t begun = qr_clock_ns();
    size_t lane = take_lane(m, worker);
    qr_status status = qr__lane_run(&m->lanes[lane], jobs, len, hidden);
    give_lane(m, lane);
    if (status == QR_OK && metrics != NULL) {
        size_t tokens = 0;
        for (size_t i = 0; i < len; i++)
            tokens += jobs[i]->tokens;
        qr_metrics_batch(metrics, m->served.slot, len, tokens, qr_clock_ns() - begun);
    }
    if (status == QR_DEVICE)
        tell_device(m);
    else if (status != QR_OK && len == 1)
        qr_log(QR_LOG_ERROR, "model %s: the engine refused a sequence of %zu tokens: %s",
               qr_pipeline_name(m->pipeline), jobs[0]->tokens, qr_status_name(status));
    return status;
}

/* The schedule's calls: a batch of this queue's jobs, on this worker's lane. */
static qr_status run_batch(qr_queue *queue, int worker, const qr_job *const *jobs, size_t len) {
    return run(QR_OWNER(QR_OWNER(queue, qr_served, queue), model, served), worker, jobs, len,
               false);
}

static qr_status run_hidden(qr_queue *queue, int worker, const qr_job *const *jobs, size_t len) {
    return run(QR_OWNER(QR_OWNER(queue, qr_served, hidden_queue), model, served), worker, jobs, len,
               true);
}

/* Whether a pass takes as long: the same matrices, in the same precisions, on the same kernels. Few
 * weights tell; what they hold does not matter. */
static bool same_passes(const qr_pipeline *a, const qr_pipeline *b) {
    const qr_model_info *m = qr_engine_model(qr_pipeline_engine(a)),
                        *n = qr_engine_model(qr_pipeline_engine(b));
    const qr_plan_info *p = qr_engine_plan(qr_pipeline_engine(a)),
                       *q = qr_engine_plan(qr_pipeline_engine(b));
    return m->layers == n->layers && m->hidden == n->hidden && m->heads == n->heads &&
           m->feed_forward == n->feed_forward && m->word_size == n->word_size &&
           m->activation == n->activation && m->denses == n->denses && m->poolings == n->poolings &&
           m->pooling[0] == n->pooling[0] && qr_pipeline_kind(a) == qr_pipeline_kind(b) &&
           qr_pipeline_max_tokens(a) == qr_pipeline_max_tokens(b) && p->precision == q->precision &&
           p->fallbacks == q->fallbacks && strcmp(p->device, q->device) == 0 &&
           strcmp(p->target, q->target) == 0;
}

/* A measurement beside traffic finds a busy machine, and budgets would be refused as impossible
 * that are not: costs that were measured before, and corrected since, are better. */
static bool keeps_costs(const model *m) {
    const qr_served *before = m->options.before;
    if (before == NULL)
        return false;
    const model *old = (const model *)(const void *)before;
    return old->options.workers == m->options.workers &&
           (old->options.pool == NULL) == (m->options.pool == NULL) &&
           same_passes(before->pipeline, m->pipeline);
}

static int rounds_of(const model *m) {
    return m->options.others_run ? CONTENDED_ROUNDS : MEASURED_ROUNDS;
}

/* A lane without helpers says what batches cost; it stays where answers are to be checked. */
static qr_status measure(model *m, qr_cost *out, qr_error *error) {
    bool checked = m->options.checked, kept = keeps_costs(m);
    qr_status status = QR_OK;
    if (kept)
        *out = m->options.before->queue.cost;
    if (!kept || checked)
        status = qr__lane_init(&m->check_lane, m->pipeline, NULL,
                               m->streams > 0 ? m->options.batch_tokens : 1, error);
    if (status == QR_OK && !kept)
        status = qr__lane_measure(&m->check_lane, rounds_of(m), out, error);
    if (!checked)
        qr__lane_deinit(&m->check_lane);
    return status;
}

/* The same with everybody's help: workers that have nothing to do are parked, and come. A lone one
 * has nobody. */
static qr_status measure_team(model *m, const qr_cost *alone, qr_error *error) {
    m->served.team_cost = *alone;
    if (keeps_costs(m))
        m->served.team_cost = m->options.before->team_cost;
    else if (m->streams == 0 && m->options.pool != NULL && m->options.workers > 1)
        return qr__lane_measure(&m->lanes[0], rounds_of(m), &m->served.team_cost, error);
    return QR_OK;
}

static void make_queue(model *m, qr_queue *queue, qr_queue_run *run_jobs, const qr_cost *cost,
                       const qr_queue *before) {
    qr_queue_init(queue, run_jobs, cost, m->options.batch_tokens,
                  qr_pipeline_max_tokens(m->pipeline));
    queue->team_cost = &m->served.team_cost;
    if (before != NULL)
        atomic_store(&queue->correction, qr_queue_correction(before));
}

static void make_queues(model *m, const qr_cost *cost) {
    const qr_served *before = keeps_costs(m) ? m->options.before : NULL;
    make_queue(m, &m->served.queue, run_batch, cost, before == NULL ? NULL : &before->queue);
    make_queue(m, &m->served.hidden_queue, run_hidden, cost,
               before == NULL ? NULL : &before->hidden_queue);
}

static qr_status make_lanes(model *m, qr_error *error) {
    const qr__served_options *options = &m->options;
    qr_pool *pool = m->streams > 0 ? NULL : options->pool;
    m->lanes_len = m->streams > 0 ? m->streams : (size_t)options->workers;
    m->lanes = calloc(m->lanes_len, sizeof *m->lanes);
    m->taken = calloc(m->lanes_len, sizeof *m->taken);
    for (size_t i = 0; m->taken != NULL && i < m->lanes_len; i++)
        atomic_flag_clear(&m->taken[i]);
    if (m->lanes == NULL || m->taken == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "model %s: no memory for %d workers",
                            qr_pipeline_name(m->pipeline), options->workers);
    qr_status status = QR_OK;
    for (size_t i = 0; status == QR_OK && i < m->lanes_len; i++) {
        status = qr__lane_init(&m->lanes[i], m->pipeline, pool, options->batch_tokens, error);
        if (status == QR_OK)
            status = qr__lane_warm(&m->lanes[i], error);
    }
    return status;
}

/* Frees all but the pipeline, which is still the caller's when creation fails. */
static void free_shell(model *m) {
    for (size_t i = 0; m->lanes != NULL && i < m->lanes_len; i++)
        qr__lane_deinit(&m->lanes[i]);
    qr__lane_deinit(&m->check_lane);
    free(m->lanes);
    free(m->taken);
    free(m);
}

qr_status qr__served_create(const qr__served_options *options, qr_pipeline *pipeline,
                            qr_served **out, qr_error *error) {
    qr_cost cost = {0};
    *out = NULL;
    model *m = calloc(1, sizeof *m);
    if (m == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "model %s: no memory for serving it",
                            qr_pipeline_name(pipeline));
    m->options = *options;
    m->pipeline = pipeline;
    m->streams =
        qr_min(qr_engine_plan(qr_pipeline_engine(pipeline))->streams, (size_t)options->workers);
    m->served = (qr_served){.pipeline = pipeline,
                            .number = atomic_fetch_add(&models_made, 1),
                            .budget_ns = options->budget_ns,
                            .schedule = options->schedule};
    atomic_init(&m->pins, 1);
    if (options->metrics != NULL)
        m->served.slot = qr_metrics_model(options->metrics, qr_pipeline_name(pipeline));
    qr_status status = make_lanes(m, error);
    if (status == QR_OK)
        status = measure(m, &cost, error);
    if (status == QR_OK)
        status = measure_team(m, &cost, error);
    if (status != QR_OK) {
        free_shell(m);
        return status;
    }
    make_queues(m, &cost);
    m->options.before = NULL; /* it may go now */
    *out = &m->served;
    return QR_OK;
}

static void destroy(model *m) {
    QR_ASSERT(atomic_load(&m->pins) == 0);
    qr_pipeline *pipeline = m->pipeline;
    free_shell(m); /* contexts before the engine that they borrow */
    qr_pipeline_destroy(pipeline);
}

void qr__served_pin(qr_served *served) {
    model *m = QR_OWNER(served, model, served);
    size_t before = atomic_fetch_add_explicit(&m->pins, 1, memory_order_relaxed);
    QR_ASSERT(before > 0);
}

static void on_destruction(qr_task *task) {
    destroy(task->owner);
}

/* Releases what this user did with the model to whoever destroys it. */
void qr__served_unpin(qr_served *served) {
    if (served == NULL)
        return;
    model *m = QR_OWNER(served, model, served);
    QR_CHAOS_DELAY();
    size_t before = atomic_fetch_sub_explicit(&m->pins, 1, memory_order_acq_rel);
    QR_ASSERT(before > 0);
    if (before > 1)
        return;
    if (m->options.schedule == NULL) {
        destroy(m);
        return;
    }
    m->destruction = (qr_task){.run = on_destruction, .owner = m};
    qr_schedule_call(m->options.schedule, &m->destruction);
}

bool qr__served_checks(const qr_served *served) {
    return ((const model *)(const void *)served)->check_lane.context != NULL;
}

qr_status qr__served_check(qr_served *served, const qr_job *job) {
    const qr_job *const jobs[] = {job};
    return qr__lane_run(&QR_OWNER(served, model, served)->check_lane, jobs, 1, false);
}
