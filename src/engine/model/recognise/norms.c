/* recognise/norms.c: a layer norm in the steps that TensorFlow's batch normalization leaves:
 *
 *     spread = gamma / sqrt(variance + eps)
 *     y = x * spread + (beta - mean * spread)
 *
 * and where gamma is a factor of the deviation: y = (x - mean) * spread + beta
 */
#include "engine/model/recognise/functions.h"
#include "engine/model/recognise/steps.h"

/* Whether a value's last axis counts the columns of `of`; then number i stands in column i % cols.
 * */
static bool has_columns(const qr__term *of, const qr_onnx_tensor *like) {
    return like->rank > 0 && like->shape[like->rank - 1] == of->cols &&
           like->count == of->rows * of->cols;
}

static float *columns(qr__reading *r, const double *numbers, size_t count, size_t cols) {
    float *out = qr__reading_take(r, cols, sizeof *out);
    for (size_t i = 0; out != NULL && i < count; i++) {
        if (numbers[i] != numbers[i % cols])
            return NULL;
        out[i % cols] = (float)numbers[i];
    }
    return out;
}

qr__view qr__spread_by_gamma(qr__reading *r, size_t node, const qr__view *variance,
                             const int64_t *map, const double *numbers,
                             const qr_onnx_tensor *like) {
    const qr__term *of = variance->term->of;
    double eps = 0;
    if (qr__function_name(variance->function, &eps) != QR__FN_INVERSE_ROOT ||
        !has_columns(of, like))
        return qr__unknown(r, node, "a layer norm's deviation and gamma");
    qr__term *term = qr__term_create(r, QR__TERM_SPREAD, node, of->rows, of->cols);
    float *gamma = columns(r, numbers, like->count, of->cols);
    for (size_t i = 0; i < like->count; i++)
        if ((size_t)map[i] != i / of->cols)
            return qr__unknown(r, node, "a deviation for each token");
    if (gamma == NULL || r->no_memory)
        return qr__unknown(r, node, "one gamma for each channel");
    term->of = of;
    term->eps = eps;
    term->gamma = gamma;
    return (qr__view){.term = term};
}

qr__view qr__spread_beta(qr__reading *r, size_t node, const qr__view *mean, const double *numbers,
                         size_t count) {
    qr__term *term = qr__term_copy(r, mean->term, node);
    float *beta = columns(r, numbers, count, term->cols);
    if (beta == NULL || r->no_memory || mean->map != NULL || mean->function != NULL)
        return qr__unknown(r, node, "one beta for each channel");
    term->beta = beta;
    return (qr__view){.term = term};
}

qr__view qr__norm_scaled(qr__reading *r, size_t node, const qr__view *view, double eps,
                         float *gamma, float *beta) {
    qr__view norm = qr__norm(r, node, view, eps, NULL, NULL);
    if (norm.term->kind != QR__TERM_NORM || (gamma == NULL && beta == NULL))
        return norm;
    qr__term *term = qr__term_copy(r, norm.term, node);
    if (!r->no_memory) {
        term->gamma = gamma;
        term->beta = beta;
    }
    return (qr__view){.term = term};
}

qr__view qr__spread_product(qr__reading *r, size_t node, const qr__view *a, const qr__view *b,
                            const int64_t *map_a, size_t count) {
    const qr__term *spread = b->term;
    const qr__term *of = spread->of;
    const bool mean = a->term->kind == QR__TERM_MEAN && a->term->of == of;
    const bool centered =
        a->term->kind == QR__TERM_CENTERED && a->term->of == of && a->term->gamma == NULL;
    if (a->function != NULL || b->function != NULL || b->map != NULL ||
        (!mean && !centered && a->term != of) || count != of->rows * of->cols)
        return qr__unknown(r, node, "what the deviation was taken of, or its mean");
    for (size_t i = 0; i < count; i++)
        if ((size_t)map_a[i] != (mean ? i / of->cols : i))
            return qr__unknown(r, node, "the same tokens");
    if (centered)
        return qr__norm_scaled(r, node, &(qr__view){.term = of}, spread->eps, spread->gamma, NULL);
    qr__term *term = qr__term_create(r, mean ? QR__TERM_SPREAD_MEAN : QR__TERM_SPREAD_OF, node,
                                     of->rows, of->cols);
    if (r->no_memory)
        return (qr__view){.term = term};
    term->of = of;
    term->eps = spread->eps;
    term->gamma = spread->gamma;
    return (qr__view){.term = term};
}

qr__view qr__spread_sum(qr__reading *r, size_t node, const qr__view *product,
                        const qr__view *shift) {
    const qr__term *a = product->term;
    const qr__term *b = shift->term;
    if (product->map != NULL || shift->map != NULL || product->function != NULL ||
        shift->function != NULL || b->kind != QR__TERM_SPREAD_MEAN || a->of != b->of ||
        a->eps != b->eps || b->beta == NULL || a->gamma == NULL || b->gamma == NULL ||
        memcmp(a->gamma, b->gamma, a->cols * sizeof *a->gamma) != 0)
        return qr__unknown(r, node, "the two halves of one layer norm");
    return qr__norm_scaled(r, node, &(qr__view){.term = a->of}, a->eps, a->gamma, b->beta);
}
