/* onnx/gelu.c: ONNX Runtime's operators of the GELU family, in f64 and rounded once. */
#include "onnx/gelu.h"

#include <math.h>

static double by_erf(double x, double alpha) {
    (void)alpha;
    return 0.5 * x * (1.0 + erf(x * M_SQRT1_2));
}

static double by_tanh(double x, double alpha) {
    (void)alpha;
    return 0.5 * x * (1.0 + tanh(sqrt(2.0 / M_PI) * (x + 0.044715 * x * x * x)));
}

static double by_sigmoid(double x, double alpha) {
    return x / (1.0 + exp(-alpha * x));
}

static qr_status activate(qr__op_call *call, double (*form)(double x, double alpha)) {
    const qr_onnx_tensor *x = qr__op_in(call, 0), *bias = qr__op_in(call, 1);
    if (x == NULL || !qr_onnx_is_float(x->type))
        return qr__op_refuse(call, "it takes floats");
    if (bias != NULL && (bias->type != x->type || bias->rank != 1 || x->rank == 0 ||
                         bias->count != x->shape[x->rank - 1]))
        return qr__op_refuse(call, "the bias must be as long as the last axis of its input");
    qr_onnx_tensor *y = qr__op_out(call, 0, x->type, x->rank, x->shape);
    if (y == NULL)
        return qr__op_no_memory(call);
    const double alpha = (double)qr_onnx_attribute_float(call->node, "alpha", 1.702f);
    float *numbers = qr_onnx_floats(y);
    for (size_t i = 0; i < x->count; i++) {
        const float sum = x->floats[i] + (bias == NULL ? 0.0f : bias->floats[i % bias->count]);
        numbers[i] = qr_onnx_round(x->type, (float)form((double)sum, alpha));
    }
    return QR_OK;
}

qr_status qr__op_gelu(qr__op_call *call) {
    return activate(call, by_erf);
}

qr_status qr__op_bias_gelu(qr__op_call *call) {
    if (qr__op_in(call, 1) == NULL)
        return qr__op_refuse(call, "it needs a bias");
    return activate(call, by_erf);
}

qr_status qr__op_fast_gelu(qr__op_call *call) {
    return activate(call, by_tanh);
}

qr_status qr__op_quick_gelu(qr__op_call *call) {
    return activate(call, by_sigmoid);
}
