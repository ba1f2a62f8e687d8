/* server/ops/metrics.h: the counters behind ops.h:
 *
 *     metrics.c           counting
 *     metrics_page.c      the page of GET /metrics
 *     metrics_process.c   what the kernel knows of this process
 *     metrics_text.c      lines of the text format
 */
#ifndef QR_SERVER_OPS_METRICS_H
#define QR_SERVER_OPS_METRICS_H

#include <pthread.h>

#include "server/ops/histogram.h"
#include "server/ops/ops.h"

/* Combinations of route, model and code, and of stage and model, that get a histogram of their own,
 * first come; what comes later counts under "other", stage by stage. So all series together stay
 * below 2,000 (a test fills them all):
 *
 *     (44 slots + 2) + (24 slots + 4) histograms of times, of 18 edges + 3           1554
 *     batch duration, loop lag, slack: the same                                        63
 *     batch tokens, batch items, predicted ratio: 20 + 15 + 15                         50
 *     5 counters by model, of 32 + 1 names                                            165
 *     reloads of 16 models, by 3 outcomes                                              48
 *     16 models' info and fallback, 28 reasons, 4 outcomes                             64
 *     single ones: 15 of the server, 4 of the cache, 6 of the process                  25
 *                                                                                    1969
 */
#define QR__REQUEST_SLOTS 42
#define QR__STAGE_SLOTS   24 /* six models with all stages */
#define QR__MODEL_SLOTS   32 /* names of models; one more counts the rest */

typedef enum qr__stage {
    QR__STAGE_TOKENIZE,
    QR__STAGE_QUEUE,
    QR__STAGE_COMPUTE,
    QR__STAGE_ENCODE,
    QR__STAGES
} qr__stage;

/** What became of the budget of a request to a model. */
typedef enum qr__outcome {
    QR__OUTCOME_MET,
    QR__OUTCOME_LATE,
    QR__OUTCOME_REFUSED,
    QR__OUTCOME_GONE,
    QR__OUTCOMES
} qr__outcome;

/** A histogram and whose it is; key 0 marks a free one. */
typedef struct qr__slot {
    _Atomic uint32_t key; /* 1 << 31 | route or stage << 23 | model << 15 | code */
    qr__histogram duration;
} qr__slot;

#define QR__KEY(route, model, code)                                                                \
    (1u << 31 | (uint32_t)(route) << 23 | (uint32_t)(model) << 15 | (uint32_t)(code))
#define QR__KEY_ROUTE(key) ((key) >> 23 & 0xFFu)
#define QR__KEY_MODEL(key) ((key) >> 15 & 0xFFu)
#define QR__KEY_CODE(key)  ((key) & 0x7FFFu)
#define QR__KEY_NO_MODEL   0xFFu

typedef struct qr__model_slot {
    char *name; /* owned; set before the slot is counted in models_len */
    _Atomic uint64_t batches, items, tokens, compute_ns;
    _Atomic uint64_t reloads[QR_RELOADS];
    _Atomic uint64_t device_failures;     /* batches */
    _Atomic uint64_t offered_ns;          /* of all requests */
    _Atomic uint64_t read_bytes, read_ns; /* of those whose body was read: what a byte costs */
} qr__model_slot;

struct qr_metrics {
    const char **routes; /* owned list of borrowed names */
    size_t routes_len, workers;
    double start_time; /* of the process, seconds since 1970 */
    qr__slot requests[QR__REQUEST_SLOTS];
    qr__histogram requests_rest, requests_unrouted; /* without a slot; to no route of the table */
    qr__slot stages[QR__STAGE_SLOTS];
    qr__histogram stages_rest[QR__STAGES];
    qr__histogram batch_tokens, batch_items, batch_duration, loop_lag, predicted_ratio, slack;
    pthread_mutex_t naming; /* of whoever gives a slot a name */
    atomic_size_t models_len;
    qr__model_slot models[QR__MODEL_SLOTS + 1]; /* the last one is "other" */
    _Atomic uint64_t rejections[QR_STATUS_COUNT];
    _Atomic uint64_t outcomes[QR__OUTCOMES];
    _Atomic uint64_t deadline_misses;
    _Atomic uint64_t joins, worked_ns;
    _Atomic uint64_t stale_starts;
    _Atomic uint64_t connections;
    _Atomic uint64_t verified[QR_VERIFY_DROPPED + 1]; /* by outcome */
};

/** The slot's name as a label. */
const char *qr__metrics_model_name(const qr_metrics *metrics, size_t slot);

/** Seconds since 1970 at which this process began; 0 when the kernel does not say. */
double qr__process_start_time(void);

/** Appends the process's own series. */
void qr__metrics_process_render(const qr_metrics *metrics, qr_buf *out);

#endif
