/* onnx/ops_pad.c: Pad: edges around a tensor, of one number or of its own. */
#include "onnx/op.h"
#include "onnx/walk.h"

typedef enum pad_mode {
    CONSTANT, /* one number */
    EDGE,     /* the outermost number */
    REFLECT,  /* the numbers from there on inwards */
    WRAP      /* those from the other end */
} pad_mode;

/* How many numbers are put before (less than 0: taken from) an axis, and behind it. */
typedef struct pad_edges {
    int64_t before[QR_ONNX_RANK_MAX], behind[QR_ONNX_RANK_MAX];
} pad_edges;

static qr_status read_edges(qr__op_call *call, pad_edges *out) {
    const qr_onnx_tensor *in = call->in[0];
    qr__op_list pads, axes;
    bool marked[QR_ONNX_RANK_MAX] = {false};
    qr_status status = qr__op_list_of(call, 1, "pads", &pads);
    if (status == QR_OK)
        status = qr__op_list_of(call, 3, "", &axes);
    if (status == QR_OK && axes.given)
        status = qr__op_mark_axes(call, &axes, in->rank, marked);
    if (status != QR_OK)
        return status;
    const size_t count = axes.given ? axes.count : in->rank;
    if (pads.count != 2 * count)
        return qr__op_refuse(call, "%zu pads for %zu axes", pads.count, count);
    *out = (pad_edges){{0}, {0}};
    for (size_t i = 0; i < count; i++) {
        const int64_t before = qr__op_list_at(&pads, i), behind = qr__op_list_at(&pads, count + i);
        const int64_t most = QR_LIMIT_ONNX_NUMBERS;
        size_t axis = i;
        if (axes.given)
            (void)qr__op_axis(qr__op_list_at(&axes, i), in->rank, &axis); /* marked above */
        if (before < -most || before > most || behind < -most || behind > most ||
            (int64_t)in->shape[axis] + before + behind < 0)
            return qr__op_refuse(call, "axis %zu of %zu cannot be padded by %lld and %lld", axis,
                                 in->shape[axis], (long long)before, (long long)behind);
        out->before[axis] = before;
        out->behind[axis] = behind;
    }
    return QR_OK;
}

/* Index `i`, which may lie outside an axis of that length (not 0), as one inside. */
static size_t fold_index(pad_mode mode, int64_t i, int64_t length) {
    if (mode == EDGE)
        return (size_t)(i < 0 ? 0 : i < length ? i : length - 1);
    const int64_t period = mode == WRAP ? length : length > 1 ? 2 * (length - 1) : 1;
    const int64_t in = (i % period + period) % period;
    return (size_t)(in < length ? in : period - in);
}

static void pad_with_own(qr_onnx_tensor *out, const qr_onnx_tensor *in, const pad_edges *edges,
                         pad_mode mode) {
    ptrdiff_t strides[QR_ONNX_RANK_MAX];
    qr__strides(in->rank, in->shape, strides);
    for (size_t to = 0; to < out->count; to++) {
        size_t from = 0;
        for (size_t axis = in->rank, rest = to; axis-- > 0; rest /= out->shape[axis]) {
            const int64_t i = (int64_t)(rest % out->shape[axis]) - edges->before[axis];
            from += fold_index(mode, i, (int64_t)in->shape[axis]) * (size_t)strides[axis];
        }
        qr__copy_numbers(out, to, in, from, 1);
    }
}

/* Copies what the edges leave of the input to its place in the output. */
static void copy_kept(qr_onnx_tensor *out, const qr_onnx_tensor *in, const pad_edges *edges) {
    size_t kept[QR_ONNX_RANK_MAX] = {0};
    ptrdiff_t to[QR_ONNX_RANK_MAX], from[QR_ONNX_RANK_MAX], to_start = 0, from_start = 0;
    qr__strides(in->rank, out->shape, to);
    qr__strides(in->rank, in->shape, from);
    for (size_t i = 0; i < in->rank; i++) {
        const int64_t cut = edges->before[i] < 0 ? -edges->before[i] : 0;
        const int64_t cut_behind = edges->behind[i] < 0 ? -edges->behind[i] : 0;
        const int64_t left = (int64_t)in->shape[i] - cut - cut_behind;
        if (left <= 0)
            return;
        kept[i] = (size_t)left;
        from_start += cut * from[i];
        to_start += (edges->before[i] > 0 ? edges->before[i] : 0) * to[i];
    }
    qr__walk walk;
    qr__walk_init(&walk, in->rank, kept);
    qr__walk_add(&walk, to_start, to);
    qr__walk_add(&walk, from_start, from);
    qr__walk_copy(&walk, out, in);
}

static qr_status pad(qr__op_call *call, const pad_edges *edges, pad_mode mode,
                     const qr_onnx_tensor *value) {
    const qr_onnx_tensor *in = call->in[0];
    size_t shape[QR_ONNX_RANK_MAX] = {0};
    for (size_t i = 0; i < in->rank; i++)
        shape[i] = (size_t)((int64_t)in->shape[i] + edges->before[i] + edges->behind[i]);
    const qr_status status = qr__op_create(call, 0, in->type, in->rank, shape);
    if (status != QR_OK)
        return status;
    qr_onnx_tensor *out = call->out[0];
    if (mode != CONSTANT && in->count == 0 && out->count > 0)
        return qr__op_refuse(call, "there is no number to pad with");
    if (mode != CONSTANT) {
        pad_with_own(out, in, edges, mode);
        return QR_OK;
    }
    for (size_t i = 0; value != NULL && i < out->count; i++)
        qr__copy_numbers(out, i, value, 0, 1);
    copy_kept(out, in, edges);
    return QR_OK;
}

static qr_status run_pad(qr__op_call *call) {
    static const char *const names[] = {"constant", "edge", "reflect", "wrap"};
    pad_edges edges;
    qr_status status = qr__op_need(call, 1);
    if (status == QR_OK)
        status = read_edges(call, &edges);
    if (status != QR_OK)
        return status;
    const qr_onnx_tensor *value = qr__op_in(call, 2);
    const char *name = qr_onnx_attribute_text(call->node, "mode", names[CONSTANT]);
    if (value != NULL && (value->type != call->in[0]->type || value->count != 1))
        return qr__op_refuse(call, "its value is not one number of the input's type");
    for (size_t mode = CONSTANT; mode <= WRAP; mode++)
        if (strcmp(name, names[mode]) == 0)
            return pad(call, &edges, (pad_mode)mode, value);
    return qr__op_refuse(call, "attribute `mode` is \"%s\"", name);
}

const qr__op qr__ops_pad[] = {{"", "Pad", run_pad}, {NULL, NULL, NULL}};
