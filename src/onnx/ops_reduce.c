/* onnx/ops_reduce.c: sums and their kin over axes. */
#include <math.h>
#include <stdlib.h>

#include "onnx/op.h"
#include "onnx/walk.h"

typedef enum reduction {
    SUM,
    MEAN,
    PROD,
    MIN,
    MAX,
    L1,
    L2,
    SUM_SQUARE,
    LOG_SUM,
    LOG_SUM_EXP /* of numbers less the greatest one, which is then added */
} reduction;

/* What a reduction starts from: the result of no numbers at all. */
static double first_float(reduction how) {
    return how == PROD ? 1.0 : how == MIN ? INFINITY : how == MAX ? -INFINITY : 0.0;
}

static double add_float(reduction how, double sum, double x) {
    switch (how) {
    case PROD:
        return sum * x;
    case MIN:
        return isnan(x) || x < sum ? x : sum;
    case MAX:
        return isnan(x) || x > sum ? x : sum;
    case L1:
        return sum + fabs(x);
    case L2:
    case SUM_SQUARE:
        return sum + x * x;
    case LOG_SUM_EXP:
        return sum + exp(x);
    default:
        return sum + x;
    }
}

static double last_float(reduction how, double sum, double count) {
    switch (how) {
    case MEAN:
        return sum / count;
    case L2:
        return sqrt(sum);
    case LOG_SUM:
    case LOG_SUM_EXP:
        return log(sum);
    default:
        return sum;
    }
}

static int64_t least_int(qr_onnx_type type) {
    switch (type) {
    case QR_ONNX_INT8:
        return INT8_MIN;
    case QR_ONNX_INT16:
        return INT16_MIN;
    case QR_ONNX_INT32:
        return INT32_MIN;
    case QR_ONNX_INT64:
        return INT64_MIN;
    default:
        return 0;
    }
}

static int64_t greatest_int(qr_onnx_type type) {
    switch (type) {
    case QR_ONNX_BOOL:
        return 1;
    case QR_ONNX_UINT8:
        return UINT8_MAX;
    case QR_ONNX_UINT16:
        return UINT16_MAX;
    case QR_ONNX_UINT32:
        return UINT32_MAX;
    case QR_ONNX_UINT64:
        return -1; /* its bits */
    default:
        return -1 - least_int(type);
    }
}

static int64_t first_int(reduction how, qr_onnx_type type) {
    return how == PROD ? 1 : how == MIN ? greatest_int(type) : how == MAX ? least_int(type) : 0;
}

/* Sums wrap around; they are added as unsigned numbers. */
static int64_t add_int(reduction how, qr_onnx_type type, int64_t sum, int64_t x) {
    const bool less = type == QR_ONNX_UINT64 ? (uint64_t)x < (uint64_t)sum : x < sum;
    switch (how) {
    case PROD:
        return (int64_t)((uint64_t)sum * (uint64_t)x);
    case MIN:
        return less ? x : sum;
    case MAX:
        return less ? sum : x;
    case L1:
        return (int64_t)((uint64_t)sum +
                         (x < 0 && type != QR_ONNX_UINT64 ? 0 - (uint64_t)x : (uint64_t)x));
    case SUM_SQUARE:
        return (int64_t)((uint64_t)sum + (uint64_t)x * (uint64_t)x);
    default:
        return (int64_t)((uint64_t)sum + (uint64_t)x);
    }
}

/* The walk's operands: a sum of each output, the input's numbers. */
static void reduce_floats(qr__walk walk, reduction how, const float *in, double *sums) {
    while (qr__walk_next(&walk))
        for (ptrdiff_t i = 0; i < (ptrdiff_t)walk.row; i++) {
            double *sum = &sums[walk.at[0] + i * walk.step[0]];
            *sum = add_float(how, *sum, in[walk.at[1] + i * walk.step[1]]);
        }
}

static void fill_floats(double *sums, size_t count, double with) {
    for (size_t i = 0; i < count; i++)
        sums[i] = with;
}

/* exp() of large numbers has no double: the greatest number of each sum is taken off first. */
static qr_status log_sum_exp(qr__op_call *call, qr__walk walk, double *sums) {
    qr_onnx_tensor *out = call->out[0];
    const qr_onnx_tensor *in = call->in[0];
    double *most = malloc(qr_max(out->count, 1) * sizeof *most);
    if (most == NULL)
        return qr__op_no_memory(call);
    fill_floats(most, out->count, -INFINITY);
    reduce_floats(walk, MAX, in->floats, most);
    for (size_t i = 0; i < out->count; i++)
        most[i] = isfinite(most[i]) ? most[i] : 0.0;
    while (qr__walk_next(&walk))
        for (ptrdiff_t i = 0; i < (ptrdiff_t)walk.row; i++) {
            const ptrdiff_t to = walk.at[0] + i * walk.step[0];
            sums[to] += exp(in->floats[walk.at[1] + i * walk.step[1]] - most[to]);
        }
    for (size_t i = 0; i < out->count; i++)
        qr_onnx_floats(out)[i] = qr_onnx_round(out->type, (float)(log(sums[i]) + most[i]));
    free(most);
    return QR_OK;
}

static qr_status apply_floats(qr__op_call *call, reduction how, qr__walk walk, double numbers) {
    qr_onnx_tensor *out = call->out[0];
    qr_status status = QR_OK;
    double *sums = malloc(qr_max(out->count, 1) * sizeof *sums);
    if (sums == NULL)
        return qr__op_no_memory(call);
    fill_floats(sums, out->count, first_float(how));
    if (how == LOG_SUM_EXP)
        status = log_sum_exp(call, walk, sums);
    else {
        reduce_floats(walk, how, call->in[0]->floats, sums);
        for (size_t i = 0; i < out->count; i++)
            qr_onnx_floats(out)[i] =
                qr_onnx_round(out->type, (float)last_float(how, sums[i], numbers));
    }
    free(sums);
    return status;
}

static qr_status apply_ints(qr__op_call *call, reduction how, qr__walk walk, size_t numbers) {
    qr_onnx_tensor *out = call->out[0];
    const qr_onnx_tensor *in = call->in[0];
    if (how == L2 || how == LOG_SUM || how == LOG_SUM_EXP ||
        (how == MEAN && in->type == QR_ONNX_UINT64) ||
        (in->type == QR_ONNX_BOOL && how != MIN && how != MAX))
        return qr__op_refuse_type(call, in->type);
    int64_t *sums = malloc(qr_max(out->count, 1) * sizeof *sums);
    if (sums == NULL)
        return qr__op_no_memory(call);
    for (size_t i = 0; i < out->count; i++)
        sums[i] = first_int(how, in->type);
    while (qr__walk_next(&walk))
        for (ptrdiff_t i = 0; i < (ptrdiff_t)walk.row; i++) {
            int64_t *sum = &sums[walk.at[0] + i * walk.step[0]];
            const int64_t x = qr_onnx_int(in, (size_t)(walk.at[1] + i * walk.step[1]));
            *sum = add_int(how, in->type, *sum, x);
        }
    for (size_t i = 0; i < out->count; i++)
        qr_onnx_set_int(out, i, how == MEAN && numbers > 0 ? sums[i] / (int64_t)numbers : sums[i]);
    free(sums);
    return QR_OK;
}

/* The output's shape, and strides in it of the input's axes: 0 along those that are reduced. */
static void plan_output(const qr_onnx_tensor *in, const bool *reduced, bool keep, size_t *rank,
                        size_t *shape, ptrdiff_t *strides) {
    size_t full[QR_ONNX_RANK_MAX] = {0};
    for (size_t i = 0; i < in->rank; i++)
        full[i] = reduced[i] ? 1 : in->shape[i];
    qr__strides(in->rank, full, strides);
    *rank = 0;
    for (size_t i = 0; i < in->rank; i++) {
        if (reduced[i])
            strides[i] = 0;
        if (!reduced[i] || keep)
            shape[(*rank)++] = full[i];
    }
}

static qr_status reduce_axes(qr__op_call *call, reduction how, const bool *reduced, bool keep) {
    const qr_onnx_tensor *in = call->in[0];
    size_t rank, shape[QR_ONNX_RANK_MAX], numbers = 1;
    ptrdiff_t to[QR_ONNX_RANK_MAX], from[QR_ONNX_RANK_MAX];
    for (size_t i = 0; i < in->rank; i++)
        numbers *= reduced[i] ? in->shape[i] : 1;
    plan_output(in, reduced, keep, &rank, shape, to);
    qr_status status = qr__op_create(call, 0, in->type, rank, shape);
    if (status != QR_OK)
        return status;
    qr__walk walk;
    qr__strides(in->rank, in->shape, from);
    qr__walk_init(&walk, in->rank, in->shape);
    qr__walk_add(&walk, 0, to);
    qr__walk_add(&walk, 0, from);
    if (qr_onnx_is_float(in->type))
        return apply_floats(call, how, walk, (double)numbers);
    return apply_ints(call, how, walk, numbers);
}

static qr_status reduce(qr__op_call *call, reduction how) {
    qr__op_list axes;
    qr_status status = qr__op_need(call, 1);
    if (status == QR_OK)
        status = qr__op_list_of(call, 1, "axes", &axes);
    if (status != QR_OK)
        return status;
    const qr_onnx_tensor *in = call->in[0];
    const bool none = qr_onnx_attribute_int(call->node, "noop_with_empty_axes", 0) != 0;
    bool reduced[QR_ONNX_RANK_MAX] = {false};
    status = qr__op_mark_axes(call, &axes, in->rank, reduced);
    if (status != QR_OK)
        return status;
    for (size_t i = 0; i < in->rank && axes.count == 0; i++)
        reduced[i] = !none; /* no axes: all of them */
    return reduce_axes(call, how, reduced, qr_onnx_attribute_int(call->node, "keepdims", 1) != 0);
}

/* The mean over all axes but the batch's and the channels', the first two. */
static qr_status run_global_average_pool(qr__op_call *call) {
    qr_status status = qr__op_need(call, 1);
    if (status != QR_OK)
        return status;
    if (call->in[0]->rank < 3 || !qr_onnx_is_float(call->in[0]->type))
        return qr__op_refuse(call, "its input should have three axes or more, of floats");
    bool reduced[QR_ONNX_RANK_MAX];
    for (size_t i = 0; i < call->in[0]->rank; i++)
        reduced[i] = i >= 2;
    return reduce_axes(call, MEAN, reduced, true);
}

static qr_status run_sum(qr__op_call *call) {
    return reduce(call, SUM);
}

static qr_status run_mean(qr__op_call *call) {
    return reduce(call, MEAN);
}

static qr_status run_prod(qr__op_call *call) {
    return reduce(call, PROD);
}

static qr_status run_min(qr__op_call *call) {
    return reduce(call, MIN);
}

static qr_status run_max(qr__op_call *call) {
    return reduce(call, MAX);
}

static qr_status run_l1(qr__op_call *call) {
    return reduce(call, L1);
}

static qr_status run_l2(qr__op_call *call) {
    return reduce(call, L2);
}

static qr_status run_sum_square(qr__op_call *call) {
    return reduce(call, SUM_SQUARE);
}

static qr_status run_log_sum(qr__op_call *call) {
    return reduce(call, LOG_SUM);
}

static qr_status run_log_sum_exp(qr__op_call *call) {
    return reduce(call, LOG_SUM_EXP);
}

const qr__op qr__ops_reduce[] = {
    {"", "ReduceSum", run_sum},
    {"", "ReduceMean", run_mean},
    {"", "ReduceProd", run_prod},
    {"", "ReduceMin", run_min},
    {"", "ReduceMax", run_max},
    {"", "ReduceL1", run_l1},
    {"", "ReduceL2", run_l2},
    {"", "ReduceSumSquare", run_sum_square},
    {"", "ReduceLogSum", run_log_sum},
    {"", "ReduceLogSumExp", run_log_sum_exp},
    {"", "GlobalAveragePool", run_global_average_pool},
    {NULL, NULL, NULL},
};
