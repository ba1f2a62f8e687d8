/* recognise/known.c: a term's numbers and known ones, number by number: a bias, a scale, gamma and
 * beta of a layer norm, weights of a pooling, a mask, a function's constant. */
#include "engine/model/recognise/functions.h"
#include "engine/model/recognise/maps.h"
#include "engine/model/recognise/steps.h"

/* gamma and beta of a layer norm, number by column. */
static qr__view norm_with_columns(qr__reading *r, size_t node, const char *op, const qr__term *norm,
                                  const int64_t *map, const double *by_column) {
    qr__term *next = qr__term_copy(r, norm, node);
    float *gamma = qr__reading_take(r, norm->cols, sizeof *gamma);
    float *beta = qr__reading_take(r, norm->cols, sizeof *beta);
    if (r->no_memory)
        return (qr__view){.term = next};
    for (size_t c = 0; c < norm->cols; c++) {
        double g = norm->gamma == NULL ? 1 : norm->gamma[c];
        double b = norm->beta == NULL ? 0 : norm->beta[c];
        double v = by_column[c];
        gamma[c] = (float)(strcmp(op, "Mul") == 0 ? g * v : strcmp(op, "Div") == 0 ? g / v : g);
        beta[c] = (float)(strcmp(op, "Mul") == 0   ? b * v
                          : strcmp(op, "Div") == 0 ? b / v
                          : strcmp(op, "Add") == 0 ? b + v
                                                   : b - v);
    }
    next->gamma = gamma;
    next->beta = beta;
    return (qr__view){.term = next, .map = map};
}

/* Rows of states times weights, which a mask gives. */
static qr__view weigh(qr__reading *r, size_t node, const qr__term *states, const int64_t *map,
                      const double *by_row, bool divide) {
    bool pooled = states->kind == QR__TERM_POOLED;
    qr__term *term = pooled
                         ? qr__term_copy(r, states, node)
                         : qr__term_create(r, QR__TERM_WEIGHTED, node, states->rows, states->cols);
    const qr__term *source = pooled || states->kind == QR__TERM_WEIGHTED ? states->of : states;
    double *weights = qr__reading_take(r, source->rows, sizeof *weights);
    if (r->no_memory)
        return (qr__view){.term = term};
    const size_t every = source->rows / states->rows; /* rows of the source in one of ours */
    for (size_t i = 0; i < source->rows; i++) {
        double before = states->weights == NULL ? 1 : states->weights[i];
        double by = by_row[i / every];
        weights[i] = divide ? before / by : before * by;
    }
    term->of = source;
    term->weights = weights;
    return (qr__view){.term = term, .map = map};
}

/* What the known numbers do to a term where they are one a column, one a row, or one for all. */
static qr__view spread_over(qr__reading *r, size_t node, const char *op, const qr__view *view,
                            const int64_t *map, qr__spread spread, double *values) {
    const qr__term *term = view->term;
    const bool adds = strcmp(op, "Add") == 0 || strcmp(op, "Sub") == 0;
    const bool scales = strcmp(op, "Mul") == 0 || strcmp(op, "Div") == 0;
    const double neutral = adds ? 0 : 1;
    const qr__view moved = {term, map, view->function};
    if (!adds && !scales)
        return qr__unknown(r, node, "a sum or a product");
    if (spread == QR__UNIFORM) {
        if (values[0] == neutral)
            return moved;
        values = qr__repeat(r, values[0], term->cols);
        spread = QR__BY_COLUMN;
    }
    if (values == NULL)
        return moved;
    if (spread == QR__BY_COLUMN && term->kind == QR__TERM_NORM)
        return norm_with_columns(r, node, op, term, map, values);
    for (size_t c = 0; spread == QR__BY_COLUMN && c < term->cols; c++)
        values[c] = strcmp(op, "Sub") == 0   ? -values[c]
                    : strcmp(op, "Div") == 0 ? 1 / values[c]
                                             : values[c];
    if (spread == QR__BY_COLUMN && scales && term->kind == QR__TERM_CENTERED) {
        qr__term *scaled = qr__term_copy(r, term, node);
        float *gamma = qr__reading_take(r, term->cols, sizeof *gamma);
        for (size_t c = 0; gamma != NULL && c < term->cols; c++)
            gamma[c] = (float)(values[c] * (term->gamma == NULL ? 1 : (double)term->gamma[c]));
        if (!r->no_memory)
            scaled->gamma = gamma;
        return (qr__view){.term = scaled, .map = map};
    }
    if (spread == QR__BY_COLUMN && adds && term->kind == QR__TERM_SUM) {
        const qr__view inner = {.term = term->of};
        qr__view biased = qr__linear_add(r, node, &inner, values);
        qr__term *sum = qr__term_copy(r, term, node);
        if (!r->no_memory && !qr__is_unknown(&biased))
            sum->of = qr__canonical(r, biased.term);
        return (qr__view){.term = sum, .map = map};
    }
    if (spread == QR__BY_COLUMN &&
        (term->kind == QR__TERM_LINEAR || term->kind == QR__TERM_SCALE)) {
        qr__view changed =
            adds ? qr__linear_add(r, node, view, values) : qr__linear_scale(r, node, view, values);
        changed.map = map;
        return changed;
    }
    if (spread == QR__BY_ROW && scales &&
        (term->kind == QR__TERM_NORM || term->kind == QR__TERM_POOLED ||
         term->kind == QR__TERM_WEIGHTED))
        return weigh(r, node, term, map, values, strcmp(op, "Div") == 0);
    if (spread == QR__BY_COLUMN && scales && term->kind == QR__TERM_POOLED) {
        for (size_t c = 1; c < term->cols; c++)
            if (values[c] != values[0])
                return qr__unknown(r, node, "one factor for a pooled vector");
        return weigh(r, node, term, map, qr__repeat(r, values[0], term->rows), false);
    }
    return qr__unknown(r, node, "a bias, a scale or a mask of the shape that a BERT has here");
}

/* The scale of what was quantized times that of a matrix, or those of its columns. */
static qr__view scale_of_columns(qr__reading *r, size_t node, const qr__term *scale,
                                 const double *numbers, size_t count) {
    qr__term *term = qr__term_create(r, QR__TERM_SCALE, node, 1, count);
    float *scales = qr__reading_take(r, count, sizeof *scales);
    if (r->no_memory || (scale->cols != 1 && scale->cols != count))
        return qr__unknown(r, node, "one scale, or one a column");
    for (size_t c = 0; c < count; c++)
        scales[c] =
            (float)(numbers[c] * (scale->col_scale == NULL
                                      ? 1
                                      : (double)scale->col_scale[scale->cols == 1 ? 0 : c]));
    term->of = scale->of;
    term->col_scale = scales;
    return (qr__view){.term = term};
}

/* x + 0, x - 0, x * 1, x / 1 by one number. */
static bool is_neutral(const char *op, const qr_onnx_tensor *known) {
    const bool adds = strcmp(op, "Add") == 0 || strcmp(op, "Sub") == 0;
    const bool scales = strcmp(op, "Mul") == 0 || strcmp(op, "Div") == 0;
    return known->count == 1 && (adds || scales) && qr__number(known, 0) == (adds ? 0 : 1);
}

/* Whether numbers of a term's columns may be put into it: a bias, a scale. */
static bool has_columns(const qr__term *term) {
    return term->kind == QR__TERM_LINEAR || term->kind == QR__TERM_NORM ||
           term->kind == QR__TERM_SUM || term->kind == QR__TERM_SCALE ||
           term->kind == QR__TERM_CENTERED || term->kind == QR__TERM_POOLED ||
           term->kind == QR__TERM_WEIGHTED;
}

qr__view qr__with_known(qr__reading *r, size_t node, const char *op, const qr__view *view,
                        const qr_onnx_tensor *shape, size_t known_value, bool flipped,
                        const qr_onnx_tensor *like) {
    const qr_onnx_tensor *known = qr__tensor_of(r, known_value);
    const qr__term *term = view->term;
    const qr__view positive = {view->term, view->map, NULL};
    if (strcmp(op, "Add") == 0 && qr__is_negative(view)) {
        view = &positive;
        op = "Sub";
        flipped = true;
    }
    if (!flipped && is_neutral(op, known) && shape->count == like->count)
        return *view;
    if (term->kind == QR__TERM_EMBEDDED && !flipped)
        return qr__embedded_with_known(r, node, op, view, shape, known_value, like);
    int64_t *map = qr__map_expand(r, view, shape, like);
    double *numbers = qr__numbers_expand(r, known, like);
    double *values = NULL;
    if (map == NULL || numbers == NULL)
        return qr__unknown(r, node, "shapes that fit");
    if (term->kind == QR__TERM_SCALE && strcmp(op, "Mul") == 0 && like->count <= UINT32_MAX)
        return scale_of_columns(r, node, term, numbers, like->count);
    if (term->kind == QR__TERM_VARIANCE && strcmp(op, "Mul") == 0 && like->count > shape->count)
        return qr__spread_by_gamma(r, node, view, map, numbers, like);
    if (term->kind == QR__TERM_SPREAD_MEAN && strcmp(op, "Sub") == 0 && flipped)
        return qr__spread_beta(r, node, view, numbers, like->count);
    qr__spread spread = qr__spread_of(r, term, map, numbers, like->count,
                                      strcmp(op, "Mul") == 0 || strcmp(op, "Div") == 0, &values);
    double scale = 1;
    bool scaled =
        view->function == NULL || qr__function_name(view->function, &scale) == QR__FN_SCALED;
    if (scaled && term->kind == QR__TERM_SCORES && strcmp(op, "Add") == 0)
        return qr__mask_scores(r, node, view, map, numbers, like->count);
    const bool of_columns = has_columns(term);
    /* One number for all: a bias or a gamma whose numbers are all the same, or a function's
     * constant: x 0.5 of a GELU. What is added to a LINEAR is its bias; its factors are the
     * function's. */
    bool power = strcmp(op, "Pow") == 0 || strcmp(op, "Max") == 0 || strcmp(op, "Min") == 0;
    bool as_function =
        spread == QR__UNIFORM && (flipped || power || !of_columns || view->function != NULL ||
                                  (term->kind == QR__TERM_LINEAR && !term->in_steps &&
                                   (strcmp(op, "Mul") == 0 || strcmp(op, "Div") == 0)));
    if (as_function && scaled && term->kind == QR__TERM_LINEAR && !flipped &&
        (strcmp(op, "Add") == 0 || strcmp(op, "Sub") == 0))
        as_function = false;
    if (as_function) {
        double *constant = qr__function_constant(r, values[0]);
        const double *f = flipped ? qr__function_binary(r, op, constant, view->function)
                                  : qr__function_binary(r, op, view->function, constant);
        if (f == NULL)
            return qr__unknown(r, node, "an operator that a BERT has here");
        return (qr__view){term, map, f};
    }
    if (!scaled || flipped || (view->function != NULL && term->kind != QR__TERM_LINEAR) ||
        spread == QR__BY_NOTHING)
        return qr__unknown(r, node, "a bias, a scale or a mask of the shape that a BERT has here");
    return spread_over(r, node, op, view, map, spread, values);
}
