/* onnx/ops_arithmetic.c: operators that make one number of two, broadcast as numpy does. */
#include <math.h>

#include "onnx/op.h"
#include "onnx/walk.h"

/* A row of one operand: numbers `step` apart. */
typedef struct row {
    const float *x;
    ptrdiff_t step;
} row;

typedef void (*of_rows)(float *out, row a, row b, ptrdiff_t count);
typedef int64_t (*of_ints)(int64_t x, int64_t y);

/* In double: of the four operations the result, rounded once more to f32, is f32's own. */
#define FLOAT_ROWS(name, expression)                                                               \
    static void name(float *out, row a, row b, ptrdiff_t count) {                                  \
        for (ptrdiff_t i = 0; i < count; i++) {                                                    \
            const double x = a.x[i * a.step], y = b.x[i * b.step];                                 \
            out[i] = (float)(expression);                                                          \
        }                                                                                          \
    }

FLOAT_ROWS(add_floats, x + y)
FLOAT_ROWS(sub_floats, x - y)
FLOAT_ROWS(mul_floats, x *y)
FLOAT_ROWS(div_floats, x / y)
FLOAT_ROWS(pow_floats, pow(x, y))
FLOAT_ROWS(mod_floats, fmod(x, y))
FLOAT_ROWS(min_floats, isnan(x) || x < y ? x : y)
FLOAT_ROWS(max_floats, isnan(x) || x > y ? x : y)

/* Integers wrap around: they are added as unsigned ones. */
static int64_t add_ints(int64_t x, int64_t y) {
    return (int64_t)((uint64_t)x + (uint64_t)y);
}

static int64_t sub_ints(int64_t x, int64_t y) {
    return (int64_t)((uint64_t)x - (uint64_t)y);
}

static int64_t mul_ints(int64_t x, int64_t y) {
    return (int64_t)((uint64_t)x * (uint64_t)y);
}

/* Toward zero, as ONNX Runtime's C++ divides. The divisor is not 0: run_div looks. */
static int64_t div_ints(int64_t x, int64_t y) {
    return y == -1 ? sub_ints(0, x) : x / y;
}

static int64_t div_unsigned(int64_t x, int64_t y) {
    return (int64_t)((uint64_t)x / (uint64_t)y);
}

/* The remainder has the divisor's sign. */
static int64_t mod_ints(int64_t x, int64_t y) {
    if (y == -1)
        return 0;
    const int64_t rest = x % y;
    return rest != 0 && (rest < 0) != (y < 0) ? rest + y : rest;
}

/* The remainder has the dividend's sign (fmod = 1). */
static int64_t rem_ints(int64_t x, int64_t y) {
    return y == -1 ? 0 : x % y;
}

static int64_t mod_unsigned(int64_t x, int64_t y) {
    return (int64_t)((uint64_t)x % (uint64_t)y);
}

static int64_t min_ints(int64_t x, int64_t y) {
    return x < y ? x : y;
}

static int64_t max_ints(int64_t x, int64_t y) {
    return x > y ? x : y;
}

static int64_t min_unsigned(int64_t x, int64_t y) {
    return (uint64_t)x < (uint64_t)y ? x : y;
}

static int64_t max_unsigned(int64_t x, int64_t y) {
    return (uint64_t)x > (uint64_t)y ? x : y;
}

/* One operator: of floats, of integers, of UINT64, which is held in a signed number's bits. */
typedef struct two_forms {
    of_rows floats;
    of_ints ints, wide;
    bool divides;
} two_forms;

static qr_status apply_floats(qr__op_call *call, qr__walk *walk, of_rows rows,
                              const qr_onnx_tensor *a, const qr_onnx_tensor *b,
                              qr_onnx_tensor *out) {
    if (rows == NULL)
        return qr__op_refuse_type(call, a->type);
    while (qr__walk_next(walk)) {
        const row in_a = {a->floats + walk->at[1], walk->step[1]};
        const row in_b = {b->floats + walk->at[2], walk->step[2]};
        rows(qr_onnx_floats(out) + walk->at[0], in_a, in_b, (ptrdiff_t)walk->row);
    }
    if (out->type == QR_ONNX_FLOAT16 || out->type == QR_ONNX_BFLOAT16)
        for (size_t i = 0; i < out->count; i++)
            qr_onnx_floats(out)[i] = qr_onnx_round(out->type, out->floats[i]);
    return QR_OK;
}

static void apply_ints(qr__walk *walk, of_ints of, const qr_onnx_tensor *a, const qr_onnx_tensor *b,
                       qr_onnx_tensor *out) {
    while (qr__walk_next(walk))
        for (ptrdiff_t i = 0; i < (ptrdiff_t)walk->row; i++) {
            const int64_t x = qr_onnx_int(a, (size_t)(walk->at[1] + i * walk->step[1]));
            const int64_t y = qr_onnx_int(b, (size_t)(walk->at[2] + i * walk->step[2]));
            qr_onnx_set_int(out, (size_t)(walk->at[0] + i), of(x, y));
        }
}

static bool has_zero(const qr_onnx_tensor *tensor) {
    for (size_t i = 0; i < tensor->count; i++)
        if (qr_onnx_int(tensor, i) == 0)
            return true;
    return false;
}

/* a and b into output 0, which is empty so far. */
static qr_status combine(qr__op_call *call, const two_forms *form, const qr_onnx_tensor *a,
                         const qr_onnx_tensor *b) {
    size_t rank, shape[QR_ONNX_RANK_MAX];
    char text_a[128], text_b[128];
    if (!qr__broadcast_shape(a, b, &rank, shape)) {
        qr_onnx_shape_text(a, text_a);
        qr_onnx_shape_text(b, text_b);
        return qr__op_refuse(call, "shapes %s and %s do not fit", text_a, text_b);
    }
    if (a->type != b->type || a->type == QR_ONNX_BOOL)
        return qr__op_refuse(call, "%s and %s numbers are not taken", qr_onnx_type_name(a->type),
                             qr_onnx_type_name(b->type));
    const bool floats = qr_onnx_is_float(a->type);
    if (!floats && form->divides && has_zero(b))
        return qr__op_refuse(call, "integers are divided by 0");
    qr_status status = qr__op_create(call, 0, a->type, rank, shape);
    if (status != QR_OK)
        return status;
    qr__walk walk;
    qr__walk_two(&walk, call->out[0], a, b);
    if (floats)
        return apply_floats(call, &walk, form->floats, a, b, call->out[0]);
    apply_ints(&walk, a->type == QR_ONNX_UINT64 ? form->wide : form->ints, a, b, call->out[0]);
    return QR_OK;
}

static qr_status binary(qr__op_call *call, const two_forms *form) {
    qr_status status = qr__op_need(call, 2);
    return status == QR_OK ? combine(call, form, call->in[0], call->in[1]) : status;
}

/* Any number of inputs, one after the other. */
static qr_status gather_all(qr__op_call *call, const two_forms *form) {
    qr_status status = qr__op_need(call, qr_max(call->ins, 1));
    if (status != QR_OK)
        return status;
    if (call->in[0]->type == QR_ONNX_BOOL)
        return qr__op_refuse_type(call, QR_ONNX_BOOL);
    call->out[0] = qr_onnx_tensor_share(call->in[0]);
    for (size_t i = 1; status == QR_OK && i < call->ins; i++) {
        qr_onnx_tensor *so_far = call->out[0];
        call->out[0] = NULL;
        status = combine(call, form, so_far, call->in[i]);
        qr_onnx_tensor_destroy(so_far);
    }
    return status;
}

static qr_status run_add(qr__op_call *call) {
    return binary(call, &(two_forms){add_floats, add_ints, add_ints, false});
}

static qr_status run_sub(qr__op_call *call) {
    return binary(call, &(two_forms){sub_floats, sub_ints, sub_ints, false});
}

static qr_status run_mul(qr__op_call *call) {
    return binary(call, &(two_forms){mul_floats, mul_ints, mul_ints, false});
}

static qr_status run_div(qr__op_call *call) {
    return binary(call, &(two_forms){div_floats, div_ints, div_unsigned, true});
}

static qr_status run_mod(qr__op_call *call) {
    if (qr_onnx_attribute_int(call->node, "fmod", 0) != 0)
        return binary(call, &(two_forms){mod_floats, rem_ints, mod_unsigned, true});
    return binary(call, &(two_forms){NULL, mod_ints, mod_unsigned, true}); /* floats ask for fmod */
}

static qr_status run_min(qr__op_call *call) {
    return gather_all(call, &(two_forms){min_floats, min_ints, min_unsigned, false});
}

static qr_status run_max(qr__op_call *call) {
    return gather_all(call, &(two_forms){max_floats, max_ints, max_unsigned, false});
}

static qr_status run_sum(qr__op_call *call) {
    return gather_all(call, &(two_forms){add_floats, add_ints, add_ints, false});
}

static double number_at(const qr_onnx_tensor *tensor, size_t at) {
    if (qr_onnx_is_float(tensor->type))
        return tensor->floats[at];
    const int64_t x = qr_onnx_int(tensor, at);
    return tensor->type == QR_ONNX_UINT64 ? (double)(uint64_t)x : (double)x;
}

/* Base and exponent may be of two types; the result is of the base's. Of integers too it is made in
 * double, as in ONNX Runtime. */
static qr_status run_pow(qr__op_call *call) {
    qr_status status = qr__op_need(call, 2);
    if (status != QR_OK)
        return status;
    const qr_onnx_tensor *a = call->in[0], *b = call->in[1];
    if (a->type == b->type && qr_onnx_is_float(a->type))
        return binary(call, &(two_forms){pow_floats, NULL, NULL, false});
    size_t rank, shape[QR_ONNX_RANK_MAX];
    if (a->type == QR_ONNX_BOOL || b->type == QR_ONNX_BOOL)
        return qr__op_refuse_type(call, QR_ONNX_BOOL);
    if (!qr__broadcast_shape(a, b, &rank, shape))
        return qr__op_refuse(call, "the shapes of base and exponent do not fit");
    status = qr__op_create(call, 0, a->type, rank, shape);
    if (status != QR_OK)
        return status;
    qr__walk walk;
    qr__walk_two(&walk, call->out[0], a, b);
    while (qr__walk_next(&walk))
        for (ptrdiff_t i = 0; i < (ptrdiff_t)walk.row; i++) {
            const size_t to = (size_t)(walk.at[0] + i);
            const size_t at_a = (size_t)(walk.at[1] + i * walk.step[1]);
            const size_t at_b = (size_t)(walk.at[2] + i * walk.step[2]);
            if (qr_onnx_is_float(a->type))
                qr_onnx_floats(call->out[0])[to] =
                    qr_onnx_round(a->type, (float)pow(a->floats[at_a], number_at(b, at_b)));
            else
                qr_onnx_set_int(
                    call->out[0], to,
                    qr__op_truncate(a->type, pow(number_at(a, at_a), number_at(b, at_b))));
        }
    return QR_OK;
}

const qr__op qr__ops_arithmetic[] = {
    {"", "Add", run_add}, {"", "Sub", run_sub}, {"", "Mul", run_mul}, {"", "Div", run_div},
    {"", "Pow", run_pow}, {"", "Mod", run_mod}, {"", "Min", run_min}, {"", "Max", run_max},
    {"", "Sum", run_sum}, {NULL, NULL, NULL},
};
