/* server/costs.c: a lane as a server has it, alone and with a team of our own. */
#include "server/costs.h"

#include "server/lane.h"

#define ROUNDS 8 /* a server has one; but it corrects its costs as it runs */

static qr_status measure(const qr_pipeline *pipeline, qr_pool *pool, size_t batch_tokens,
                         qr_cost *out, qr_error *error) {
    qr__lane lane;
    qr_status status = qr__lane_init(&lane, pipeline, pool, batch_tokens, error);
    if (status == QR_OK)
        status = qr__lane_warm(&lane, error);
    if (status == QR_OK)
        status = qr__lane_measure(&lane, ROUNDS, out, error);
    qr__lane_deinit(&lane);
    return status;
}

static qr_status measure_team(const qr_pipeline *pipeline, qr_costs *out, qr_error *error) {
    qr_pool *pool = NULL;
    qr_status status = qr_pool_create(out->team_len, &pool);
    if (status == QR_OK)
        status = qr_pool_start_helpers(pool);
    if (status == QR_OK)
        status = measure(pipeline, pool, 1, &out->team, error);
    else
        qr_error_set(error, status, "cannot start %d threads", out->team_len);
    qr_pool_destroy(pool);
    return status;
}

qr_status qr_costs_measure(const qr_pipeline *pipeline, int workers, size_t batch_tokens,
                           qr_costs *out, qr_error *error) {
    int cores = qr_cores_find().usable;
    bool device = qr_engine_plan(qr_pipeline_engine(pipeline))->streams > 0;
    out->team_len = device ? 1 : workers < cores ? workers : cores;
    qr_status status = measure(pipeline, NULL, device ? batch_tokens : 1, &out->alone, error);
    out->team = out->alone;
    if (status == QR_OK && out->team_len > 1)
        status = measure_team(pipeline, out, error);
    return status;
}
