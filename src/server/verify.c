/* server/verify.c: a short line of copies, and who checks the next one. */
#include "server/verify.h"

#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>

#define ITEMS_MAX      64
#define BYTES_MAX      (16u << 20) /* of all copies */
#define LINES_A_SECOND 10
#define MILLION        1000000u
#define TOLERANCE      2e-3
#define LEAST_COSINE   0.9999

/* A sequence with the floats that were sent; what `job` points to stands behind it. */
typedef struct item {
    qr_link link;
    qr_serving *serving; /* pinned */
    qr_served *model;
    qr_job job; /* `result` is what was sent, `room` is for the second opinion */
    size_t floats, bytes;
} item;

struct qr__verify {
    unsigned ppm;
    qr_metrics *metrics;
    qr_random random;
    pthread_mutex_t lock;
    qr_link items; /* oldest first */
    size_t items_len, bytes;
    bool checking; /* a worker is at it: the others stay free for requests */
};

qr_status qr__verify_create(unsigned ppm, qr_metrics *metrics, qr__verify **out) {
    qr__verify *verify = calloc(1, sizeof *verify);
    *out = verify;
    if (verify == NULL)
        return QR_NO_MEMORY;
    verify->ppm = ppm;
    verify->metrics = metrics;
    qr_random_init(&verify->random);
    pthread_mutex_init(&verify->lock, NULL);
    qr_list_init(&verify->items);
    return QR_OK;
}

static item *item_create(qr_serving *serving, qr_served *model, const qr_job *job) {
    size_t floats = qr_pipeline_output_floats(model->pipeline, job->tokens);
    size_t ids = job->tokens * sizeof *job->ids, floats_bytes = floats * sizeof(float);
    size_t bytes = sizeof(item) + 2 * floats_bytes + ids + job->tokens;
    item *it = malloc(bytes);
    if (it == NULL)
        return NULL;
    float *sent = (float *)(void *)(it + 1), *room = sent + floats;
    int32_t *own_ids = (int32_t *)(void *)(room + floats);
    uint8_t *types = (uint8_t *)(own_ids + job->tokens);
    memcpy(sent, job->result, floats_bytes);
    memcpy(own_ids, job->ids, ids);
    if (job->types != NULL)
        memcpy(types, job->types, job->tokens);
    qr_serving_pin(serving);
    *it = (item){.serving = serving,
                 .model = model,
                 .job = {.ids = own_ids,
                         .types = job->types == NULL ? NULL : types,
                         .tokens = job->tokens,
                         .skip = job->skip,
                         .room = room,
                         .result = sent},
                 .floats = floats,
                 .bytes = bytes};
    return it;
}

static void item_destroy(item *it) {
    qr_serving_unpin(it->serving);
    free(it);
}

void qr__verify_destroy(qr__verify *verify) {
    if (verify == NULL)
        return;
    for (qr_link *link; (link = qr_list_first(&verify->items)) != NULL;) {
        qr_list_remove(link);
        item_destroy(QR_OWNER(link, item, link));
    }
    pthread_mutex_destroy(&verify->lock);
    free(verify);
}

void qr__verify_offer(qr__verify *verify, qr_serving *serving, qr_served *model,
                      const qr_job *job) {
    if (!qr__served_checks(model) || qr_random_next(&verify->random) % MILLION >= verify->ppm)
        return;
    item *it = item_create(serving, model, job);
    pthread_mutex_lock(&verify->lock);
    bool kept =
        it != NULL && verify->items_len < ITEMS_MAX && verify->bytes + it->bytes <= BYTES_MAX;
    if (kept) {
        qr_list_append(&verify->items, &it->link);
        verify->items_len++;
        verify->bytes += it->bytes;
    }
    pthread_mutex_unlock(&verify->lock);
    if (kept)
        return;
    qr_metrics_verified(verify->metrics, QR_VERIFY_DROPPED);
    if (it != NULL)
        item_destroy(it);
}

/* The index of the first float whose bits differ; `len` when none do. */
static size_t first_difference(const float *a, const float *b, size_t len) {
    size_t i = 0;
    while (i < len && memcmp(&a[i], &b[i], sizeof *a) == 0)
        i++;
    return i;
}

/* Where bits depend on the batch: the index of the first float that is further off than a plan's
 * rounding makes it, of numbers of order 1, or `len`. The direction of the whole counts too: many
 * small differences that lean one way are a fault. */
size_t qr__verify_far(const float *a, const float *b, size_t len) {
    double product = 0, a_squares = 0, b_squares = 0;
    size_t far = len, worst = 0;
    for (size_t i = 0; i < len; i++) {
        const double x = (double)a[i], y = (double)b[i], off = fabs(x - y);
        if (!(off <= TOLERANCE * fmax(1, fabs(y))) && far == len)
            far = i;
        if (off > fabs((double)a[worst] - (double)b[worst]))
            worst = i;
        product += x * y;
        a_squares += x * x;
        b_squares += y * y;
    }
    if (far == len && product < LEAST_COSINE * sqrt(a_squares) * sqrt(b_squares))
        return worst;
    return far;
}

static void report(const item *it, qr_status status, size_t at) {
    static qr_rate rate;
    uint64_t dropped;
    uint32_t sent = 0, alone = 0;
    if (!qr_rate_allow(&rate, LINES_A_SECOND, qr_clock_ns(), &dropped))
        return;
    if (status == QR_OK) {
        memcpy(&sent, &it->job.result[at], sizeof sent);
        memcpy(&alone, &it->job.room[at], sizeof alone);
    }
    qr_log(
        QR_LOG_ERROR,
        "verify: model %s: a sequence of %zu tokens gave other numbers when it was computed again "
        "alone (%s): float %zu of %zu was sent as %08" PRIx32 ", is %08" PRIx32 " (%" PRIu64
        " like it not logged)",
        qr_pipeline_name(it->model->pipeline), it->job.tokens, qr_status_name(status), at,
        it->floats, sent, alone, dropped);
}

static void check(qr__verify *verify, item *it) {
    qr_status status = qr__served_check(it->model, &it->job);
    bool varies = qr_engine_plan(qr_pipeline_engine(it->model->pipeline))->varies;
    size_t at = status != QR_OK ? 0
                                : (varies ? qr__verify_far : first_difference)(
                                      it->job.result, it->job.room, it->floats);
    if (status == QR_DEVICE) { /* that is told elsewhere, and says nothing of the numbers */
        qr_metrics_verified(verify->metrics, QR_VERIFY_DROPPED);
        return;
    }
    qr_metrics_verified(verify->metrics, QR_VERIFY_CHECKED);
    if (at == it->floats)
        return;
    qr_metrics_verified(verify->metrics, QR_VERIFY_MISMATCH);
    report(it, status, at);
}

bool qr__verify_step(void *state, int worker) {
    qr__verify *verify = state;
    (void)worker;
    pthread_mutex_lock(&verify->lock);
    qr_link *link = verify->checking ? NULL : qr_list_first(&verify->items);
    if (link != NULL) {
        qr_list_remove(link);
        verify->items_len--;
        verify->bytes -= QR_OWNER(link, item, link)->bytes;
        verify->checking = true;
    }
    pthread_mutex_unlock(&verify->lock);
    if (link == NULL)
        return false;
    check(verify, QR_OWNER(link, item, link));
    item_destroy(QR_OWNER(link, item, link));
    QR_CHAOS_DELAY();
    pthread_mutex_lock(&verify->lock);
    verify->checking = false;
    pthread_mutex_unlock(&verify->lock);
    return true;
}
