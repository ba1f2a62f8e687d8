/* recognise/integer_products.c: products of integers, and what quantizes activations, which terms
 * do not see: a quantized activation is taken for what it stands for. */
#include "engine/model/recognise/steps.h"

static qr__view term_of(qr__reading *r, size_t number, qr__term_kind kind, const qr__view *of) {
    qr__term *term = qr__term_create(r, kind, number, 1, 1);
    if (!r->no_memory)
        term->of = of->term;
    return (qr__view){.term = term};
}

/* Whether an operand's zero point and scale are those of what was quantized. */
static bool belongs(const qr__reading *r, const qr_onnx_node *node, size_t at, qr__term_kind kind,
                    const qr__term *of) {
    return qr__has_input(node, at) && !qr__input_known(r, node, at) &&
           qr__input_view(r, node, at)->term->kind == kind &&
           qr__input_view(r, node, at)->term->of == of;
}

/* Zero points of a matrix's columns; *fits false: not one, nor one a column. */
static float *zeros_of(qr__reading *r, const qr_onnx_tensor *zero, size_t cols, bool *fits) {
    *fits = zero == NULL || zero->count == 1 || zero->count == cols;
    if (zero == NULL || !*fits)
        return NULL;
    float *zeros = qr__reading_take(r, cols, sizeof *zeros);
    for (size_t c = 0; zeros != NULL && c < cols; c++)
        zeros[c] = (float)qr__number(zero, zero->count == 1 ? 0 : c);
    return zeros;
}

static double *by_column(qr__reading *r, const qr_onnx_tensor *tensor, size_t cols) {
    if (tensor == NULL || (tensor->count != 1 && tensor->count != cols))
        return NULL;
    return tensor->count == 1 ? qr__repeat(r, qr__number(tensor, 0), cols)
                              : qr__numbers_of(r, tensor, 0, cols);
}

/* x times a matrix of integers with its zero points, still without the scales. */
static qr__view steps(qr__reading *r, const qr_onnx_node *node, size_t number, size_t zero_at) {
    const qr_onnx_tensor *matrix = qr__input_constant(r, node, 1);
    const qr_onnx_tensor *zero = qr__input_constant(r, node, zero_at);
    bool fits = false;
    if (matrix == NULL || (qr__has_input(node, zero_at) && zero == NULL))
        return qr__unknown(r, number, "a constant matrix of integers");
    qr__view linear = qr__linear(r, number, qr__input_view(r, node, 0),
                                 qr__input_tensor(r, node, 0), matrix, false, 1);
    if (qr__is_unknown(&linear))
        return linear;
    qr__term *term = qr__term_copy(r, linear.term, number);
    float *zeros = zeros_of(r, zero, term->cols, &fits);
    if (!fits)
        return qr__unknown(r, number, "one zero point, or one a column");
    if (!r->no_memory)
        term->zeros = zeros;
    r->quantized = true;
    return (qr__view){.term = term};
}

/* MatMulInteger(A, B, A's zero point, B's) */
static qr__view integers(qr__reading *r, const qr_onnx_node *node, size_t number) {
    const qr__term *of = qr__input_view(r, node, 0)->term;
    if (qr__has_input(node, 2) && !belongs(r, node, 2, QR__TERM_ZERO, of))
        return qr__unknown(r, number, "the zero point of what was quantized");
    const qr__view linear = steps(r, node, number, 3);
    if (qr__is_unknown(&linear))
        return linear;
    qr__term *term = qr__term_copy(r, linear.term, number);
    if (!r->no_memory)
        term->in_steps = true;
    return (qr__view){.term = term};
}

/* The scales and the bias that a fused node has. */
static qr__view finish(qr__reading *r, const qr_onnx_node *node, size_t number,
                       const qr__view *linear, size_t scale_at, size_t bias_at) {
    if (qr__is_unknown(linear))
        return *linear;
    const double *scale = by_column(r, qr__input_constant(r, node, scale_at), linear->term->cols);
    const double *bias = by_column(r, qr__input_constant(r, node, bias_at), linear->term->cols);
    if (scale == NULL || (bias == NULL && qr__has_input(node, bias_at)))
        return qr__unknown(r, number, "a constant scale, and a constant bias");
    qr__view out = qr__linear_scale(r, number, linear, scale);
    return bias == NULL ? out : qr__linear_add(r, number, &out, bias);
}

qr__view qr__quantized_linear(qr__reading *r, const qr_onnx_node *node, size_t number,
                              size_t zero_at, size_t scale_at, size_t bias_at) {
    const qr__view linear = steps(r, node, number, zero_at);
    return finish(r, node, number, &linear, scale_at, bias_at);
}

/* DequantizeLinear of rows of a quantized table; of an activation it was undone already. */
static qr__view dequantize(qr__reading *r, const qr_onnx_node *node, size_t number) {
    const qr__view *view = qr__input_view(r, node, 0);
    if (view->term->kind != QR__TERM_EMBEDDED || view->term->lookup_count != 1 ||
        qr_onnx_is_float(view->term->lookups[0].table->type))
        return *view;
    const qr_onnx_tensor *scale = qr__input_constant(r, node, 1);
    const qr_onnx_tensor *zero = qr__input_constant(r, node, 2);
    const double *scales = by_column(r, scale, view->term->cols);
    if (scales == NULL || (zero != NULL && zero->count != 1))
        return qr__unknown(r, number, "one scale and one zero point for a table of embeddings");
    qr__term *term = qr__term_copy(r, view->term, number);
    float *each = qr__reading_take(r, term->cols, sizeof *each);
    if (r->no_memory)
        return (qr__view){.term = term};
    for (size_t c = 0; c < term->cols; c++)
        each[c] = (float)scales[c];
    term->lookups[0].scale = each;
    term->lookups[0].zero = zero == NULL ? 0 : (float)qr__number(zero, 0);
    return (qr__view){term, view->map, NULL};
}

bool qr__read_quantized(qr__reading *r, const qr_onnx_node *node, size_t number) {
    if (strcmp(node->op, "DynamicQuantizeLinear") == 0) {
        const qr__view *view = qr__input_view(r, node, 0);
        qr__output_set(r, node, 0, *view);
        qr__output_set(r, node, 1, term_of(r, number, QR__TERM_SCALE, view));
        qr__output_set(r, node, 2, term_of(r, number, QR__TERM_ZERO, view));
    } else if (strcmp(node->op, "QuantizeLinear") == 0) {
        r->quantized = true;
        qr__output_set(r, node, 0, *qr__input_view(r, node, 0));
    } else if (strcmp(node->op, "DequantizeLinear") == 0) {
        qr__output_set(r, node, 0, dequantize(r, node, number));
    } else if (strcmp(node->op, "MatMulInteger") == 0 && !qr__input_known(r, node, 0)) {
        qr__output_set(r, node, 0, integers(r, node, number));
    } else if (strcmp(node->op, "DynamicQuantizeMatMul") == 0) { /* A, B, scale, zero, bias */
        qr__output_set(r, node, 0, qr__quantized_linear(r, node, number, 3, 2, 4));
    } else if (strcmp(node->op, "MatMulIntegerToFloat") == 0) {
        /* A, B, A's scale, B's scale, A's zero point, B's zero point, bias */
        const qr__term *of = qr__input_view(r, node, 0)->term;
        const bool fits = belongs(r, node, 2, QR__TERM_SCALE, of) &&
                          (!qr__has_input(node, 4) || belongs(r, node, 4, QR__TERM_ZERO, of));
        qr__output_set(r, node, 0,
                       fits ? qr__quantized_linear(r, node, number, 5, 3, 6)
                            : qr__unknown(r, number, "the scale of what was quantized"));
    } else {
        return false;
    }
    return true;
}
