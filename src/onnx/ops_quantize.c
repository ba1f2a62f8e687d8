/* onnx/ops_quantize.c: numbers to fewer bits and back, and products of 8-bit numbers.
 *
 * Under call->bypass what quantizes activations passes them on as floats; constants are weights,
 * and stay as they are quantized. */
#include "onnx/quantized.h"

#include <math.h>

/* How the numbers of a tensor find their scale: all have one; or each index of an axis has one; or
 * each `block` of such indices, at each place of the other axes. Number i stands at i / inner %
 * length of the axis. */
typedef struct granularity {
    enum { TENSOR, AXIS, BLOCKS } kind;
    size_t length, inner, block, groups;
} granularity;

static size_t scale_place(const granularity *g, size_t i) {
    if (g->kind == TENSOR)
        return 0;
    const size_t at = i / g->inner % g->length;
    if (g->kind == AXIS)
        return at;
    return (i / (g->length * g->inner) * g->groups + at / g->block) * g->inner + i % g->inner;
}

/* Whether scales [.., groups, ..] lie in blocks along the axis of x. */
static bool fits_blocks(const qr_onnx_tensor *x, const qr_onnx_tensor *scale, size_t axis,
                        size_t block) {
    if (scale->rank != x->rank)
        return false;
    for (size_t i = 0; i < x->rank; i++) {
        const size_t full = x->shape[i];
        const size_t groups = full / block + (full % block != 0);
        if (scale->shape[i] != (i == axis ? groups : full))
            return false;
    }
    return true;
}

static qr_status granularity_init(granularity *g, qr__op_call *call) {
    const qr_onnx_tensor *x = qr__op_in(call, 0), *scale = qr__op_in(call, 1);
    const qr_onnx_tensor *zero = qr__op_in(call, 2);
    const int64_t block = qr_onnx_attribute_int(call->node, "block_size", 0);
    size_t axis = 0;
    *g = (granularity){.kind = TENSOR};
    if (x == NULL || scale == NULL || !qr_onnx_is_float(scale->type))
        return qr__op_refuse(call, "it needs an input and a scale of floats");
    if (zero != NULL &&
        (qr_onnx_is_float(zero->type) || zero->type == QR_ONNX_BOOL || zero->count != scale->count))
        return qr__op_refuse(call, "its zero point does not fit its scale");
    if (scale->count == 1 && block == 0)
        return QR_OK;
    if (!qr__op_axis(qr_onnx_attribute_int(call->node, "axis", 1), x->rank, &axis))
        return qr__op_refuse(call, "the axis is none of the %zu of its input", x->rank);
    g->length = x->shape[axis];
    g->inner = 1;
    for (size_t i = axis + 1; i < x->rank; i++)
        g->inner *= x->shape[i];
    g->kind = block > 0 ? BLOCKS : AXIS;
    if (g->kind == BLOCKS) {
        g->block = (size_t)block;
        g->groups = axis < scale->rank ? scale->shape[axis] : 0;
    }
    if (block < 0 || (g->kind == AXIS && (scale->rank != 1 || scale->count != g->length)) ||
        (g->kind == BLOCKS && !fits_blocks(x, scale, axis, g->block)))
        return qr__op_refuse(call, "its scale does not fit its input");
    return QR_OK;
}

/* The least and the greatest number of a type that is quantized to. False: none such. */
static bool limits_of(qr_onnx_type type, int64_t *lo, int64_t *hi) {
    *lo = type == QR_ONNX_INT8 ? INT8_MIN : type == QR_ONNX_INT16 ? INT16_MIN : 0;
    *hi = type == QR_ONNX_INT8     ? INT8_MAX
          : type == QR_ONNX_UINT8  ? UINT8_MAX
          : type == QR_ONNX_INT16  ? INT16_MAX
          : type == QR_ONNX_UINT16 ? UINT16_MAX
                                   : 0;
    return *hi != 0;
}

static bool is_constant(const qr__op_call *call, size_t input) {
    return call->graph->values[call->node->inputs[input]].constant != NULL;
}

static qr_status run_quantize(qr__op_call *call) {
    const qr_onnx_tensor *x = qr__op_in(call, 0), *scale = qr__op_in(call, 1);
    const qr_onnx_tensor *zero = qr__op_in(call, 2);
    granularity g;
    int64_t lo, hi;
    const qr_status status = granularity_init(&g, call);
    if (status != QR_OK)
        return status;
    const bool is_float = qr_onnx_is_float(x->type);
    const int64_t asked = qr_onnx_attribute_int(call->node, "output_dtype", 0);
    const qr_onnx_type type = zero != NULL ? zero->type
                              : asked != 0 ? (qr_onnx_type)asked
                                           : QR_ONNX_UINT8;
    if ((!is_float && x->type != QR_ONNX_INT32) || !limits_of(type, &lo, &hi))
        return qr__op_refuse(call, "%s to %s is not done", qr_onnx_type_name(x->type),
                             qr_onnx_type_name(type));
    if (call->bypass && is_float && !is_constant(call, 0)) {
        call->out[0] = qr_onnx_tensor_share(call->in[0]);
        return QR_OK;
    }
    qr_onnx_tensor *y = qr__op_out(call, 0, type, x->rank, x->shape);
    if (y == NULL)
        return qr__op_no_memory(call);
    for (size_t i = 0; i < x->count; i++) {
        const size_t at = scale_place(&g, i);
        const float number = is_float ? x->floats[i] : (float)x->longs[i];
        const int64_t middle = zero == NULL ? 0 : qr_onnx_int(zero, at);
        qr_onnx_set_int(y, i, qr__quantize(number, scale->floats[at], middle, lo, hi));
    }
    return QR_OK;
}

static qr_status run_dequantize(qr__op_call *call) {
    const qr_onnx_tensor *x = qr__op_in(call, 0), *scale = qr__op_in(call, 1);
    const qr_onnx_tensor *zero = qr__op_in(call, 2);
    granularity g;
    if (call->bypass && x != NULL && qr_onnx_is_float(x->type)) {
        call->out[0] = qr_onnx_tensor_share(call->in[0]);
        return QR_OK;
    }
    const qr_status status = granularity_init(&g, call);
    if (status != QR_OK)
        return status;
    if (qr_onnx_is_float(x->type) || x->type == QR_ONNX_BOOL ||
        (zero != NULL && zero->type != x->type))
        return qr__op_refuse(call, "%s with a zero point of %s is not done",
                             qr_onnx_type_name(x->type),
                             qr_onnx_type_name(zero == NULL ? x->type : zero->type));
    qr_onnx_tensor *y = qr__op_out(call, 0, scale->type, x->rank, x->shape);
    if (y == NULL)
        return qr__op_no_memory(call);
    for (size_t i = 0; i < x->count; i++) {
        const size_t at = scale_place(&g, i);
        const int64_t middle = zero == NULL ? 0 : qr_onnx_int(zero, at);
        const int64_t number = (int64_t)((uint64_t)qr_onnx_int(x, i) - (uint64_t)middle);
        qr_onnx_floats(y)[i] = qr_onnx_round(scale->type, (float)number * scale->floats[at]);
    }
    return QR_OK;
}

static qr_status run_dynamic_quantize(qr__op_call *call) {
    const qr_onnx_tensor *x = qr__op_in(call, 0);
    if (x == NULL || x->type != QR_ONNX_FLOAT || call->outs != 3)
        return qr__op_refuse(call, "it quantizes float32, and has three outputs");
    qr_onnx_tensor *scale = qr__op_out(call, 1, QR_ONNX_FLOAT, 0, NULL);
    qr_onnx_tensor *zero = qr__op_out(call, 2, QR_ONNX_UINT8, 0, NULL);
    if (scale == NULL || zero == NULL)
        return qr__op_no_memory(call);
    qr_onnx_floats(scale)[0] = 1.0f;
    if (call->bypass) {
        call->out[0] = qr_onnx_tensor_share(call->in[0]);
        return QR_OK;
    }
    qr_onnx_tensor *y = qr__op_out(call, 0, QR_ONNX_UINT8, x->rank, x->shape);
    if (y == NULL)
        return qr__op_no_memory(call);
    float step;
    int64_t middle;
    qr__dynamic_range(x, &step, &middle);
    qr_onnx_floats(scale)[0] = step;
    qr_onnx_set_int(zero, 0, middle);
    for (size_t i = 0; i < x->count; i++)
        qr_onnx_set_int(y, i, qr__quantize(x->floats[i], step, middle, 0, 255));
    return QR_OK;
}

static qr_status run_matmul_integer(qr__op_call *call) {
    return qr__quantized_multiply(call, 0,
                                  &(qr__quantized_product){.a = qr__op_in(call, 0),
                                                           .b = qr__op_in(call, 1),
                                                           .a_zero = qr__op_in(call, 2),
                                                           .b_zero = qr__op_in(call, 3)});
}

/* ONNX Runtime's. */

static qr_status run_matmul_integer_to_float(qr__op_call *call) {
    const qr_onnx_tensor *a_scale = qr__op_in(call, 2), *b_scale = qr__op_in(call, 3);
    if (a_scale == NULL || a_scale->count != 1 || !qr_onnx_is_float(a_scale->type) ||
        b_scale == NULL)
        return qr__op_refuse(call,
                             "a scale of more than one number for its first input is not done");
    return qr__quantized_project(call, 0,
                                 &(qr__quantized_product){.a = qr__op_in(call, 0),
                                                          .b = qr__op_in(call, 1),
                                                          .a_zero = qr__op_in(call, 4),
                                                          .b_zero = qr__op_in(call, 5)},
                                 a_scale->floats[0], b_scale, qr__op_in(call, 6), b_scale->type);
}

static qr_status run_dynamic_quantize_matmul(qr__op_call *call) {
    qr_onnx_tensor *x = qr__op_in(call, 0);
    if (x == NULL || x->type != QR_ONNX_FLOAT)
        return qr__op_refuse(call, "it quantizes float32");
    float scale = 1.0f;
    int64_t middle = 0;
    qr_onnx_tensor *a = NULL, *zero = NULL;
    if (call->bypass) {
        a = qr_onnx_tensor_share(x);
    } else {
        qr__dynamic_range(x, &scale, &middle);
        a = qr_onnx_tensor_create(QR_ONNX_UINT8, x->rank, x->shape);
        zero = qr_onnx_tensor_create(QR_ONNX_UINT8, 0, NULL);
    }
    qr_status status = QR_OK;
    if (a == NULL || (zero == NULL && !call->bypass))
        status = qr__op_no_memory(call);
    for (size_t i = 0; status == QR_OK && zero != NULL && i < x->count; i++)
        qr_onnx_set_int(a, i, qr__quantize(x->floats[i], scale, middle, 0, 255));
    if (status == QR_OK && zero != NULL)
        qr_onnx_set_int(zero, 0, middle);
    if (status == QR_OK)
        status = qr__quantized_project(
            call, 0,
            &(qr__quantized_product){
                .a = a, .b = qr__op_in(call, 1), .a_zero = zero, .b_zero = qr__op_in(call, 3)},
            scale, qr__op_in(call, 2), qr__op_in(call, 4), QR_ONNX_FLOAT);
    qr_onnx_tensor_destroy(a);
    qr_onnx_tensor_destroy(zero);
    return status;
}

const qr__op qr__ops_quantize[] = {
    {"", "QuantizeLinear", run_quantize},
    {"", "DequantizeLinear", run_dequantize},
    {"", "DynamicQuantizeLinear", run_dynamic_quantize},
    {"", "MatMulInteger", run_matmul_integer},
    {"com.microsoft", "QuantizeLinear", run_quantize},
    {"com.microsoft", "DequantizeLinear", run_dequantize},
    {"com.microsoft", "DynamicQuantizeMatMul", run_dynamic_quantize_matmul},
    {"com.microsoft", "MatMulIntegerToFloat", run_matmul_integer_to_float},
    {NULL, NULL, NULL},
};
