/* server/lane.h: where one worker runs one model's batches: a context, and memory to lay a batch
 * out.
 *
 *     qr__lane_init(&lane, pipeline, pool, batch_tokens, &error);
 *     qr__lane_warm(&lane, &error);
 *     qr__lane_run(&lane, jobs, len, false);   // each job's floats are in its room
 *     qr__lane_deinit(&lane);
 *
 * Threads: one at a time.
 */
#ifndef QR_SERVER_LANE_H
#define QR_SERVER_LANE_H

#include "pipeline/pipeline.h"
#include "server/schedule/schedule.h"

typedef struct qr__lane {
    const qr_pipeline *pipeline; /* borrowed */
    qr_context *context;
    size_t tokens;    /* that it has room for */
    qr_ragged ragged; /* the batch at hand */
} qr__lane;

/** For batches of at most `batch_tokens` tokens, or one longest sequence. `pool` as in
 * qr_context_options. The lane is to be deinitialised also when this fails. */
QR_MUST_USE qr_status qr__lane_init(qr__lane *lane, const qr_pipeline *pipeline, qr_pool *pool,
                                    size_t batch_tokens, qr_error *error);

/** A zeroed lane is allowed. */
void qr__lane_deinit(qr__lane *lane);

/** Runs a short query until a run takes no longer than one and a half of the fastest before it:
 * pages are touched and caches filled. */
QR_MUST_USE qr_status qr__lane_warm(qr__lane *lane, qr_error *error);

/** Runs the jobs as one batch: each one's room gets what the pipeline's output is, or, when
 * `hidden`, the hidden states of its tokens. Statuses as qr_context_forward. */
QR_MUST_USE qr_status qr__lane_run(qr__lane *lane, const qr_job *const *jobs, size_t len,
                                   bool hidden);

/** What batches cost, from the fastest passes of three lengths in so many rounds: on one thread
 * without help when the lane is one without a pool, else with the help of all who are parked there.
 * On a device with processors of its own from a short text, as many of them as the lane takes, and
 * a long one. Statuses as the engine's. */
QR_MUST_USE qr_status qr__lane_measure(qr__lane *lane, int rounds, qr_cost *out, qr_error *error);

#endif
