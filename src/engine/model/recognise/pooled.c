/* recognise/pooled.c: an output that is a vector of each sequence: which pooling, dense modules and
 * normalisation made it. */
#include "engine/model/recognise/pooled.h"

#include <math.h>
#include <stdio.h>

#include "engine/model/recognise/functions.h"

/* The weight that a pooling gives token s of a sequence with these tokens. */
static double weight_by(qr_pooling pooling, size_t s, const int64_t *mask, size_t tokens) {
    double n = 0;
    double positions = 0;
    size_t last = 0;
    for (size_t i = 0; i < tokens; i++) {
        if (mask != NULL && mask[i] == 0)
            continue;
        n += 1;
        positions += (double)i + 1;
        last = i;
    }
    if (mask != NULL && mask[s] == 0)
        return 0;
    switch (pooling) {
    case QR_POOLING_CLS:
        return s == 0;
    case QR_POOLING_MEAN:
        return 1 / n;
    case QR_POOLING_MEAN_SQRT_LEN:
        return 1 / sqrt(n);
    case QR_POOLING_WEIGHTED_MEAN:
        return ((double)s + 1) / positions;
    case QR_POOLING_LAST:
        return s == last;
    case QR_POOLING_MAX:
        break;
    }
    return 1; /* counts */
}

static bool has_weights(const qr__reading *r, const double *weights, qr_pooling pooling) {
    const int64_t *mask = qr__fed_mask(r);
    for (size_t t = 0; t < r->batch * r->tokens; t++) {
        const int64_t *own = mask == NULL ? NULL : mask + t / r->tokens * r->tokens;
        const double want = weight_by(pooling, t % r->tokens, own, r->tokens);
        if (!(fabs(weights[t] - want) <= 1e-5))
            return false;
    }
    return true;
}

/* Rows of the states, one a sequence: as weights of 0 and 1. */
static double *weights_of_rows(qr__reading *r, const qr__view *view, size_t count) {
    const size_t cols = view->term->cols;
    double *weights = qr__reading_take(r, r->batch * r->tokens, sizeof *weights);
    if (weights == NULL || view->map == NULL || count != r->batch * cols)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        const size_t row = (size_t)view->map[i] / cols;
        if ((size_t)view->map[i] % cols != i % cols || row / r->tokens != i / cols)
            return NULL;
        weights[row] = 1;
    }
    return weights;
}

static bool name_pooling(qr__reading *r, const qr__view *view, size_t count, const qr__term *states,
                         qr_pooling *out) {
    const qr__term *term = view->term;
    const double *weights = NULL;
    if (view->function != NULL)
        return false;
    if (term == states)
        weights = weights_of_rows(r, view, count);
    else if ((term->kind == QR__TERM_POOLED || term->kind == QR__TERM_MAXIMUM) &&
             term->of == states && view->map == NULL)
        weights = term->weights;
    if (weights == NULL)
        return false;
    for (qr_pooling pooling = 0; pooling < QR_POOLINGS; pooling++)
        if ((pooling == QR_POOLING_MAX) == (term->kind == QR__TERM_MAXIMUM) &&
            has_weights(r, weights, pooling)) {
            *out = pooling;
            return true;
        }
    return false;
}

static bool dense_activation(const double *function, qr_dense_activation *out) {
    double scale = 1;
    if (function == NULL) {
        *out = QR_DENSE_IDENTITY;
        return true;
    }
    switch (qr__function_name(function, &scale)) {
    case QR__FN_TANH:
        *out = QR_DENSE_TANH;
        return true;
    case QR__FN_RELU:
        *out = QR_DENSE_RELU;
        return true;
    case QR__FN_GELU:
        *out = QR_DENSE_GELU;
        return true;
    case QR__FN_SIGMOID:
        *out = QR_DENSE_SIGMOID;
        return true;
    default:
        return false;
    }
}

/* A chain normalized? <- dense ... <- pooling, from the output down. */
typedef struct chain {
    const qr__term *dense[QR_LIMIT_DENSES];  /* the last first */
    const double *function[QR_LIMIT_DENSES]; /* behind it */
    size_t denses;
    bool normalized;
    qr_pooling pooling[QR_POOLINGS];
    size_t poolings;
} chain;

/* What a LINEAR over vectors reads: the rows and columns of its input as a view. */
static qr__view input_of(qr__reading *r, const qr__term *linear) {
    qr__view view = {.term = linear->of};
    int64_t *map = qr__reading_take(r, linear->rows * linear->depth, sizeof *map);
    if (map == NULL)
        return view;
    bool plain = linear->of->rows == linear->rows && linear->of->cols == linear->depth;
    for (size_t i = 0; i < linear->rows * linear->depth; i++) {
        map[i] = (int64_t)((size_t)linear->row_of[i / linear->depth] * linear->of->cols +
                           linear->col_of[i % linear->depth]);
        plain = plain && map[i] == (int64_t)i;
    }
    view.map = plain ? NULL : map;
    return view;
}

static bool name_poolings(qr__reading *r, const qr__view *view, size_t count,
                          const qr__term *states, chain *c) {
    if (view->term->kind != QR__TERM_CONCAT) {
        c->poolings = 1;
        return name_pooling(r, view, count, states, &c->pooling[0]);
    }
    c->poolings = view->term->part_count;
    if (view->map != NULL || view->function != NULL)
        return false;
    for (size_t i = 0; i < c->poolings; i++)
        if (!name_pooling(r, &view->term->part_views[i], r->batch * states->cols, states,
                          &c->pooling[i]))
            return false;
    return true;
}

static bool read_chain(qr__reading *r, qr__view view, size_t count, const qr__term *states,
                       chain *c) {
    if (view.term->kind == QR__TERM_NORMALIZED && view.function == NULL) {
        c->normalized = true;
        const qr__term *of = view.term->of;
        if (of == states) /* rows of all states were divided: those that are taken are left */
            view.term = of;
        else if (view.map == NULL)
            view = (qr__view){.term = of};
        else
            return false;
    }
    while (view.term->kind == QR__TERM_LINEAR && view.term != states && view.map == NULL) {
        if (c->denses == QR_LIMIT_DENSES || view.term->rows != r->batch || view.term->in_steps)
            return false;
        c->dense[c->denses] = view.term;
        c->function[c->denses++] = view.function;
        const double *function = view.term->function;
        count = view.term->rows * view.term->depth;
        view = input_of(r, view.term);
        view.function = function;
    }
    return name_poolings(r, &view, count, states, c);
}

static qr_status take_chain(qr__reading *r, const chain *c, const qr__term *states,
                            qr__recognised *found, bool *fits, qr_error *error) {
    qr_model_info *info = &found->info;
    qr_status status = QR_OK;
    size_t width = c->poolings * states->cols;
    *fits = true;
    info->denses = c->denses;
    for (size_t i = 0; i < c->denses && status == QR_OK; i++) {
        const qr__term *linear = c->dense[c->denses - 1 - i];
        qr_dense *dense = &info->dense[i];
        char name[40];
        snprintf(name, sizeof name, "dense.%zu.linear", i);
        *dense = (qr_dense){.in = width, .out = linear->cols, .bias = true};
        if (!dense_activation(c->function[c->denses - 1 - i], &dense->activation))
            *fits = false;
        else if (i > 0 || c->poolings > 1 || states->cols == linear->depth)
            status =
                qr__add_linear(found, name, linear, NULL, linear->cols, linear->col_of, 1, true)
                    ? QR_OK
                    : qr__no_memory(r, error);
        width = linear->cols;
    }
    memcpy(info->pooling, c->pooling, sizeof info->pooling);
    info->poolings = c->poolings;
    info->normalize = c->normalized;
    info->embedding = width;
    found->pools = true;
    return status;
}

static void mark(const qr__term *term, const qr__term *states) {
    while (term != NULL && term != states) {
        qr__mark(term, QR__BLOCK_POOLING, 0);
        for (size_t i = 0; term->kind == QR__TERM_CONCAT && i < term->part_count; i++)
            mark(term->part_views[i].term, states);
        term = term->of;
    }
}

qr_status qr__take_pooled(qr__reading *r, const qr__view *view, size_t count,
                          const qr__term *states, bool alone, qr__recognised *found,
                          bool *is_pooled, qr_error *error) {
    chain c = {0};
    bool fits = false;
    *is_pooled = false;
    if (!read_chain(r, *view, count, states, &c))
        return QR_OK;
    if (c.denses > 0 && !c.normalized && !alone)
        return QR_OK; /* BERT's own pooler beside the states: nobody's embedding */
    qr_status status = take_chain(r, &c, states, found, &fits, error);
    if (status == QR_OK && !fits)
        status = qr__refuse_at(r, view->term->node, "an activation of a Dense module", error);
    *is_pooled = status == QR_OK;
    if (*is_pooled)
        mark(view->term, states);
    return status;
}
