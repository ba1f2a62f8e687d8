/* recognise/functions.c: functions of one number by their values on a grid. So it does not matter
 * of which nodes a GELU is made, or in which order. */
#include <math.h>

#include "engine/model/recognise/functions.h"
#include "engine/model/recognise/reading.h"

/* GELU by erf and by tanh differ by 4.7e-4 at most; what a float's or a half's constants (1 / sqrt
 * 2) do is a tenth of it. */
#define CLOSE 2e-4

#define EVEN  161u /* points that lie evenly */

double qr__grid(size_t at) {
    static const double far[] = {9, 10, 12, 16, 24, 32, 64, 128, 256, 1000, 8000, 60000};
    _Static_assert(sizeof far / sizeof far[0] * 2 + EVEN == QR__GRID, "each on both sides");
    if (at >= EVEN)
        return (at - EVEN) % 2 == 0 ? far[(at - EVEN) / 2] : -far[(at - EVEN) / 2];
    return ((double)at - (EVEN / 2)) / 10; /* the middle one is 0 exactly */
}

double *qr__function_constant(qr__reading *r, double value) {
    double *f = qr__reading_take(r, QR__GRID, sizeof *f);
    for (size_t i = 0; f != NULL && i < QR__GRID; i++)
        f[i] = value;
    return f;
}

static double at(const double *f, size_t i) {
    return f == NULL ? qr__grid(i) : f[i];
}

static double gelu(double x) {
    return 0.5 * x * (1 + erf(x / sqrt(2)));
}

static double gelu_new(double x) {
    return 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}

static double relu(double x) {
    return x > 0 ? x : 0;
}

static double sigmoid(double x) {
    return 1 / (1 + exp(-x));
}

static double reciprocal(double x) {
    return 1 / x;
}

static double negative(double x) {
    return -x;
}

static double quick_gelu(double x) {
    return x * sigmoid(1.702 * x);
}

double *qr__function_by_name(qr__reading *r, const char *op, const double *x) {
    static const struct {
        const char *op;
        double (*f)(double);
    } known[] = {{"Sqrt", sqrt},
                 {"Exp", exp},
                 {"Erf", erf},
                 {"Tanh", tanh},
                 {"Relu", relu},
                 {"Sigmoid", sigmoid},
                 {"Abs", fabs},
                 {"Neg", negative},
                 {"Reciprocal", reciprocal},
                 {"Gelu", gelu},
                 {"FastGelu", gelu_new},
                 {"BiasGelu", gelu},
                 {"Log", log},
                 {"QuickGelu", quick_gelu}};
    double (*f)(double) = NULL;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(op, known[i].op) == 0)
            f = known[i].f;
    if (f == NULL)
        return NULL;
    double *y = qr__reading_take(r, QR__GRID, sizeof *y);
    for (size_t i = 0; y != NULL && i < QR__GRID; i++)
        y[i] = f(at(x, i));
    return y;
}

double *qr__function_unary(qr__reading *r, const qr_onnx_node *node, const double *x) {
    const char *how = qr_onnx_attribute_text(node, "approximate", "none");
    const bool by_tanh = strcmp(node->op, "Gelu") == 0 && strcmp(how, "tanh") == 0;
    return qr__function_by_name(r, by_tanh ? "FastGelu" : node->op, x);
}

double *qr__function_binary(qr__reading *r, const char *op, const double *f, const double *h) {
    static const char *const known[] = {"Add", "Sub", "Mul", "Div", "Pow", "Max", "Min"};
    size_t which = 0;
    while (which < 7 && strcmp(op, known[which]) != 0)
        which++;
    if (which == 7)
        return NULL;
    double *y = qr__reading_take(r, QR__GRID, sizeof *y);
    for (size_t i = 0; y != NULL && i < QR__GRID; i++) {
        double a = at(f, i);
        double b = at(h, i);
        const double results[] = {a + b, a - b, a * b, a / b, pow(a, b), fmax(a, b), fmin(a, b)};
        y[i] = results[which];
    }
    return y;
}

/* The greatest distance to a function where that is a number, relative where it is large. */
static double distance(const double *f, double (*g)(double), double parameter,
                       double (*h)(double)) {
    double worst = 0;
    for (size_t i = 0; i < QR__GRID; i++) {
        double x = qr__grid(i);
        double want = g(x + parameter);
        if (h != NULL)
            want = h(want);
        if (!isfinite(want)) /* roots of what no variance is */
            continue;
        const double d = fabs(at(f, i) - want) / fmax(1, fabs(want));
        worst = isnan(d) ? INFINITY : fmax(worst, d);
    }
    return worst;
}

static bool is_exp(const double *function, double by) {
    for (size_t i = 0; i < QR__GRID; i++) {
        const double want = exp(by * qr__grid(i)), is = at(function, i);
        if (isfinite(want) ? !(fabs(is - want) <= 1e-6 * want) : isfinite(is))
            return false;
    }
    return true;
}

static double square(double x) {
    return x * x;
}

qr__named_function qr__function_name(const double *function, double *parameter) {
    static const struct {
        qr__named_function name;
        double (*f)(double);
    } shapes[] = {{QR__FN_GELU, gelu}, {QR__FN_GELU_NEW, gelu_new}, {QR__FN_RELU, relu},
                  {QR__FN_TANH, tanh}, {QR__FN_SIGMOID, sigmoid},   {QR__FN_SQUARE, square}};
    const size_t zero = EVEN / 2;
    const double one = at(function, zero + 10);
    bool scaled = true;
    for (size_t i = 0; i < QR__GRID && scaled; i++)
        scaled = fabs(at(function, i) - one * qr__grid(i)) <=
                 1e-6 * fabs(one) * fmax(8, fabs(qr__grid(i)));
    *parameter = one;
    if (scaled && one != 0)
        return QR__FN_SCALED;
    qr__named_function best = QR__FN_NONE;
    double least = CLOSE;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        double d = distance(function, shapes[i].f, 0, NULL);
        if (d < least) {
            least = d;
            best = shapes[i].name;
        }
    }
    if (best != QR__FN_NONE)
        return best;
    *parameter = log(one);
    if (is_exp(function, *parameter))
        return QR__FN_EXP;
    const double f0 = at(function, zero);
    *parameter = f0 * f0;
    if (distance(function, sqrt, *parameter, NULL) < 1e-6)
        return QR__FN_ROOT;
    *parameter = 1 / (f0 * f0);
    if (isfinite(*parameter) && distance(function, sqrt, *parameter, reciprocal) < 1e-6)
        return QR__FN_INVERSE_ROOT;
    return QR__FN_NONE;
}

const double *qr__function_activation(qr__reading *r, const double *function, double *slope) {
    double ignored;
    *slope = 1;
    if (function == NULL)
        return NULL;
    const double far = function[QR__GRID - 2] / qr__grid(QR__GRID - 2);
    double *f = qr__reading_take(r, QR__GRID, sizeof *f);
    if (f == NULL || !isfinite(far) || fabs(far) < 1e-6 || fabs(far - 1) < 1e-6)
        return function;
    for (size_t i = 0; i < QR__GRID; i++)
        f[i] = function[i] / far;
    const qr__named_function name = qr__function_name(f, &ignored);
    if (name != QR__FN_GELU && name != QR__FN_GELU_NEW && name != QR__FN_RELU)
        return function;
    *slope = far;
    return f;
}

bool qr__is_negative(const qr__view *view) {
    double scale = 1;
    return view->function != NULL && qr__function_name(view->function, &scale) == QR__FN_SCALED &&
           scale == -1;
}
