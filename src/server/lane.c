/* server/lane.c: batches assembled, run, and given back job by job. */
#include "server/lane.h"

#include <stdlib.h>

#define WARM_RUNS_LEAST 3
#define WARM_RUNS_MOST  50
#define WARM_NS_MOST    (300 * QR_NS_PER_MS)
#define WARM_TOKENS     12

qr_status qr__lane_init(qr__lane *lane, const qr_pipeline *pipeline, qr_team *team,
                        size_t batch_tokens, qr_error *error) {
    size_t tokens = qr_max(batch_tokens, qr_pipeline_max_tokens(pipeline));
    *lane = (qr__lane){.pipeline = pipeline,
                       .ids = calloc(tokens, sizeof *lane->ids),
                       .types = calloc(tokens, sizeof *lane->types),
                       .starts = calloc(QR_BATCH_JOBS + 1, sizeof *lane->starts)};
    if (lane->ids == NULL || lane->types == NULL || lane->starts == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "model %s: no memory for its batches",
                            qr_pipeline_name(pipeline));
    return qr_context_create(qr_pipeline_engine(pipeline), team, tokens,
                             qr_min(tokens, QR_BATCH_JOBS), &lane->context, error);
}

void qr__lane_deinit(qr__lane *lane) {
    qr_context_destroy(lane->context);
    free(lane->ids);
    free(lane->types);
    free(lane->starts);
    *lane = (qr__lane){0};
}

/* Lays the jobs end to end. */
static qr_batch assemble(qr__lane *lane, const qr_job *const *jobs, size_t len) {
    uint32_t at = 0;
    for (size_t i = 0; i < len; i++) {
        const qr_job *job = jobs[i];
        lane->starts[i] = at;
        memcpy(lane->ids + at, job->ids, job->tokens * sizeof *job->ids);
        if (job->types != NULL)
            memcpy(lane->types + at, job->types, job->tokens);
        else
            memset(lane->types + at, 0, job->tokens);
        at += (uint32_t)job->tokens;
    }
    lane->starts[len] = at;
    return (qr_batch){lane->ids, lane->types, lane->starts, len};
}

qr_status qr__lane_run(qr__lane *lane, const qr_job *const *jobs, size_t len) {
    const qr_batch batch = assemble(lane, jobs, len);
    const float *out;
    qr_status status =
        qr_context_forward(lane->context, &batch, qr_pipeline_output(lane->pipeline), &out);
    for (size_t i = 0; status == QR_OK && i < len; i++) {
        size_t floats = qr_pipeline_output_floats(lane->pipeline, jobs[i]->tokens);
        memcpy(jobs[i]->room, out, floats * sizeof *out);
        out += floats;
    }
    return status;
}

qr_status qr__lane_warm(qr__lane *lane, qr_error *error) {
    size_t vocab = qr_engine_model(qr_pipeline_engine(lane->pipeline))->vocab;
    size_t tokens = qr_min(WARM_TOKENS, qr_pipeline_max_tokens(lane->pipeline));
    int32_t ids[WARM_TOKENS];
    for (size_t i = 0; i < tokens; i++)
        ids[i] = (int32_t)((i * 997) % vocab);
    const qr_job job = {.ids = ids, .tokens = tokens}, *const jobs[] = {&job};
    const qr_batch batch = assemble(lane, jobs, 1);
    uint64_t begin = qr_clock_ns(), fastest = UINT64_MAX;
    for (int run = 0; run < WARM_RUNS_MOST; run++) {
        const float *out;
        uint64_t start = qr_clock_ns();
        qr_status status =
            qr_context_forward(lane->context, &batch, qr_pipeline_output(lane->pipeline), &out);
        if (status != QR_OK)
            return qr_error_set(error, status, "model %s: warm-up failed: %s",
                                qr_pipeline_name(lane->pipeline), qr_status_sentence(status));
        uint64_t end = qr_clock_ns(), took = end - start;
        if (run + 1 >= WARM_RUNS_LEAST &&
            (took <= fastest + fastest / 2 || end - begin > WARM_NS_MOST))
            break;
        fastest = took < fastest ? took : fastest;
    }
    return QR_OK;
}
