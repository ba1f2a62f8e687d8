/* onnx/ops_fill.c: operators that make numbers: constants and ranges. */
#include <math.h>

#include "onnx/op.h"
#include "onnx/walk.h"

/* All numbers become the one of a tensor of the same type. */
static void fill(qr_onnx_tensor *out, const qr_onnx_tensor *number) {
    for (size_t i = 0; i < out->count; i++)
        qr__copy_numbers(out, i, number, 0, 1);
}

static qr_status constant_ints(qr__op_call *call, size_t rank, size_t count, const int64_t *ints) {
    const qr_status status = qr__op_create(call, 0, QR_ONNX_INT64, rank, &count);
    for (size_t i = 0; status == QR_OK && i < count; i++)
        qr_onnx_longs(call->out[0])[i] = ints[i];
    return status;
}

static qr_status constant_floats(qr__op_call *call, size_t rank, size_t count,
                                 const float *floats) {
    const qr_status status = qr__op_create(call, 0, QR_ONNX_FLOAT, rank, &count);
    for (size_t i = 0; status == QR_OK && i < count; i++)
        qr_onnx_floats(call->out[0])[i] = floats[i];
    return status;
}

static qr_status run_constant(qr__op_call *call) {
    const qr_status status = qr__op_need(call, 0);
    if (status != QR_OK)
        return status;
    for (size_t i = 0; i < call->node->attribute_count; i++) {
        const qr_onnx_attribute *given = &call->node->attributes[i];
        if (strncmp(given->name, "value", 5) != 0)
            continue;
        switch (given->kind) {
        case QR_ONNX_ATTR_TENSOR:
            call->out[0] = qr_onnx_tensor_share(given->t);
            return QR_OK;
        case QR_ONNX_ATTR_INT:
            return constant_ints(call, 0, 1, &given->i);
        case QR_ONNX_ATTR_FLOAT:
            return constant_floats(call, 0, 1, &given->f);
        case QR_ONNX_ATTR_INTS:
            return constant_ints(call, 1, given->count, given->ints);
        case QR_ONNX_ATTR_FLOATS:
            return constant_floats(call, 1, given->count, given->floats);
        default:
            return qr__op_refuse(call, "attribute `%s` is of a kind that is not held", given->name);
        }
    }
    return qr__op_refuse(call, "it has no value");
}

static qr_status run_constant_of_shape(qr__op_call *call) {
    qr__op_list list;
    qr_status status = qr__op_need(call, 1);
    if (status == QR_OK)
        status = qr__op_list_of(call, 0, "", &list);
    if (status != QR_OK)
        return status;
    size_t shape[QR_ONNX_RANK_MAX];
    if (list.count > QR_ONNX_RANK_MAX)
        return qr__op_refuse(call, "its output has more than %d axes", QR_ONNX_RANK_MAX);
    for (size_t i = 0; i < list.count; i++) {
        const int64_t length = qr__op_list_at(&list, i);
        if (length < 0)
            return qr__op_refuse(call, "axis %zu of its shape cannot be %lld", i,
                                 (long long)length);
        shape[i] = (size_t)length;
    }
    const qr_onnx_attribute *value = qr_onnx_find_attribute(call->node, "value");
    if (value != NULL && (value->kind != QR_ONNX_ATTR_TENSOR || value->t->count != 1))
        return qr__op_refuse(call, "its value is not one number");
    status =
        qr__op_create(call, 0, value != NULL ? value->t->type : QR_ONNX_FLOAT, list.count, shape);
    if (status == QR_OK && value != NULL)
        fill(call->out[0], value->t);
    return status;
}

static qr_status range_of_ints(qr__op_call *call, qr_onnx_type type) {
    const int64_t start = qr_onnx_int(call->in[0], 0), limit = qr_onnx_int(call->in[1], 0);
    const int64_t delta = qr_onnx_int(call->in[2], 0);
    if (delta == 0)
        return qr__op_refuse(call, "its step is 0");
    size_t count = 0;
    if (delta > 0 ? start < limit : start > limit) {
        const uint64_t span =
            delta > 0 ? (uint64_t)limit - (uint64_t)start : (uint64_t)start - (uint64_t)limit;
        const uint64_t step = qr_max(delta < 0 ? 0 - (uint64_t)delta : (uint64_t)delta, 1);
        count = span / step + (span % step != 0);
    }
    const qr_status status = qr__op_create(call, 0, type, 1, &count);
    for (size_t i = 0; status == QR_OK && i < count; i++)
        qr_onnx_set_int(call->out[0], i, (int64_t)((uint64_t)start + i * (uint64_t)delta));
    return status;
}

static qr_status range_of_floats(qr__op_call *call, qr_onnx_type type) {
    const double start = call->in[0]->floats[0], delta = call->in[2]->floats[0];
    const double wanted = ceil((call->in[1]->floats[0] - start) / delta);
    if (!(wanted <= QR_LIMIT_ONNX_NUMBERS)) /* or a NaN */
        return qr__op_refuse(call, "its range does not end");
    const size_t count = wanted > 0.0 ? (size_t)wanted : 0;
    const qr_status status = qr__op_create(call, 0, type, 1, &count);
    for (size_t i = 0; status == QR_OK && i < count; i++)
        qr_onnx_floats(call->out[0])[i] = qr_onnx_round(type, (float)(start + (double)i * delta));
    return status;
}

static qr_status run_range(qr__op_call *call) {
    const qr_status status = qr__op_need(call, 3);
    if (status != QR_OK)
        return status;
    const qr_onnx_type type = call->in[0]->type;
    for (size_t i = 0; i < 3; i++)
        if (call->in[i]->count != 1 || call->in[i]->type != type)
            return qr__op_refuse(call, "its bounds are not one number each, of one type");
    if (qr_onnx_is_float(type))
        return range_of_floats(call, type);
    if (type != QR_ONNX_INT16 && type != QR_ONNX_INT32 && type != QR_ONNX_INT64)
        return qr__op_refuse_type(call, type);
    return range_of_ints(call, type);
}

static qr_status run_eye_like(qr__op_call *call) {
    qr_status status = qr__op_need(call, 1);
    if (status != QR_OK)
        return status;
    const qr_onnx_tensor *in = call->in[0];
    const int64_t k = qr_onnx_attribute_int(call->node, "k", 0);
    const int64_t given = qr_onnx_attribute_int(call->node, "dtype", (int64_t)in->type);
    const qr_onnx_type type = (qr_onnx_type)given;
    if (in->rank != 2)
        return qr__op_refuse(call, "its input is no matrix");
    if (given <= QR_ONNX_UNDEFINED || given > QR_ONNX_BFLOAT16 || given == QR_ONNX_STRING ||
        (given > QR_ONNX_UINT64 && given != QR_ONNX_BFLOAT16))
        return qr__op_refuse(call, "type %lld is not held", (long long)given);
    status = qr__op_create(call, 0, type, 2, in->shape);
    for (size_t r = 0; status == QR_OK && in->count > 0 && r < in->shape[0]; r++)
        for (size_t c = 0; c < in->shape[1]; c++)
            if ((int64_t)c - (int64_t)r != k)
                continue;
            else if (qr_onnx_is_float(type))
                qr_onnx_floats(call->out[0])[r * in->shape[1] + c] = 1.0f;
            else
                qr_onnx_set_int(call->out[0], r * in->shape[1] + c, 1);
    return status;
}

const qr__op qr__ops_fill[] = {
    {"", "Constant", run_constant},
    {"", "ConstantOfShape", run_constant_of_shape},
    {"", "Range", run_range},
    {"", "EyeLike", run_eye_like},
    {NULL, NULL, NULL},
};
