/* onnx/ops_compare.c: comparisons and logic of two tensors, and the choice between two. */
#include "onnx/op.h"
#include "onnx/walk.h"

typedef enum compare_relation {
    EQUAL,
    LESS,
    LESS_OR_EQUAL,
    GREATER,
    GREATER_OR_EQUAL,
    AND,
    OR,
    XOR
} compare_relation;

/* A NaN is in no relation to anything. */
#define HOLDS(relation, x, y)                                                                      \
    ((relation) == EQUAL           ? (x) == (y)                                                    \
     : (relation) == LESS          ? (x) < (y)                                                     \
     : (relation) == LESS_OR_EQUAL ? (x) <= (y)                                                    \
     : (relation) == GREATER       ? (x) > (y)                                                     \
                                   : (x) >= (y))

static bool holds(compare_relation relation, const qr_onnx_tensor *a, size_t at_a,
                  const qr_onnx_tensor *b, size_t at_b) {
    if (qr_onnx_is_float(a->type))
        return HOLDS(relation, a->floats[at_a], b->floats[at_b]);
    const int64_t x = qr_onnx_int(a, at_a), y = qr_onnx_int(b, at_b);
    if (relation == AND)
        return x && y;
    if (relation == OR)
        return x || y;
    if (relation == XOR)
        return (x != 0) != (y != 0);
    if (a->type == QR_ONNX_UINT64)
        return HOLDS(relation, (uint64_t)x, (uint64_t)y);
    return HOLDS(relation, x, y);
}

static qr_status refuse_shapes(qr__op_call *call, const qr_onnx_tensor *a,
                               const qr_onnx_tensor *b) {
    char text_a[128], text_b[128];
    qr_onnx_shape_text(a, text_a);
    qr_onnx_shape_text(b, text_b);
    return qr__op_refuse(call, "shapes %s and %s do not fit", text_a, text_b);
}

static qr_status compare(qr__op_call *call, compare_relation relation) {
    qr_status status = qr__op_need(call, 2);
    if (status != QR_OK)
        return status;
    const qr_onnx_tensor *a = call->in[0], *b = call->in[1];
    const bool of_bools = a->type == QR_ONNX_BOOL;
    size_t rank, shape[QR_ONNX_RANK_MAX];
    if (a->type != b->type || (relation >= AND && !of_bools) ||
        (relation > EQUAL && relation < AND && of_bools))
        return qr__op_refuse(call, "%s and %s numbers are not taken", qr_onnx_type_name(a->type),
                             qr_onnx_type_name(b->type));
    if (!qr__broadcast_shape(a, b, &rank, shape))
        return refuse_shapes(call, a, b);
    status = qr__op_create(call, 0, QR_ONNX_BOOL, rank, shape);
    if (status != QR_OK)
        return status;
    qr__walk walk;
    qr__walk_two(&walk, call->out[0], a, b);
    uint8_t *out = qr_onnx_bytes(call->out[0]);
    while (qr__walk_next(&walk))
        for (ptrdiff_t i = 0; i < (ptrdiff_t)walk.row; i++)
            out[walk.at[0] + i] = holds(relation, a, (size_t)(walk.at[1] + i * walk.step[1]), b,
                                        (size_t)(walk.at[2] + i * walk.step[2]));
    return QR_OK;
}

static qr_status run_equal(qr__op_call *call) {
    return compare(call, EQUAL);
}

static qr_status run_less(qr__op_call *call) {
    return compare(call, LESS);
}

static qr_status run_less_or_equal(qr__op_call *call) {
    return compare(call, LESS_OR_EQUAL);
}

static qr_status run_greater(qr__op_call *call) {
    return compare(call, GREATER);
}

static qr_status run_greater_or_equal(qr__op_call *call) {
    return compare(call, GREATER_OR_EQUAL);
}

static qr_status run_and(qr__op_call *call) {
    return compare(call, AND);
}

static qr_status run_or(qr__op_call *call) {
    return compare(call, OR);
}

static qr_status run_xor(qr__op_call *call) {
    return compare(call, XOR);
}

static qr_status run_where(qr__op_call *call) {
    qr_status status = qr__op_need(call, 3);
    if (status != QR_OK)
        return status;
    const qr_onnx_tensor *condition = call->in[0], *yes = call->in[1], *no = call->in[2];
    if (condition->type != QR_ONNX_BOOL)
        return qr__op_refuse(call, "its condition is not of bools");
    if (yes->type != no->type)
        return qr__op_refuse(call, "it chooses between %s and %s numbers",
                             qr_onnx_type_name(yes->type), qr_onnx_type_name(no->type));
    qr_onnx_tensor both = {0}; /* a shape only */
    size_t rank, shape[QR_ONNX_RANK_MAX];
    if (!qr__broadcast_shape(yes, no, &both.rank, both.shape))
        return refuse_shapes(call, yes, no);
    if (!qr__broadcast_shape(&both, condition, &rank, shape))
        return refuse_shapes(call, &both, condition);
    status = qr__op_create(call, 0, yes->type, rank, shape);
    if (status != QR_OK)
        return status;
    qr_onnx_tensor *out = call->out[0];
    qr__walk walk;
    qr__walk_init(&walk, rank, shape);
    qr__walk_broadcast(&walk, out);
    qr__walk_broadcast(&walk, condition);
    qr__walk_broadcast(&walk, yes);
    qr__walk_broadcast(&walk, no);
    while (qr__walk_next(&walk))
        for (ptrdiff_t i = 0; i < (ptrdiff_t)walk.row; i++) {
            const bool chosen = condition->bytes[walk.at[1] + i * walk.step[1]] != 0;
            const ptrdiff_t from =
                chosen ? walk.at[2] + i * walk.step[2] : walk.at[3] + i * walk.step[3];
            qr__copy_numbers(out, (size_t)(walk.at[0] + i), chosen ? yes : no, (size_t)from, 1);
        }
    return QR_OK;
}

const qr__op qr__ops_compare[] = {
    {"", "Equal", run_equal},
    {"", "Less", run_less},
    {"", "LessOrEqual", run_less_or_equal},
    {"", "Greater", run_greater},
    {"", "GreaterOrEqual", run_greater_or_equal},
    {"", "And", run_and},
    {"", "Or", run_or},
    {"", "Xor", run_xor},
    {"", "Where", run_where},
    {NULL, NULL, NULL},
};
