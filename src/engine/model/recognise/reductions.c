/* recognise/reductions.c: means, sums, maxima and softmax, as terms see them: a layer norm's
 * statistics, a vector's length, pooling over tokens, attention's probabilities. */
#include <math.h>

#include "engine/model/recognise/functions.h"
#include "engine/model/recognise/steps.h"

/* Which of the input's numbers each of the output's is made of: group[i] is the output's number. */
typedef struct groups {
    size_t *of; /* [count of the input] */
    size_t count, size;
} groups;

static bool find_axes(const qr__reading *r, const qr_onnx_node *node, const qr_onnx_tensor *in,
                      bool reduced[QR_ONNX_RANK_MAX]) {
    const qr_onnx_attribute *attribute = qr_onnx_find_attribute(node, "axes");
    const qr_onnx_tensor *given = qr__input_tensor(r, node, 1);
    const size_t count = attribute != NULL ? attribute->count : given != NULL ? given->count : 0;
    const bool pool = strcmp(node->op, "GlobalAveragePool") == 0; /* all axes but the first two */
    for (size_t a = 0; a < in->rank; a++)
        reduced[a] = count == 0 && (!pool || a >= 2);
    for (size_t i = 0; i < count; i++) {
        int64_t axis = attribute != NULL ? attribute->ints[i] : qr_onnx_int(given, i);
        axis += axis < 0 ? (int64_t)in->rank : 0;
        if (axis < 0 || axis >= (int64_t)in->rank)
            return false;
        reduced[axis] = true;
    }
    return true;
}

static bool group_by(qr__reading *r, const qr_onnx_tensor *in, const bool reduced[QR_ONNX_RANK_MAX],
                     groups *out) {
    size_t index[QR_ONNX_RANK_MAX] = {0};
    *out = (groups){qr__reading_take(r, in->count, sizeof *out->of), 1, 1};
    if (out->of == NULL)
        return false;
    for (size_t a = 0; a < in->rank; a++) {
        out->count *= reduced[a] ? 1 : in->shape[a];
        out->size *= reduced[a] ? in->shape[a] : 1;
    }
    for (size_t i = 0; i < in->count; i++) {
        size_t group = 0;
        for (size_t a = 0; a < in->rank; a++)
            group = reduced[a] ? group : group * in->shape[a] + index[a];
        out->of[i] = group;
        for (size_t a = in->rank; a-- > 0;) {
            if (++index[a] < in->shape[a])
                break;
            index[a] = 0;
        }
    }
    return true;
}

/* Whether each group is one whole row of the term; row[group]. */
static int64_t *whole_rows(qr__reading *r, const qr__view *view, const groups *g, size_t count) {
    int64_t *row = qr__reading_take(r, g->count, sizeof *row);
    size_t *seen = qr__reading_take(r, g->count, sizeof *seen);
    if (row == NULL || seen == NULL || g->size != view->term->cols)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        const size_t place = qr__place(view, i);
        const size_t group = g->of[i];
        if (seen[group]++ == 0)
            row[group] = (int64_t)(place / view->term->cols);
        else if (row[group] != (int64_t)(place / view->term->cols))
            return NULL;
    }
    return row;
}

/* Whether each group is one column over all tokens of a sequence: [b * cols + column]. */
static int64_t *whole_columns(qr__reading *r, const qr__view *view, const groups *g, size_t count) {
    const size_t cols = view->term->cols;
    int64_t *place_of = qr__reading_take(r, g->count, sizeof *place_of);
    size_t *seen = qr__reading_take(r, g->count, sizeof *seen);
    if (place_of == NULL || seen == NULL || g->size != r->tokens ||
        view->term->rows != r->batch * r->tokens)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        const size_t place = qr__place(view, i);
        const int64_t out = (int64_t)(place / cols / r->tokens * cols + place % cols);
        const size_t group = g->of[i];
        if (seen[group]++ == 0)
            place_of[group] = out;
        else if (place_of[group] != out)
            return NULL;
    }
    return place_of;
}

static qr__view row_term(qr__reading *r, size_t number, qr__term_kind kind, const qr__term *of,
                         const int64_t *map, const double *function) {
    qr__term *term = qr__term_create(r, kind, number, of->rows, 1);
    if (!r->no_memory)
        term->of = of;
    return (qr__view){term, map, function};
}

/* Mean or sum over the columns of a row. */
static qr__view reduce_row(qr__reading *r, const qr_onnx_node *node, size_t number,
                           const qr__view *view, const int64_t *rows) {
    double parameter = 0;
    const bool mean =
        strcmp(node->op, "ReduceMean") == 0 || strcmp(node->op, "GlobalAveragePool") == 0;
    const bool square =
        view->function != NULL && qr__function_name(view->function, &parameter) == QR__FN_SQUARE;
    if (mean && view->function == NULL && view->term->kind != QR__TERM_CENTERED)
        return row_term(r, number, QR__TERM_MEAN, view->term, rows, NULL);
    if (mean && square && view->term->kind == QR__TERM_CENTERED && view->term->gamma == NULL)
        return row_term(r, number, QR__TERM_VARIANCE, view->term->of, rows, NULL);
    if ((strcmp(node->op, "ReduceSum") == 0 && square) ||
        (strcmp(node->op, "ReduceSumSquare") == 0 && view->function == NULL))
        return row_term(r, number, QR__TERM_SQUARES, view->term, rows, NULL);
    if (strcmp(node->op, "ReduceL2") == 0 && view->function == NULL) {
        double *root = qr__reading_take(r, QR__GRID, sizeof *root);
        for (size_t i = 0; root != NULL && i < QR__GRID; i++)
            root[i] = sqrt(qr__grid(i));
        return row_term(r, number, QR__TERM_SQUARES, view->term, rows, root);
    }
    return qr__unknown(r, number, "the mean or the variance of a layer norm, or a vector's length");
}

/* Pooling: over a sequence's tokens. */
static qr__view reduce_tokens(qr__reading *r, const qr_onnx_node *node, size_t number,
                              const qr__view *view, const int64_t *map) {
    const qr__term *states = view->term;
    const bool filled = states->kind == QR__TERM_FILLED;
    const bool weighted = states->kind == QR__TERM_WEIGHTED;
    const bool maximum = strcmp(node->op, "ReduceMax") == 0;
    const bool mean = strcmp(node->op, "ReduceMean") == 0;
    if (view->function != NULL || (maximum ? weighted : filled) ||
        (!maximum && !mean && strcmp(node->op, "ReduceSum") != 0))
        return qr__unknown(r, number, "a pooling: sum, mean or maximum of the tokens' states");
    qr__term *term = qr__term_create(r, maximum ? QR__TERM_MAXIMUM : QR__TERM_POOLED, number,
                                     r->batch, states->cols);
    double *weights = qr__reading_take(r, states->rows, sizeof *weights);
    if (r->no_memory)
        return (qr__view){.term = term};
    for (size_t i = 0; i < states->rows; i++)
        weights[i] = (filled || weighted ? states->weights[i] : 1) / (mean ? (double)r->tokens : 1);
    term->of = filled || weighted ? states->of : states;
    term->weights = weights;
    return (qr__view){.term = term, .map = map};
}

qr__view qr__probs(qr__reading *r, size_t node, const qr__term *scores, const int64_t *map,
                   double scale) {
    if (r->has_mask && !scores->masked)
        return qr__unknown(r, node, "scores that the attention mask was added to");
    if (scores->masked && !(scores->hidden * scale <= QR__MASK_HIDES / 10))
        return qr__unknown(r, node, "a mask that still hides padding when scores were scaled");
    qr__term *probs = qr__term_copy(r, scores, node);
    if (r->no_memory)
        return (qr__view){.term = probs};
    probs->kind = QR__TERM_PROBS;
    probs->of = scores;
    probs->scale = scores->scale * scale;
    return (qr__view){.term = probs, .map = map};
}

/* The pieces of a softmax: the greatest score, that numbers stay small; the sum of their exp. */
static qr__view reduce_scores(qr__reading *r, const qr_onnx_node *node, size_t number,
                              const qr__view *view, const int64_t *rows) {
    double scale = 1;
    const qr__named_function name = qr__function_name(view->function, &scale);
    if (strcmp(node->op, "ReduceMax") == 0 && name == QR__FN_SCALED && scale > 0)
        return row_term(r, number, QR__TERM_GREATEST, view->term, rows, view->function);
    if (strcmp(node->op, "ReduceSum") != 0 || name != QR__FN_EXP)
        return qr__unknown(r, number, "the softmax of scores");
    qr__term *sum = qr__term_create(r, QR__TERM_EXP_SUM, number, view->term->rows, 1);
    if (r->no_memory)
        return (qr__view){.term = sum};
    sum->of = view->term;
    sum->scale = scale;
    return (qr__view){.term = sum, .map = rows};
}

static qr__view reduce(qr__reading *r, const qr_onnx_node *node, size_t number) {
    const qr__view *view = qr__input_view(r, node, 0);
    const qr_onnx_tensor *in = qr__input_tensor(r, node, 0);
    bool reduced[QR_ONNX_RANK_MAX];
    groups g;
    if (!find_axes(r, node, in, reduced) || !group_by(r, in, reduced, &g))
        return qr__unknown(r, number, "axes");
    if (g.size == 1) /* nothing is reduced */
        return *view;
    const int64_t *rows = whole_rows(r, view, &g, in->count);
    if (rows != NULL && view->term->kind == QR__TERM_SCORES)
        return reduce_scores(r, node, number, view, rows);
    if (rows != NULL)
        return reduce_row(r, node, number, view, rows);
    const int64_t *columns = whole_columns(r, view, &g, in->count);
    if (columns != NULL)
        return reduce_tokens(r, node, number, view, columns);
    return qr__unknown(r, number, "all channels of a token, or all tokens of a channel");
}

static qr__view softmax(qr__reading *r, const qr_onnx_node *node, size_t number) {
    const qr__view *view = qr__input_view(r, node, 0);
    const qr_onnx_tensor *in = qr__input_tensor(r, node, 0);
    const int64_t rank = (int64_t)in->rank;
    const int64_t axis = qr_onnx_attribute_int(node, "axis", r->graph->opset < 13 ? 1 : -1);
    double scale = 1;
    groups g;
    bool reduced[QR_ONNX_RANK_MAX] = {false};
    const bool last = axis == -1 || axis == rank - 1;
    if (view->term->kind != QR__TERM_SCORES ||
        qr__function_name(view->function, &scale) != QR__FN_SCALED)
        return qr__unknown(r, number, "scaled and masked scores of attention");
    if (!last && r->graph->opset < 13)
        return qr__unknown(r, number, "a softmax over the last axis");
    reduced[last ? rank - 1 : (axis < 0 ? axis + rank : axis)] = true;
    if (!group_by(r, in, reduced, &g) || whole_rows(r, view, &g, in->count) == NULL)
        return qr__unknown(r, number, "a softmax over all keys of a query");
    return qr__probs(r, number, view->term, view->map, scale);
}

bool qr__read_reduction(qr__reading *r, const qr_onnx_node *node, size_t number) {
    if (node->domain[0] != '\0')
        return false;
    if (strcmp(node->op, "Softmax") == 0) {
        qr__output_set(r, node, 0, softmax(r, node, number));
        return true;
    }
    if (strcmp(node->op, "LpNormalization") == 0) {
        const qr__view *view = qr__input_view(r, node, 0);
        const qr_onnx_tensor *in = qr__input_tensor(r, node, 0);
        const int64_t axis = qr_onnx_attribute_int(node, "axis", -1);
        const bool last = axis == -1 || axis == (int64_t)in->rank - 1;
        const bool fits = last && qr_onnx_attribute_int(node, "p", 2) == 2 &&
                          view->function == NULL && in->shape[in->rank - 1] == view->term->cols;
        qr__view out = qr__unknown(r, number, "a vector divided by its length");
        if (fits) {
            qr__term *term =
                qr__term_create(r, QR__TERM_NORMALIZED, number, view->term->rows, view->term->cols);
            term->of = view->term;
            out = (qr__view){.term = term, .map = view->map};
        }
        qr__output_set(r, node, 0, out);
        return true;
    }
    if (strncmp(node->op, "Reduce", 6) != 0 && strcmp(node->op, "GlobalAveragePool") != 0)
        return false;
    qr__output_set(r, node, 0, reduce(r, node, number));
    return true;
}
