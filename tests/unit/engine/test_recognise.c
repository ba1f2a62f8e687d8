/* tests: what the recogniser says of graphs that are almost a BERT's, and of functions. That it
 * finds the BERT in every golden export, and only where there is one: tests/onnx. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/model/recognise.h"
#include "engine/model/recognise/functions.h"

#define GOLDENS QR_SOURCE_DIR "/tests/golden/onnx/"

static qr_onnx_graph *golden(const char *name) {
    char path[512];
    qr_error error = {0};
    qr_onnx_graph *graph = NULL;
    snprintf(path, sizeof path, GOLDENS "%s/model.onnx", name);
    cr_assert_eq(qr_onnx_open(path, &graph, &error), QR_OK, "%s", error.message);
    return graph;
}

static qr_onnx_node *node_named(qr_onnx_graph *graph, const char *name) {
    for (size_t n = 0; n < graph->node_count; n++)
        if (strcmp(graph->nodes[n].name, name) == 0)
            return &graph->nodes[n];
    cr_assert_fail("no node %s", name);
    return NULL;
}

/* Refusals: one node of an export becomes another operator. */

static void expect_refused(const char *export, const char *node, const char *op, const char *where,
                           const char *why) {
    qr_onnx_graph *graph = golden(export);
    qr__recognised *found = NULL;
    qr_error error = {0};
    node_named(graph, node)->op = op;
    const qr_status status = qr__recognise(graph, &found, &error);
    cr_expect_eq(status, QR_BAD_MODEL, "%s of %s", op, node);
    cr_expect_not_null(strstr(error.message, where), "%s: %s", node, error.message);
    cr_expect_not_null(strstr(error.message, why), "%s: %s", node, error.message);
    if (status == QR_OK)
        qr__recognised_destroy(found);
    else
        qr_onnx_close(graph);
}

#define LAYER "/encoder/layer.0/"

Test(recognise, names_the_node_that_is_no_bert) {
    static const char *const ts = "bert-torchscript-17";
    static const char *const two = "an operator that a BERT has between two such values";
    static const char *const shape = "a bias, a scale or a mask of the shape that a BERT has here";
    static const char *const gelu = "GELU (by erf or tanh) or ReLU before this product";
    expect_refused(ts, "/embeddings/Add", "Mul", "`/embeddings/Add` (Mul)", two);
    expect_refused(ts, LAYER "attention/self/Div", "Sub", "self/Add` (Add)", shape);
    expect_refused(ts, LAYER "attention/self/Add", "Mul", "self/Add` (Mul)", shape);
    expect_refused(ts, LAYER "attention/self/Softmax", "Sigmoid", "self/MatMul_1` (MatMul)",
                   "the softmax of scores");
    expect_refused(ts, LAYER "attention/output/Add", "Sub", "attention/output/Add` (Sub)", two);
    expect_refused(ts, LAYER "intermediate/intermediate_act_fn/Erf", "Sigmoid",
                   "layer.0/output/dense/Add` (Add)", gelu);
    expect_refused(ts, LAYER "output/dense/Add", "Max", "layer.0/output/dense/Add` (Max)", shape);
    expect_refused("bert-torchscript-11", LAYER "output/LayerNorm/Sqrt", "Exp",
                   "output/LayerNorm/Div` (Div)", two);
    expect_refused("bert-torchscript-11", LAYER "output/LayerNorm/Sub", "Add",
                   "output/LayerNorm/Sub` (Add)",
                   "a product with a matrix and the states that it is added to");
}

/* Hostile ones, which a fuzzer found. */

Test(recognise, a_first_input_that_is_known) {
    expect_refused("bert-torchscript-17", LAYER "output/dense/Add", "Tanh",
                   "layer.0/output/dense/Add` (Tanh)", "states as the first input");
}

Test(recognise, a_graph_without_outputs) {
    qr_onnx_graph *graph = golden("bert-torchscript-17");
    qr__recognised *found = NULL;
    qr_error error = {0};
    graph->output_count = 0;
    cr_assert_eq(qr__recognise(graph, &found, &error), QR_BAD_MODEL);
    cr_expect_not_null(strstr(error.message, "expected here: an output"), "%s", error.message);
    qr_onnx_close(graph);
}

/* Functions, by whatever operators they were made. */

static double points[QR__GRID];

static qr__named_function name_of(double (*f)(double), double *parameter) {
    for (size_t i = 0; i < QR__GRID; i++)
        points[i] = f(qr__grid(i));
    return qr__function_name(points, parameter);
}

static double by_erf(double x) {
    return x / 2 * erfc(-x * (float)M_SQRT1_2);
}

static double by_tanh(double x) {
    return x / 2 * (1 + tanh(0.7978846 * x * (1 + 0.044715 * x * x)));
}

static double quick(double x) {
    return x / (1 + exp(-1.702 * x));
}

static double silu(double x) {
    return x / (1 + exp(-x));
}

static double relu6(double x) {
    return fmin(fmax(x, 0), 6);
}

static double positive(double x) {
    return fmax(x, 0);
}

static double by_exp(double x) {
    return 1 - 2 / (1 + exp(2 * x));
}

static double logistic(double x) {
    return 0.5 + tanh(x / 2) / 2;
}

static double root(double x) {
    return sqrt(x + 1e-5);
}

static double inverse_root(double x) {
    return pow(x + 1e-12, -0.5);
}

static double squared(double x) {
    return x * x;
}

static double third(double x) {
    return x / 3;
}

static double nothing(double x) {
    return 0 * x;
}

static double cut_off(double x) {
    return fmin(x, 500);
}

static double gelu_cut_off(double x) {
    return by_erf(fmin(x, 9));
}

static double cube(double x) {
    return x * x * x;
}

Test(recognise, functions_by_their_values) {
    static const struct {
        double (*f)(double);
        qr__named_function name;
        double parameter; /* NAN: none */
    } cases[] = {{by_erf, QR__FN_GELU, NAN},       {by_tanh, QR__FN_GELU_NEW, NAN},
                 {positive, QR__FN_RELU, NAN},     {by_exp, QR__FN_TANH, NAN},
                 {logistic, QR__FN_SIGMOID, NAN},  {squared, QR__FN_SQUARE, NAN},
                 {third, QR__FN_SCALED, 1.0 / 3},  {root, QR__FN_ROOT, 1e-5},
                 {quick, QR__FN_NONE, NAN},        {silu, QR__FN_NONE, NAN},
                 {relu6, QR__FN_NONE, NAN},        {cube, QR__FN_NONE, NAN},
                 {nothing, QR__FN_NONE, NAN},      {cut_off, QR__FN_NONE, NAN},
                 {gelu_cut_off, QR__FN_NONE, NAN}, {inverse_root, QR__FN_INVERSE_ROOT, 1e-12}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double parameter = NAN;
        cr_expect_eq(name_of(cases[i].f, &parameter), cases[i].name, "function %zu", i);
        if (!isnan(cases[i].parameter))
            cr_expect(fabs(parameter / cases[i].parameter - 1) < 1e-6, "function %zu: %g", i,
                      parameter);
    }
    double scale;
    cr_expect_eq(qr__function_name(NULL, &scale), QR__FN_SCALED);
    cr_expect_eq(scale, 1);
}
