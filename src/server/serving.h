/* server/serving.h: a generation of served models: what is replaced as a whole when models change.
 *
 *     qr_serving_create(&options, &serving, &error);      // loads nothing, but takes milliseconds
 *     qr_served *model = qr_serving_named(serving, name);
 *     ticket->queue = &model->queue;
 *
 *     qr_serving_pin(serving);                            // a user more
 *     ...
 *     qr_serving_unpin(serving);                          // the last one ends it
 *
 * A generation holds its models, and for each of them a queue for the schedule and a lane a worker:
 * the context and the staging memory that a batch runs in. Every request pins the generation that
 * is current when its head arrives, and is answered by it, whatever becomes current meanwhile; a
 * generation that nobody pins any more is destroyed, by a worker: that takes milliseconds, and no
 * step of the loop may take one. So replacing a generation under load needs no pause. Threads:
 * const after creation but for its pins and lanes; any may pin and unpin, a lane belongs to its
 * worker.
 */
#ifndef QR_SERVER_SERVING_H
#define QR_SERVER_SERVING_H

#include "pipeline/pipeline.h"
#include "server/ops/ops.h"
#include "server/schedule/schedule.h"

typedef struct qr_serving qr_serving;

/** One model of a generation. */
typedef struct qr_served {
    const qr_pipeline *pipeline;
    qr_queue queue;    /* what tickets for this model name; `queue.cost` is one worker's */
    qr_cost team_cost; /* of batches with which all workers help */
    size_t slot;       /* of its name in the metrics */
    uint64_t number;   /* of this model of this generation; no other has ever had it */
    qr_serving *serving;
} qr_served;

typedef struct qr_serving_options {
    qr_pipeline *const *models; /* 1 to QR_LIMIT_MODELS; names differ */
    size_t models_len;
    int workers;           /* of the schedule */
    size_t batch_tokens;   /* most tokens in a batch */
    qr_pool *pool;         /* the workers' waiting room (borrowed); NULL: each works alone */
    qr_schedule *schedule; /* whose workers run its batches and, in the end, destroy it (borrowed);
                              NULL: whoever unpins it last does */
    qr_metrics *metrics;   /* borrowed; NULL: nothing is counted */
    bool checked;          /* with a lane a model for computing answers again, alone */
} qr_serving_options;

/** Makes lanes for all workers and runs each until its time is steady. Takes the models when it
 * succeeds. The generation comes with one pin, the caller's. QR_NO_MEMORY, or what an engine says;
 * the message names the model. *out: returns owned. */
QR_MUST_USE qr_status qr_serving_create(const qr_serving_options *options, qr_serving **out,
                                        qr_error *error);

/** One user more; whoever calls has a pin already. */
void qr_serving_pin(qr_serving *serving);

/** One user less; the last one has the generation destroyed, with its models. NULL is allowed. */
void qr_serving_unpin(qr_serving *serving);

#define QR_KIND_BIT(kind) (1u << (kind))
#define QR_ANY_KIND       (~0u)

/** How many models there are. */
size_t qr_serving_len(const qr_serving *serving);

/** One of them, in the order in which they were given. */
qr_served *qr_serving_at(qr_serving *serving, size_t index);

/** The first model of these kinds (QR_KIND_BIT), or NULL. */
qr_served *qr_serving_first(qr_serving *serving, unsigned kinds);

/** The model of that name, or NULL. */
qr_served *qr_serving_named(qr_serving *serving, qr_text name);

/** Whether answers of this model can be checked: the generation was made `checked`, and the model's
 * plan gives a sequence the same bits whatever it is batched with. */
bool qr_serving_checks(const qr_served *model);

/** Computes a job of such a model again into its room, alone, on the calling thread. One call at a
 * time. Statuses as the engine's. */
QR_MUST_USE qr_status qr_serving_check(qr_served *model, const qr_job *job);

/** What the metrics show of the current generation. *labels borrows. Returns how many. */
size_t qr_serving_labels(const qr_serving *serving, const qr_model_labels **labels);

#endif
