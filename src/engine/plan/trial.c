/* engine/plan/trial.c: packs candidates for the accuracy gate, runs the probes on them, and hands
 * over the one that was chosen.
 *
 * Each precision is packed once, when it is first asked for; int8 after a calibration. An int8 plan
 * with fallbacks is tried by mixing matrices of two packings where the device can, and packed for
 * good only when it is chosen. */
#include "engine/plan/plan.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/plan/choose.h"
#include "engine/plan/probe_run.h"

/* What ranking single matrices may cost, in operations: about half a second of two AVX-512
 * cores. A number of operations, not of seconds, so that every start of a model on a machine
 * finds the same plan. */
#define RANKING_OPERATIONS 2e11

typedef struct bench {
    const qr_trial *trial;
    const qr_backend *backend;
    qr__probe_run *run;
    qr_packed *packed[QR_PRECISIONS]; /* as they are asked for */
    qr_packed *mixed; /* int8 with fallbacks, borrowed from the above where the device can */
    float *ranges;    /* of the calibration texts; NULL: not calibrated (yet) */
    double pack_ms;
} bench;

/* Any packing that is there: tables that all plans read alike can be shared with it. */
static const qr_packed *any_packed(const bench *b) {
    const qr_packed *any = NULL;
    for (unsigned p = 0; p < QR_PRECISIONS; p++)
        any = b->packed[p] != NULL ? b->packed[p] : any;
    return any;
}

static qr_status refuse(const qr_device *device, qr_precision precision, qr_error *error) {
    char has[64] = "";
    for (unsigned p = 0; p < QR_PRECISIONS; p++)
        if (device->runs[p]) {
            size_t len = strlen(has);
            snprintf(has + len, sizeof has - len, "%s%s", len > 0 ? ", " : "",
                     qr_precision_name((qr_precision)p));
        }
    return qr_error_set(error, QR_BAD_OPTION,
                        "precision %s: no kernel for it on %s:%s, which has %s",
                        qr_precision_name(precision), device->backend->name, device->target, has);
}

static qr_status calibrate_once(bench *b, qr_error *error);

static qr_status pack(bench *b, qr_precision precision, const uint8_t *fallback, qr_packed **out,
                      qr_error *error) {
    if (!b->trial->device->runs[precision])
        return refuse(b->trial->device, precision, error);
    qr_status status = precision == QR_PRECISION_INT8 ? calibrate_once(b, error) : QR_OK;
    if (status != QR_OK)
        return status;
    uint64_t begin = qr_clock_ns();
    const qr_plan plan = {.precision = precision, .fallback = fallback, .ranges = b->ranges};
    status = b->backend->pack(b->trial->device, b->trial->bert, &plan, any_packed(b), out, error);
    b->pack_ms += (double)(qr_clock_ns() - begin) / (double)QR_NS_PER_MS;
    return status;
}

static qr_status pack_once(bench *b, qr_precision precision, qr_error *error) {
    return b->packed[precision] != NULL ? QR_OK
                                        : pack(b, precision, NULL, &b->packed[precision], error);
}

static qr_status run_calibration(const bench *b, qr_pool *pool, qr_error *error) {
    const qr_batch *texts = b->trial->calibration;
    const qr_context_options options = {.tokens_max = texts->starts[texts->sequences],
                                        .sequences_max = texts->sequences,
                                        .pool = pool};
    qr_context *context;
    qr_status status = qr_packed_context(b->packed[QR_PRECISION_F32], &options, &context, error);
    if (status != QR_OK)
        return status;
    status = qr_context_calibrate(context, texts, b->ranges);
    qr_context_destroy(context);
    return status == QR_OK
               ? QR_OK
               : qr_error_set(error, status, "the calibration's texts do not fit the model");
}

/* The ranges that int8 is packed for come from a pass in f32, over texts that the gate does not
 * judge by: it would find what was fitted to them. */
static qr_status calibrate_once(bench *b, qr_error *error) {
    const qr_model_info *info = &b->trial->bert->info;
    if (b->trial->calibration == NULL || b->backend->calibrate == NULL || b->ranges != NULL)
        return QR_OK;
    qr_pool *pool = NULL;
    qr_status status = pack_once(b, QR_PRECISION_F32, error);
    if (status != QR_OK)
        return status;
    b->ranges = calloc(info->layers * QR_RANGES_A_LAYER * info->hidden, sizeof *b->ranges);
    status = b->ranges == NULL ? QR_NO_MEMORY : qr_pool_create(b->trial->threads, &pool);
    if (status == QR_OK)
        status = qr_pool_start_helpers(pool);
    if (status == QR_OK)
        status = run_calibration(b, pool, error);
    else
        qr_error_set(error, status, "int8's calibration cannot start %d threads",
                     b->trial->threads);
    qr_pool_destroy(pool);
    return status;
}

/* Packing a plan for each of some thirty trials would take longer than running them. */
static qr_status build_mixed(bench *b, const uint8_t *fallback, qr_error *error) {
    if (b->backend->mix == NULL)
        return pack(b, QR_PRECISION_INT8, fallback, &b->mixed, error);
    qr_status status = pack_once(b, QR_PRECISION_INT8, error);
    if (status == QR_OK)
        status = pack_once(b, QR_PRECISION_BF16, error);
    return status == QR_OK
               ? b->backend->mix(b->packed[QR_PRECISION_INT8], b->packed[QR_PRECISION_BF16],
                                 fallback, &b->mixed, error)
               : status;
}

/* The workspaces go before the weights that they read. */
static void drop_current(bench *b) {
    if (b->run != NULL)
        qr__probe_run_drop(b->run);
    if (b->mixed != NULL)
        b->backend->packed_destroy(b->mixed);
    b->mixed = NULL;
}

/* qr__search's build. */
static qr_status build(void *user, qr_precision precision, const uint8_t *fallback,
                       qr_error *error) {
    bench *b = user;
    drop_current(b);
    bool mixed = qr_fallbacks(fallback, b->trial->bert->info.layers) > 0;
    qr_status status = mixed ? build_mixed(b, fallback, error) : pack_once(b, precision, error);
    if (status != QR_OK)
        return status;
    return qr__probe_run_take(b->run, mixed ? b->mixed : b->packed[precision], error);
}

/* qr__search's run. */
static qr_status run(void *user, size_t sequences, const float **out, qr_error *error) {
    bench *b = user;
    return qr__probe_run_forward(b->run, sequences, out, error);
}

/* So many trials of a quarter of the probes as the budget of operations allows: none for a
 * huge model. */
static size_t trials_max(const qr_trial *trial) {
    size_t sequences = qr__choose_ranking_probes(trial->probes->sequences);
    double each = qr_model_operations(&trial->bert->info, trial->probes->starts, sequences);
    double trials = RANKING_OPERATIONS / each;
    return trials < 1e6 ? (size_t)trials : 1000000;
}

/* Each thread has a context. On a device they wait for it, and more of them than keep it busy only
 * take its memory. */
static int threads_of(const qr_trial *trial) {
    size_t streams = trial->device->streams;
    return streams > 0 && streams < (size_t)trial->threads ? (int)streams : trial->threads;
}

static qr_status choose(bench *b, uint8_t *fallback, qr_trial_result *out, qr_error *error) {
    const qr_trial *trial = b->trial;
    const qr_model_info *info = &trial->bert->info;
    const qr__search search = {
        .probes = {trial->probes, info->head, info->labels > 0 ? info->labels : info->embedding,
                   info->head == QR_HEAD_LABELS && qr_model_scores(info) != QR_SCORES_SOFTMAX},
        .layers = info->layers,
        .order = trial->device->order,
        .rates = trial->device->rates.name,
        .has_fallback = trial->device->runs[QR_PRECISION_BF16],
        .trials_max = trials_max(trial),
        .user = b,
        .build = build,
        .run = run,
    };
    qr_status status = qr__probe_run_create(&search.probes, threads_of(trial), &b->run, error);
    if (status != QR_OK)
        return status;
    qr__choice choice;
    uint64_t begin = qr_clock_ns();
    status = qr__choose(&search, trial->asked, fallback, &choice, error);
    if (status != QR_OK)
        return status;
    out->gate_ms = (double)(qr_clock_ns() - begin) / (double)QR_NS_PER_MS - b->pack_ms;
    out->precision = choice.precision;
    snprintf(out->reason, sizeof out->reason, "%s", choice.reason);
    return QR_OK;
}

/* No gate: f32, or what was asked for by name. */
static void take_as_asked(const qr_trial *trial, qr_trial_result *out) {
    bool automatic = trial->asked == QR_PRECISION_AUTO;
    out->precision = automatic ? QR_PRECISION_F32 : trial->asked;
    snprintf(out->reason, sizeof out->reason, "%s: %s", qr_precision_name(out->precision),
             automatic ? "there are no texts to try another precision on" : "as asked");
}

/* The chosen plan's packing, made now if it was only mixed for its trial. */
static qr_status hand_over(bench *b, const uint8_t *fallback, qr_trial_result *out,
                           qr_error *error) {
    drop_current(b);
    if (qr_fallbacks(fallback, b->trial->bert->info.layers) > 0)
        return pack(b, out->precision, fallback, &out->packed, error);
    qr_status status = pack_once(b, out->precision, error);
    out->packed = b->packed[out->precision];
    b->packed[out->precision] = NULL;
    return status;
}

qr_status qr_trial_run(const qr_trial *trial, qr_trial_result *out, qr_error *error) {
    bench b = {.trial = trial, .backend = trial->device->backend};
    qr_status status = QR_OK;
    b.packed[QR_PRECISION_F32] = trial->f32;
    *out = (qr_trial_result){.precision = trial->asked};
    if (trial->probes != NULL && trial->asked != QR_PRECISION_F32)
        status = choose(&b, out->fallback, out, error);
    else
        take_as_asked(trial, out);
    if (status == QR_OK)
        status = hand_over(&b, out->fallback, out, error);
    drop_current(&b);
    for (unsigned p = 0; p < QR_PRECISIONS; p++)
        if (b.packed[p] != NULL)
            b.backend->packed_destroy(b.packed[p]);
    free(b.ranges);
    qr__probe_run_destroy(b.run);
    out->pack_ms = b.pack_ms;
    return status;
}
