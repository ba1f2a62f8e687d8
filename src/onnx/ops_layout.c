/* onnx/ops_layout.c: operators that leave the numbers where they stand: shapes, and passing on. */
#include "onnx/op.h"

/* Input 0 in another shape of as many numbers. */
static qr_status reshape(qr__op_call *call, size_t rank, const size_t *shape) {
    qr_onnx_tensor *in = call->in[0];
    const qr_status status = qr__op_check_shape(call, rank, shape);
    size_t count = 1;
    if (status != QR_OK)
        return status;
    for (size_t i = 0; i < rank; i++)
        count *= shape[i];
    if (count != in->count)
        return qr__op_refuse(call, "%zu numbers do not fill a shape of %zu", in->count, count);
    call->out[0] = qr_onnx_tensor_reshaped(in, rank, shape);
    return call->out[0] != NULL ? QR_OK : qr__op_no_memory(call);
}

static qr_status run_identity(qr__op_call *call) {
    const qr_status status = qr__op_need(call, 1);
    if (status == QR_OK)
        call->out[0] = qr_onnx_tensor_share(call->in[0]);
    return status;
}

static qr_status run_dropout(qr__op_call *call) {
    const qr_onnx_tensor *training = qr__op_in(call, 2);
    qr_status status = run_identity(call);
    if (status != QR_OK)
        return status;
    if (training != NULL &&
        (training->type != QR_ONNX_BOOL || training->count != 1 || qr_onnx_int(training, 0) != 0))
        return qr__op_refuse(call, "`training_mode` is not false");
    if (!qr__op_asks(call, 1))
        return QR_OK;
    const qr_onnx_tensor *in = call->in[0];
    status = qr__op_create(call, 1, QR_ONNX_BOOL, in->rank, in->shape);
    for (size_t i = 0; status == QR_OK && i < in->count; i++)
        qr_onnx_bytes(call->out[1])[i] = 1;
    return status;
}

/* A bound of Shape's slice: from the end where it is negative, held inside 0 .. rank. */
static size_t bound_of(int64_t given, size_t rank) {
    const int64_t axes = (int64_t)rank;
    if (given < 0)
        given = given < -axes ? 0 : given + axes;
    return (size_t)(given > axes ? axes : given);
}

static qr_status run_shape(qr__op_call *call) {
    qr_status status = qr__op_need(call, 1);
    if (status != QR_OK)
        return status;
    const qr_onnx_tensor *in = call->in[0];
    const size_t start = bound_of(qr_onnx_attribute_int(call->node, "start", 0), in->rank);
    const size_t end = bound_of(qr_onnx_attribute_int(call->node, "end", INT64_MAX), in->rank);
    const size_t count = end > start ? end - start : 0;
    status = qr__op_create(call, 0, QR_ONNX_INT64, 1, &count);
    for (size_t i = 0; status == QR_OK && i < count; i++)
        qr_onnx_longs(call->out[0])[i] = (int64_t)in->shape[start + i];
    return status;
}

static qr_status run_size(qr__op_call *call) {
    qr_status status = qr__op_need(call, 1);
    if (status == QR_OK)
        status = qr__op_create(call, 0, QR_ONNX_INT64, 0, NULL);
    if (status == QR_OK)
        qr_onnx_longs(call->out[0])[0] = (int64_t)call->in[0]->count;
    return status;
}

static qr_status run_reshape(qr__op_call *call) {
    qr__op_list list;
    qr_status status = qr__op_need(call, 1);
    if (status == QR_OK)
        status = qr__op_list_of(call, 1, "shape", &list);
    if (status != QR_OK)
        return status;
    const qr_onnx_tensor *in = call->in[0];
    const bool zeros = qr_onnx_attribute_int(call->node, "allowzero", 0) != 0;
    size_t shape[QR_ONNX_RANK_MAX], open = QR_ONNX_NONE, known = 1;
    if (!list.given)
        return qr__op_refuse(call, "it has no shape");
    if (list.count > QR_ONNX_RANK_MAX)
        return qr__op_refuse(call, "its output has more than %d axes", QR_ONNX_RANK_MAX);
    for (size_t i = 0; i < list.count; i++) {
        const int64_t length = qr__op_list_at(&list, i);
        if (length < -1 || (length == -1 && open != QR_ONNX_NONE) ||
            (length == 0 && !zeros && i >= in->rank))
            return qr__op_refuse(call, "axis %zu of its shape cannot be %lld", i,
                                 (long long)length);
        shape[i] = length == 0 && !zeros ? in->shape[i] : (size_t)length;
        if (length == -1)
            open = i;
        else if (!qr_checked_mul(known, shape[i], &known))
            return qr__op_refuse(call, "its output has too many numbers");
    }
    if (open != QR_ONNX_NONE) {
        if (known == 0 || in->count % known != 0)
            return qr__op_refuse(call, "%zu numbers are no multiple of %zu", in->count, known);
        shape[open] = in->count / known;
    }
    return reshape(call, list.count, shape);
}

static qr_status run_flatten(qr__op_call *call) {
    const qr_status status = qr__op_need(call, 1);
    if (status != QR_OK)
        return status;
    const qr_onnx_tensor *in = call->in[0];
    const int64_t given = qr_onnx_attribute_int(call->node, "axis", 1);
    const int64_t rank = (int64_t)in->rank;
    if (given < -rank || given > rank)
        return qr__op_refuse(call, "axis %lld of %zu", (long long)given, in->rank);
    const size_t axis = (size_t)(given < 0 ? given + rank : given);
    size_t shape[2] = {1, 1};
    for (size_t i = 0; i < in->rank; i++)
        shape[i < axis ? 0 : 1] *= in->shape[i];
    return reshape(call, 2, shape);
}

static qr_status run_squeeze(qr__op_call *call) {
    qr__op_list axes;
    bool marked[QR_ONNX_RANK_MAX] = {false};
    qr_status status = qr__op_need(call, 1);
    if (status == QR_OK)
        status = qr__op_list_of(call, 1, "axes", &axes);
    if (status == QR_OK)
        status = qr__op_mark_axes(call, &axes, call->in[0]->rank, marked);
    if (status != QR_OK)
        return status;
    const qr_onnx_tensor *in = call->in[0];
    size_t shape[QR_ONNX_RANK_MAX] = {0}, rank = 0;
    for (size_t i = 0; i < in->rank; i++) {
        if (marked[i] && in->shape[i] != 1)
            return qr__op_refuse(call, "axis %zu is %zu long, not 1", i, in->shape[i]);
        if (axes.count > 0 ? !marked[i] : in->shape[i] != 1) /* no axes: all that can go */
            shape[rank++] = in->shape[i];
    }
    return reshape(call, rank, shape);
}

static qr_status run_unsqueeze(qr__op_call *call) {
    qr__op_list axes;
    bool marked[QR_ONNX_RANK_MAX] = {false};
    qr_status status = qr__op_need(call, 1);
    if (status == QR_OK)
        status = qr__op_list_of(call, 1, "axes", &axes);
    if (status != QR_OK)
        return status;
    const qr_onnx_tensor *in = call->in[0];
    if (!axes.given)
        return qr__op_refuse(call, "it has no axes");
    if (axes.count > QR_ONNX_RANK_MAX - in->rank)
        return qr__op_refuse(call, "its output has more than %d axes", QR_ONNX_RANK_MAX);
    const size_t rank = in->rank + axes.count;
    status = qr__op_mark_axes(call, &axes, rank, marked);
    if (status != QR_OK)
        return status;
    size_t shape[QR_ONNX_RANK_MAX] = {0}, from = 0;
    for (size_t i = 0; i < rank; i++)
        shape[i] = marked[i] ? 1 : in->shape[from++];
    return reshape(call, rank, shape);
}

const qr__op qr__ops_layout[] = {
    {"", "Identity", run_identity},   {"", "Dropout", run_dropout}, {"", "Shape", run_shape},
    {"", "Size", run_size},           {"", "Reshape", run_reshape}, {"", "Flatten", run_flatten},
    {"", "Unsqueeze", run_unsqueeze}, {"", "Squeeze", run_squeeze}, {NULL, NULL, NULL},
};
