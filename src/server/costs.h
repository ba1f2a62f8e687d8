/* server/costs.h: what a model's batches cost on this machine, measured as a server does when it
 * loads the model: for tools that reckon with a server (`querent simulate`).
 *
 *     qr_costs costs;
 *     qr_costs_measure(pipeline, 2, 512, &costs, &error);
 *     ns = costs.alone.fixed_ns + qr_cost_job(&costs.alone, 9);        // one query of 9 tokens
 */
#ifndef QR_SERVER_COSTS_H
#define QR_SERVER_COSTS_H

#include "pipeline/pipeline.h"
#include "server/schedule/simulation.h"

typedef struct qr_costs {
    qr_cost alone; /* of one worker without help */
    qr_cost team;  /* of `team_len` workers together */
    int team_len; /* as many as were asked for, but no more than there are cores; 1 on a device with
                      processors of its own */
} qr_costs;

/** Measures both, in a fraction of a second for a small model. `workers`: 1 to QR_LIMIT_THREADS;
 * `batch_tokens`: of a full batch, which a device with processors of its own is measured by.
 * QR_NO_MEMORY, or what the engine says; the message names the model. */
QR_MUST_USE qr_status qr_costs_measure(const qr_pipeline *pipeline, int workers,
                                       size_t batch_tokens, qr_costs *out, qr_error *error);

#endif
