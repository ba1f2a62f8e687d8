/* recognise/fused.c: ONNX Runtime's own attention and activation nodes, and ONNX's Attention. */
#include <math.h>

#include "engine/model/recognise/functions.h"
#include "engine/model/recognise/steps.h"

/* Columns [first, first + cols) of a LINEAR, as one of their own. */
static qr__view columns_of(qr__reading *r, size_t node, const qr__view *whole, size_t first,
                           size_t cols) {
    qr__term *all = qr__term_copy(r, whole->term, node);
    qr__view part = {.term = all};
    int64_t *map = qr__reading_take(r, all->rows * cols, sizeof *map);
    if (r->no_memory)
        return part;
    for (size_t i = 0; i < all->rows * cols; i++)
        map[i] = (int64_t)(i / cols * all->cols + first + i % cols);
    part.map = map;
    return part;
}

/* A fused node's mask [B][S] says which keys are tokens; or [B] how many are. */
static bool mask_says_tokens(const qr__reading *r, const qr_onnx_tensor *given) {
    const int64_t *mask = qr__fed_mask(r);
    if (mask == NULL)
        return false;
    const size_t rows = r->batch * r->tokens;
    if (given->count == rows) {
        for (size_t i = 0; i < rows; i++)
            if ((qr__number(given, i) != 0) != (mask[i] != 0))
                return false;
        return true;
    }
    for (size_t b = 0; given->count == r->batch && b < r->batch; b++) {
        double tokens = 0;
        for (size_t s = 0; s < r->tokens; s++)
            tokens += (double)mask[b * r->tokens + s];
        if (qr__number(given, b) != tokens)
            return false;
    }
    return given->count == r->batch;
}

/* Whether what ONNX Runtime's nodes add for keys that their mask hides is enough. */
static bool hides(const qr_onnx_node *node) {
    return (double)qr_onnx_attribute_float(node, "mask_filter_value", -10000) <= QR__MASK_HIDES;
}

/* A mask of four axes, [B or 1][H or 1][S or 1][S]: what is added to scores, or which keys count.
 * */
static bool adds_mask(const qr__reading *r, const qr_onnx_tensor *added) {
    const size_t S = r->tokens;
    const int64_t *mask = qr__fed_mask(r);
    if (mask == NULL || added->rank != 4 || added->shape[3] != S)
        return false;
    for (size_t i = 0; i < added->count; i++) {
        const size_t row = i / S;
        const size_t q = added->shape[2] == 1 ? 0 : row % S;
        const size_t b = added->shape[0] == 1 ? 0 : row / added->shape[2] / added->shape[1];
        if (mask[b * S + q] == 0)
            continue;
        const double x = qr__number(added, i);
        const bool token = mask[b * S + i % S] != 0;
        if (added->type == QR_ONNX_BOOL ? (x != 0) != token
                                        : (token ? fabs(x) > 1e-6 : !(x <= QR__MASK_HIDES)))
            return false;
    }
    return added->shape[0] == r->batch;
}

static qr__view split_and_attend(qr__reading *r, size_t node, const qr__view *merged, size_t heads,
                                 double scale) {
    const size_t C = merged->term->cols / 3;
    if (qr__is_unknown(merged) || merged->term->cols % 3 != 0)
        return qr__unknown(r, node, "queries, keys and values of one size");
    const qr__view q = columns_of(r, node, merged, 0, C);
    qr__view out = qr__attend(r, node, &(qr__view){.term = q.term}, &(qr__view){.term = q.term},
                              &(qr__view){.term = q.term}, 3 * heads, scale);
    if (qr__is_unknown(&out) || r->no_memory)
        return out;
    /* The heads of a matrix of three: the first third are queries, then keys, then values. */
    qr__term *term = qr__term_copy(r, out.term, node);
    qr__term *probs = qr__term_copy(r, out.term->of, node);
    const size_t D = term->head_size;
    qr__head_slot *scored = qr__reading_take(r, r->batch * heads, sizeof *scored);
    qr__head_slot *mixed = qr__reading_take(r, r->batch * heads, sizeof *mixed);
    uint32_t *numbers = qr__reading_take(r, 3 * C, sizeof *numbers);
    if (r->no_memory)
        return out;
    for (size_t c = 0; c < 3 * C; c++)
        numbers[c] = (uint32_t)c;
    for (size_t j = 0; j < r->batch * heads; j++) {
        uint32_t *cols = numbers + j % heads * D;
        scored[j] = (qr__head_slot){j / heads, cols, cols + C};
        mixed[j] = (qr__head_slot){j / heads, NULL, cols + 2 * C};
    }
    probs->slots = scored;
    term->slots = mixed;
    probs->slot_count = term->slot_count = r->batch * heads;
    probs->rows = r->batch * heads * r->tokens;
    term->cols = C;
    term->of = probs;
    return (qr__view){.term = term};
}

static double scale_of(const qr_onnx_node *node, size_t size, size_t heads) {
    const double given = (double)qr_onnx_attribute_float(node, "scale", 0);
    return given != 0 ? given : 1 / sqrt((double)size / (double)heads);
}

/* Attention(input, weights [C][3C], bias [3C], mask) */
static qr__view attention(qr__reading *r, const qr_onnx_node *node, size_t number) {
    const qr_onnx_tensor *in = qr__input_tensor(r, node, 0);
    const qr_onnx_tensor *weights = qr__input_constant(r, node, 1);
    const qr_onnx_tensor *bias = qr__input_constant(r, node, 2);
    const qr_onnx_tensor *mask = qr__input_tensor(r, node, 3);
    const size_t heads = (size_t)qr_onnx_attribute_int(node, "num_heads", 0);
    if (weights == NULL || heads == 0 || qr_onnx_attribute_int(node, "unidirectional", 0) != 0 ||
        qr__has_input(node, 4) || qr__has_input(node, 5))
        return qr__unknown(r, number, "attention over constant weights, without a past");
    if (mask == NULL ? r->has_mask : !mask_says_tokens(r, mask) || !hides(node))
        return qr__unknown(r, number, "the attention mask");
    qr__view merged = qr__linear(r, number, qr__input_view(r, node, 0), in, weights, false, 1);
    const double *added = qr__numbers_of(r, bias, 0, merged.term->cols);
    if (added != NULL)
        merged = qr__linear_add(r, number, &merged, added);
    return split_and_attend(r, number, &merged, heads,
                            scale_of(node, weights->shape[1] / 3, heads));
}

/* QAttention(input, weights, bias, input's scale, weights' scale, mask, input's zero point,
 * weights' zero point) */
static qr__view quantized_attention(qr__reading *r, const qr_onnx_node *node, size_t number) {
    const qr_onnx_tensor *mask = qr__input_tensor(r, node, 5);
    const size_t heads = (size_t)qr_onnx_attribute_int(node, "num_heads", 0);
    if (heads == 0 || qr_onnx_attribute_int(node, "unidirectional", 0) != 0 ||
        qr__has_input(node, 8))
        return qr__unknown(r, number, "attention without a past");
    if (mask == NULL ? r->has_mask : !mask_says_tokens(r, mask) || !hides(node))
        return qr__unknown(r, number, "the attention mask");
    const qr__view merged = qr__quantized_linear(r, node, number, 7, 4, 2);
    return split_and_attend(r, number, &merged, heads,
                            scale_of(node, merged.term->cols / 3, heads));
}

/* MultiHeadAttention(query, key, value, bias, key padding mask, added to scores) and ONNX's
 * Attention(Q, K, V, mask) on [B][S][C]. */
static qr__view separate(qr__reading *r, const qr_onnx_node *node, size_t number, bool onnx) {
    qr__view three[3];
    const size_t heads = (size_t)qr_onnx_attribute_int(node, onnx ? "q_num_heads" : "num_heads", 0);
    const qr_onnx_tensor *padding = onnx ? NULL : qr__input_tensor(r, node, 4);
    const qr_onnx_tensor *added = qr__input_tensor(r, node, onnx ? 3 : 5);
    const qr_onnx_tensor *bias = onnx ? NULL : qr__input_constant(r, node, 3);
    const bool four = onnx && qr__input_tensor(r, node, 0)->rank == 4;
    const qr_onnx_tensor *shapes[3];
    for (size_t i = 0; i < 3; i++) {
        if (!qr__has_input(node, i) || qr__input_known(r, node, i) || (heads == 0 && !four))
            return qr__unknown(r, number, "queries, keys and values: products with matrices");
        three[i] = *qr__input_view(r, node, i);
        shapes[i] = qr__input_tensor(r, node, i);
        const size_t C = three[i].term->cols;
        const double *by_column = qr__numbers_of(r, bias, i * C, C);
        if (by_column != NULL && three[i].term->kind == QR__TERM_LINEAR)
            three[i] = qr__linear_add(r, number, &three[i], by_column);
    }
    if ((padding == NULL && added == NULL && r->has_mask) ||
        (padding != NULL && (!mask_says_tokens(r, padding) || !hides(node))) ||
        (added != NULL && !adds_mask(r, added)))
        return qr__unknown(r, number, "the attention mask");
    if (four)
        return qr__attend_heads(r, number, three, shapes, scale_of(node, shapes[0]->shape[3], 1));
    return qr__attend(r, number, &three[0], &three[1], &three[2], heads,
                      scale_of(node, three[0].term->cols, heads));
}

/* (x, bias) */
static qr__view biased_gelu(qr__reading *r, const qr_onnx_node *node, size_t number) {
    qr__view view = *qr__input_view(r, node, 0);
    if (qr__has_input(node, 1)) {
        const double *bias = qr__numbers_of(r, qr__input_constant(r, node, 1), 0, view.term->cols);
        if (bias == NULL || view.term->kind != QR__TERM_LINEAR)
            return qr__unknown(r, number, "a product with a matrix, and its bias");
        view = qr__linear_add(r, number, &view, bias);
    }
    const double *f = qr__function_unary(r, node, view.function);
    return f == NULL ? qr__unknown(r, number, "a GELU") : (qr__view){view.term, view.map, f};
}

bool qr__read_fused(qr__reading *r, const qr_onnx_node *node, size_t number) {
    const bool ours = strcmp(node->domain, "com.microsoft") == 0;
    qr__view out;
    if (strcmp(node->op, "Attention") == 0 && ours)
        out = attention(r, node, number);
    else if (strcmp(node->op, "QAttention") == 0 && ours)
        out = quantized_attention(r, node, number);
    else if (strcmp(node->op, "MultiHeadAttention") == 0 && ours)
        out = separate(r, node, number, false);
    else if (strcmp(node->op, "Attention") == 0)
        out = separate(r, node, number, true);
    else if (ours && (strcmp(node->op, "BiasGelu") == 0 || strcmp(node->op, "FastGelu") == 0 ||
                      strcmp(node->op, "QuickGelu") == 0))
        out = biased_gelu(r, node, number);
    else
        return false;
    for (size_t o = 1; o < node->output_count; o++)
        qr__output_set(r, node, o, qr__unknown(r, number, "attention's first output alone"));
    qr__output_set(r, node, 0, out);
    return true;
}
