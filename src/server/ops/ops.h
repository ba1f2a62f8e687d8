/* server/ops/ops.h: what operators see of requests: metrics and log lines.
 *
 *     qr_metrics_create(&(qr_metrics_options){.routes = names, .routes_len = n}, &metrics);
 *     size_t slot = qr_metrics_model(metrics, "minilm");      // once a loaded model
 *     qr_metrics_batch(metrics, slot, items, tokens, ns);
 *     const qr_record record = {.route = "/embed", .model = slot, ...};
 *     qr_metrics_request(metrics, &record);                   // a request has ended
 *     qr_ops_log_request(&record, slow_ns);
 *
 * Metrics are counted where they happen, live as long as the process, and are rendered on demand;
 * docs/METRICS.md is the contract. Label values come from tables (routes, model names, status
 * codes), never from requests, so that the number of series is bounded. Threads: all calls from any
 * thread, but for creation and destruction.
 */
#ifndef QR_SERVER_OPS_H
#define QR_SERVER_OPS_H

#include "base/base.h"

/** Where a request's time went; 0 where a stage was not reached. */
typedef struct qr_stages {
    uint64_t tokenize_ns; /* body -> jobs: JSON and tokenizer */
    uint64_t queue_ns;    /* submitted -> first batch started */
    uint64_t compute_ns;  /* first batch started -> last batch done */
    uint64_t encode_ns;   /* floats -> body */
} qr_stages;

#define QR_NO_MODEL_SLOT SIZE_MAX

/** A request that has ended. */
typedef struct qr_record {
    const char *route;  /* of the table of routes; NULL: it met none */
    size_t model;       /* slot of the model that answered; QR_NO_MODEL_SLOT: none did */
    qr_status status;   /* why it was answered as it was */
    int code;           /* the HTTP code that was sent */
    size_t sequences;   /* jobs of its ticket */
    qr_stages stages;   /* all 0 for requests to no model */
    const char *trace;  /* its trace id */
    uint64_t head_ns;   /* its head was complete */
    uint64_t budget_ns; /* from its head on; 0: none */
    uint64_t end_ns;    /* its answer was sent, or its client was gone */
    bool budgeted;      /* to a model, and it came so far that its budget was asked */
} qr_record;

typedef struct qr_metrics qr_metrics;

typedef struct qr_metrics_options {
    const char *const *routes; /* the names that records use; borrowed, the list is copied */
    size_t routes_len;         /* at most 255 */
    size_t workers;
} qr_metrics_options;

/** QR_BAD_OPTION, QR_NO_MEMORY. *out: returns owned. */
QR_MUST_USE qr_status qr_metrics_create(const qr_metrics_options *options, qr_metrics **out);

/** NULL is allowed. */
void qr_metrics_destroy(qr_metrics *metrics);

/** The slot of the model's name, the same for the same name whenever it is asked: counters go on
 * when a model is replaced by another of its name. Beyond 32 names all share one slot, "other". */
size_t qr_metrics_model(qr_metrics *metrics, const char *name);

/** Counts a request: duration, stages, what became of its budget, rejections, deadline misses. */
void qr_metrics_request(qr_metrics *metrics, const qr_record *record);

/** Counts a batch that the model of this slot ran. */
void qr_metrics_batch(qr_metrics *metrics, size_t slot, size_t items, size_t tokens,
                      uint64_t compute_ns);
/** The same of one that its device failed. */
void qr_metrics_device_failed(qr_metrics *metrics, size_t slot);

/** Counts what a request to the model of this slot was to cost one worker, computed or not; 0: it
 * needs no computing. `body_bytes` long, it says what a byte costs. */
void qr_metrics_offered(qr_metrics *metrics, size_t slot, size_t body_bytes, uint64_t cost_ns);

/** The same of a request whose body was not read: by what a byte has cost so far. */
void qr_metrics_offered_unread(qr_metrics *metrics, size_t slot, size_t body_bytes);

/** Counts a request that gets the results of another one, under way when it came. */
void qr_metrics_joined(qr_metrics *metrics);

/** Counts a batch that ran without help, by what it was expected to take. */
void qr_metrics_predicted(qr_metrics *metrics, uint64_t expected_ns, uint64_t took_ns);

/** Counts a request that is begun so long before its deadline. */
void qr_metrics_slack(qr_metrics *metrics, uint64_t slack_ns);

/** Counts time of a worker with work. */
void qr_metrics_worked(qr_metrics *metrics, uint64_t ns);

/** Counts one delay of the event loop. */
void qr_metrics_loop_lag(qr_metrics *metrics, uint64_t lag_ns);

/** Counts a request that was refused before it was known what it was for. */
void qr_metrics_refused(qr_metrics *metrics, qr_status status);

/** Sets the number of open connections. */
void qr_metrics_connections(qr_metrics *metrics, size_t open);

/** What became of an answer that was chosen to be computed again. */
typedef enum qr_verify_outcome {
    QR_VERIFY_CHECKED,  /* it was */
    QR_VERIFY_MISMATCH, /* ... and its numbers differed */
    QR_VERIFY_DROPPED   /* too many were waiting */
} qr_verify_outcome;

/** Counts one outcome; a mismatch is also a check. */
void qr_metrics_verified(qr_metrics *metrics, qr_verify_outcome outcome);

/** What became of an order to load a model while the server runs. */
typedef enum qr_reload { QR_RELOAD_OK, QR_RELOAD_FAILED, QR_RELOAD_REFUSED } qr_reload;
#define QR_RELOADS (QR_RELOAD_REFUSED + 1u)

/** Counts one, of the model of this slot. */
void qr_metrics_reloaded(qr_metrics *metrics, size_t slot, qr_reload outcome);

/** A model that is being served: labels of querent_model_info, all borrowed. */
typedef struct qr_model_labels {
    const char *name, *kind, *precision, *device, *isa;
    bool fell_back; /* as qr_plan_info has it */
} qr_model_labels;

/** A proxy's X-Request-Start was ignored: no time, or too long ago. */
void qr_metrics_stale_start(qr_metrics *metrics);

/** Of the result cache. */
typedef struct qr_cache_counts {
    uint64_t hits, misses; /* sequences */
    uint64_t evictions;    /* entries */
    size_t bytes;
} qr_cache_counts;

/** What is so at the moment of rendering, and is not counted. */
typedef struct qr_metrics_now {
    bool ready, lost;      /* lost: a model's device is */
    qr_cache_counts cache; /* zero without one */
    size_t queue_depth, inflight_bytes, inflight_limit_bytes;
    const qr_model_labels *models; /* of the current generation */
    size_t models_len;
    uint64_t memory_limit_bytes; /* of the cgroups; 0: none */
} qr_metrics_now;

/** Appends the page: Prometheus' text format 0.0.4. */
void qr_metrics_render(const qr_metrics *metrics, const qr_metrics_now *now, qr_buf *out);

/** One line a request at debug; at info (at most 10 a second, drops counted) for one that failed
 * (5xx, 429) or took longer than `slow_ns`: trace id, route, code, stage times, never text. */
void qr_ops_log_request(const qr_record *record, uint64_t slow_ns);

#endif
