/* onnx/ops_elementwise.c: operators of one tensor, number by number. */
#include <float.h>
#include <math.h>

#include "onnx/op.h"

typedef double (*of_float)(double x);
typedef int64_t (*of_int)(int64_t x);

/* `ints` NULL: integers are not taken. */
static qr_status unary(qr__op_call *call, of_float floats, of_int ints) {
    qr_status status = qr__op_need(call, 1);
    if (status != QR_OK)
        return status;
    const qr_onnx_tensor *in = call->in[0];
    const bool is_float = qr_onnx_is_float(in->type);
    if (!is_float && (ints == NULL || in->type == QR_ONNX_BOOL))
        return qr__op_refuse_type(call, in->type);
    status = qr__op_create(call, 0, in->type, in->rank, in->shape);
    if (status != QR_OK)
        return status;
    qr_onnx_tensor *out = call->out[0];
    float *to = qr_onnx_floats(out);
    for (size_t i = 0; is_float && i < in->count; i++)
        to[i] = (float)floats(in->floats[i]);
    for (size_t i = 0; is_float && in->type != QR_ONNX_FLOAT && i < in->count; i++)
        to[i] = qr_onnx_round(in->type, to[i]);
    for (size_t i = 0; !is_float && i < in->count; i++)
        qr_onnx_set_int(out, i, ints(qr_onnx_int(in, i)));
    return QR_OK;
}

static double sigmoid(double x) {
    return 1.0 / (1.0 + exp(-x));
}

static double relu(double x) {
    return x < 0.0 ? 0.0 : x;
}

static double negate(double x) {
    return -x;
}

static double reciprocal(double x) {
    return 1.0 / x;
}

static double sign(double x) {
    return x > 0.0 ? 1.0 : x < 0.0 ? -1.0 : x; /* 0 and NaN stay */
}

static double gelu(double x) {
    return 0.5 * x * (1.0 + erf(x * 0.70710678118654752440));
}

static double gelu_tanh(double x) {
    return 0.5 * x * (1.0 + tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x)));
}

static int64_t negate_int(int64_t x) {
    return (int64_t)(0 - (uint64_t)x);
}

static int64_t abs_int(int64_t x) {
    return x < 0 ? negate_int(x) : x;
}

static int64_t relu_int(int64_t x) {
    return x < 0 ? 0 : x;
}

static int64_t sign_int(int64_t x) {
    return (x > 0) - (x < 0);
}

static int64_t same_int(int64_t x) {
    return x;
}

static int64_t sign_unsigned(int64_t x) {
    return x != 0;
}

static qr_status run_sqrt(qr__op_call *call) {
    return unary(call, sqrt, NULL);
}

static qr_status run_exp(qr__op_call *call) {
    return unary(call, exp, NULL);
}

static qr_status run_log(qr__op_call *call) {
    return unary(call, log, NULL);
}

static qr_status run_erf(qr__op_call *call) {
    return unary(call, erf, NULL);
}

static qr_status run_tanh(qr__op_call *call) {
    return unary(call, tanh, NULL);
}

static qr_status run_sigmoid(qr__op_call *call) {
    return unary(call, sigmoid, NULL);
}

static qr_status run_relu(qr__op_call *call) {
    return unary(call, relu, relu_int);
}

static qr_status run_neg(qr__op_call *call) {
    return unary(call, negate, negate_int);
}

static bool is_wide_unsigned(const qr__op_call *call) {
    const qr_onnx_tensor *in = qr__op_in(call, 0);
    return in != NULL && in->type == QR_ONNX_UINT64; /* held in a signed number's bits */
}

static qr_status run_abs(qr__op_call *call) {
    return unary(call, fabs, is_wide_unsigned(call) ? same_int : abs_int);
}

static qr_status run_reciprocal(qr__op_call *call) {
    return unary(call, reciprocal, NULL);
}

static qr_status run_floor(qr__op_call *call) {
    return unary(call, floor, NULL);
}

static qr_status run_ceil(qr__op_call *call) {
    return unary(call, ceil, NULL);
}

static qr_status run_round(qr__op_call *call) {
    return unary(call, rint, NULL); /* halves to even */
}

static qr_status run_sign(qr__op_call *call) {
    return unary(call, sign, is_wide_unsigned(call) ? sign_unsigned : sign_int);
}

static qr_status run_gelu(qr__op_call *call) {
    const char *form = qr_onnx_attribute_text(call->node, "approximate", "none");
    if (strcmp(form, "none") == 0)
        return unary(call, gelu, NULL);
    if (strcmp(form, "tanh") == 0)
        return unary(call, gelu_tanh, NULL);
    return qr__op_refuse(call, "attribute `approximate` is \"%s\", not none or tanh", form);
}

static qr_status run_not(qr__op_call *call) {
    qr_status status = qr__op_need(call, 1);
    if (status != QR_OK)
        return status;
    const qr_onnx_tensor *in = call->in[0];
    if (in->type != QR_ONNX_BOOL)
        return qr__op_refuse_type(call, in->type);
    status = qr__op_create(call, 0, QR_ONNX_BOOL, in->rank, in->shape);
    if (status != QR_OK)
        return status;
    for (size_t i = 0; i < in->count; i++)
        qr_onnx_bytes(call->out[0])[i] = in->bytes[i] == 0;
    return QR_OK;
}

/* Which of NaN, +inf and -inf count. */
static qr_status mark_floats(qr__op_call *call, bool nan, bool above, bool below) {
    qr_status status = qr__op_need(call, 1);
    if (status != QR_OK)
        return status;
    const qr_onnx_tensor *in = call->in[0];
    if (!qr_onnx_is_float(in->type))
        return qr__op_refuse_type(call, in->type);
    status = qr__op_create(call, 0, QR_ONNX_BOOL, in->rank, in->shape);
    if (status != QR_OK)
        return status;
    uint8_t *out = qr_onnx_bytes(call->out[0]);
    for (size_t i = 0; i < in->count; i++) {
        const float x = in->floats[i];
        out[i] = (nan && isnan(x)) || (isinf(x) && (x > 0.0f ? above : below));
    }
    return QR_OK;
}

static qr_status run_is_nan(qr__op_call *call) {
    return mark_floats(call, true, false, false);
}

static qr_status run_is_inf(qr__op_call *call) {
    return mark_floats(call, false, qr_onnx_attribute_int(call->node, "detect_positive", 1) != 0,
                       qr_onnx_attribute_int(call->node, "detect_negative", 1) != 0);
}

/* The greatest finite number of a type. */
static float greatest_float(qr_onnx_type type) {
    return type == QR_ONNX_FLOAT16 ? 65504.0f : type == QR_ONNX_BFLOAT16 ? 0x1.fep127f : FLT_MAX;
}

/* A bound of Clip that is left out is the type's own: infinite numbers become finite. */
static float float_bound(const qr__op_call *call, size_t at, const char *name, float otherwise) {
    const qr_onnx_tensor *bound = qr__op_in(call, at);
    if (bound != NULL)
        return bound->floats[0];
    return qr_onnx_attribute_float(call->node, name, otherwise); /* before opset 11 */
}

/* Where the bounds cross, the upper one wins; a NaN stays. */
static void clip_floats(const qr__op_call *call, const qr_onnx_tensor *in) {
    const float most = greatest_float(in->type);
    const float low = float_bound(call, 1, "min", -most);
    const float high = float_bound(call, 2, "max", most);
    for (size_t i = 0; i < in->count; i++) {
        float x = in->floats[i];
        x = x < low ? low : x;
        x = x > high ? high : x;
        qr_onnx_floats(call->out[0])[i] = qr_onnx_round(in->type, x);
    }
}

/* UINT64 stands in the bits of a signed number. */
static bool int_less(int64_t a, int64_t b, bool wide_unsigned) {
    return wide_unsigned ? (uint64_t)a < (uint64_t)b : a < b;
}

static void clip_ints(const qr__op_call *call, const qr_onnx_tensor *in) {
    const qr_onnx_tensor *low = qr__op_in(call, 1), *high = qr__op_in(call, 2);
    const bool wide = in->type == QR_ONNX_UINT64;
    for (size_t i = 0; i < in->count; i++) {
        int64_t x = qr_onnx_int(in, i);
        if (low != NULL && int_less(x, qr_onnx_int(low, 0), wide))
            x = qr_onnx_int(low, 0);
        if (high != NULL && int_less(qr_onnx_int(high, 0), x, wide))
            x = qr_onnx_int(high, 0);
        qr_onnx_set_int(call->out[0], i, x);
    }
}

static qr_status run_clip(qr__op_call *call) {
    qr_status status = qr__op_need(call, 1);
    if (status != QR_OK)
        return status;
    const qr_onnx_tensor *in = call->in[0];
    if (in->type == QR_ONNX_BOOL)
        return qr__op_refuse_type(call, in->type);
    for (size_t i = 1; i <= 2; i++) {
        const qr_onnx_tensor *bound = qr__op_in(call, i);
        if (bound != NULL && (bound->type != in->type || bound->count != 1))
            return qr__op_refuse(call, "input %zu is not one number of input 0's type", i);
    }
    status = qr__op_create(call, 0, in->type, in->rank, in->shape);
    if (status != QR_OK)
        return status;
    if (qr_onnx_is_float(in->type))
        clip_floats(call, in);
    else
        clip_ints(call, in);
    return QR_OK;
}

const qr__op qr__ops_elementwise[] = {
    {"", "Sqrt", run_sqrt},    {"", "Exp", run_exp},
    {"", "Log", run_log},      {"", "Erf", run_erf},
    {"", "Tanh", run_tanh},    {"", "Sigmoid", run_sigmoid},
    {"", "Relu", run_relu},    {"", "Neg", run_neg},
    {"", "Abs", run_abs},      {"", "Reciprocal", run_reciprocal},
    {"", "Floor", run_floor},  {"", "Ceil", run_ceil},
    {"", "Round", run_round},  {"", "Sign", run_sign},
    {"", "Gelu", run_gelu},    {"", "Not", run_not},
    {"", "IsNaN", run_is_nan}, {"", "IsInf", run_is_inf},
    {"", "Clip", run_clip},    {NULL, NULL, NULL},
};
