/* onnx/ops_slice.c: Slice: every n-th number between two bounds of each axis. */
#include "onnx/op.h"
#include "onnx/walk.h"

/* The lists of a call; axes and steps may be left out. */
typedef struct slice_lists {
    qr__op_list starts, ends, axes, steps;
} slice_lists;

static qr_status read_lists(qr__op_call *call, slice_lists *out) {
    qr_status status = qr__op_list_of(call, 1, "starts", &out->starts);
    if (status == QR_OK)
        status = qr__op_list_of(call, 2, "ends", &out->ends);
    if (status == QR_OK)
        status = qr__op_list_of(call, 3, "axes", &out->axes);
    if (status == QR_OK)
        status = qr__op_list_of(call, 4, "steps", &out->steps);
    if (status != QR_OK)
        return status;
    const size_t count = out->starts.count;
    if (!out->starts.given || out->ends.count != count || count > call->in[0]->rank ||
        (out->axes.given && out->axes.count != count) ||
        (out->steps.given && out->steps.count != count))
        return qr__op_refuse(call, "its starts, ends, axes and steps do not fit");
    return QR_OK;
}

/* A bound from the end where it is negative, then held inside low .. high. */
static int64_t hold(int64_t bound, int64_t length, int64_t low, int64_t high) {
    if (bound < 0)
        bound = bound < -length ? -1 : bound + length;
    return bound < low ? low : bound > high ? high : bound;
}

/* How many numbers of an axis are taken, and the first one. `step` is not 0. Backwards the first
 * one is held inside the axis, where numpy would take none, and the greatest numbers mean the
 * axis's end in that direction: both as ONNX Runtime does. */
static size_t count_taken(size_t axis_length, int64_t start, int64_t end, int64_t step,
                          int64_t *first) {
    const int64_t length = (int64_t)axis_length;
    if (length == 0)
        return 0;
    if (step < 0 && (end == INT32_MAX || end == INT64_MAX))
        end = INT64_MIN;
    start = hold(start, length, 0, step > 0 ? length : length - 1);
    end = step > 0 ? hold(end, length, 0, length) : hold(end, length, -1, length - 1);
    *first = start;
    const int64_t span = step > 0 ? end - start : start - end;
    if (span <= 0)
        return 0;
    const uint64_t stride = qr_max(step < 0 ? 0 - (uint64_t)step : (uint64_t)step, 1);
    return (size_t)(((uint64_t)span - 1) / stride + 1);
}

static qr_status run_slice(qr__op_call *call) {
    slice_lists lists;
    qr_status status = qr__op_need(call, 1);
    bool marked[QR_ONNX_RANK_MAX] = {false};
    if (status == QR_OK)
        status = read_lists(call, &lists);
    if (status == QR_OK)
        status = qr__op_mark_axes(call, &lists.axes, call->in[0]->rank, marked);
    if (status != QR_OK)
        return status;
    const qr_onnx_tensor *in = call->in[0];
    size_t shape[QR_ONNX_RANK_MAX];
    ptrdiff_t strides[QR_ONNX_RANK_MAX], begin = 0;
    qr__strides(in->rank, in->shape, strides);
    for (size_t i = 0; i < in->rank; i++)
        shape[i] = in->shape[i];
    for (size_t i = 0; i < lists.starts.count; i++) {
        const int64_t step = lists.steps.given ? qr__op_list_at(&lists.steps, i) : 1;
        size_t axis = i;
        int64_t first = 0;
        if (step == 0)
            return qr__op_refuse(call, "a step is 0");
        if (lists.axes.given)
            (void)qr__op_axis(qr__op_list_at(&lists.axes, i), in->rank, &axis); /* marked above */
        shape[axis] = count_taken(in->shape[axis], qr__op_list_at(&lists.starts, i),
                                  qr__op_list_at(&lists.ends, i), step, &first);
        begin += shape[axis] > 0 ? first * strides[axis] : 0;
        /* A step beyond the axis takes one number at most: its stride is never used. */
        strides[axis] = shape[axis] > 1 ? step * strides[axis] : 0;
    }
    status = qr__op_create(call, 0, in->type, in->rank, shape);
    if (status != QR_OK)
        return status;
    qr__walk walk;
    qr__walk_init(&walk, in->rank, shape);
    qr__walk_broadcast(&walk, call->out[0]);
    qr__walk_add(&walk, begin, strides);
    qr__walk_copy(&walk, call->out[0], in);
    return QR_OK;
}

const qr__op qr__ops_slice[] = {{"", "Slice", run_slice}, {NULL, NULL, NULL}};
