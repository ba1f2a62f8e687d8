/* engine/plan/choose.c: the search for the fastest plan that passes the gate.
 *
 * When int8 as a whole fails, single matrices are to blame more often than all: each is put back to
 * bf16 alone, the distance to f32 that this saves ranks them, and the worst go to bf16 in growing
 * numbers until the gate passes. Above half of them int8 is hardly faster than bf16; the next
 * candidate is tried instead.
 */
#include "engine/plan/choose.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/backend.h"

typedef struct ranked {
    size_t matrix; /* QR_MATRICES_A_LAYER * layer + bit */
    size_t order;  /* of its trial */
    double distance;
} ranked;

typedef struct chooser {
    const qr__search *search;
    float *expected;  /* f32's outputs */
    uint8_t *current; /* [L] the fallback bits of the last build */
    uint8_t *none;    /* [L] zeros */
    uint8_t *built;   /* [L] and the precision of the plan that is built; AUTO: none yet */
    qr_precision built_precision;
    ranked *ranking;
    size_t matrices;
    qr__gate_verdict plain; /* of the last candidate without fallbacks, for the story */
    qr_error *error;
} chooser;

/* Makes a plan the current one, unless it is. */
static qr_status build(chooser *c, qr_precision precision) {
    const uint8_t *fallback = precision == QR_PRECISION_INT8 ? c->current : c->none;
    if (c->built_precision == precision && memcmp(c->built, fallback, c->search->layers) == 0)
        return QR_OK;
    c->built_precision = precision;
    memcpy(c->built, fallback, c->search->layers);
    return c->search->build(c->search->user, precision, fallback, c->error);
}

size_t qr__choose_ranking_probes(size_t sequences) {
    return qr_max(qr_min(sequences, 4), sequences / 4);
}

/* The probes, or the first of them: enough for a ranking. */
static qr__gate_probes probes_of(const chooser *c, bool ranking, qr_batch *part) {
    qr__gate_probes probes = c->search->probes;
    *part = *probes.batch;
    if (ranking)
        part->sequences = qr__choose_ranking_probes(part->sequences);
    probes.batch = part;
    return probes;
}

/* Builds and runs a plan, and judges it on all probes or (`ranking`) on some. */
static qr_status try_plan(chooser *c, qr_precision precision, bool ranking,
                          qr__gate_verdict *verdict) {
    const float *actual = NULL;
    qr_batch part;
    qr__gate_probes probes = probes_of(c, ranking, &part);
    qr_status status = build(c, precision);
    if (status == QR_OK)
        status = c->search->run(c->search->user, part.sequences, &actual, c->error);
    if (status == QR_OK)
        *verdict = qr__gate_judge(&probes, c->expected, actual);
    return status;
}

/* f32's outputs are copied: the context they stand in belongs to the next candidate. */
static qr_status run_reference(chooser *c) {
    const float *actual = NULL;
    qr_status status = build(c, QR_PRECISION_F32);
    if (status == QR_OK)
        status =
            c->search->run(c->search->user, c->search->probes.batch->sequences, &actual, c->error);
    if (status == QR_OK)
        memcpy(c->expected, actual, qr__gate_floats(&c->search->probes) * sizeof(float));
    return status;
}

static void set_bit(chooser *c, size_t matrix) {
    uint8_t *bits = &c->current[matrix / QR_MATRICES_A_LAYER];
    *bits = (uint8_t)(*bits | 1u << matrix % QR_MATRICES_A_LAYER);
}

/* Ties go by the order of trials, so that the ranking is the same on every machine. */
static int by_distance(const void *a, const void *b) {
    const ranked *x = a, *y = b;
    if (x->distance != y->distance)
        return x->distance < y->distance ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

/* The order of trials when not all may be made: the second matrix of the feed-forward,
 * whose inputs have outliers, is the usual culprit, in the last layers more than in the first. */
static size_t trial(const chooser *c, size_t i) {
    size_t kind = QR_MATRICES_A_LAYER - 1 - i / c->search->layers;
    size_t layer = c->search->layers - 1 - i % c->search->layers;
    return layer * QR_MATRICES_A_LAYER + kind;
}

/* Matrices that were not tried rank behind every one that helps. */
static qr_status rank_matrices(chooser *c) {
    qr__gate_verdict plain;
    memset(c->current, 0, c->search->layers);
    qr_status status = try_plan(c, QR_PRECISION_INT8, true, &plain);
    for (size_t i = 0; status == QR_OK && i < c->matrices; i++) {
        qr__gate_verdict verdict = plain;
        if (i < c->search->trials_max) {
            memset(c->current, 0, c->search->layers);
            set_bit(c, trial(c, i));
            status = try_plan(c, QR_PRECISION_INT8, true, &verdict);
        }
        c->ranking[i] = (ranked){trial(c, i), i, verdict.distance};
    }
    qsort(c->ranking, c->matrices, sizeof *c->ranking, by_distance);
    return status;
}

static qr_status try_worst(chooser *c, size_t count, qr__gate_verdict *verdict) {
    memset(c->current, 0, c->search->layers);
    for (size_t i = 0; i < count; i++)
        set_bit(c, c->ranking[i].matrix);
    return try_plan(c, QR_PRECISION_INT8, false, verdict);
}

/* int8 with the fewest fallbacks of the ranking that pass: doubled until it passes, then halved
 * back. *count: 0 when none does. */
static qr_status search_fallbacks(chooser *c, size_t *count, qr__gate_verdict *verdict) {
    size_t most = c->matrices / 2, failing = 0, passing = 0;
    *count = 0;
    qr_status status = rank_matrices(c);
    for (size_t n = 1; status == QR_OK && passing == 0 && failing < most; n = qr_min(n * 2, most)) {
        qr__gate_verdict now;
        status = try_worst(c, n, &now);
        if (status == QR_OK && now.passed) {
            passing = n;
            *verdict = now;
        } else {
            failing = n;
        }
    }
    while (status == QR_OK && passing > failing + 1) {
        size_t middle = (passing + failing) / 2;
        qr__gate_verdict now;
        status = try_worst(c, middle, &now);
        if (status == QR_OK && now.passed) {
            passing = middle;
            *verdict = now;
        } else {
            failing = middle;
        }
    }
    *count = passing;
    return status;
}

/* Builds the choice once more unless it is what was tried last: search ends on a failing
 * candidate as often as not. */
static qr_status finish(chooser *c, qr_precision precision, size_t fallbacks,
                        const qr__gate_verdict *verdict, qr__choice *out) {
    out->precision = precision;
    out->fallbacks = fallbacks;
    out->verdict = *verdict;
    out->passed = verdict->passed;
    memset(c->current, 0, c->search->layers);
    for (size_t i = 0; i < fallbacks; i++)
        set_bit(c, c->ranking[i].matrix);
    const char *name = qr_precision_name(precision);
    if (fallbacks > 0)
        snprintf(out->reason, sizeof out->reason,
                 "%s: passed the gate with %zu of %zu matrices in bf16 (%.80s; without: %.80s)",
                 name, fallbacks, c->matrices, verdict->reason, c->plain.reason);
    else
        snprintf(out->reason, sizeof out->reason, "%s: %s the gate (%s)", name,
                 verdict->passed ? "passed" : "as asked, but it fails", verdict->reason);
    return build(c, precision);
}

/* f32 is the measure itself; `why` says what was tried before. */
static qr_status finish_f32(chooser *c, const char *why, qr__choice *out) {
    *out = (qr__choice){.precision = QR_PRECISION_F32, .passed = true};
    out->verdict = (qr__gate_verdict){.passed = true, .mean = 1, .worst = 1};
    if (c->search->probes.head == QR_HEAD_LABELS)
        out->verdict.worst = 0;
    memset(c->current, 0, c->search->layers);
    snprintf(out->reason, sizeof out->reason, "f32: %s", why);
    return build(c, QR_PRECISION_F32);
}

/* int8 as it is or with fallbacks; *found is false when neither passes. */
static qr_status choose_int8(chooser *c, bool *found, qr__choice *out) {
    size_t fallbacks = 0;
    qr__gate_verdict verdict;
    *found = false;
    memset(c->current, 0, c->search->layers);
    qr_status status = try_plan(c, QR_PRECISION_INT8, false, &c->plain);
    if (status != QR_OK)
        return status;
    verdict = c->plain;
    if (!verdict.passed && c->search->has_fallback) {
        status = search_fallbacks(c, &fallbacks, &verdict);
        if (status != QR_OK)
            return status;
    }
    if (c->plain.passed || fallbacks > 0) {
        *found = true;
        return finish(c, QR_PRECISION_INT8, fallbacks, &verdict, out);
    }
    return QR_OK;
}

/* f16 or bf16 as a whole; *found is false when it fails. */
static qr_status choose_half(chooser *c, qr_precision half, bool *found, qr__choice *out) {
    qr_status status = try_plan(c, half, false, &c->plain);
    *found = status == QR_OK && c->plain.passed;
    return *found ? finish(c, half, 0, &c->plain, out) : status;
}

static qr_status choose_candidate(chooser *c, qr_precision precision, bool *found,
                                  qr__choice *out) {
    return precision == QR_PRECISION_INT8 ? choose_int8(c, found, out)
                                          : choose_half(c, precision, found, out);
}

/* What was asked for by name is taken whether it passes or not. */
static qr_status choose_named(chooser *c, qr_precision asked, qr__choice *out) {
    bool found = false;
    qr_status status = run_reference(c);
    if (status == QR_OK)
        status = choose_candidate(c, asked, &found, out);
    return status == QR_OK && !found ? finish(c, asked, 0, &c->plain, out) : status;
}

/* From the fastest to f32: what is slower than f32 is not in the order. */
static qr_status choose_fastest(chooser *c, qr__choice *out) {
    const qr_precision *order = c->search->order;
    char why[160];
    snprintf(why, sizeof why, "nothing is faster here by the rates of %s", c->search->rates);
    qr_status status = order[0] != QR_PRECISION_F32 ? run_reference(c) : QR_OK;
    for (size_t i = 0; status == QR_OK && order[i] != QR_PRECISION_F32; i++) {
        bool found = false;
        status = choose_candidate(c, order[i], &found, out);
        if (status != QR_OK || found)
            return status;
        snprintf(why, sizeof why, "%s fails the gate (%s)", qr_precision_name(order[i]),
                 c->plain.reason);
    }
    return status == QR_OK ? finish_f32(c, why, out) : status;
}

qr_status qr__choose(const qr__search *search, qr_precision asked, uint8_t *fallback,
                     qr__choice *out, qr_error *error) {
    chooser c = {.search = search,
                 .current = fallback,
                 .error = error,
                 .built_precision = QR_PRECISION_AUTO};
    qr_status status;
    *out = (qr__choice){0};
    c.matrices = search->layers * QR_MATRICES_A_LAYER;
    c.expected = calloc(qr__gate_floats(&search->probes) + 1, sizeof *c.expected);
    c.none = calloc(search->layers + 1, 1);
    c.built = calloc(search->layers + 1, 1);
    c.ranking = calloc(c.matrices + 1, sizeof *c.ranking);
    if (c.expected == NULL || c.none == NULL || c.built == NULL || c.ranking == NULL)
        status = qr_error_set(error, QR_NO_MEMORY, "no memory for the accuracy gate");
    else if (asked == QR_PRECISION_F32)
        status = finish_f32(&c, "as asked", out);
    else if (asked == QR_PRECISION_AUTO)
        status = choose_fastest(&c, out);
    else
        status = choose_named(&c, asked, out);
    free(c.ranking);
    free(c.built);
    free(c.none);
    free(c.expected);
    return status;
}
