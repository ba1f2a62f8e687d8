/* Quantized products with activations passed on as floats: what they give then is what the same
 * weights give in floats; without it they differ, a little. */
#include <criterion/criterion.h>
#include <math.h>

#include "onnx_maker.h"

#define DIMS(...) ((int64_t[]){__VA_ARGS__})

enum { B = 2, S = 3, C = 8, N = 24, HEADS = 2 };

#define WEIGHT_SCALE 0.02f
#define WEIGHT_ZERO  119

static float wave(size_t i) {
    return sinf((float)(i * i % 97) * 0.37f) * 1.5f;
}

static uint8_t weight(size_t i) {
    return (uint8_t)(i * 37 % 251);
}

/* x[B, S, C] and, as constants, weights[C, N] as uint8 and in floats, with scale and zero point. */
static onnx_maker *begin(void) {
    static uint8_t quantized[C * N];
    static float dense[C * N], bias[N];
    static const uint8_t zero = WEIGHT_ZERO;
    for (size_t i = 0; i < C * N; i++) {
        quantized[i] = weight(i);
        dense[i] = ((float)quantized[i] - WEIGHT_ZERO) * WEIGHT_SCALE;
    }
    for (size_t i = 0; i < N; i++)
        bias[i] = wave(i + 5);
    onnx_maker *m = onnx_maker_create(17);
    onnx_maker_input(m, "x", QR_ONNX_FLOAT, 3, DIMS(B, S, C));
    onnx_maker_initializer(m, "w8", QR_ONNX_UINT8, 2, DIMS(C, N), quantized, sizeof quantized);
    onnx_maker_initializer(m, "zero", QR_ONNX_UINT8, 0, NULL, &zero, 1);
    onnx_maker_floats(m, "scale", 0, NULL, (float[]){WEIGHT_SCALE});
    onnx_maker_floats(m, "w", 2, DIMS(C, N), dense);
    onnx_maker_floats(m, "bias", 1, DIMS(N), bias);
    return m;
}

/* Outputs "got" and "want" of the model, as far apart as *apart. */
static void end(onnx_maker *m, bool bypass, bool folded, float *apart) {
    float numbers[B * S * C];
    qr_error error = {0};
    qr_onnx_run *run;
    const size_t shape[3] = {B, S, C};
    onnx_maker_output(m, "got", QR_ONNX_FLOAT, SIZE_MAX, NULL);
    onnx_maker_output(m, "want", QR_ONNX_FLOAT, SIZE_MAX, NULL);
    qr_onnx_graph *graph = onnx_maker_open(m);
    if (folded)
        cr_assert_eq(qr_onnx_fold(graph, &error), QR_OK);
    qr_onnx_tensor *x = qr_onnx_tensor_create(QR_ONNX_FLOAT, 3, shape);
    for (size_t i = 0; i < B * S * C; i++)
        numbers[i] = wave(i);
    memcpy(qr_onnx_floats(x), numbers, sizeof numbers);
    cr_assert_eq(qr_onnx_run_create(graph, &(qr_onnx_run_options){.bypass = bypass}, &run, &error),
                 QR_OK);
    qr_onnx_run_feed(run, graph->inputs[0], x);
    cr_assert_eq(qr_onnx_run_forward(run, &error), QR_OK, "%s", error.message);
    const qr_onnx_tensor *got = qr_onnx_run_value(run, graph->outputs[0]);
    const qr_onnx_tensor *want = qr_onnx_run_value(run, graph->outputs[1]);
    cr_assert_eq(got->count, want->count);
    cr_assert_not_null(got->floats);
    *apart = 0.0f;
    for (size_t i = 0; i < got->count; i++)
        *apart = fmaxf(*apart, fabsf(got->floats[i] - want->floats[i]));
    qr_onnx_run_destroy(run);
    qr_onnx_tensor_destroy(x);
    qr_onnx_close(graph);
    onnx_maker_destroy(m);
}

static void expect_bypass(onnx_maker *(*make)(void), float quantized_at_least) {
    float apart;
    for (int folded = 0; folded < 2; folded++) {
        end(make(), true, folded, &apart);
        cr_expect_leq(apart, 1e-5f, "bypassed: %g apart", apart);
        end(make(), false, folded, &apart);
        cr_expect_geq(apart, quantized_at_least, "quantized: %g apart", apart);
        cr_expect_leq(apart, 0.2f, "quantized: %g apart", apart);
    }
}

static onnx_maker *make_integer(void) {
    onnx_maker *m = begin();
    onnx_maker_node(m, "DynamicQuantizeLinear", "x", "x8 x_scale x_zero");
    onnx_maker_node(m, "MatMulInteger", "x8 w8 x_zero zero", "sums");
    onnx_maker_int(m, onnx_maker_node(m, "Cast", "sums", "floats"), "to", QR_ONNX_FLOAT);
    onnx_maker_node(m, "Mul", "x_scale scale", "both");
    onnx_maker_node(m, "Mul", "floats both", "got");
    onnx_maker_node(m, "MatMul", "x w", "want");
    return m;
}

static onnx_maker *make_dynamic(void) {
    onnx_maker *m = begin();
    onnx_maker_node(m, "com.microsoft:DynamicQuantizeMatMul", "x w8 scale zero bias", "got");
    onnx_maker_node(m, "MatMul", "x w", "product");
    onnx_maker_node(m, "Add", "product bias", "want");
    return m;
}

static onnx_maker *make_to_float(void) {
    onnx_maker *m = begin();
    onnx_maker_node(m, "DynamicQuantizeLinear", "x", "x8 x_scale x_zero");
    onnx_maker_node(m, "com.microsoft:MatMulIntegerToFloat", "x8 w8 x_scale scale x_zero zero bias",
                    "got");
    onnx_maker_node(m, "MatMul", "x w", "product");
    onnx_maker_node(m, "Add", "product bias", "want");
    return m;
}

/* Static: an activation goes to uint8 and back, with a scale of the file's. */
static onnx_maker *make_static(void) {
    static const uint8_t middle = 128;
    onnx_maker *m = begin();
    onnx_maker_floats(m, "step", 0, NULL, (float[]){0.013f});
    onnx_maker_initializer(m, "middle", QR_ONNX_UINT8, 0, NULL, &middle, 1);
    onnx_maker_node(m, "QuantizeLinear", "x step middle", "x8");
    onnx_maker_node(m, "DequantizeLinear", "x8 step middle", "x32");
    onnx_maker_node(m, "DequantizeLinear", "w8 scale zero", "w32");
    onnx_maker_node(m, "MatMul", "x32 w32", "got");
    onnx_maker_node(m, "MatMul", "x w", "want");
    return m;
}

static onnx_maker *make_attention(void) {
    static const uint8_t middle = 128;
    onnx_maker *m = begin();
    onnx_maker_floats(m, "step", 0, NULL, (float[]){0.013f});
    onnx_maker_initializer(m, "middle", QR_ONNX_UINT8, 0, NULL, &middle, 1);
    onnx_maker_node(m, "QuantizeLinear", "x step middle", "x8");
    onnx_maker_int(m,
                   onnx_maker_node(m, "com.microsoft:QAttention",
                                   "x8 w8 bias step scale - middle zero", "got"),
                   "num_heads", HEADS);
    onnx_maker_int(m, onnx_maker_node(m, "com.microsoft:Attention", "x w bias", "want"),
                   "num_heads", HEADS);
    return m;
}

Test(bypass, products_of_whole_numbers_take_floats) {
    expect_bypass(make_integer, 1e-4f);
    expect_bypass(make_dynamic, 1e-4f);
    expect_bypass(make_to_float, 1e-4f);
}

Test(bypass, activations_with_a_fixed_scale_pass) {
    expect_bypass(make_static, 1e-4f);
    expect_bypass(make_attention, 1e-4f);
}

/* A weight that the graph itself quantizes stays quantized. */
static onnx_maker *make_weight(void) {
    onnx_maker *m = begin();
    onnx_maker_node(m, "QuantizeLinear", "bias scale zero", "bias8");
    onnx_maker_node(m, "DequantizeLinear", "bias8 scale zero", "bias32");
    onnx_maker_node(m, "Identity", "bias32", "got");
    onnx_maker_node(m, "Identity", "bias", "want");
    return m;
}

Test(bypass, weights_stay_as_they_are_quantized) {
    float bypassed, quantized;
    end(make_weight(), true, false, &bypassed);
    end(make_weight(), false, false, &quantized);
    cr_expect_geq(quantized, 1e-3f);
    cr_expect_float_eq(bypassed, quantized, 1e-9f);
}

Test(bypass, floats_are_refused_without_it) {
    onnx_maker *m = begin();
    qr_error error = {0};
    onnx_maker_node(m, "MatMulInteger", "w w8", "got");
    qr_onnx_graph *graph = onnx_maker_open(m);
    qr_onnx_tensor *inputs[2] = {graph->values[onnx_maker_value(graph, "w")].constant,
                                 graph->values[onnx_maker_value(graph, "w8")].constant};
    qr_onnx_tensor *output;
    cr_expect_eq(qr_onnx_apply(graph, &graph->nodes[0], inputs, false, &output, &error),
                 QR_BAD_MODEL);
    cr_expect_null(output);
    cr_expect_not_null(strstr(error.message, "8-bit"), "%s", error.message);
    qr_onnx_close(graph);
    onnx_maker_destroy(m);
}
