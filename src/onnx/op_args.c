/* onnx/op_args.c: what most operators ask of their call: inputs that are there, lists of integers,
 * outputs of a shape that fits. */
#include "onnx/op.h"

qr_status qr__op_refuse_type(qr__op_call *call, qr_onnx_type type) {
    return qr__op_refuse(call, "%s numbers are not taken", qr_onnx_type_name(type));
}

qr_status qr__op_need(qr__op_call *call, size_t ins) {
    for (size_t i = 0; i < ins; i++)
        if (qr__op_in(call, i) == NULL)
            return qr__op_refuse(call, "input %zu is missing", i);
    if (call->outs == 0)
        return qr__op_refuse(call, "it has no output");
    return QR_OK;
}

qr_status qr__op_check_shape(qr__op_call *call, size_t rank, const size_t *shape) {
    size_t count = 1;
    if (rank > QR_ONNX_RANK_MAX)
        return qr__op_refuse(call, "its output has %zu axes, at most %d are taken", rank,
                             QR_ONNX_RANK_MAX);
    for (size_t i = 0; i < rank; i++)
        if ((shape[i] != 0 && !qr_checked_mul(count, shape[i], &count)) ||
            count > call->max_numbers)
            return qr__op_refuse(call, "its output has too many numbers");
    return QR_OK;
}

qr_status qr__op_create(qr__op_call *call, size_t at, qr_onnx_type type, size_t rank,
                        const size_t *shape) {
    const qr_status status = qr__op_check_shape(call, rank, shape);
    if (status != QR_OK)
        return status;
    return qr__op_out(call, at, type, rank, shape) != NULL ? QR_OK : qr__op_no_memory(call);
}

qr_status qr__op_list_of(qr__op_call *call, size_t at, const char *attribute, qr__op_list *out) {
    *out = (qr__op_list){0};
    const qr_onnx_tensor *tensor = qr__op_in(call, at);
    if (tensor != NULL) {
        if (qr_onnx_is_float(tensor->type) || tensor->rank > 1)
            return qr__op_refuse(call, "input %zu is not a row of integers", at);
        *out = (qr__op_list){.given = true, .count = tensor->count, .tensor = tensor};
        return QR_OK;
    }
    const qr_onnx_attribute *found = qr_onnx_find_attribute(call->node, attribute);
    if (found == NULL)
        return QR_OK;
    if (found->kind != QR_ONNX_ATTR_INTS)
        return qr__op_refuse(call, "attribute `%s` is not a row of integers", attribute);
    *out = (qr__op_list){.given = true, .count = found->count, .ints = found->ints};
    return QR_OK;
}

int64_t qr__op_list_at(const qr__op_list *list, size_t i) {
    return list->tensor != NULL ? qr_onnx_int(list->tensor, i) : list->ints[i];
}

qr_status qr__op_mark_axes(qr__op_call *call, const qr__op_list *list, size_t rank,
                           bool marked[QR_ONNX_RANK_MAX]) {
    for (size_t i = 0; i < list->count; i++) {
        const int64_t given = qr__op_list_at(list, i);
        size_t axis;
        if (!qr__op_axis(given, rank, &axis))
            return qr__op_refuse(call, "axis %lld of %zu", (long long)given, rank);
        if (marked[axis])
            return qr__op_refuse(call, "axis %zu twice", axis);
        marked[axis] = true;
    }
    return QR_OK;
}
