/* server/schedule/schedule.h: the queue between requests and engine: bounded, batched by tokens,
 * deadline-aware.
 *
 *     ticket.jobs = jobs; ticket.jobs_len = n; ticket.model = pipeline;
 *     ticket.deadline_ns = ...; ticket.finished = done;
 *     status = qr_schedule_submit(schedule, &ticket);    // QR_OVERLOADED: nothing was taken
 *     ...
 *     done(&ticket);            // on a worker, exactly once for each ticket that was admitted
 *
 * Workers take jobs first come first served into one ragged batch per model, as long as the token
 * budget lasts, and run it on their own qr_context; idle workers park in the team and help a lonely
 * batch. A job whose deadline has passed or whose ticket was cancelled is never computed: its
 * ticket ends LATE or GONE. The deadline scheduler (EDF, cost model, joins, cache) will replace
 * what is inside; this interface stays. docs/SCHEDULE.md tells the rest. Threads: submit, cancel
 * and call from any one thread (the loop's); finished() and run() are called on workers.
 */
#ifndef QR_SERVER_SCHEDULE_H
#define QR_SERVER_SCHEDULE_H

#include "pipeline/pipeline.h"

/** One sequence to run. `ids`, `types` and `result` are borrowed from the exchange. */
typedef struct qr_job {
    const int32_t *ids;
    const uint8_t *types; /* NULL: all 0 */
    size_t tokens;
    float *result; /* qr_pipeline_output_floats() floats */
} qr_job;

/** The jobs of one exchange: all admitted or none, finished together. Embedded in its owner; no
 * allocation. */
typedef struct qr_ticket {
    const qr_pipeline *model;
    qr_job *jobs;
    size_t jobs_len;
    uint64_t deadline_ns;
    void (*finished)(struct qr_ticket *ticket); /* status: OK, LATE, GONE or INTERNAL */
    void *owner;

    /* The schedule's own; status and times are to be read once it is finished. */
    qr_status status;
    uint64_t submitted_ns, started_ns, done_ns;
    size_t next_job; /* first job that is in no batch yet */
    size_t running;  /* jobs in batches under way */
    bool queued, ended;
    struct qr_ticket *next;
} qr_ticket;

/** Work that is no forward pass (a long text to tokenize, a long result to encode): run on a worker
 * between batches. */
typedef struct qr_task {
    void (*run)(struct qr_task *task);
    void *owner;
    struct qr_task *next;
} qr_task;

typedef struct qr_schedule qr_schedule;

typedef struct qr_schedule_options {
    const qr_pipeline *const *models;
    size_t models_len;
    int threads;         /* workers */
    size_t batch_tokens; /* most tokens a batch */
    size_t queue_items;  /* most jobs admitted and unfinished */
    /* Called by a worker after each batch (metrics); may be NULL. */
    void (*on_batch)(void *state, const qr_pipeline *model, size_t items, size_t tokens,
                     uint64_t compute_ns);
    void *state;
} qr_schedule_options;

/** Starts the workers, and returns once each of them has its contexts and has run every model until
 * its time was steady. */
QR_MUST_USE qr_status qr_schedule_start(const qr_schedule_options *options, qr_schedule **out,
                                        qr_error *error);

/** Whether a request with this deadline is worth decoding: QR_OVERLOADED when what is ahead of it
 * would take longer, QR_LATE. */
QR_MUST_USE qr_status qr_schedule_outlook(const qr_schedule *schedule, uint64_t deadline_ns);

/** QR_OVERLOADED: the queue is full, or too long for this deadline; QR_LATE: the deadline has
 * passed; QR_DRAINING. Anything but OK: nothing was taken and finished() is not called. */
QR_MUST_USE qr_status qr_schedule_submit(qr_schedule *schedule, qr_ticket *ticket);

/** Ends a submitted ticket early, with QR_LATE or QR_GONE: jobs not yet started will not run. True:
 * it has ended here, finished() is not called, and its memory is the caller's again. False: a
 * worker still holds it, and finished() comes as if nothing had been said. */
QR_MUST_USE bool qr_schedule_cancel(qr_schedule *schedule, qr_ticket *ticket, qr_status status);

/** Queues a task; tasks are not counted against queue_items but bounded by the open exchanges. */
void qr_schedule_call(qr_schedule *schedule, qr_task *task);

/** Work is likely to be submitted within the next few microseconds: a sleeping worker may wake up
 * for it now. */
void qr_schedule_expect(qr_schedule *schedule);

/** Jobs admitted and unfinished, for metrics and Retry-After. Any thread. */
size_t qr_schedule_depth(const qr_schedule *schedule);

/** Milliseconds until a refused client should try again, from depth and measured speed (at least
 * 1). */
uint32_t qr_schedule_retry_ms(const qr_schedule *schedule);

/** Finishes all that was admitted, then ends the workers and frees everything. No submit may
 * follow. */
void qr_schedule_stop(qr_schedule *schedule);

#endif
