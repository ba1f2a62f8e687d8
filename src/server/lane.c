/* server/lane.c: batches assembled, run, and given back job by job. */
#include "server/lane.h"

#include <math.h>

#define WARM_RUNS_LEAST 3
#define WARM_RUNS_MOST  50
#define WARM_NS_MOST    (300 * QR_NS_PER_MS)
#define WARM_TOKENS     12
#define MEASURED_TOKENS 192 /* the longest length that is measured */
#define SHORT_TOKENS    9   /* of a text that fills a device's batches */
#define MEASURED_RUNS   3
#define MEASURED_NS     (100 * QR_NS_PER_MS) /* a length that takes longer is run less often */

qr_status qr__lane_init(qr__lane *lane, const qr_pipeline *pipeline, qr_pool *pool,
                        size_t batch_tokens, qr_error *error) {
    size_t tokens = qr_max(batch_tokens, qr_pipeline_max_tokens(pipeline));
    const qr_context_options wanted = {
        .tokens_max = tokens, .sequences_max = QR_BATCH_JOBS, .pool = pool};
    *lane = (qr__lane){.pipeline = pipeline, .tokens = tokens};
    if (!qr_ragged_init(&lane->ragged, tokens, QR_BATCH_JOBS))
        return qr_error_set(error, QR_NO_MEMORY, "model %s: no memory for its batches",
                            qr_pipeline_name(pipeline));
    return qr_context_create(qr_pipeline_engine(pipeline), &wanted, &lane->context, error);
}

void qr__lane_deinit(qr__lane *lane) {
    qr_context_destroy(lane->context);
    qr_ragged_deinit(&lane->ragged);
    *lane = (qr__lane){0};
}

/* Lays the jobs end to end. The schedule gives no more than fit. */
static qr_status assemble(qr__lane *lane, const qr_job *const *jobs, size_t len) {
    qr_ragged_clear(&lane->ragged);
    for (size_t i = 0; i < len; i++)
        if (!qr_ragged_add_skipping(&lane->ragged, jobs[i]->ids, jobs[i]->types, jobs[i]->tokens,
                                    jobs[i]->skip))
            return QR_TOO_LONG;
    return QR_OK;
}

static qr_status forward(qr__lane *lane, const float **out) {
    return qr_context_forward(lane->context, &lane->ragged.batch,
                              qr_pipeline_output(lane->pipeline), out);
}

qr_status qr__lane_run(qr__lane *lane, const qr_job *const *jobs, size_t len, bool hidden) {
    size_t C = qr_engine_model(qr_pipeline_engine(lane->pipeline))->hidden;
    const float *out;
    qr_status status = assemble(lane, jobs, len);
    if (status == QR_OK)
        status =
            hidden ? qr_context_forward(lane->context, &lane->ragged.batch, QR_OUTPUT_HIDDEN, &out)
                   : forward(lane, &out);
    for (size_t i = 0; status == QR_OK && i < len; i++) {
        size_t floats = hidden ? C * jobs[i]->tokens
                               : qr_pipeline_output_floats(lane->pipeline, jobs[i]->tokens);
        memcpy(jobs[i]->room, out, floats * sizeof *out);
        out += floats;
    }
    return status;
}

/* Sequences of some ids or other, so many tokens each, as many as `total` tokens are enough for. */
static qr_status assemble_any(qr__lane *lane, size_t tokens, size_t total) {
    size_t vocab = qr_engine_model(qr_pipeline_engine(lane->pipeline))->vocab;
    int32_t ids[MEASURED_TOKENS];
    const qr_job job = {.ids = ids, .tokens = tokens};
    const qr_job *jobs[QR_BATCH_JOBS] = {NULL};
    size_t len = 0;
    for (size_t i = 0; i < tokens; i++)
        ids[i] = (int32_t)((i * 997) % vocab);
    while (len < QR_BATCH_JOBS && (len + 1) * tokens <= total)
        jobs[len++] = &job;
    return assemble(lane, jobs, len);
}

static qr_status refuse(const qr__lane *lane, qr_status status, qr_error *error) {
    return qr_error_set(error, status, "model %s: warm-up failed: %s",
                        qr_pipeline_name(lane->pipeline), qr_status_sentence(status));
}

qr_status qr__lane_warm(qr__lane *lane, qr_error *error) {
    size_t tokens = qr_min(WARM_TOKENS, qr_pipeline_max_tokens(lane->pipeline));
    qr_status status = assemble_any(lane, tokens, tokens);
    uint64_t begin = qr_clock_ns(), fastest = UINT64_MAX;
    for (int run = 0; run < WARM_RUNS_MOST; run++) {
        const float *out;
        uint64_t start = qr_clock_ns();
        if (status == QR_OK)
            status = forward(lane, &out);
        if (status != QR_OK)
            return refuse(lane, status, error);
        uint64_t end = qr_clock_ns(), took = end - start;
        if (run + 1 >= WARM_RUNS_LEAST &&
            (took <= fastest + fastest / 2 || end - begin > WARM_NS_MOST))
            break;
        fastest = took < fastest ? took : fastest;
    }
    return QR_OK;
}

/* The fastest of some runs of the batch at hand, and of those before: what else went on on the
 * machine is not the model's cost. */
static qr_status time_batch(qr__lane *lane, double *ns) {
    qr_status status = QR_OK;
    uint64_t begin = qr_clock_ns(), least = UINT64_MAX;
    for (int run = 0; status == QR_OK && run < MEASURED_RUNS; run++) {
        const float *floats;
        uint64_t start = qr_clock_ns();
        status = forward(lane, &floats);
        uint64_t end = qr_clock_ns();
        least = end - start < least ? end - start : least;
        if (end - begin > MEASURED_NS)
            break;
    }
    if ((double)least < *ns)
        *ns = (double)least;
    return status;
}

/* Of sequences as assemble_any takes them. */
static qr_status time_sequences(qr__lane *lane, size_t tokens, size_t total, double *ns) {
    qr_status status = assemble_any(lane, tokens, total);
    return status == QR_OK ? time_batch(lane, ns) : status;
}

/* Short texts are what fills the batches of a device. */
static qr_status measure_batches(qr__lane *lane, int rounds, qr_cost *out) {
    const size_t longest = qr_min(MEASURED_TOKENS, qr_pipeline_max_tokens(lane->pipeline));
    const size_t few = qr_min(SHORT_TOKENS, longest);
    const size_t jobs = qr_min(lane->tokens / few, QR_BATCH_JOBS);
    qr_cost_batches b = {few, jobs * few, longest, INFINITY, INFINITY, INFINITY};
    qr_status status = QR_OK;
    for (int i = 0; status == QR_OK && i < rounds; i++) {
        status = time_sequences(lane, few, few, &b.short_ns);
        if (status == QR_OK)
            status = time_sequences(lane, few, b.full_tokens, &b.full_ns);
        if (status == QR_OK)
            status = time_sequences(lane, longest, longest, &b.long_ns);
    }
    *out = qr_cost_fit_batches(&b);
    return status;
}

static qr_status measure_lengths(qr__lane *lane, int rounds, qr_cost *out) {
    size_t most = qr_min(MEASURED_TOKENS, qr_pipeline_max_tokens(lane->pipeline));
    qr_cost_sample samples[] = {
        {1 + most / 24, INFINITY}, {1 + most / 4, INFINITY}, {most, INFINITY}};
    qr_status status = QR_OK;
    for (int i = 0; status == QR_OK && i < 3 * rounds; i++)
        status =
            time_sequences(lane, samples[i % 3].tokens, samples[i % 3].tokens, &samples[i % 3].ns);
    *out = qr_cost_fit(samples);
    return status;
}

qr_status qr__lane_measure(qr__lane *lane, int rounds, qr_cost *out, qr_error *error) {
    bool device = qr_engine_plan(qr_pipeline_engine(lane->pipeline))->streams > 0;
    qr_status status = (device ? measure_batches : measure_lengths)(lane, rounds, out);
    return status == QR_OK ? QR_OK : refuse(lane, status, error);
}
