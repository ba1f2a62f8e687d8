/* server/serving.c: a generation's making, its users, and its end. */
#include "server/serving.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "server/lane.h"

#define MEASURED_ROUNDS 1 /* the start waits for them, and costs are corrected later */

/* A model with its lanes; `served` is what others see of it. */
typedef struct model {
    qr_served served;      /* first: its address is the model's */
    qr_pipeline *pipeline; /* owned once the generation stands */
    qr__lane *lanes;       /* [workers] */
    qr__lane check_lane;   /* without helpers; no context: the model is not checked */
} model;

struct qr_serving {
    qr_serving_options options;
    atomic_size_t pins;
    qr_task destruction; /* a worker's, when nobody pins it any more */
    size_t len;
    model models[QR_LIMIT_MODELS];
    qr_model_labels labels[QR_LIMIT_MODELS];
};

static atomic_uint_least64_t models_made;

/* The schedule's call: a batch of this queue's jobs, on this worker's lane. */
static qr_status run_batch(qr_queue *queue, int worker, const qr_job *const *jobs, size_t len) {
    model *m = QR_OWNER(QR_OWNER(queue, qr_served, queue), model, served);
    qr_metrics *metrics = m->served.serving->options.metrics;
    uint64_t begun = qr_clock_ns();
    qr_status status = qr__lane_run(&m->lanes[worker], jobs, len);
    if (status == QR_OK && metrics != NULL) {
        size_t tokens = 0;
        for (size_t i = 0; i < len; i++)
            tokens += jobs[i]->tokens;
        qr_metrics_batch(metrics, m->served.slot, len, tokens, qr_clock_ns() - begun);
    }
    if (status != QR_OK && len == 1)
        qr_log(QR_LOG_ERROR, "model %s: the engine refused a sequence of %zu tokens: %s",
               qr_pipeline_name(m->pipeline), jobs[0]->tokens, qr_status_name(status));
    return status;
}

/* OpenBLAS, which the reference target uses at f32, sums in an order that depends on the batch:
 * there the same text does not always give the same bits, and a difference would mean nothing. */
static bool same_bits(const qr_plan_info *plan) {
    return plan->precision != QR_PRECISION_F32 || strcmp(plan->target, "ref") != 0;
}

/* A lane without helpers says what batches cost; it stays where answers are to be checked. */
static qr_status measure(model *m, bool checked, qr_cost *out, qr_error *error) {
    const qr_plan_info *plan = qr_engine_plan(qr_pipeline_engine(m->pipeline));
    qr_status status = qr__lane_init(&m->check_lane, m->pipeline, NULL, 1, error);
    if (status == QR_OK)
        status = qr__lane_measure(&m->check_lane, MEASURED_ROUNDS, out, error);
    if (checked && !same_bits(plan))
        qr_log(QR_LOG_WARN, "model %s: not verified: at f32 on %s a result depends on its batch",
               qr_pipeline_name(m->pipeline), plan->target);
    if (!checked || !same_bits(plan))
        qr__lane_deinit(&m->check_lane);
    return status;
}

/* The same with everybody's help: workers that have nothing to do are parked, and come. A lone one
 * has nobody. */
static qr_status measure_team(model *m, const qr_serving_options *options, const qr_cost *alone,
                              qr_error *error) {
    m->served.team_cost = *alone;
    if (options->pool == NULL || options->workers == 1)
        return QR_OK;
    return qr__lane_measure(&m->lanes[0], MEASURED_ROUNDS, &m->served.team_cost, error);
}

static qr_status add_model(qr_serving *serving, qr_pipeline *pipeline, qr_error *error) {
    const qr_serving_options *options = &serving->options;
    model *m = &serving->models[serving->len];
    m->lanes = calloc((size_t)options->workers, sizeof *m->lanes);
    if (m->lanes == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "model %s: no memory for %d workers",
                            qr_pipeline_name(pipeline), options->workers);
    m->pipeline = pipeline;
    m->served = (qr_served){
        .pipeline = pipeline, .serving = serving, .number = atomic_fetch_add(&models_made, 1)};
    if (options->metrics != NULL)
        m->served.slot = qr_metrics_model(options->metrics, qr_pipeline_name(pipeline));
    const qr_plan_info *plan = qr_engine_plan(qr_pipeline_engine(pipeline));
    serving->labels[serving->len++] = (qr_model_labels){
        .name = qr_pipeline_name(pipeline),
        .kind = qr_kind_name(qr_pipeline_kind(pipeline)),
        .precision = qr_precision_name(plan->precision),
        .isa = plan->target,
    };
    qr_status status = QR_OK;
    for (int w = 0; status == QR_OK && w < options->workers; w++) {
        status = qr__lane_init(&m->lanes[w], pipeline, options->pool, options->batch_tokens, error);
        if (status == QR_OK)
            status = qr__lane_warm(&m->lanes[w], error);
    }
    qr_cost cost = {0};
    if (status == QR_OK)
        status = measure(m, options->checked, &cost, error);
    if (status == QR_OK)
        status = measure_team(m, options, &cost, error);
    qr_queue_init(&m->served.queue, run_batch, &cost, options->batch_tokens,
                  qr_pipeline_max_tokens(pipeline));
    m->served.queue.team_cost = &m->served.team_cost;
    return status;
}

/* Frees all but the models, which are still the caller's when creation fails. */
static void free_shell(qr_serving *serving) {
    for (size_t i = 0; i < serving->len; i++) {
        for (int w = 0; w < serving->options.workers; w++)
            qr__lane_deinit(&serving->models[i].lanes[w]);
        qr__lane_deinit(&serving->models[i].check_lane);
        free(serving->models[i].lanes);
    }
    free(serving);
}

qr_status qr_serving_create(const qr_serving_options *options, qr_serving **out, qr_error *error) {
    *out = NULL;
    qr_serving *serving = calloc(1, sizeof *serving);
    if (serving == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "no memory for serving %zu models",
                            options->models_len);
    QR_ASSERT(options->models_len >= 1 && options->models_len <= QR_LIMIT_MODELS);
    serving->options = *options;
    serving->options.models = NULL; /* borrowed for this call */
    atomic_init(&serving->pins, 1);
    qr_status status = QR_OK;
    for (size_t i = 0; status == QR_OK && i < options->models_len; i++)
        status = add_model(serving, options->models[i], error);
    if (status != QR_OK) {
        free_shell(serving);
        return status;
    }
    *out = serving;
    return QR_OK;
}

static void destroy(qr_serving *serving) {
    QR_ASSERT(atomic_load(&serving->pins) == 0);
    qr_pipeline *pipelines[QR_LIMIT_MODELS];
    size_t len = serving->len;
    for (size_t i = 0; i < len; i++)
        pipelines[i] = serving->models[i].pipeline;
    free_shell(serving); /* contexts before the engines that they borrow */
    for (size_t i = 0; i < len; i++)
        qr_pipeline_destroy(pipelines[i]);
}

void qr_serving_pin(qr_serving *serving) {
    size_t before = atomic_fetch_add_explicit(&serving->pins, 1, memory_order_relaxed);
    QR_ASSERT(before > 0);
}

static void on_destruction(qr_task *task) {
    destroy(task->owner);
}

/* Releases what this user did with the generation to whoever destroys it. */
void qr_serving_unpin(qr_serving *serving) {
    if (serving == NULL)
        return;
    QR_CHAOS_DELAY();
    size_t before = atomic_fetch_sub_explicit(&serving->pins, 1, memory_order_acq_rel);
    QR_ASSERT(before > 0);
    if (before > 1)
        return;
    if (serving->options.schedule == NULL) {
        destroy(serving);
        return;
    }
    serving->destruction = (qr_task){.run = on_destruction, .owner = serving};
    qr_schedule_call(serving->options.schedule, &serving->destruction);
}

size_t qr_serving_len(const qr_serving *serving) {
    return serving->len;
}

qr_served *qr_serving_at(qr_serving *serving, size_t index) {
    return &serving->models[index].served;
}

qr_served *qr_serving_first(qr_serving *serving, unsigned kinds) {
    for (size_t i = 0; i < serving->len; i++)
        if ((kinds & QR_KIND_BIT(qr_pipeline_kind(serving->models[i].pipeline))) != 0)
            return &serving->models[i].served;
    return NULL;
}

qr_served *qr_serving_named(qr_serving *serving, qr_text name) {
    for (size_t i = 0; i < serving->len; i++)
        if (qr_text_is(name, serving->labels[i].name))
            return &serving->models[i].served;
    return NULL;
}

bool qr_serving_checks(const qr_served *served) {
    return ((const model *)(const void *)served)->check_lane.context != NULL;
}

qr_status qr_serving_check(qr_served *served, const qr_job *job) {
    const qr_job *const jobs[] = {job};
    return qr__lane_run(&QR_OWNER(served, model, served)->check_lane, jobs, 1);
}

size_t qr_serving_labels(const qr_serving *serving, const qr_model_labels **labels) {
    *labels = serving->labels;
    return serving->len;
}
