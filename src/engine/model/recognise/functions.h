/* recognise/functions.h: functions of one number, by their values on a grid. Private to recognise/.
 * */
#ifndef QR_ENGINE_MODEL_RECOGNISE_FUNCTIONS_H
#define QR_ENGINE_MODEL_RECOGNISE_FUNCTIONS_H

#include "engine/model/recognise/terms.h"

/** The points: from -8 to 8 evenly, with 0 in the middle; then some far out, to +-60000, which a
 * half can hold: a number that is cut off there is another function. */
double qr__grid(size_t at);

/** f(g) of an operator of one operand; NULL: there is none of that name. */
double *qr__function_unary(qr__reading *r, const qr_onnx_node *node, const double *x);

/** The same by the operator's name. */
double *qr__function_by_name(qr__reading *r, const char *op, const double *x);

/** f(g) op h(g); NULL stands for g. `constant`s stand for what is uniform. NULL: not an operator of
 * this kind. */
double *qr__function_binary(qr__reading *r, const char *op, const double *f, const double *h);

/** The function that is `value` everywhere. */
double *qr__function_constant(qr__reading *r, double value);

typedef enum qr__named_function {
    QR__FN_NONE,
    QR__FN_SCALED, /* s * x */
    QR__FN_GELU,
    QR__FN_GELU_NEW,
    QR__FN_RELU,
    QR__FN_TANH,
    QR__FN_SIGMOID,
    QR__FN_SQUARE,
    QR__FN_EXP,         /* exp(s * x) */
    QR__FN_ROOT,        /* sqrt(x + eps) */
    QR__FN_INVERSE_ROOT /* 1 / sqrt(x + eps) */
} qr__named_function;

/** Which function it is; *parameter: s or eps. */
qr__named_function qr__function_name(const double *function, double *parameter);

/** The activation g where the function is s * g, and *slope s: a product behind it may have the
 * factor. Else the function itself, and 1. */
const double *qr__function_activation(qr__reading *r, const double *function, double *slope);

/** Whether a view is a term's numbers with the other sign. */
bool qr__is_negative(const qr__view *view);

#endif
