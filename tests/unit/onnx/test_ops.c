/* Operators where documents leave a choice, ONNX Runtime made one, and a file could ask for harm:
 * what is answered, and what is refused. ONNX's own node tests (tests/onnx) hold the rest. */
#include <criterion/criterion.h>
#include <math.h>

#include "onnx/onnx.h"

#define SHAPE(...)   ((size_t[]){__VA_ARGS__})
#define LONGS(...)   ((int64_t[]){__VA_ARGS__})
#define FLOATS(...)  ((float[]){__VA_ARGS__})
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static qr_onnx_tensor *ints_of(qr_onnx_type type, size_t rank, const size_t *shape,
                               const int64_t *numbers) {
    qr_onnx_tensor *tensor = qr_onnx_tensor_create(type, rank, shape);
    cr_assert_not_null(tensor);
    for (size_t i = 0; i < tensor->count; i++)
        qr_onnx_set_int(tensor, i, numbers[i]);
    return tensor;
}

static qr_onnx_tensor *floats_of(qr_onnx_type type, size_t rank, const size_t *shape,
                                 const float *numbers) {
    qr_onnx_tensor *tensor = qr_onnx_tensor_create(type, rank, shape);
    cr_assert_not_null(tensor);
    memcpy(qr_onnx_floats(tensor), numbers, tensor->count * sizeof(float));
    return tensor;
}

#define ROW(...) ints_of(QR_ONNX_INT64, 1, SHAPE(COUNT(LONGS(__VA_ARGS__))), LONGS(__VA_ARGS__))
#define FLOAT_ROW(...)                                                                             \
    floats_of(QR_ONNX_FLOAT, 1, SHAPE(COUNT(FLOATS(__VA_ARGS__))), FLOATS(__VA_ARGS__))

/* An operation to try: its inputs are given away. */
typedef struct op_trial {
    const char *op;
    int64_t opset; /* 0: 17 */
    qr_onnx_tensor *in[5];
    qr_onnx_attribute attributes[3];
} op_trial;

static char said[QR_ERROR_BYTES]; /* by the last operator that refused */

/* Returns the output, owned; NULL: it was refused. */
static qr_onnx_tensor *try(op_trial trial) {
    size_t ids[5] = {0, 1, 2, 3, 4}, out_id = 5, ins = 5, attributes = 0;
    qr_onnx_value values[6] = {{.name = "a"}, {.name = "b"}, {.name = "c"},
                               {.name = "d"}, {.name = "e"}, {.name = "out"}};
    while (ins > 0 && trial.in[ins - 1] == NULL)
        ins--;
    while (attributes < 3 && trial.attributes[attributes].name != NULL)
        attributes++;
    qr_onnx_graph graph = {.path = "try.onnx",
                           .values = values,
                           .value_count = 6,
                           .opset = trial.opset != 0 ? trial.opset : 17};
    qr_onnx_node node = {.name = "n",
                         .op = trial.op,
                         .domain = "",
                         .inputs = ids,
                         .input_count = ins,
                         .outputs = &out_id,
                         .output_count = 1,
                         .attributes = trial.attributes,
                         .attribute_count = attributes};
    qr_onnx_tensor *out;
    qr_error error = {0};
    const qr_status status = qr_onnx_apply(&graph, &node, trial.in, false, &out, &error);
    for (size_t i = 0; i < 5; i++)
        qr_onnx_tensor_destroy(trial.in[i]);
    cr_assert(status == QR_OK || status == QR_BAD_MODEL, "%s", error.message);
    cr_assert_eq(out != NULL, status == QR_OK);
    memcpy(said, error.message, sizeof said);
    return out;
}

static void expect_refused(op_trial trial, const char *why) {
    cr_expect_null(try(trial), "%s", why);
    cr_expect(strstr(said, why) != NULL, "\"%s\" says nothing of \"%s\"", said, why);
}

static void expect_ints(qr_onnx_tensor *out, size_t rank, const size_t *shape,
                        const int64_t *numbers) {
    cr_assert_not_null(out, "%s", said);
    cr_assert_eq(out->rank, rank);
    for (size_t i = 0; i < rank; i++)
        cr_assert_eq(out->shape[i], shape[i], "axis %zu is %zu long", i, out->shape[i]);
    for (size_t i = 0; i < out->count; i++)
        cr_expect_eq(qr_onnx_int(out, i), numbers[i], "%lld at %zu", (long long)qr_onnx_int(out, i),
                     i);
    qr_onnx_tensor_destroy(out);
}

static void expect_floats(qr_onnx_tensor *out, size_t count, const float *numbers) {
    cr_assert_not_null(out, "%s", said);
    cr_assert_eq(out->count, count);
    for (size_t i = 0; i < count; i++)
        cr_expect(out->floats[i] == numbers[i] || fabsf(out->floats[i] - numbers[i]) < 1e-6f,
                  "%a at %zu", (double)out->floats[i], i);
    qr_onnx_tensor_destroy(out);
}

static qr_onnx_attribute an_int(const char *name, int64_t i) {
    return (qr_onnx_attribute){.name = name, .kind = QR_ONNX_ATTR_INT, .i = i};
}

Test(ops, integers_divide_toward_zero) {
    expect_ints(try((op_trial){"Div", .in = {ROW(-7, 7, -7, INT64_MIN), ROW(2, -2, -2, -1)}}), 1,
                SHAPE(4), LONGS(-3, -3, 3, INT64_MIN));
    expect_ints(try((op_trial){"Mod", .in = {ROW(-7, 7, -7, INT64_MIN), ROW(2, -2, -2, -1)}}), 1,
                SHAPE(4), LONGS(1, -1, -1, 0));
    expect_ints(
        try((op_trial){"Mod", .in = {ROW(-7, 7), ROW(2, -2)}, .attributes = {an_int("fmod", 1)}}),
        1, SHAPE(2), LONGS(-1, 1));
    qr_onnx_tensor *wide = ints_of(QR_ONNX_UINT64, 1, SHAPE(1), LONGS(-1));
    qr_onnx_tensor *two = ints_of(QR_ONNX_UINT64, 1, SHAPE(1), LONGS(2));
    expect_ints(try((op_trial){"Div", .in = {wide, two}}), 1, SHAPE(1), LONGS(INT64_MAX));
    expect_refused((op_trial){"Div", .in = {ROW(1, 2), ROW(1, 0)}}, "divided by 0");
    expect_refused((op_trial){"Mod", .in = {ROW(1, 2), ROW(0)}}, "divided by 0");
    expect_refused((op_trial){"Mod", .in = {FLOAT_ROW(1), FLOAT_ROW(2)}}, "float32");
}

Test(ops, integer_powers) {
    expect_ints(try((op_trial){"Pow", .in = {ROW(-4, 3, 2, 0), ROW(-6, 4, 70, -1)}}), 1, SHAPE(4),
                LONGS(0, 81, INT64_MIN, INT64_MIN));
}

Test(ops, shapes_that_do_not_fit) {
    expect_refused((op_trial){"Add", .in = {FLOAT_ROW(1, 2), FLOAT_ROW(1, 2, 3)}},
                   "shapes [2] and [3] do not fit");
    expect_refused((op_trial){"Add", .in = {FLOAT_ROW(1), ROW(1)}}, "float32 and int64");
    expect_refused((op_trial){"Add", .in = {FLOAT_ROW(1)}}, "input 1 is missing");
}

Test(ops, casts_out_of_range) {
    const float far[] = {NAN, 1e20f, -1e20f, 3e9f, -2.75f, 0.5f};
    static const struct {
        qr_onnx_type type;
        int64_t want[6];
    } cases[] = {
        {QR_ONNX_INT32, {INT32_MIN, INT32_MIN, INT32_MIN, INT32_MIN, -2, 0}},
        {QR_ONNX_INT64, {INT64_MIN, INT64_MIN, INT64_MIN, 3000000000, -2, 0}},
        {QR_ONNX_UINT32, {0, 0, 0, 3000000000, UINT32_MAX - 1, 0}},
        {QR_ONNX_UINT8, {0, 0, 0, 0, 254, 0}},
        {QR_ONNX_BOOL, {1, 1, 1, 1, 1, 1}},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        expect_ints(try((op_trial){"Cast", .in = {floats_of(QR_ONNX_FLOAT, 1, SHAPE(6), far)},
                                   .attributes = {an_int("to", cases[i].type)}}),
                    1, SHAPE(6), cases[i].want);
    expect_floats(try((op_trial){"Cast", .in = {FLOAT_ROW(0x1.002p0f, 1e6f)},
                                 .attributes = {an_int("to", QR_ONNX_FLOAT16)}}),
                  2, FLOATS(1.0f, INFINITY));
    expect_refused((op_trial){"Cast", .in = {ROW(1)}, .attributes = {an_int("to", QR_ONNX_STRING)}},
                   "string");
    expect_refused((op_trial){"Cast", .in = {ROW(1)}, .attributes = {an_int("to", 17)}}, "17");
}

Test(ops, clips) {
    expect_floats(try((op_trial){"Clip", .in = {FLOAT_ROW(-INFINITY, 1, 9), NULL, FLOAT_ROW(5)}}),
                  3, FLOATS(-0x1.fffffep127f, 1, 5));
    expect_floats(try((op_trial){"Clip", .in = {FLOAT_ROW(1), FLOAT_ROW(3), FLOAT_ROW(2)}}), 1,
                  FLOATS(2));
    expect_ints(try((op_trial){"Clip", .in = {ROW(-7, 7), ROW(-2)}}), 1, SHAPE(2), LONGS(-2, 7));
    expect_refused((op_trial){"Clip", .in = {ROW(1), FLOAT_ROW(3)}}, "one number");
}

static qr_onnx_tensor *three(void) {
    return ROW(10, 11, 12);
}

Test(ops, slices_as_onnx_runtime_does) {
    static const struct {
        int64_t start, end, step;
        size_t count;
        int64_t want[3];
    } cases[] = {
        {1, INT64_MAX, 1, 2, {11, 12}},  {-2, -1, 1, 1, {11}},
        {INT64_MIN, 2, 1, 2, {10, 11}},  {0, 3, 2, 2, {10, 12}},
        {0, 3, INT64_MAX, 1, {10}},      {-1, INT64_MIN, -1, 3, {12, 11, 10}},
        {9, -9, -2, 2, {12, 10}},        {-9, INT64_MIN, -1, 1, {10}}, /* numpy: none */
        {1, INT64_MAX, -1, 2, {11, 10}},                               /* numpy: none */
        {2, 0, INT64_MIN, 1, {12}},      {2, 1, 1, 0, {0}},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        expect_ints(try((op_trial){"Slice", .in = {three(), ROW(cases[i].start), ROW(cases[i].end),
                                                   ROW(0), ROW(cases[i].step)}}),
                    1, &cases[i].count, cases[i].want);
    expect_refused((op_trial){"Slice", .in = {three(), ROW(0), ROW(1), ROW(0), ROW(0)}},
                   "step is 0");
    expect_refused((op_trial){"Slice", .in = {three(), ROW(0), ROW(1), ROW(1)}}, "axis 1 of 1");
    expect_refused((op_trial){"Slice", .in = {three(), ROW(0, 0), ROW(1, 1)}}, "do not fit");
    expect_refused((op_trial){"Slice", .in = {three(), ROW(0), ROW(1, 2)}}, "do not fit");
}

Test(ops, reshapes) {
    qr_onnx_tensor *six = ROW(1, 2, 3, 4, 5, 6);
    const int64_t numbers[] = {1, 2, 3, 4, 5, 6};
    qr_onnx_tensor *two = try((op_trial){"Reshape", .in = {six, ROW(2, -1)}});
    expect_ints(try((op_trial){"Reshape", .in = {two, ROW(0, 1, -1)}}), 3, SHAPE(2, 1, 3), numbers);
    expect_refused((op_trial){"Reshape", .in = {three(), ROW(2, -1)}}, "no multiple");
    expect_refused((op_trial){"Reshape", .in = {three(), ROW(-1, -1)}}, "cannot be -1");
    expect_refused((op_trial){"Reshape", .in = {three(), ROW(3, 0)}}, "cannot be 0");
    expect_refused((op_trial){"Reshape", .in = {three(), ROW(1ll << 40, 1ll << 40)}}, "too many");
    expect_refused((op_trial){"Reshape", .in = {three(), ROW(0, 1ll << 62, 4)},
                              .attributes = {an_int("allowzero", 1)}},
                   "too many");
    qr_onnx_tensor *row = ints_of(QR_ONNX_INT64, 2, SHAPE(1, 2), LONGS(1, 2));
    qr_onnx_tensor *no_axes = qr_onnx_tensor_create(QR_ONNX_INT64, 1, SHAPE(0));
    expect_ints(try((op_trial){"Squeeze", .in = {row, no_axes}}), 1, SHAPE(2), numbers);
    expect_refused((op_trial){"Squeeze", .in = {three(), ROW(0)}}, "3 long");
}

Test(ops, what_is_too_large_is_refused) {
    expect_refused((op_trial){"Expand", .in = {ROW(1), ROW(1 << 30, 4)}}, "too many numbers");
    expect_refused((op_trial){"Tile", .in = {three(), ROW(INT64_MAX)}}, "cannot be repeated");
    expect_refused((op_trial){"Tile", .in = {three(), ROW(1 << 30)}}, "too many numbers");
    expect_refused((op_trial){"ConstantOfShape", .in = {ROW(1 << 20, 1 << 20)}},
                   "too many numbers");
    expect_refused((op_trial){"ConstantOfShape", .in = {ROW(-1)}}, "cannot be -1");
    expect_refused((op_trial){"Pad", .in = {three(), ROW(0, 1ll << 33)}}, "cannot be padded");
    expect_refused((op_trial){"Range", .in = {FLOAT_ROW(0), FLOAT_ROW(1), FLOAT_ROW(0)}},
                   "not end");
    expect_refused((op_trial){"Range", .in = {ROW(0), ROW(1), ROW(0)}}, "step is 0");
    expect_refused((op_trial){"Range", .in = {ROW(INT64_MIN), ROW(INT64_MAX), ROW(1)}}, "too many");
    expect_ints(try((op_trial){"Range", .in = {ROW(INT64_MIN), ROW(INT64_MAX), ROW(INT64_MAX)}}), 1,
                SHAPE(3), LONGS(INT64_MIN, -1, INT64_MAX - 1));
    expect_refused((op_trial){"OneHot", .in = {three(), ROW(1ll << 40), ROW(0, 1)}}, "depth");
}

Test(ops, indices_outside_are_refused) {
    expect_ints(try((op_trial){"Gather", .in = {three(), ROW(-3, 2)}}), 1, SHAPE(2), LONGS(10, 12));
    expect_refused((op_trial){"Gather", .in = {three(), ROW(3)}}, "index 3 into an axis of 3");
    expect_refused((op_trial){"Gather", .in = {three(), ROW(-4)}}, "index -4");
    expect_refused((op_trial){"GatherElements", .in = {three(), ROW(0, INT64_MIN)}}, "index -9");
    expect_refused(
        (op_trial){"ScatterND",
                   .in = {three(), ints_of(QR_ONNX_INT64, 2, SHAPE(1, 1), LONGS(3)), ROW(1)}},
        "index 3");
    expect_refused((op_trial){"Gather", .in = {three(), FLOAT_ROW(0)}}, "float32");
}

/* [1, 2, 2] along its second axis: with all behind it before opset 13, alone since. */
Test(ops, softmax_of_both_ages) {
    const float zeros[4] = {0, 0, 0, 0};
    for (size_t i = 0; i < 2; i++) {
        const float want = i == 0 ? 0.25f : 0.5f;
        qr_onnx_tensor *in = floats_of(QR_ONNX_FLOAT, 3, SHAPE(1, 2, 2), zeros);
        expect_floats(try((op_trial){"Softmax", .opset = i == 0 ? 11 : 13, .in = {in},
                                     .attributes = {an_int("axis", 1)}}),
                      4, FLOATS(want, want, want, want));
    }
}

Test(ops, reductions_of_both_ages) {
    const float numbers[6] = {1, 2, 3, 4, 5, 7};
    const int64_t last = -1;
    qr_onnx_attribute axes = {.name = "axes", .kind = QR_ONNX_ATTR_INTS, .ints = &last, .count = 1};
    qr_onnx_tensor *in = floats_of(QR_ONNX_FLOAT, 2, SHAPE(2, 3), numbers);
    expect_floats(try((op_trial){"ReduceSum", .opset = 11, .in = {qr_onnx_tensor_share(in)},
                                 .attributes = {axes}}),
                  2, FLOATS(6, 16));
    expect_floats(try((op_trial){"ReduceSum", .in = {qr_onnx_tensor_share(in), ROW(0)}}), 3,
                  FLOATS(5, 7, 10));
    expect_floats(try((op_trial){"ReduceMax", .in = {qr_onnx_tensor_share(in)}}), 1, FLOATS(7));
    expect_floats(try((op_trial){"ReduceSum", .in = {qr_onnx_tensor_share(in)},
                                 .attributes = {an_int("noop_with_empty_axes", 1)}}),
                  6, numbers);
    expect_refused((op_trial){"ReduceSum", .in = {in, ROW(0, -2)}}, "axis 0 twice");
    qr_onnx_tensor *none = qr_onnx_tensor_create(QR_ONNX_FLOAT, 2, SHAPE(0, 1));
    expect_floats(try((op_trial){"ReduceMax", .in = {qr_onnx_tensor_share(none)}}), 1,
                  FLOATS(-INFINITY));
    expect_refused((op_trial){"ArgMax", .in = {none}}, "no numbers");
}

Test(ops, chooses_among_integers) {
    qr_onnx_tensor *condition = ints_of(QR_ONNX_BOOL, 2, SHAPE(2, 1), LONGS(1, 0));
    qr_onnx_tensor *no = ints_of(QR_ONNX_INT64, 0, NULL, LONGS(-1));
    expect_ints(try((op_trial){"Where", .in = {condition, three(), no}}), 2, SHAPE(2, 3),
                LONGS(10, 11, 12, -1, -1, -1));
    expect_refused((op_trial){"Where", .in = {three(), three(), three()}}, "not of bools");
}

Test(ops, parts_that_do_not_fill) {
    expect_refused((op_trial){"Split", .in = {three(), ROW(2)}}, "do not fill");
    expect_refused((op_trial){"Split", .in = {three(), ROW(INT64_MAX, INT64_MAX)}}, "do not fill");
    expect_refused((op_trial){"Split", .in = {three(), ROW(-1, 4)}}, "do not fill");
    qr_onnx_tensor *flat = ints_of(QR_ONNX_INT64, 2, SHAPE(1, 3), LONGS(1, 2, 3));
    expect_refused((op_trial){"Concat", .in = {three(), flat}, .attributes = {an_int("axis", 0)}},
                   "does not fit");
    qr_onnx_tensor *wide = ints_of(QR_ONNX_INT64, 2, SHAPE(1, 2), LONGS(1, 2));
    qr_onnx_tensor *high = ints_of(QR_ONNX_INT64, 2, SHAPE(1, 3), LONGS(1, 2, 3));
    expect_refused((op_trial){"Concat", .in = {wide, high}, .attributes = {an_int("axis", 0)}},
                   "does not fit");
}

/* A log's lines cannot be forged by what a file says. */
Test(ops, texts_of_attributes_are_made_printable) {
    const qr_onnx_attribute hostile = {
        .name = "approximate", .kind = QR_ONNX_ATTR_STRING, .s = "no\nM\x1b\xff"};
    expect_refused((op_trial){"Gelu", 20, .in = {FLOAT_ROW(1, 2)}, .attributes = {hostile}},
                   "\"no?M??\"");
}
