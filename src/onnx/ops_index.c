/* onnx/ops_index.c: operators whose input says which numbers are meant. */
#include "onnx/op.h"
#include "onnx/walk.h"

static bool is_index(const qr_onnx_tensor *tensor) {
    return tensor->type == QR_ONNX_INT64 || tensor->type == QR_ONNX_INT32;
}

/* Index `i` of an axis, from its end where it is negative. */
static qr_status read_index(qr__op_call *call, const qr_onnx_tensor *indices, size_t i,
                            size_t length, size_t *out) {
    const int64_t given = qr_onnx_int(indices, i);
    if (!qr__op_axis(given, length, out))
        return qr__op_refuse(call, "index %lld into an axis of %zu", (long long)given, length);
    return QR_OK;
}

/* What Gather and its kin have in common: data, integers, and an axis of the data. */
static qr_status begin(qr__op_call *call, size_t *axis) {
    const qr_status status = qr__op_need(call, 2);
    if (status != QR_OK)
        return status;
    const int64_t given = qr_onnx_attribute_int(call->node, "axis", 0);
    if (!is_index(call->in[1]))
        return qr__op_refuse(call, "its indices are %s numbers",
                             qr_onnx_type_name(call->in[1]->type));
    if (axis != NULL && !qr__op_axis(given, call->in[0]->rank, axis))
        return qr__op_refuse(call, "axis %lld of %zu", (long long)given, call->in[0]->rank);
    return QR_OK;
}

static size_t product(const size_t *shape, size_t from, size_t to) {
    size_t count = 1;
    for (size_t i = from; i < to; i++)
        count *= shape[i];
    return count;
}

static qr_status run_gather(qr__op_call *call) {
    size_t axis;
    qr_status status = begin(call, &axis);
    if (status != QR_OK)
        return status;
    const qr_onnx_tensor *in = call->in[0], *indices = call->in[1];
    size_t shape[2 * QR_ONNX_RANK_MAX], rank = 0;
    for (size_t i = 0; i < axis; i++)
        shape[rank++] = in->shape[i];
    for (size_t i = 0; i < indices->rank; i++)
        shape[rank++] = indices->shape[i];
    for (size_t i = axis + 1; i < in->rank; i++)
        shape[rank++] = in->shape[i];
    status = qr__op_create(call, 0, in->type, rank, shape);
    const size_t outer = product(in->shape, 0, axis), length = in->shape[axis];
    const size_t block = product(in->shape, axis + 1, in->rank);
    for (size_t i = 0; status == QR_OK && i < indices->count; i++) {
        size_t at;
        status = read_index(call, indices, i, length, &at);
        for (size_t o = 0; status == QR_OK && block > 0 && o < outer; o++)
            qr__copy_numbers(call->out[0], (o * indices->count + i) * block, in,
                             (o * length + at) * block, block);
    }
    return status;
}

static qr_status run_gather_elements(qr__op_call *call) {
    size_t axis;
    qr_status status = begin(call, &axis);
    if (status != QR_OK)
        return status;
    const qr_onnx_tensor *in = call->in[0], *indices = call->in[1];
    if (indices->rank != in->rank)
        return qr__op_refuse(call, "indices of %zu axes into %zu", indices->rank, in->rank);
    for (size_t i = 0; i < in->rank; i++)
        if (i != axis && indices->shape[i] > in->shape[i])
            return qr__op_refuse(call, "its indices reach beyond axis %zu", i);
    status = qr__op_create(call, 0, in->type, indices->rank, indices->shape);
    if (status != QR_OK)
        return status;
    ptrdiff_t strides[QR_ONNX_RANK_MAX];
    qr__strides(in->rank, in->shape, strides);
    const ptrdiff_t along = strides[axis];
    strides[axis] = 0;
    qr__walk walk;
    qr__walk_init(&walk, in->rank, indices->shape);
    qr__walk_broadcast(&walk, indices); /* and the output, which is as large */
    qr__walk_add(&walk, 0, strides);
    while (status == QR_OK && qr__walk_next(&walk))
        for (ptrdiff_t i = 0; status == QR_OK && i < (ptrdiff_t)walk.row; i++) {
            const size_t to = (size_t)(walk.at[0] + i * walk.step[0]);
            size_t at = 0;
            status = read_index(call, indices, to, in->shape[axis], &at);
            if (status == QR_OK)
                qr__copy_numbers(call->out[0], to, in,
                                 (size_t)(walk.at[1] + i * walk.step[1] + (ptrdiff_t)at * along),
                                 1);
        }
    return status;
}

/* Where a tuple of indices, the `tuple`-th of `width` numbers, leads: to a block of `in` whose axes
 * are those behind `skip` + width. */
static qr_status read_tuple(qr__op_call *call, const qr_onnx_tensor *in, size_t skip, size_t tuple,
                            size_t width, size_t *block) {
    *block = 0;
    for (size_t i = 0; i < width; i++) {
        const size_t length = in->shape[skip + i];
        size_t at;
        const qr_status status = read_index(call, call->in[1], tuple * width + i, length, &at);
        if (status != QR_OK)
            return status;
        *block = *block * length + at;
    }
    return QR_OK;
}

static qr_status run_gather_nd(qr__op_call *call) {
    qr_status status = begin(call, NULL);
    if (status != QR_OK)
        return status;
    const qr_onnx_tensor *in = call->in[0], *indices = call->in[1];
    const int64_t given = qr_onnx_attribute_int(call->node, "batch_dims", 0);
    if (given < 0 || indices->rank == 0 || given >= (int64_t)indices->rank ||
        given >= (int64_t)in->rank)
        return qr__op_refuse(call, "`batch_dims` is %lld of %zu and %zu axes", (long long)given,
                             in->rank, indices->rank);
    const size_t batch = (size_t)given, width = indices->shape[indices->rank - 1];
    if (width == 0 || width > in->rank - batch)
        return qr__op_refuse(call, "%zu indices into %zu axes", width, in->rank - batch);
    size_t shape[2 * QR_ONNX_RANK_MAX], rank = 0;
    for (size_t i = 0; i + 1 < indices->rank; i++) {
        if (i < batch && indices->shape[i] != in->shape[i])
            return qr__op_refuse(call, "axis %zu is %zu long in one and %zu in the other", i,
                                 in->shape[i], indices->shape[i]);
        shape[rank++] = indices->shape[i];
    }
    for (size_t i = batch + width; i < in->rank; i++)
        shape[rank++] = in->shape[i];
    status = qr__op_create(call, 0, in->type, rank, shape);
    const size_t block = product(in->shape, batch + width, in->rank);
    const size_t blocks = product(in->shape, batch, batch + width); /* of one batch */
    const size_t tuples = product(indices->shape, batch, indices->rank - 1);
    for (size_t t = 0; status == QR_OK && t < indices->count / width; t++) {
        size_t from;
        status = read_tuple(call, in, batch, t, width, &from);
        if (status == QR_OK)
            qr__copy_numbers(call->out[0], t * block, in, (t / tuples * blocks + from) * block,
                             block);
    }
    return status;
}

typedef enum scatter_mode { REPLACE, ADD, MULTIPLY, LEAST, MOST } scatter_mode;

static double merge_floats(scatter_mode mode, double x, double y) {
    switch (mode) {
    case ADD:
        return x + y;
    case MULTIPLY:
        return x * y;
    case LEAST:
        return y < x ? y : x;
    default:
        return y > x ? y : x;
    }
}

static int64_t merge_ints(scatter_mode mode, int64_t x, int64_t y) {
    switch (mode) {
    case ADD:
        return (int64_t)((uint64_t)x + (uint64_t)y);
    case MULTIPLY:
        return (int64_t)((uint64_t)x * (uint64_t)y);
    case LEAST:
        return y < x ? y : x;
    default:
        return y > x ? y : x;
    }
}

/* Numbers of the output, from `to` on, take in as many of `updates`. */
static void merge_block(scatter_mode mode, qr_onnx_tensor *out, size_t to,
                        const qr_onnx_tensor *updates, size_t from, size_t count) {
    if (mode == REPLACE)
        qr__copy_numbers(out, to, updates, from, count);
    else if (qr_onnx_is_float(out->type))
        for (size_t i = 0; i < count; i++)
            qr_onnx_floats(out)[to + i] =
                qr_onnx_round(out->type, (float)merge_floats(mode, out->floats[to + i],
                                                             updates->floats[from + i]));
    else
        for (size_t i = 0; i < count; i++)
            qr_onnx_set_int(
                out, to + i,
                merge_ints(mode, qr_onnx_int(out, to + i), qr_onnx_int(updates, from + i)));
}

static qr_status scatter_mode_of(qr__op_call *call, scatter_mode *mode) {
    static const char *const names[] = {"none", "add", "mul", "min", "max"};
    const char *name = qr_onnx_attribute_text(call->node, "reduction", names[REPLACE]);
    const qr_onnx_type type = call->in[0]->type;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0) {
            *mode = (scatter_mode)i;
            if (i != REPLACE && (type == QR_ONNX_BOOL || type == QR_ONNX_UINT64))
                return qr__op_refuse_type(call, type);
            return QR_OK;
        }
    return qr__op_refuse(call, "attribute `reduction` is \"%s\"", name);
}

/* The updates have the shape of all blocks that the indices name. */
static bool updates_fit(const qr_onnx_tensor *in, const qr_onnx_tensor *indices,
                        const qr_onnx_tensor *updates, size_t width) {
    const size_t tuple_axes = indices->rank - 1;
    if (updates->rank != tuple_axes + in->rank - width)
        return false;
    for (size_t i = 0; i < updates->rank; i++)
        if (updates->shape[i] !=
            (i < tuple_axes ? indices->shape[i] : in->shape[width + i - tuple_axes]))
            return false;
    return true;
}

static qr_status run_scatter_nd(qr__op_call *call) {
    scatter_mode mode = REPLACE;
    qr_status status = begin(call, NULL);
    if (status == QR_OK)
        status = qr__op_need(call, 3);
    if (status == QR_OK)
        status = scatter_mode_of(call, &mode);
    if (status != QR_OK)
        return status;
    const qr_onnx_tensor *in = call->in[0], *indices = call->in[1], *updates = call->in[2];
    const size_t width = indices->rank > 0 ? indices->shape[indices->rank - 1] : 0;
    if (width == 0 || width > in->rank || updates->type != in->type ||
        !updates_fit(in, indices, updates, width))
        return qr__op_refuse(call, "its data, indices and updates do not fit");
    status = qr__op_create(call, 0, in->type, in->rank, in->shape);
    if (status != QR_OK)
        return status;
    qr__copy_numbers(call->out[0], 0, in, 0, in->count);
    const size_t block = product(in->shape, width, in->rank);
    for (size_t t = 0; status == QR_OK && t < indices->count / width; t++) {
        size_t to;
        status = read_tuple(call, in, 0, t, width, &to);
        if (status == QR_OK)
            merge_block(mode, call->out[0], to * block, updates, t * block, block);
    }
    return status;
}

static bool is_zero(const qr_onnx_tensor *tensor, size_t at) {
    return qr_onnx_is_float(tensor->type) ? tensor->floats[at] == 0.0f
                                          : qr_onnx_int(tensor, at) == 0;
}

/* A row for each axis, a column for each number that is not 0. */
static qr_status run_non_zero(qr__op_call *call) {
    qr_status status = qr__op_need(call, 1);
    if (status != QR_OK)
        return status;
    const qr_onnx_tensor *in = call->in[0];
    size_t found = 0;
    for (size_t i = 0; i < in->count; i++)
        found += !is_zero(in, i);
    status = qr__op_create(call, 0, QR_ONNX_INT64, 2, (const size_t[]){in->rank, found});
    for (size_t i = 0, column = 0; status == QR_OK && i < in->count; i++) {
        if (is_zero(in, i))
            continue;
        for (size_t axis = in->rank, rest = i; axis-- > 0; rest /= in->shape[axis])
            qr_onnx_longs(call->out[0])[axis * found + column] = (int64_t)(rest % in->shape[axis]);
        column++;
    }
    return status;
}

/* The place that index `i` makes hot; depth where it makes none. */
static size_t hot_place(const qr_onnx_tensor *indices, size_t i, size_t depth) {
    const double length = (double)depth;
    double at = qr_onnx_is_float(indices->type) ? (double)indices->floats[i]
                                                : (double)qr_onnx_int(indices, i);
    if (!(at >= -length && at < length))
        return depth;
    return (size_t)(at < 0.0 ? at + length : at);
}

static qr_status one_hot_depth(qr__op_call *call, size_t *out) {
    const qr_onnx_tensor *depth = call->in[1];
    if (depth->count != 1 || depth->rank > 1)
        return qr__op_refuse(call, "its depth is not one number");
    const double given =
        qr_onnx_is_float(depth->type) ? (double)depth->floats[0] : (double)qr_onnx_int(depth, 0);
    if (!(given >= 0.0 && given <= QR_LIMIT_ONNX_NUMBERS))
        return qr__op_refuse(call, "a depth of %g", given);
    *out = (size_t)given;
    return QR_OK;
}

static qr_status run_one_hot(qr__op_call *call) {
    size_t depth = 0, axis;
    qr_status status = qr__op_need(call, 3);
    if (status == QR_OK)
        status = one_hot_depth(call, &depth);
    if (status != QR_OK)
        return status;
    const qr_onnx_tensor *indices = call->in[0], *values = call->in[2]; /* off, on */
    const int64_t given = qr_onnx_attribute_int(call->node, "axis", -1);
    size_t shape[QR_ONNX_RANK_MAX + 1];
    if (values->rank != 1 || values->count != 2)
        return qr__op_refuse(call, "its values are not two numbers");
    if (!qr__op_axis(given, indices->rank + 1, &axis))
        return qr__op_refuse(call, "axis %lld of %zu", (long long)given, indices->rank + 1);
    for (size_t i = 0; i < indices->rank + 1; i++)
        shape[i] = i < axis ? indices->shape[i] : i > axis ? indices->shape[i - 1] : depth;
    status = qr__op_create(call, 0, values->type, indices->rank + 1, shape);
    if (status != QR_OK)
        return status;
    const size_t inner = product(indices->shape, axis, indices->rank);
    for (size_t i = 0; i < call->out[0]->count; i++)
        qr__copy_numbers(call->out[0], i, values, 0, 1);
    for (size_t i = 0; i < indices->count; i++) {
        const size_t hot = hot_place(indices, i, depth);
        if (hot < depth)
            qr__copy_numbers(call->out[0], (i / inner * depth + hot) * inner + i % inner, values, 1,
                             1);
    }
    return QR_OK;
}

const qr__op qr__ops_index[] = {
    {"", "Gather", run_gather},
    {"", "GatherElements", run_gather_elements},
    {"", "GatherND", run_gather_nd},
    {"", "ScatterND", run_scatter_nd},
    {"", "NonZero", run_non_zero},
    {"", "OneHot", run_one_hot},
    {NULL, NULL, NULL},
};
