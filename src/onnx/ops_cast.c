/* onnx/ops_cast.c: numbers of one type as numbers of another. */
#include <math.h>

#include "onnx/op.h"

static bool is_held(qr_onnx_type type) {
    return type != QR_ONNX_UNDEFINED && type != QR_ONNX_STRING &&
           (type <= QR_ONNX_UINT64 || type == QR_ONNX_BFLOAT16);
}

/* What does not fit C leaves open; it becomes what x86 makes of it, as in ONNX Runtime: the least
 * number of 64 bits, of 32 for the narrower types. */
int64_t qr__op_truncate(qr_onnx_type type, double x) {
    if (type == QR_ONNX_BOOL)
        return x != 0.0;
    if (type == QR_ONNX_UINT64 && x >= 0x1p63 && x < 0x1p64)
        return (int64_t)(uint64_t)x;
    if (type == QR_ONNX_INT64 || type == QR_ONNX_UINT64 || type == QR_ONNX_UINT32)
        return fabs(x) < 0x1p63 ? (int64_t)x : INT64_MIN;
    return x > -0x1p31 - 1.0 && x < 0x1p31 ? (int64_t)x : INT32_MIN;
}

static float to_float(qr_onnx_type type, qr_onnx_type from, int64_t x) {
    const double wide = from == QR_ONNX_UINT64 ? (double)(uint64_t)x : (double)x;
    return qr_onnx_round(type, (float)wide);
}

static qr_status cast(qr__op_call *call, int64_t to) {
    qr_status status = qr__op_need(call, 1);
    if (status != QR_OK)
        return status;
    qr_onnx_tensor *in = call->in[0];
    if (to < 0 || to > 1000 || !is_held((qr_onnx_type)to))
        return qr__op_refuse(
            call, "type %lld (%s) is not held", (long long)to,
            qr_onnx_type_name(to < 0 || to > 1000 ? QR_ONNX_UNDEFINED : (qr_onnx_type)to));
    const qr_onnx_type type = (qr_onnx_type)to;
    if (type == in->type) {
        call->out[0] = qr_onnx_tensor_share(in);
        return QR_OK;
    }
    status = qr__op_create(call, 0, type, in->rank, in->shape);
    if (status != QR_OK)
        return status;
    qr_onnx_tensor *out = call->out[0];
    const bool from_float = qr_onnx_is_float(in->type), to_floats = qr_onnx_is_float(type);
    if (qr_onnx_is_bytes(in->type) && type == QR_ONNX_FLOAT) { /* weights in 8 bits */
        qr_onnx_copy_floats(in, 0, in->count, qr_onnx_floats(out));
        return QR_OK;
    }
    for (size_t i = 0; i < in->count; i++)
        if (from_float && to_floats)
            qr_onnx_floats(out)[i] = qr_onnx_round(type, in->floats[i]);
        else if (from_float)
            qr_onnx_set_int(out, i, qr__op_truncate(type, in->floats[i]));
        else if (to_floats)
            qr_onnx_floats(out)[i] = to_float(type, in->type, qr_onnx_int(in, i));
        else
            qr_onnx_set_int(out, i, qr_onnx_int(in, i));
    return QR_OK;
}

/* Whether what a value holds would be integers without the bypass, and was only passed on since. */
static bool was_quantized(const qr_onnx_graph *graph, size_t value) {
    static const char *const passes[] = {"Cast",    "Identity",  "Reshape",
                                         "Squeeze", "Unsqueeze", "Transpose"};
    for (size_t steps = 0; steps < 16; steps++) {
        const size_t producer =
            value == QR_ONNX_NONE ? QR_ONNX_NONE : graph->values[value].producer;
        if (producer == QR_ONNX_NONE)
            return false;
        const qr_onnx_node *node = &graph->nodes[producer];
        if (strcmp(node->op, "QuantizeLinear") == 0 || strcmp(node->op, "MatMulInteger") == 0 ||
            strcmp(node->op, "DynamicQuantizeLinear") == 0)
            return value == node->outputs[0];
        size_t i = 0;
        while (i < sizeof passes / sizeof *passes && strcmp(node->op, passes[i]) != 0)
            i++;
        if (i == sizeof passes / sizeof *passes || node->input_count == 0)
            return false;
        value = node->inputs[0];
    }
    return false;
}

/* What the bypass passes on as floats is no integer for a Cast either. */
static qr_status run_cast(qr__op_call *call) {
    if (call->bypass && call->ins > 0 && call->in[0] != NULL &&
        qr_onnx_is_float(call->in[0]->type) && was_quantized(call->graph, call->node->inputs[0])) {
        call->out[0] = qr_onnx_tensor_share(call->in[0]);
        return QR_OK;
    }
    return cast(call, qr_onnx_attribute_int(call->node, "to", QR_ONNX_UNDEFINED));
}

static qr_status run_cast_like(qr__op_call *call) {
    const qr_status status = qr__op_need(call, 2);
    return status == QR_OK ? cast(call, (int64_t)call->in[1]->type) : status;
}

const qr__op qr__ops_cast[] = {
    {"", "Cast", run_cast}, {"", "CastLike", run_cast_like}, {NULL, NULL, NULL}};
