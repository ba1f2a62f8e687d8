/* onnx/ops_arrange.c: operators that put a tensor's numbers elsewhere, by whole axes. */
#include "onnx/op.h"
#include "onnx/walk.h"

static qr_status run_transpose(qr__op_call *call) {
    qr__op_list order;
    bool marked[QR_ONNX_RANK_MAX] = {false};
    qr_status status = qr__op_need(call, 1);
    if (status == QR_OK)
        status = qr__op_list_of(call, QR_ONNX_NONE, "perm", &order);
    if (status == QR_OK)
        status = qr__op_mark_axes(call, &order, call->in[0]->rank, marked);
    if (status != QR_OK)
        return status;
    const qr_onnx_tensor *in = call->in[0];
    size_t shape[QR_ONNX_RANK_MAX] = {0};
    ptrdiff_t own[QR_ONNX_RANK_MAX], strides[QR_ONNX_RANK_MAX];
    if (order.given && order.count != in->rank)
        return qr__op_refuse(call, "`perm` orders %zu axes of %zu", order.count, in->rank);
    qr__strides(in->rank, in->shape, own);
    for (size_t i = 0; i < in->rank; i++) {
        size_t from = in->rank - 1 - i;
        if (order.given)
            (void)qr__op_axis(qr__op_list_at(&order, i), in->rank, &from); /* marked above */
        shape[i] = in->shape[from];
        strides[i] = own[from];
    }
    status = qr__op_create(call, 0, in->type, in->rank, shape);
    if (status != QR_OK)
        return status;
    qr__walk walk;
    qr__walk_init(&walk, in->rank, shape);
    qr__walk_broadcast(&walk, call->out[0]);
    qr__walk_add(&walk, 0, strides);
    qr__walk_copy(&walk, call->out[0], in);
    return QR_OK;
}

static qr_status run_expand(qr__op_call *call) {
    qr__op_list list;
    qr_status status = qr__op_need(call, 2);
    if (status == QR_OK)
        status = qr__op_list_of(call, 1, "shape", &list);
    if (status != QR_OK)
        return status;
    const qr_onnx_tensor *in = call->in[0];
    qr_onnx_tensor target = {.rank = list.count}; /* a shape only */
    size_t rank, shape[QR_ONNX_RANK_MAX];
    if (list.count > QR_ONNX_RANK_MAX)
        return qr__op_refuse(call, "its output has more than %d axes", QR_ONNX_RANK_MAX);
    for (size_t i = 0; i < list.count; i++) {
        const int64_t length = qr__op_list_at(&list, i);
        if (length < 0)
            return qr__op_refuse(call, "axis %zu of its shape cannot be %lld", i,
                                 (long long)length);
        target.shape[i] = (size_t)length;
    }
    if (!qr__broadcast_shape(in, &target, &rank, shape))
        return qr__op_refuse(call, "its input does not broadcast to that shape");
    status = qr__op_create(call, 0, in->type, rank, shape);
    if (status != QR_OK)
        return status;
    qr__walk walk;
    qr__walk_init(&walk, rank, shape);
    qr__walk_broadcast(&walk, call->out[0]);
    qr__walk_broadcast(&walk, in);
    qr__walk_copy(&walk, call->out[0], in);
    return QR_OK;
}

/* Copies `part` to where it begins in `whole` on the axis, or from there. */
static void copy_part(qr_onnx_tensor *to, const qr_onnx_tensor *from, size_t axis, size_t begin,
                      bool to_is_whole) {
    const qr_onnx_tensor *part = to_is_whole ? from : to;
    ptrdiff_t to_strides[QR_ONNX_RANK_MAX], from_strides[QR_ONNX_RANK_MAX];
    qr__strides(to->rank, to->shape, to_strides);
    qr__strides(from->rank, from->shape, from_strides);
    qr__walk walk;
    qr__walk_init(&walk, part->rank, part->shape);
    qr__walk_add(&walk, to_is_whole ? (ptrdiff_t)begin * to_strides[axis] : 0, to_strides);
    qr__walk_add(&walk, to_is_whole ? 0 : (ptrdiff_t)begin * from_strides[axis], from_strides);
    qr__walk_copy(&walk, to, from);
}

static qr_status run_concat(qr__op_call *call) {
    qr_status status = qr__op_need(call, qr_max(call->ins, 1));
    if (status != QR_OK)
        return status;
    const qr_onnx_tensor *first = call->in[0];
    const int64_t given = qr_onnx_attribute_int(call->node, "axis", INT64_MAX);
    size_t axis, shape[QR_ONNX_RANK_MAX];
    if (!qr__op_axis(given, first->rank, &axis))
        return qr__op_refuse(call, "its axis is none of the inputs' %zu", first->rank);
    for (size_t a = 0; a < first->rank; a++)
        shape[a] = first->shape[a];
    for (size_t i = 1; i < call->ins; i++) {
        const qr_onnx_tensor *in = call->in[i];
        bool fits = in->type == first->type && in->rank == first->rank;
        for (size_t a = 0; fits && a < first->rank; a++)
            fits = a == axis || in->shape[a] == shape[a];
        if (!fits || !qr_checked_add(shape[axis], in->shape[axis], &shape[axis]))
            return qr__op_refuse(call, "input %zu does not fit those before it", i);
    }
    status = qr__op_create(call, 0, first->type, first->rank, shape);
    if (status != QR_OK)
        return status;
    for (size_t i = 0, begin = 0; i < call->ins; begin += call->in[i++]->shape[axis])
        copy_part(call->out[0], call->in[i], axis, begin, true);
    return QR_OK;
}

/* The length of part `i` where none are given: of parts as long as each other, the last one
 * shorter where `num_outputs` allows it. */
static size_t even_part(size_t length, size_t parts, size_t i) {
    const size_t each = length / parts + (length % parts != 0);
    const size_t begin = qr_min(each * i, length);
    return qr_min(each, length - begin);
}

/* The list gives each part's length, and they fill the axis. */
static qr_status check_parts(qr__op_call *call, const qr__op_list *list, size_t length) {
    size_t sum = 0;
    for (size_t i = 0; i < list->count; i++) {
        const int64_t part = qr__op_list_at(list, i);
        if (part < 0 || !qr_checked_add(sum, (size_t)part, &sum) || sum > length)
            return qr__op_refuse(call, "its parts do not fill an axis of %zu", length);
    }
    if (list->count != call->outs || sum != length)
        return qr__op_refuse(call, "%zu parts of together %zu do not fill %zu outputs of %zu",
                             list->count, sum, call->outs, length);
    return QR_OK;
}

static qr_status run_split(qr__op_call *call) {
    qr__op_list list;
    qr_status status = qr__op_need(call, 1);
    if (status == QR_OK)
        status = qr__op_list_of(call, 1, "split", &list);
    if (status != QR_OK)
        return status;
    const qr_onnx_tensor *in = call->in[0];
    const int64_t given = qr_onnx_attribute_int(call->node, "axis", 0);
    const int64_t outputs = qr_onnx_attribute_int(call->node, "num_outputs", 0);
    size_t axis, shape[QR_ONNX_RANK_MAX];
    if (!qr__op_axis(given, in->rank, &axis))
        return qr__op_refuse(call, "axis %lld of %zu", (long long)given, in->rank);
    const size_t length = in->shape[axis];
    if (list.given)
        status = check_parts(call, &list, length);
    else if (outputs != 0 ? outputs != (int64_t)call->outs : length % call->outs != 0)
        status =
            qr__op_refuse(call, "an axis of %zu is not split evenly in %zu", length, call->outs);
    for (size_t a = 0; a < in->rank; a++)
        shape[a] = in->shape[a];
    for (size_t i = 0, begin = 0; status == QR_OK && i < call->outs; i++, begin += shape[axis]) {
        shape[axis] =
            list.given ? (size_t)qr__op_list_at(&list, i) : even_part(length, call->outs, i);
        status = qr__op_create(call, i, in->type, in->rank, shape);
        if (status == QR_OK)
            copy_part(call->out[i], in, axis, begin, false);
    }
    return status;
}

/* Each line of the first `count` numbers becomes as many of it. Returns how many numbers these are.
 * Backwards, so that no line is written over before it was read. */
static size_t repeat_lines(qr_onnx_tensor *out, size_t count, size_t line, size_t times) {
    for (size_t l = count / line; times > 1 && l-- > 0;)
        for (size_t t = times; t-- > 0;)
            if (l + t > 0) /* the very first stays where it is */
                qr__copy_numbers(out, (l * times + t) * line, out, l * line, line);
    return count * times;
}

static qr_status run_tile(qr__op_call *call) {
    qr__op_list list;
    qr_status status = qr__op_need(call, 2);
    if (status == QR_OK)
        status = qr__op_list_of(call, 1, "repeats", &list);
    if (status != QR_OK)
        return status;
    const qr_onnx_tensor *in = call->in[0];
    size_t shape[QR_ONNX_RANK_MAX] = {0};
    if (list.count != in->rank)
        return qr__op_refuse(call, "%zu repeats for %zu axes", list.count, in->rank);
    for (size_t i = 0; i < in->rank; i++) {
        const int64_t times = qr__op_list_at(&list, i);
        if (times < 0 || !qr_checked_mul(in->shape[i], (size_t)times, &shape[i]))
            return qr__op_refuse(call, "axis %zu cannot be repeated %lld times", i,
                                 (long long)times);
    }
    status = qr__op_create(call, 0, in->type, in->rank, shape);
    if (status != QR_OK || call->out[0]->count == 0)
        return status;
    /* Each axis as two, the repeats and the numbers, would be too many axes: one axis at a time is
     * repeated in place, from the last one on. What is done stands at the output's beginning. */
    size_t count = in->count, line = 1;
    qr__copy_numbers(call->out[0], 0, in, 0, count);
    for (size_t i = in->rank; i-- > 0; line *= shape[i] / in->shape[i]) {
        line *= in->shape[i];
        count = repeat_lines(call->out[0], count, line, shape[i] / in->shape[i]);
    }
    return QR_OK;
}

static qr_status run_trilu(qr__op_call *call) {
    qr__op_list list;
    qr_status status = qr__op_need(call, 1);
    if (status == QR_OK)
        status = qr__op_list_of(call, 1, "k", &list);
    if (status != QR_OK)
        return status;
    const qr_onnx_tensor *in = call->in[0];
    const bool upper = qr_onnx_attribute_int(call->node, "upper", 1) != 0;
    if (in->rank < 2 || (list.given && list.count != 1))
        return qr__op_refuse(call, "it takes matrices and one number k");
    const int64_t asked = list.given ? qr__op_list_at(&list, 0) : 0;
    const size_t rows = in->shape[in->rank - 2], columns = in->shape[in->rank - 1];
    /* No further than all or nothing, so that row + k fits. */
    const int64_t most = (int64_t)(rows + columns);
    const int64_t k = asked > most ? most : asked < -most ? -most : asked;
    status = qr__op_create(call, 0, in->type, in->rank, in->shape);
    for (size_t at = 0; status == QR_OK && at < in->count; at += columns) {
        const int64_t edge = (int64_t)(at / columns % rows) + k; /* the first column kept above */
        const int64_t cut = edge + (upper ? 0 : 1);
        const size_t split = cut < 0 ? 0 : qr_min((size_t)cut, columns);
        qr__copy_numbers(call->out[0], at + (upper ? split : 0), in, at + (upper ? split : 0),
                         upper ? columns - split : split);
    }
    return status;
}

const qr__op qr__ops_arrange[] = {
    {"", "Transpose", run_transpose},
    {"", "Expand", run_expand},
    {"", "Concat", run_concat},
    {"", "Split", run_split},
    {"", "Tile", run_tile},
    {"", "Trilu", run_trilu},
    {NULL, NULL, NULL},
};
