/* recognise/lookups.c: rows of tables of embeddings, and layer norms that are one node. */
#include "engine/model/recognise/steps.h"

/* Rows of a table by known indices [rows] in the order of the output. */
static qr__view lookup(qr__reading *r, size_t node, const qr_onnx_tensor *table,
                       const qr_onnx_tensor *indices) {
    if (table->rank != 2 || table->count == 0)
        return qr__unknown(r, node, "a table of embeddings");
    qr__term *term = qr__term_create(r, QR__TERM_EMBEDDED, node, indices->count, table->shape[1]);
    int64_t *rows = qr__reading_take(r, indices->count, sizeof *rows);
    if (r->no_memory)
        return (qr__view){.term = term};
    for (size_t i = 0; i < indices->count; i++)
        rows[i] = qr_onnx_int(indices, i);
    term->lookups[0] = (qr__lookup){.table = table, .row = rows};
    term->lookup_count = 1;
    return (qr__view){.term = term};
}

qr__view qr__norm(qr__reading *r, size_t node, const qr__view *view, double eps,
                  const qr_onnx_tensor *gamma, const qr_onnx_tensor *beta) {
    const qr__term *of = qr__canonical(r, view->term);
    bool whole = view->function == NULL; /* a map of a sum has as many numbers as the sum */
    for (size_t i = 0; whole && view->map != NULL && i < of->rows * of->cols; i++)
        whole = view->map[i] == (int64_t)i;
    if (!whole || (of->kind != QR__TERM_SUM && of->kind != QR__TERM_EMBEDDED))
        return qr__unknown(r, node,
                           "a layer norm of embeddings, or of a product with a matrix "
                           "and the states that it is added to");
    if ((gamma != NULL && gamma->count != of->cols) || (beta != NULL && beta->count != of->cols))
        return qr__unknown(r, node, "a layer norm's gamma and beta of its width");
    qr__term *term = qr__term_create(r, QR__TERM_NORM, node, of->rows, of->cols);
    float *g = gamma == NULL ? NULL : qr__reading_take(r, of->cols, sizeof *g);
    float *b = beta == NULL ? NULL : qr__reading_take(r, of->cols, sizeof *b);
    if (r->no_memory)
        return (qr__view){.term = term};
    for (size_t c = 0; c < of->cols; c++) {
        if (g != NULL)
            g[c] = (float)qr__number(gamma, c);
        if (b != NULL)
            b[c] = (float)qr__number(beta, c);
    }
    term->of = of;
    term->eps = eps;
    term->gamma = g;
    term->beta = b;
    return (qr__view){.term = term};
}

static void read_layer_norm(qr__reading *r, const qr_onnx_node *node, size_t number) {
    const qr_onnx_tensor *in = qr__input_tensor(r, node, 0);
    const int64_t axis = qr_onnx_attribute_int(node, "axis", -1);
    const bool last = axis == -1 || axis == (int64_t)in->rank - 1;
    const qr_onnx_tensor *gamma = qr__input_constant(r, node, 1);
    const qr_onnx_tensor *beta = qr__input_constant(r, node, 2);
    const float eps = qr_onnx_attribute_float(node, "epsilon", 1e-5f);
    qr__view out = qr__unknown(r, number, "a layer norm over a token's channels, with constants");
    if (last && (gamma != NULL || !qr__has_input(node, 1)) &&
        (beta != NULL || !qr__has_input(node, 2)))
        out = qr__norm(r, number, qr__input_view(r, node, 0), (double)eps, gamma, beta);
    qr__output_set(r, node, 0, out);
}

/* (input, skip, gamma, beta, bias) */
static void read_skip_layer_norm(qr__reading *r, const qr_onnx_node *node, size_t number) {
    const qr_onnx_tensor *shape = qr__input_tensor(r, node, 0);
    const qr_onnx_tensor *skip = qr__input_tensor(r, node, 1);
    const qr_onnx_tensor *bias = qr__input_constant(r, node, 4);
    qr__view sum = qr__unknown(r, number, "two values that are not constant");
    if (!qr__input_known(r, node, 0) && !qr__input_known(r, node, 1)) {
        qr__view a = *qr__input_view(r, node, 0);
        const qr__view *b = qr__input_view(r, node, 1);
        double *by_column = NULL;
        if (bias != NULL && bias->count == a.term->cols)
            by_column = qr__numbers_of(r, bias, 0, bias->count);
        if (by_column != NULL && a.term->kind == QR__TERM_LINEAR) {
            a = qr__linear_add(r, number, &a, by_column);
            sum = qr__add(r, number, &a, b, shape, skip, shape);
        } else if (by_column != NULL && b->term->kind == QR__TERM_LINEAR) {
            const qr__view biased = qr__linear_add(r, number, b, by_column);
            sum = qr__add(r, number, &a, &biased, shape, skip, shape);
        } else if (!qr__has_input(node, 4)) {
            sum = qr__add(r, number, &a, b, shape, skip, shape);
        }
    } else if (qr__input_known(r, node, 0) != qr__input_known(r, node, 1) &&
               !qr__has_input(node, 4)) {
        const size_t known = qr__input_known(r, node, 0) ? 0 : 1;
        sum = qr__with_known(r, number, "Add", qr__input_view(r, node, 1 - known),
                             known == 0 ? skip : shape, node->inputs[known], false,
                             qr__tensor_of(r, node->outputs[0]));
    }
    const float eps = qr_onnx_attribute_float(node, "epsilon", 1e-12f);
    const qr__view norm = qr__is_unknown(&sum) ? sum
                                               : qr__norm(r, number, &sum, (double)eps,
                                                          qr__input_constant(r, node, 2),
                                                          qr__input_constant(r, node, 3));
    qr__output_set(r, node, 0, norm);
    qr__output_set(r, node, 1, qr__unknown(r, number, "no statistics of a layer norm"));
    qr__output_set(r, node, 2, qr__unknown(r, number, "no statistics of a layer norm"));
    qr__output_set(r, node, 3, sum);
}

/* (ids, segments, words, positions, segments' table, gamma, beta, mask, position ids) */
static void read_embed_layer_norm(qr__reading *r, const qr_onnx_node *node, size_t number) {
    const qr_onnx_tensor *ids = qr__input_tensor(r, node, 0);
    const qr_onnx_tensor *types = qr__input_tensor(r, node, 1);
    const qr_onnx_tensor *words = qr__input_constant(r, node, 2);
    const qr_onnx_tensor *positions = qr__input_constant(r, node, 3);
    const qr_onnx_tensor *segments = qr__input_constant(r, node, 4);
    const qr_onnx_tensor *given = qr__input_tensor(r, node, 8);
    qr__view norm = qr__unknown(r, number, "constant tables of embeddings");
    qr__view sum = norm;
    if (words != NULL && positions != NULL && ids->count == r->batch * r->tokens &&
        (segments == NULL) == (types == NULL)) {
        sum = lookup(r, number, words, ids);
        qr__term *term = qr__term_copy(r, sum.term, number);
        qr__view more[2] = {lookup(r, number, positions, ids),
                            types == NULL ? sum : lookup(r, number, segments, types)};
        for (size_t i = 0; i < (types == NULL ? 1u : 2u); i++) {
            if (r->no_memory || qr__is_unknown(&sum) || qr__is_unknown(&more[i]) ||
                more[i].term->cols != term->cols || more[i].term->rows != term->rows)
                break;
            term->lookups[term->lookup_count++] = more[i].term->lookups[0];
        }
        for (size_t t = 0; !r->no_memory && term->lookup_count > 1 && t < term->rows; t++)
            term->lookups[1].row[t] =
                given == NULL ? (int64_t)(t % r->tokens)
                              : qr_onnx_int(given, given->count == term->rows ? t : t % r->tokens);
        sum = (qr__view){.term = term};
        norm = qr__norm(r, number, &sum, (double)qr_onnx_attribute_float(node, "epsilon", 1e-12f),
                        qr__input_constant(r, node, 5), qr__input_constant(r, node, 6));
    }
    qr__output_set(r, node, 0, norm);
    if (node->output_count > 1 && node->outputs[1] != QR_ONNX_NONE) { /* lengths, by the mask */
        uint32_t deps = qr__has_input(node, 7) ? r->values[node->inputs[7]].deps : 0;
        r->values[node->outputs[1]] = (qr__known_value){.known = true, .deps = deps};
    }
    qr__output_set(r, node, 2, sum);
}

bool qr__read_lookup(qr__reading *r, const qr_onnx_node *node, size_t number) {
    const qr_onnx_tensor *table = qr__input_constant(r, node, 0);
    const int64_t axis = qr_onnx_attribute_int(node, "axis", 0);
    if (strcmp(node->op, "Gather") == 0 && table != NULL && table->rank == 2 &&
        (axis == 0 || axis == -2) && qr__input_known(r, node, 1))
        qr__output_set(r, node, 0, lookup(r, number, table, qr__input_tensor(r, node, 1)));
    else if (strcmp(node->op, "EmbedLayerNormalization") == 0)
        read_embed_layer_norm(r, node, number);
    else if (strcmp(node->op, "LayerNormalization") == 0 && !qr__input_known(r, node, 0))
        read_layer_norm(r, node, number);
    else if (strcmp(node->op, "SkipLayerNormalization") == 0)
        read_skip_layer_norm(r, node, number);
    else
        return false;
    return true;
}
