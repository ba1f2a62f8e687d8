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

/* Combinations of route, model and code that get a histogram of their own, first come; each is
 * QR__EDGES_MAX + 3 series at most, and all series together stay below 2,000. What comes later
 * counts in one more, labelled "other". */
#define QR__REQUEST_SLOTS 72
#define QR__MODEL_SLOTS   32 /* names of models; one more counts the rest */

typedef enum qr__stage {
    QR__STAGE_TOKENIZE,
    QR__STAGE_QUEUE,
    QR__STAGE_COMPUTE,
    QR__STAGE_ENCODE,
    QR__STAGES
} qr__stage;

/** Which series a request belongs to; 0 marks a free slot. */
typedef struct qr__request_slot {
    _Atomic uint32_t key; /* 1 << 31 | route << 23 | model << 15 | code */
    qr__histogram duration;
} qr__request_slot;

#define QR__KEY(route, model, code)                                                                \
    (1u << 31 | (uint32_t)(route) << 23 | (uint32_t)(model) << 15 | (uint32_t)(code))
#define QR__KEY_ROUTE(key) ((key) >> 23 & 0xFFu)
#define QR__KEY_MODEL(key) ((key) >> 15 & 0xFFu)
#define QR__KEY_CODE(key)  ((key)&0x7FFFu)
#define QR__KEY_NO_MODEL   0xFFu

typedef struct qr__model_slot {
    char *name; /* owned; set before the slot is counted in models_len */
    _Atomic uint64_t batches, items, tokens, compute_ns;
} qr__model_slot;

struct qr_metrics {
    const char **routes; /* owned list of borrowed names */
    size_t routes_len;
    double start_time;                                /* of the process, seconds since 1970 */
    qr__request_slot requests[QR__REQUEST_SLOTS + 1]; /* the last one is "other" */
    qr__histogram stages[QR__STAGES];
    qr__histogram batch_tokens, batch_items, batch_duration, loop_lag;
    pthread_mutex_t naming; /* of whoever gives a slot a name */
    atomic_size_t models_len;
    qr__model_slot models[QR__MODEL_SLOTS + 1]; /* the last one is "other" */
    _Atomic uint64_t rejections[QR_STATUS_COUNT];
    _Atomic uint64_t deadline_misses;
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
