/* recognise/products.c: products: of states and a matrix (LINEAR), of queries and keys (SCORES), of
 * probabilities and values (ATTENDED), of a mask and states (POOLED). */
#include <math.h>

#include "engine/model/recognise/functions.h"
#include "engine/model/recognise/maps.h"
#include "engine/model/recognise/steps.h"

qr__view qr__linear(qr__reading *r, size_t node, const qr__view *view, const qr_onnx_tensor *shape,
                    const qr_onnx_tensor *matrix, bool turned, double factor) {
    if (matrix->rank != 2 || shape->rank == 0)
        return qr__unknown(r, node, "a matrix of weights");
    const size_t depth = matrix->shape[turned];
    const size_t cols = matrix->shape[!turned];
    if (depth == 0 || shape->shape[shape->rank - 1] != depth || shape->count == 0)
        return qr__unknown(r, node, "states of the matrix's width");
    const size_t rows = shape->count / depth;
    qr__term *term = qr__term_create(r, QR__TERM_LINEAR, node, rows, cols);
    if (r->no_memory)
        return (qr__view){.term = term};
    if (!qr__rows_and_columns(r, view, rows, depth, &term->row_of, &term->col_of))
        return qr__unknown(r, node, "a token's channels in each row");
    double scale = 1;
    const qr__named_function name = qr__function_name(view->function, &scale);
    term->of = view->term;
    term->depth = depth;
    term->matrix = matrix;
    term->turned = turned;
    if (name == QR__FN_SCALED)
        factor *= scale;
    else {
        term->function = qr__function_activation(r, view->function, &scale);
        factor *= scale;
    }
    const qr__view out = {.term = term};
    if (factor == 1)
        return out;
    const double *by_column = qr__repeat(r, factor, cols);
    return by_column == NULL ? out : qr__linear_scale(r, node, &out, by_column);
}

/* A function that is a factor becomes part of the matrix first. */
static qr__term *changed(qr__reading *r, size_t node, const qr__view *view, double *scale) {
    *scale = 1;
    if (view->function != NULL && qr__function_name(view->function, scale) != QR__FN_SCALED)
        return NULL;
    return qr__term_copy(r, view->term, node);
}

qr__view qr__linear_scale(qr__reading *r, size_t node, const qr__view *view,
                          const double *by_column) {
    double scale;
    qr__term *copy = changed(r, node, view, &scale);
    if (copy == NULL)
        return qr__unknown(r, node, "a scale of a product");
    float *scales = qr__reading_take(r, copy->cols, sizeof *scales);
    float *bias = copy->bias == NULL ? NULL : qr__reading_take(r, copy->cols, sizeof *bias);
    if (r->no_memory)
        return (qr__view){.term = copy, .map = view->map};
    for (size_t c = 0; c < copy->cols; c++) {
        const double by = by_column[c] * scale;
        scales[c] = (float)(by * (copy->col_scale == NULL ? 1 : copy->col_scale[c]));
        if (bias != NULL)
            bias[c] = (float)(by * copy->bias[c]);
    }
    copy->col_scale = scales;
    copy->bias = bias;
    return (qr__view){.term = copy, .map = view->map};
}

qr__view qr__linear_add(qr__reading *r, size_t node, const qr__view *view,
                        const double *by_column) {
    qr__view scaled = *view;
    if (view->function != NULL) {
        const double *ones = qr__repeat(r, 1, view->term->cols);
        if (ones == NULL)
            return *view;
        scaled = qr__linear_scale(r, node, view, ones);
        if (qr__is_unknown(&scaled))
            return scaled;
    }
    qr__term *copy = qr__term_copy(r, scaled.term, node);
    float *bias = qr__reading_take(r, copy->cols, sizeof *bias);
    if (r->no_memory || copy->kind != QR__TERM_LINEAR || copy->in_steps)
        return qr__unknown(r, node, "a bias of a product");
    for (size_t c = 0; c < copy->cols; c++)
        bias[c] = (float)(by_column[c] + (copy->bias == NULL ? 0 : (double)copy->bias[c]));
    copy->bias = bias;
    return (qr__view){.term = copy, .map = view->map};
}

/* An operand of a batched product, slot by slot: [slots][tokens][D] of a LINEAR, or [slots][D]
 * [tokens] if turned. */
static bool read_operand(qr__reading *r, const qr__view *view, const qr_onnx_tensor *shape,
                         bool turned, size_t slots, size_t depth, size_t *batch_of,
                         uint32_t **cols_of) {
    const size_t S = r->tokens;
    const size_t cols = view->term->cols;
    if (shape->count != slots * S * depth)
        return false;
    for (size_t j = 0; j < slots; j++) {
        cols_of[j] = qr__reading_take(r, depth, sizeof *cols_of[j]);
        if (cols_of[j] == NULL)
            return false;
        for (size_t s = 0; s < S; s++) {
            for (size_t d = 0; d < depth; d++) {
                const size_t at = j * S * depth + (turned ? d * S + s : s * depth + d);
                const size_t place = qr__place(view, at);
                const size_t row = place / cols;
                if (s == 0 && d == 0)
                    batch_of[j] = row / S;
                if (s == 0)
                    cols_of[j][d] = (uint32_t)(place % cols);
                if (row != batch_of[j] * S + s || place % cols != cols_of[j][d])
                    return false;
            }
        }
    }
    return true;
}

/* A scale on a query or a key is one of their product. */
static bool is_scaled_linear(const qr__reading *r, const qr__view *view, double *scale) {
    return view->term->kind == QR__TERM_LINEAR && view->term->rows == r->batch * r->tokens &&
           qr__function_name(view->function, scale) == QR__FN_SCALED;
}

static qr__view scores(qr__reading *r, size_t number, const qr__view *a, const qr__view *b,
                       const qr_onnx_tensor *shape_a, const qr_onnx_tensor *shape_b, bool turned,
                       double factor) {
    const size_t S = r->tokens;
    const size_t depth = shape_a->shape[shape_a->rank - 1];
    double scale_a = 1;
    double scale_b = 1;
    if (a->term->kind == QR__TERM_SCORES || a->term->kind == QR__TERM_PROBS)
        return qr__unknown(r, number, "the softmax of scores, and nothing more, times values");
    if (!is_scaled_linear(r, a, &scale_a) || !is_scaled_linear(r, b, &scale_b) || depth == 0)
        return qr__unknown(r, number, "queries and keys: products with matrices");
    const size_t slots = shape_a->count / depth / S;
    qr__term *term = qr__term_create(r, QR__TERM_SCORES, number, slots * S, S);
    term->slots = qr__reading_take(r, slots, sizeof *term->slots);
    size_t *batch_a = qr__reading_take(r, slots, sizeof *batch_a);
    size_t *batch_b = qr__reading_take(r, slots, sizeof *batch_b);
    uint32_t **cols_a = qr__reading_take(r, slots, sizeof *cols_a);
    uint32_t **cols_b = qr__reading_take(r, slots, sizeof *cols_b);
    if (r->no_memory)
        return (qr__view){.term = term};
    if (!read_operand(r, a, shape_a, false, slots, depth, batch_a, cols_a) ||
        !read_operand(r, b, shape_b, !turned, slots, depth, batch_b, cols_b))
        return qr__unknown(r, number, "a head's queries and keys in each matrix of the batch");
    for (size_t j = 0; j < slots; j++) {
        if (batch_a[j] != batch_b[j])
            return qr__unknown(r, number, "queries and keys of the same sequence");
        term->slots[j] = (qr__head_slot){batch_a[j], cols_a[j], cols_b[j]};
    }
    term->of = a->term;
    term->other = b->term;
    term->slot_count = slots;
    term->head_size = depth;
    term->scale = scale_a * scale_b * factor;
    return (qr__view){.term = term};
}

/* The head's number of each slot: how many slots of its sequence stand before it. */
static size_t head_of(const qr__head_slot *slots, size_t at) {
    size_t head = 0;
    for (size_t j = 0; j < at; j++)
        head += slots[j].batch == slots[at].batch;
    return head;
}

/* Number (slot, query, d) of the product is number (b * S + query, head * D + d) of ATTENDED. */
static int64_t *attended_map(qr__reading *r, const qr__term *term) {
    const size_t S = r->tokens;
    const size_t D = term->head_size;
    int64_t *map = qr__reading_take(r, term->slot_count * S * D, sizeof *map);
    for (size_t j = 0; map != NULL && j < term->slot_count; j++) {
        const size_t head = head_of(term->slots, j);
        for (size_t s = 0; s < S; s++)
            for (size_t d = 0; d < D; d++)
                map[(j * S + s) * D + d] =
                    (int64_t)((term->slots[j].batch * S + s) * term->cols + head * D + d);
    }
    return map;
}

static qr__view attended(qr__reading *r, size_t number, const qr__view *probs,
                         const qr__view *values, const qr_onnx_tensor *shape) {
    const size_t S = r->tokens;
    const qr__term *p = probs->term;
    const size_t depth = shape->shape[shape->rank - 1];
    double scale = 1;
    if (!is_scaled_linear(r, values, &scale) || depth == 0 || probs->map != NULL)
        return qr__unknown(r, number, "probabilities, and values: a product with a matrix");
    const size_t heads = p->slot_count / r->batch;
    qr__term *term = qr__term_create(r, QR__TERM_ATTENDED, number, r->batch * S, heads * depth);
    term->slots = qr__reading_take(r, p->slot_count, sizeof *term->slots);
    size_t *batch = qr__reading_take(r, p->slot_count, sizeof *batch);
    uint32_t **cols = qr__reading_take(r, p->slot_count, sizeof *cols);
    if (r->no_memory)
        return (qr__view){.term = term};
    if (depth != p->head_size ||
        !read_operand(r, values, shape, false, p->slot_count, depth, batch, cols))
        return qr__unknown(r, number, "a head's values in each matrix of the batch");
    for (size_t j = 0; j < p->slot_count; j++) {
        if (batch[j] != p->slots[j].batch || head_of(p->slots, j) >= heads)
            return qr__unknown(r, number, "probabilities and values of the same sequence");
        term->slots[j] = (qr__head_slot){batch[j], NULL, cols[j]};
    }
    term->of = p;
    term->other = values->term;
    term->slot_count = p->slot_count;
    term->head_size = depth;
    term->scale = scale; /* of the values: their function */
    return (qr__view){.term = term, .map = attended_map(r, term)};
}

qr__view qr__attend(qr__reading *r, size_t node, const qr__view *query, const qr__view *key,
                    const qr__view *value, size_t heads, double scale) {
    const size_t S = r->tokens;
    const size_t C = query->term->cols;
    const size_t D = heads == 0 ? 0 : C / heads;
    double ignored = 1;
    if (D == 0 || C % heads != 0 || key->term->cols != C || value->term->cols != C ||
        !is_scaled_linear(r, query, &ignored) || !is_scaled_linear(r, key, &ignored) ||
        !is_scaled_linear(r, value, &ignored) || query->map != NULL || key->map != NULL ||
        value->map != NULL)
        return qr__unknown(r, node, "queries, keys and values of one size: products with matrices");
    qr__term *probs = qr__term_create(r, QR__TERM_PROBS, node, r->batch * heads * S, S);
    qr__term *term = qr__term_create(r, QR__TERM_ATTENDED, node, r->batch * S, C);
    qr__head_slot *slots = qr__reading_take(r, r->batch * heads, sizeof *slots);
    uint32_t *numbers = qr__reading_take(r, C, sizeof *numbers);
    if (r->no_memory)
        return (qr__view){.term = term};
    for (size_t c = 0; c < C; c++)
        numbers[c] = (uint32_t)c;
    for (size_t j = 0; j < r->batch * heads; j++) {
        uint32_t *cols = numbers + j % heads * D;
        slots[j] = (qr__head_slot){j / heads, cols, cols};
    }
    probs->of = query->term;
    probs->other = key->term;
    probs->scale = scale;
    probs->masked = true;
    term->of = probs;
    term->other = value->term;
    term->scale = 1;
    probs->slots = term->slots = slots;
    probs->slot_count = term->slot_count = r->batch * heads;
    probs->head_size = term->head_size = D;
    return (qr__view){.term = term};
}

qr__view qr__attend_heads(qr__reading *r, size_t node, const qr__view three[3],
                          const qr_onnx_tensor *const shapes[3], double scale) {
    qr__view scored = scores(r, node, &three[0], &three[1], shapes[0], shapes[1], true, scale);
    if (qr__is_unknown(&scored))
        return scored;
    qr__term *probs = qr__term_copy(r, scored.term, node);
    if (r->no_memory)
        return scored;
    probs->kind = QR__TERM_PROBS;
    probs->of = scored.term;
    probs->masked = true;
    return attended(r, node, &(qr__view){.term = probs}, &three[2], shapes[2]);
}

/* mask [B][1][S] times states [B][S][C] */
static qr__view pool_by_product(qr__reading *r, size_t number, const qr_onnx_tensor *mask,
                                const qr__view *states) {
    const size_t rows = r->batch * r->tokens;
    if (qr__plain(states, QR__TERM_NORM) == NULL || states->map != NULL || mask->count != rows ||
        mask->rank != 3 || mask->shape[1] != 1)
        return qr__unknown(r, number, "states and a matrix of weights");
    qr__term *term = qr__term_create(r, QR__TERM_POOLED, number, r->batch, states->term->cols);
    double *weights = qr__reading_take(r, rows, sizeof *weights);
    if (r->no_memory)
        return (qr__view){.term = term};
    for (size_t i = 0; i < rows; i++)
        weights[i] = qr__number(mask, i);
    term->of = states->term;
    term->weights = weights;
    return (qr__view){.term = term};
}

static qr__view product(qr__reading *r, const qr_onnx_node *node, size_t number, bool turned,
                        double factor) {
    const qr_onnx_tensor *shape_a = qr__input_tensor(r, node, 0);
    const qr_onnx_tensor *shape_b = qr__input_tensor(r, node, 1);
    const qr_onnx_tensor *matrix = qr__input_constant(r, node, 1);
    if (qr__input_known(r, node, 0))
        return qr__input_known(r, node, 1)
                   ? qr__unknown(r, number, "states")
                   : pool_by_product(r, number, shape_a, qr__input_view(r, node, 1));
    const qr__view *a = qr__input_view(r, node, 0);
    if (matrix != NULL)
        return qr__linear(r, number, a, shape_a, matrix, turned, factor);
    if (qr__input_known(r, node, 1) || shape_a->rank < 3 || shape_b->rank < 3)
        return qr__unknown(r, number, "a constant matrix of weights");
    const qr__view *b = qr__input_view(r, node, 1);
    if (a->term->kind == QR__TERM_PROBS && a->function == NULL && factor == 1 && !turned)
        return attended(r, number, a, b, shape_b);
    return scores(r, number, a, b, shape_a, shape_b, turned, factor);
}

/* alpha A B + beta C */
static qr__view gemm(qr__reading *r, const qr_onnx_node *node, size_t number) {
    const double alpha = qr_onnx_attribute_float(node, "alpha", 1);
    const double beta = qr_onnx_attribute_float(node, "beta", 1);
    if (qr_onnx_attribute_int(node, "transA", 0) != 0)
        return qr__unknown(r, number, "states as they are, not turned");
    qr__view linear =
        product(r, node, number, qr_onnx_attribute_int(node, "transB", 0) != 0, alpha);
    if (!qr__has_input(node, 2) || linear.term->kind != QR__TERM_LINEAR)
        return linear;
    if (!qr__input_known(r, node, 2)) {
        const qr_onnx_tensor *out = qr__tensor_of(r, node->outputs[0]);
        return beta == 1 ? qr__add(r, number, &linear, qr__input_view(r, node, 2), out,
                                   qr__input_tensor(r, node, 2), out)
                         : qr__unknown(r, number, "a constant bias, or the states as they are");
    }
    double *numbers =
        qr__numbers_expand(r, qr__input_tensor(r, node, 2), qr__tensor_of(r, node->outputs[0]));
    if (numbers == NULL)
        return linear;
    const size_t cols = linear.term->cols;
    for (size_t i = 0; i < linear.term->rows * cols; i++)
        if (numbers[i] != numbers[i % cols])
            return qr__unknown(r, number, "a bias of one number a column");
    for (size_t c = 0; c < cols; c++)
        numbers[c] *= beta;
    return qr__linear_add(r, number, &linear, numbers);
}

static qr__view fused_gemm(qr__reading *r, const qr_onnx_node *node, size_t number) {
    qr__view view = gemm(r, node, number);
    if (qr__is_unknown(&view))
        return view;
    view.function =
        qr__function_by_name(r, qr_onnx_attribute_text(node, "activation", ""), view.function);
    return view.function == NULL ? qr__unknown(r, number, "an activation that a BERT has") : view;
}

bool qr__read_product(qr__reading *r, const qr_onnx_node *node, size_t number) {
    if (strcmp(node->op, "MatMul") == 0)
        qr__output_set(r, node, 0, product(r, node, number, false, 1));
    else if (strcmp(node->op, "Gemm") == 0)
        qr__output_set(r, node, 0, gemm(r, node, number));
    else if (strcmp(node->op, "FusedGemm") == 0)
        qr__output_set(r, node, 0, fused_gemm(r, node, number));
    else if (strcmp(node->op, "FusedMatMul") == 0 && qr_onnx_attribute_int(node, "transA", 0) == 0)
        qr__output_set(r, node, 0,
                       product(r, node, number, qr_onnx_attribute_int(node, "transB", 0) != 0,
                               qr_onnx_attribute_float(node, "alpha", 1)));
    else
        return false;
    return true;
}
