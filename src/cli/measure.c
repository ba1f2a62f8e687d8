/* cli/measure.c: one plan a precision, timed in turn. */
#include "cli/measure.h"

#include <stdio.h>
#include <stdlib.h>

#define ROUNDS_MAX 41u
#define ROUNDS_MIN 5u
#define CALLS      8u                    /* a round, after one that does not count */
#define LONGEST_NS (4000 * QR_NS_PER_MS) /* all rounds, once there are ROUNDS_MIN */

typedef struct candidate {
    qr_engine *engine; /* NULL: does not run here */
    qr_context *context;
    double ms[ROUNDS_MAX];
} candidate;

static int by_size(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* QR_BAD_OPTION is no fault: the target has no kernels for the precision. */
static qr_status prepare(const qr_model *model, const char *device, qr_precision precision,
                         candidate *out, qr_error *error) {
    const qr_engine_options options = {.precision = precision, .device = device};
    const qr_context_options sizes = {.tokens_max = QR__MEASURE_TOKENS, .sequences_max = 1};
    qr_status status = qr_engine_create(model, &options, &out->engine, error);
    if (status == QR_OK)
        return qr_context_create(out->engine, &sizes, &out->context, error);
    return status == QR_BAD_OPTION && precision != QR_PRECISION_F32 ? QR_OK : status;
}

static qr_status time_round(candidate *one, const qr_batch *batch, size_t round) {
    const float *hidden;
    qr_status status = qr_context_forward(one->context, batch, QR_OUTPUT_HIDDEN, &hidden);
    const uint64_t begin = qr_clock_ns();
    for (size_t i = 0; i < CALLS && status == QR_OK; i++)
        status = qr_context_forward(one->context, batch, QR_OUTPUT_HIDDEN, &hidden);
    one->ms[round] = (double)(qr_clock_ns() - begin) / (double)QR_NS_PER_MS / CALLS;
    return status;
}

static qr_status time_all(candidate *all, const qr_model_info *info, qr__measured *out) {
    const int32_t ids[QR__MEASURE_TOKENS] = {0}; /* no kernel looks at values */
    const uint32_t starts[] = {0, (uint32_t)qr_min(QR__MEASURE_TOKENS, info->positions)};
    const qr_batch batch = {ids, NULL, starts, 1, NULL};
    const uint64_t until = qr_clock_ns() + LONGEST_NS;
    size_t rounds = 0;
    qr_status status = QR_OK;
    while (status == QR_OK && rounds < ROUNDS_MAX &&
           (rounds < ROUNDS_MIN || qr_clock_ns() < until)) {
        for (size_t p = 0; p < QR_PRECISIONS && status == QR_OK; p++)
            if (all[p].engine != NULL)
                status = time_round(&all[p], &batch, rounds);
        rounds++;
    }
    for (size_t p = 0; p < QR_PRECISIONS && status == QR_OK; p++) {
        if (all[p].engine == NULL)
            continue;
        qsort(all[p].ms, rounds, sizeof all[p].ms[0], by_size);
        out->ms[p] = all[p].ms[rounds / 2];
    }
    return status;
}

qr_status qr__measure(const char *dir, const char *target, qr__measured *out, qr_error *error) {
    candidate all[QR_PRECISIONS] = {0};
    qr_model *model = NULL;
    char device[64];
    *out = (qr__measured){0};
    snprintf(device, sizeof device, "cpu:%s", target);
    qr_status status = qr_model_open(dir, &model, error);
    for (size_t p = QR_PRECISION_F32; p < QR_PRECISIONS && status == QR_OK; p++)
        status = prepare(model, device, (qr_precision)p, &all[p], error);
    if (status == QR_OK) {
        status = time_all(all, qr_model_get_info(model), out);
        if (status != QR_OK)
            qr_error_set(error, status, "%s: a pass failed: %s", dir, qr_status_sentence(status));
    }
    for (size_t p = 0; p < QR_PRECISIONS; p++) {
        qr_context_destroy(all[p].context);
        qr_engine_destroy(all[p].engine);
    }
    qr_model_close(model);
    return status;
}

/* As qr__rates_order puts first: of rates that count as equal, the most exact precision's. */
static qr_precision table_first(const qr__measured *here, const qr_rates *rates) {
    double best = rates->gops[QR_PRECISION_F32];
    if (best <= 0)
        return QR_PRECISION_F32;
    for (unsigned p = QR_PRECISION_F32; p < QR_PRECISIONS; p++)
        if (here->ms[p] > 0 && rates->gops[p] > best)
            best = rates->gops[p];
    unsigned first = QR_PRECISION_F32;
    while (here->ms[first] <= 0 || rates->gops[first] * QR_RATES_TIE < best)
        first++;
    return (qr_precision)first;
}

bool qr__measure_agrees(const qr__measured *here, const qr_rates *rates, qr_precision *said,
                        qr_precision *found) {
    *said = table_first(here, rates);
    *found = QR_PRECISION_F32;
    for (unsigned p = QR_PRECISION_F32 + 1; p < QR_PRECISIONS; p++)
        if (here->ms[p] > 0 && here->ms[p] < here->ms[*found])
            *found = (qr_precision)p;
    return here->ms[*said] <= here->ms[*found] * QR__MEASURE_TIE;
}
