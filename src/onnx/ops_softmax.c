/* onnx/ops_softmax.c: operators along one axis: softmax, running sums, where the extreme stands. */
#include <math.h>

#include "onnx/op.h"

/* A tensor as [outer, length, inner]; number i of a line is `inner` numbers from the one before. */
typedef struct axis_lines {
    size_t outer, length, inner;
} axis_lines;

static axis_lines split_at(const qr_onnx_tensor *tensor, size_t axis) {
    axis_lines lines = {1, tensor->shape[axis], 1};
    for (size_t i = 0; i < axis; i++)
        lines.outer *= tensor->shape[i];
    for (size_t i = axis + 1; i < tensor->rank; i++)
        lines.inner *= tensor->shape[i];
    return lines;
}

static void softmax_line(const float *in, float *out, size_t length, size_t step, bool log_of) {
    double most = -INFINITY, sum = 0.0;
    for (size_t i = 0; i < length; i++)
        most = isnan(in[i * step]) || in[i * step] > most ? in[i * step] : most;
    for (size_t i = 0; i < length; i++)
        sum += exp(in[i * step] - most);
    for (size_t i = 0; i < length; i++) {
        const double less = in[i * step] - most;
        out[i * step] = (float)(log_of ? less - log(sum) : exp(less) / sum);
    }
}

static qr_status softmax(qr__op_call *call, bool log_of) {
    qr_status status = qr__op_need(call, 1);
    if (status != QR_OK)
        return status;
    const qr_onnx_tensor *in = call->in[0];
    const bool old = call->graph->opset < 13; /* the axis and all behind it are one line */
    const int64_t given = qr_onnx_attribute_int(call->node, "axis", old ? 1 : -1);
    size_t axis;
    if (!qr_onnx_is_float(in->type))
        return qr__op_refuse_type(call, in->type);
    if (!qr__op_axis(given, in->rank, &axis))
        return qr__op_refuse(call, "axis %lld of %zu", (long long)given, in->rank);
    status = qr__op_create(call, 0, in->type, in->rank, in->shape);
    if (status != QR_OK)
        return status;
    axis_lines lines = split_at(in, axis);
    if (old) {
        lines.length *= lines.inner;
        lines.inner = 1;
    }
    float *out = qr_onnx_floats(call->out[0]);
    for (size_t o = 0; in->count > 0 && o < lines.outer; o++)
        for (size_t i = 0; i < lines.inner; i++) {
            const size_t at = o * lines.length * lines.inner + i;
            softmax_line(in->floats + at, out + at, lines.length, lines.inner, log_of);
        }
    for (size_t i = 0; in->type != QR_ONNX_FLOAT && i < in->count; i++)
        out[i] = qr_onnx_round(in->type, out[i]);
    return QR_OK;
}

static qr_status run_softmax(qr__op_call *call) {
    return softmax(call, false);
}

static qr_status run_log_softmax(qr__op_call *call) {
    return softmax(call, true);
}

/* Whether number `b` of a line takes the place of number `a` as its extreme. */
static bool beats(const qr_onnx_tensor *in, size_t b, size_t a, bool least, bool last) {
    if (qr_onnx_is_float(in->type)) {
        const float x = in->floats[a], y = in->floats[b];
        if (isnan(x))
            return false;
        return isnan(y) || (least ? y < x : y > x) || (last && y == x);
    }
    const int64_t x = qr_onnx_int(in, a), y = qr_onnx_int(in, b);
    if (in->type == QR_ONNX_UINT64 && x != y)
        return ((uint64_t)y < (uint64_t)x) == least;
    return (least ? y < x : y > x) || (last && y == x);
}

static qr_status find_extreme(qr__op_call *call, bool least) {
    qr_status status = qr__op_need(call, 1);
    if (status != QR_OK)
        return status;
    const qr_onnx_tensor *in = call->in[0];
    const int64_t given = qr_onnx_attribute_int(call->node, "axis", 0);
    const bool keep = qr_onnx_attribute_int(call->node, "keepdims", 1) != 0;
    const bool last = qr_onnx_attribute_int(call->node, "select_last_index", 0) != 0;
    size_t axis, shape[QR_ONNX_RANK_MAX] = {0}, rank = 0;
    if (!qr__op_axis(given, in->rank, &axis))
        return qr__op_refuse(call, "axis %lld of %zu", (long long)given, in->rank);
    if (in->shape[axis] == 0)
        return qr__op_refuse(call, "axis %zu has no numbers", axis);
    for (size_t i = 0; i < in->rank; i++)
        if (i != axis || keep)
            shape[rank++] = i == axis ? 1 : in->shape[i];
    status = qr__op_create(call, 0, QR_ONNX_INT64, rank, shape);
    if (status != QR_OK)
        return status;
    const axis_lines lines = split_at(in, axis);
    int64_t *out = qr_onnx_longs(call->out[0]);
    for (size_t to = 0; to < call->out[0]->count; to++) {
        const size_t at = to / lines.inner * lines.length * lines.inner + to % lines.inner;
        size_t best = 0;
        for (size_t i = 1; i < lines.length; i++)
            if (beats(in, at + i * lines.inner, at + best * lines.inner, least, last))
                best = i;
        out[to] = (int64_t)best;
    }
    return QR_OK;
}

static qr_status run_arg_max(qr__op_call *call) {
    return find_extreme(call, false);
}

static qr_status run_arg_min(qr__op_call *call) {
    return find_extreme(call, true);
}

/* Writes the sums of numbers 0 .. i of a line, or 0 .. i - 1; from its end when it is reversed. */
static void sum_line(const qr_onnx_tensor *in, qr_onnx_tensor *out, size_t at,
                     const axis_lines *lines, bool exclusive, bool reverse) {
    double sum = 0.0;
    uint64_t whole = 0;
    for (size_t step = 0; step < lines->length; step++) {
        const size_t i = at + (reverse ? lines->length - 1 - step : step) * lines->inner;
        const double before = sum;
        const uint64_t whole_before = whole;
        if (qr_onnx_is_float(in->type)) {
            sum += in->floats[i];
            qr_onnx_floats(out)[i] = qr_onnx_round(in->type, (float)(exclusive ? before : sum));
        } else {
            whole += (uint64_t)qr_onnx_int(in, i);
            qr_onnx_set_int(out, i, (int64_t)(exclusive ? whole_before : whole));
        }
    }
}

static qr_status run_cumsum(qr__op_call *call) {
    qr__op_list axes;
    qr_status status = qr__op_need(call, 2);
    if (status == QR_OK)
        status = qr__op_list_of(call, 1, "axis", &axes);
    if (status != QR_OK)
        return status;
    const qr_onnx_tensor *in = call->in[0];
    size_t axis;
    if (in->type == QR_ONNX_BOOL)
        return qr__op_refuse_type(call, in->type);
    if (axes.count != 1 || !qr__op_axis(qr__op_list_at(&axes, 0), in->rank, &axis))
        return qr__op_refuse(call, "its axis is none of the input's %zu", in->rank);
    status = qr__op_create(call, 0, in->type, in->rank, in->shape);
    if (status != QR_OK)
        return status;
    const bool exclusive = qr_onnx_attribute_int(call->node, "exclusive", 0) != 0;
    const bool reverse = qr_onnx_attribute_int(call->node, "reverse", 0) != 0;
    const axis_lines lines = split_at(in, axis);
    for (size_t o = 0; in->count > 0 && o < lines.outer; o++)
        for (size_t i = 0; i < lines.inner; i++)
            sum_line(in, call->out[0], o * lines.length * lines.inner + i, &lines, exclusive,
                     reverse);
    return QR_OK;
}

const qr__op qr__ops_softmax[] = {
    {"", "Softmax", run_softmax}, {"", "LogSoftmax", run_log_softmax}, {"", "ArgMax", run_arg_max},
    {"", "ArgMin", run_arg_min},  {"", "CumSum", run_cumsum},          {NULL, NULL, NULL},
};
