/* server/served.h: one model that is served: its pipeline, a queue for the schedule, and a lane a
 * worker, the context and the staging memory that a batch runs in; on a device with processors of
 * its own a lane a stream.
 *
 *     qr__served_create(&options, pipeline, &model, &error);     // seconds; away from the loop
 *     ticket->queue = &model->queue;
 *     qr_schedule_submit(model->schedule, ticket);
 *
 *     qr__served_pin(model);                               // a user more
 *     ...
 *     qr__served_unpin(model);                             // the last one ends it
 *
 * Generations (serving.h) share models, each with a pin of its own, so that one model can be
 * replaced while the others keep lanes, costs and number. A model that nobody pins any more is
 * destroyed by a worker: that takes milliseconds, and no step of the loop may take one. Threads:
 * const after creation but for its pins, costs and lanes; any may pin and unpin, a lane belongs to
 * its worker.
 */
#ifndef QR_SERVER_SERVED_H
#define QR_SERVER_SERVED_H

#include "pipeline/pipeline.h"
#include "server/ops/ops.h"
#include "server/schedule/schedule.h"

/** One model, as its users see it. */
typedef struct qr_served {
    const qr_pipeline *pipeline;
    qr_queue queue;        /* what tickets for this model name; `queue.cost` is one worker's */
    qr_queue hidden_queue; /* the same for tickets that want the hidden states of all tokens */
    qr_cost team_cost;     /* of batches with which all workers help */
    size_t slot;           /* of its name in the metrics */
    uint64_t number;       /* of this model, once loaded; no other has ever had it */
    uint64_t budget_ns;    /* of requests that bring none; 0: the server's */
    qr_schedule *schedule; /* that runs its queues' tickets, its machine's (borrowed) */
} qr_served;

typedef struct qr__served_options {
    int workers;           /* of the schedule */
    size_t batch_tokens;   /* most tokens in a batch */
    qr_pool *pool;         /* the workers' waiting room (borrowed); NULL: each works alone */
    qr_schedule *schedule; /* whose workers run its batches and, in the end, destroy it (borrowed);
                              NULL: whoever unpins it last does */
    qr_metrics *metrics;   /* borrowed; NULL: nothing is counted */
    bool checked;          /* with a lane for computing answers again, alone */
    uint64_t budget_ns;    /* as qr_served has it */
    /* The one that it replaces, pinned during the call (borrowed): its costs are the new one's too
     * where both must cost the same. NULL: none. */
    const qr_served *before;
    bool others_run; /* others are served meanwhile: costs are the least of several measurements */
} qr__served_options;

/** Makes lanes for all workers, runs each until its time is steady, and measures what batches cost,
 * or takes what `before` has. Takes the pipeline when it succeeds. The model comes with one pin,
 * the caller's. QR_NO_MEMORY, or what an engine says; the message names the model. *out: returns
 * owned. */
QR_MUST_USE qr_status qr__served_create(const qr__served_options *options, qr_pipeline *pipeline,
                                        qr_served **out, qr_error *error);

/** One user more; whoever calls has a pin already. */
void qr__served_pin(qr_served *model);

/** One user less; the last one has the model destroyed. NULL is allowed. */
void qr__served_unpin(qr_served *model);

/** Whether its answers can be checked: it was made `checked`. */
bool qr__served_checks(const qr_served *model);

/** Computes a job of such a model again into its room, alone, on the calling thread. One call at a
 * time. Statuses as the engine's. */
QR_MUST_USE qr_status qr__served_check(qr_served *model, const qr_job *job);

#endif
