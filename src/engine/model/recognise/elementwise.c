/* recognise/elementwise.c: operators that treat number by number, as terms see them: a residual,
 * the steps of a layer norm, a function. With numbers that are known: known.c. */
#include <math.h>

#include "engine/model/recognise/functions.h"
#include "engine/model/recognise/maps.h"
#include "engine/model/recognise/steps.h"

static bool same_map(const int64_t *a, const int64_t *b, size_t count) {
    return memcmp(a, b, count * sizeof *a) == 0;
}

static bool is_states(const qr__view *view) {
    return view->function == NULL &&
           (view->term->kind == QR__TERM_NORM || view->term->kind == QR__TERM_LINEAR);
}

/* The states that a layer's last product was made of: attention's queries', or the feed-forward
 * part's. NULL: it is no such product. */
static const qr__term *own_states(const qr__term *linear) {
    const qr__term *of = linear->of;
    if (of->kind == QR__TERM_LINEAR)
        return of->of;
    if (of->kind != QR__TERM_ATTENDED)
        return NULL;
    const qr__term *probs = of->of;
    const qr__term *scores = probs->of->kind == QR__TERM_SCORES ? probs->of : probs;
    return scores->of->of;
}

/* What is added to the columns of states, behind their norm or product; NULL: nothing. */
static float *const *shift_of(const qr__term *states) {
    return states->kind == QR__TERM_NORM ? &states->beta : &states->bias;
}

/* x W + (b + states) is (x W + b) + states, where the product was made of the states. Sets *linear
 * and *states to what they are then. */
static void move_bias(qr__reading *r, size_t node, qr__view *linear, qr__view *states) {
    const qr__term *own = own_states(linear->term);
    const qr__term *other = states->term;
    if (own == NULL || own == other || own->kind != other->kind || own->cols != other->cols ||
        linear->term->cols != own->cols ||
        (own->kind != QR__TERM_NORM && own->kind != QR__TERM_LINEAR))
        return;
    const float *from = *shift_of(own), *to = *shift_of(other);
    qr__term *unshifted = qr__term_copy(r, other, node);
    double *bias = qr__reading_take(r, own->cols, sizeof *bias);
    if (r->no_memory)
        return;
    unshifted->beta = own->beta;
    unshifted->bias = own->bias;
    if (!qr__term_same(unshifted, own))
        return;
    for (size_t c = 0; c < own->cols; c++)
        bias[c] = (to == NULL ? 0 : (double)to[c]) - (from == NULL ? 0 : (double)from[c]);
    const int64_t *map = linear->map;
    *linear = qr__linear_add(r, node, linear, bias);
    linear->map = map;
    states->term = own;
}

qr__view qr__add(qr__reading *r, size_t node, const qr__view *a, const qr__view *b,
                 const qr_onnx_tensor *shape_a, const qr_onnx_tensor *shape_b,
                 const qr_onnx_tensor *like) {
    int64_t *map_a = qr__map_expand(r, a, shape_a, like);
    int64_t *map_b = qr__map_expand(r, b, shape_b, like);
    if (map_a == NULL || map_b == NULL)
        return qr__unknown(r, node, "shapes that fit");
    if (qr__plain(a, QR__TERM_EMBEDDED) && qr__plain(b, QR__TERM_EMBEDDED))
        return qr__embedded_sum(r, node, a, b, map_a, map_b, like->count);
    const qr__view *linear = a->term->kind == QR__TERM_LINEAR ? a : b;
    const qr__view *states = linear == a ? b : a;
    double scale = 1;
    if (linear->term->kind == QR__TERM_LINEAR && linear->function != NULL &&
        qr__function_name(linear->function, &scale) == QR__FN_SCALED && is_states(states)) {
        const qr__view scaled =
            qr__linear_scale(r, node, linear, qr__repeat(r, 1, linear->term->cols));
        return qr__add(r, node, &scaled, states, linear == a ? shape_a : shape_b,
                       linear == a ? shape_b : shape_a, like);
    }
    if (!is_states(states) || !is_states(linear) || linear->term->kind != QR__TERM_LINEAR ||
        !same_map(map_a, map_b, like->count) || a->term->rows != b->term->rows ||
        a->term->cols != b->term->cols)
        return qr__unknown(r, node, "a product with a matrix and the states that it is added to");
    qr__term *sum = qr__term_create(r, QR__TERM_SUM, node, a->term->rows, a->term->cols);
    qr__view of = *linear, other = *states;
    move_bias(r, node, &of, &other);
    if (other.term->kind == QR__TERM_LINEAR) { /* either may be the product */
        move_bias(r, node, &other, &of);
        if (own_states(other.term) == of.term) {
            const qr__view product = other;
            other = of;
            of = product;
        }
    }
    if (r->no_memory)
        return (qr__view){.term = sum};
    sum->of = qr__canonical(r, of.term);
    sum->other = qr__canonical(r, other.term);
    return (qr__view){.term = sum, .map = map_a};
}

/* of - mean(of) */
static qr__view center(qr__reading *r, size_t node, const qr__view *a, const int64_t *map_a,
                       const int64_t *map_b, size_t count) {
    for (size_t i = 0; i < count; i++)
        if ((size_t)map_a[i] / a->term->cols != (size_t)map_b[i])
            return qr__unknown(r, node, "the mean of the same row");
    qr__term *term = qr__term_create(r, QR__TERM_CENTERED, node, a->term->rows, a->term->cols);
    term->of = a->term;
    return (qr__view){.term = term, .map = map_a};
}

/* Whether number i of the one stands in row map_b[i] of the other, all along. */
static bool rows_meet(const qr__term *a, const int64_t *map_a, const qr__term *b,
                      const int64_t *map_b, size_t count) {
    for (size_t i = 0; i < count; i++)
        if ((size_t)map_a[i] / a->cols != (size_t)map_b[i] / b->cols)
            return false;
    return true;
}

/* CENTERED by its spread, or a vector by its length. NULL term: neither. */
static qr__view divide_rows(qr__reading *r, size_t node, const char *op, const qr__view *a,
                            const qr__view *b, const int64_t *map_a, const int64_t *map_b,
                            size_t count) {
    double eps = 0;
    const qr__named_function name = qr__function_name(b->function, &eps);
    const bool divides = (strcmp(op, "Div") == 0 && name == QR__FN_ROOT) ||
                         (strcmp(op, "Mul") == 0 && name == QR__FN_INVERSE_ROOT);
    const qr__view neither = {0};
    if (!divides || a->function != NULL || !rows_meet(a->term, map_a, b->term, map_b, count))
        return neither;
    if (a->term->kind == QR__TERM_CENTERED && b->term->kind == QR__TERM_VARIANCE &&
        qr__term_same(a->term->of, b->term->of)) {
        const qr__view of = {.term = a->term->of};
        qr__view norm = qr__norm_scaled(r, node, &of, eps, a->term->gamma, NULL);
        norm.map = map_a;
        return norm;
    }
    if (b->term->kind == QR__TERM_SQUARES && b->term->of == a->term && eps < 1e-6) {
        qr__term *term =
            qr__term_create(r, QR__TERM_NORMALIZED, node, a->term->rows, a->term->cols);
        term->of = a->term;
        return (qr__view){.term = term, .map = map_a};
    }
    return neither;
}

/* A softmax that is written out: exp(scores - their greatest), by the sum of these. NULL term: it
 * is none. */
static qr__view softmax_step(qr__reading *r, size_t node, const char *op, const qr__view *a,
                             const qr__view *b, const int64_t *map_a, const int64_t *map_b,
                             size_t count) {
    double scale_a = 1, scale_b = 1;
    const qr__view neither = {0};
    if (a->term->kind != QR__TERM_SCORES || b->term->of != a->term ||
        !rows_meet(a->term, map_a, b->term, map_b, count))
        return neither;
    const qr__named_function name = qr__function_name(a->function, &scale_a);
    if (b->term->kind == QR__TERM_GREATEST && strcmp(op, "Sub") == 0 && name == QR__FN_SCALED &&
        qr__function_name(b->function, &scale_b) == QR__FN_SCALED && scale_a == scale_b)
        return (qr__view){a->term, map_a, a->function}; /* softmax does not see the difference */
    if (b->term->kind == QR__TERM_EXP_SUM && b->function == NULL && strcmp(op, "Div") == 0 &&
        name == QR__FN_EXP && fabs(scale_a - b->term->scale) <= 1e-9 * fabs(scale_a))
        return qr__probs(r, node, a->term, map_a, scale_a);
    return neither;
}

static qr__view in_steps(qr__reading *r, size_t node, const qr__view *linear, const qr__view *scale,
                         const int64_t *map) {
    if (scale->term->of != linear->term->of)
        return qr__unknown(r, node, "the scale of what was quantized for this product");
    qr__term *copy = qr__term_copy(r, linear->term, node);
    copy->in_steps = false;
    qr__view view = {.term = copy, .map = map, .function = linear->function};
    if (scale->term->col_scale == NULL)
        return view;
    if (scale->term->cols != 1 && scale->term->cols != copy->cols)
        return qr__unknown(r, node, "one scale, or one a column");
    double *by_column = qr__repeat(r, scale->term->col_scale[0], copy->cols);
    for (size_t c = 0; by_column != NULL && c < copy->cols && scale->term->cols > 1; c++)
        by_column[c] = scale->term->col_scale[c];
    return by_column == NULL ? view : qr__linear_scale(r, node, &view, by_column);
}

static qr__view two_views(qr__reading *r, size_t node, const char *op, const qr__view *a,
                          const qr__view *b, const qr_onnx_tensor *shape_a,
                          const qr_onnx_tensor *shape_b, const qr_onnx_tensor *like) {
    const bool adds = strcmp(op, "Add") == 0;
    if ((adds || strcmp(op, "Sub") == 0) && qr__is_negative(b)) {
        const qr__view positive = {b->term, b->map, NULL};
        return two_views(r, node, adds ? "Sub" : "Add", a, &positive, shape_a, shape_b, like);
    }
    if (adds && qr__is_negative(a)) {
        const qr__view positive = {a->term, a->map, NULL};
        return two_views(r, node, "Sub", b, &positive, shape_b, shape_a, like);
    }
    int64_t *map_a = qr__map_expand(r, a, shape_a, like);
    int64_t *map_b = qr__map_expand(r, b, shape_b, like);
    if (map_a == NULL || map_b == NULL)
        return qr__unknown(r, node, "shapes that fit");
    if (a->term == b->term && same_map(map_a, map_b, like->count)) {
        const double *f = qr__function_binary(r, op, a->function, b->function);
        if (f != NULL)
            return (qr__view){a->term, map_a, f};
    }
    if (strcmp(op, "Sub") == 0 && qr__plain(b, QR__TERM_MEAN) && a->function == NULL &&
        qr__term_same(b->term->of, a->term))
        return center(r, node, a, map_a, map_b, like->count);
    if (strcmp(op, "Mul") == 0 &&
        (a->term->kind == QR__TERM_SCALE) != (b->term->kind == QR__TERM_SCALE)) {
        const qr__view *linear = a->term->kind == QR__TERM_SCALE ? b : a;
        if (linear->term->kind == QR__TERM_LINEAR && linear->term->in_steps)
            return in_steps(r, node, linear, linear == a ? b : a, linear == a ? map_a : map_b);
    }
    if (strcmp(op, "Mul") == 0 && b->term->kind == QR__TERM_SPREAD)
        return qr__spread_product(r, node, a, b, map_a, like->count);
    if (strcmp(op, "Mul") == 0 && a->term->kind == QR__TERM_SPREAD)
        return qr__spread_product(r, node, b, a, map_b, like->count);
    if (strcmp(op, "Add") == 0 && a->term->kind == QR__TERM_SPREAD_OF)
        return qr__spread_sum(r, node, a, b);
    if (strcmp(op, "Add") == 0 && b->term->kind == QR__TERM_SPREAD_OF)
        return qr__spread_sum(r, node, b, a);
    const qr__view softmax = softmax_step(r, node, op, a, b, map_a, map_b, like->count);
    if (softmax.term != NULL)
        return softmax;
    qr__view divided = divide_rows(r, node, op, a, b, map_a, map_b, like->count);
    if (divided.term == NULL && strcmp(op, "Mul") == 0)
        divided = divide_rows(r, node, op, b, a, map_b, map_a, like->count);
    if (divided.term != NULL)
        return divided;
    if (strcmp(op, "Add") == 0)
        return qr__add(r, node, a, b, shape_a, shape_b, like);
    return qr__unknown(r, node, "an operator that a BERT has between two such values");
}

/* Any number of operands, one after the other. */
static qr__view read_sum(qr__reading *r, const qr_onnx_node *node, size_t number) {
    const qr_onnx_tensor *like = qr__tensor_of(r, node->outputs[0]);
    size_t first = 0; /* that is not known: there is one */
    while (qr__input_known(r, node, first))
        first++;
    qr__view sum = *qr__input_view(r, node, first);
    const qr_onnx_tensor *shape = qr__input_tensor(r, node, first);
    for (size_t i = 0; i < node->input_count; i++) {
        if (i == first)
            continue;
        sum = qr__input_known(r, node, i)
                  ? qr__with_known(r, number, "Add", &sum, shape, node->inputs[i], false, like)
                  : two_views(r, number, "Add", &sum, qr__input_view(r, node, i), shape,
                              qr__input_tensor(r, node, i), like);
        sum.term = qr__canonical(r, sum.term);
        shape = like;
        if (qr__is_unknown(&sum))
            break;
    }
    return sum;
}

static qr__view read_unary(qr__reading *r, const qr_onnx_node *node, size_t number) {
    const qr__view *view = qr__input_view(r, node, 0);
    if (strcmp(node->op, "IsNaN") == 0) {
        qr__term *check =
            qr__term_create(r, QR__TERM_NAN_CHECK, number, view->term->rows, view->term->cols);
        check->of = view->term;
        return (qr__view){.term = check, .map = view->map};
    }
    const double *f = qr__function_unary(r, node, view->function);
    return f == NULL ? qr__unknown(r, number, "an operator that a BERT has here")
                     : (qr__view){view->term, view->map, f};
}

/* Clip as a function: what lies between is what matters. */
static qr__view read_clip(qr__reading *r, const qr_onnx_node *node, size_t number) {
    const qr__view *view = qr__input_view(r, node, 0);
    const qr_onnx_tensor *least = qr__input_tensor(r, node, 1);
    const qr_onnx_tensor *most = qr__input_tensor(r, node, 2);
    if ((qr__has_input(node, 1) && !qr__input_known(r, node, 1)) ||
        (qr__has_input(node, 2) && !qr__input_known(r, node, 2)))
        return qr__unknown(r, number, "constant limits");
    const double *f = view->function;
    const double low =
        least != NULL ? qr__number(least, 0) : qr_onnx_attribute_float(node, "min", -INFINITY);
    const double high =
        most != NULL ? qr__number(most, 0) : qr_onnx_attribute_float(node, "max", INFINITY);
    f = qr__function_binary(r, "Max", f, qr__function_constant(r, low));
    f = qr__function_binary(r, "Min", f, qr__function_constant(r, high));
    return (qr__view){view->term, view->map, f};
}

bool qr__read_elementwise(qr__reading *r, const qr_onnx_node *node, size_t number) {
    static const char *const binary[] = {"Add", "Sub", "Mul", "Div", "Pow", "Max", "Min"};
    static const char *const unary[] = {"Sqrt", "Exp",        "Erf",  "Tanh", "Relu", "Sigmoid",
                                        "Abs",  "Reciprocal", "Gelu", "Neg",  "Log",  "IsNaN"};
    if (node->domain[0] != '\0' && strcmp(node->op, "Gelu") != 0)
        return false;
    const qr_onnx_tensor *like = qr__tensor_of(r, node->outputs[0]);
    for (size_t i = 0; i < sizeof binary / sizeof binary[0]; i++) {
        if (strcmp(node->op, binary[i]) != 0)
            continue;
        if (node->input_count != 2)
            return false;
        const bool a = qr__input_known(r, node, 0);
        const bool b = qr__input_known(r, node, 1);
        const bool commutes = strcmp(node->op, "Add") == 0 || strcmp(node->op, "Mul") == 0;
        const qr_onnx_tensor *shape_a = qr__input_tensor(r, node, 0);
        const qr_onnx_tensor *shape_b = qr__input_tensor(r, node, 1);
        const qr__view *view_a = qr__input_view(r, node, 0);
        const qr__view *view_b = qr__input_view(r, node, 1);
        qr__view out =
            a   ? qr__with_known(r, number, node->op, view_b, shape_b, node->inputs[0], !commutes,
                                 like)
            : b ? qr__with_known(r, number, node->op, view_a, shape_a, node->inputs[1], false, like)
                : two_views(r, number, node->op, view_a, view_b, shape_a, shape_b, like);
        qr__output_set(r, node, 0, out);
        return true;
    }
    for (size_t i = 0; i < sizeof unary / sizeof unary[0]; i++)
        if (strcmp(node->op, unary[i]) == 0) {
            qr__output_set(r, node, 0, read_unary(r, node, number));
            return true;
        }
    if (strcmp(node->op, "Sum") == 0)
        qr__output_set(r, node, 0, read_sum(r, node, number));
    else if (strcmp(node->op, "Clip") == 0)
        qr__output_set(r, node, 0, read_clip(r, node, number));
    else if (strcmp(node->op, "Where") == 0)
        qr__read_where(r, node, number);
    else
        return false;
    return true;
}
