/* What a run may cost: the steps of every operator that multiplies, and the memory beside its
 * outputs (op.h). Each has a least number of steps with which it runs, which is what the formula
 * says. */
#include <criterion/criterion.h>

#include "onnx/op.h"
#include "onnx_maker.h"

#define MOST 1000000

/* One node on ones, and what it is to cost. Inputs are floats, or `types` says what. */
typedef struct trial {
    const char *op, *inputs; /* "a b" */
    const int64_t *shapes[4];
    const char *equation; /* Einsum's; NULL: none */
    int64_t heads;        /* num_heads; 0: none */
    qr_onnx_type type;    /* 0: floats */
    uint64_t steps;       /* in all */
    size_t numbers;       /* at one time, beside what is fed */
} trial;

#define SHAPE(...) ((const int64_t[]){__VA_ARGS__, 0}) /* 0: its end */

static size_t rank_of(const int64_t *shape) {
    size_t rank = 0;
    while (shape[rank] != 0)
        rank++;
    return rank;
}

static qr_onnx_tensor *ones(qr_onnx_type type, const int64_t *dims) {
    size_t shape[QR_ONNX_RANK_MAX];
    for (size_t i = 0; i < rank_of(dims); i++)
        shape[i] = (size_t)dims[i];
    qr_onnx_tensor *tensor = qr_onnx_tensor_create(type, rank_of(dims), shape);
    cr_assert_not_null(tensor);
    for (size_t i = 0; i < tensor->count; i++)
        if (qr_onnx_is_float(type))
            qr_onnx_floats(tensor)[i] = 1;
        else
            qr_onnx_set_int(tensor, i, 1);
    return tensor;
}

static qr_onnx_graph *graph_of(const trial *t) {
    onnx_maker *m = onnx_maker_create(23);
    const qr_onnx_type type = t->type == 0 ? QR_ONNX_FLOAT : t->type;
    char name[2] = "a";
    for (size_t i = 0; i < 4 && t->shapes[i] != NULL; i++, name[0]++)
        onnx_maker_input(m, name, type, rank_of(t->shapes[i]), t->shapes[i]);
    Onnx__NodeProto *node = onnx_maker_node(m, t->op, t->inputs, "y");
    if (t->equation != NULL)
        onnx_maker_string(m, node, "equation", t->equation);
    if (t->heads > 0)
        onnx_maker_int(m, node, "num_heads", t->heads);
    onnx_maker_output(m, "y", type, SIZE_MAX, NULL);
    qr_onnx_graph *graph = onnx_maker_open(m);
    onnx_maker_destroy(m);
    return graph;
}

static qr_status run_trial(const trial *t, uint64_t steps, size_t most, qr_error *error) {
    qr_onnx_graph *graph = graph_of(t);
    qr_onnx_run *run;
    const qr_onnx_run_options options = {.steps = steps, .most = most};
    cr_assert_eq(qr_onnx_run_create(graph, &options, &run, error), QR_OK);
    for (size_t i = 0; i < graph->input_count; i++) {
        qr_onnx_tensor *tensor = ones(t->type == 0 ? QR_ONNX_FLOAT : t->type, t->shapes[i]);
        qr_onnx_run_feed(run, graph->inputs[i], tensor);
        qr_onnx_tensor_destroy(tensor);
    }
    const qr_status status = qr_onnx_run_forward(run, error);
    qr_onnx_run_destroy(run);
    qr_onnx_close(graph);
    return status;
}

/* The least of 1 .. MOST with which the trial runs, as steps or as numbers. */
static uint64_t least(const trial *t, bool of_steps) {
    uint64_t low = 0, high = MOST; /* low does not do */
    qr_error error = {0};
    cr_assert_eq(run_trial(t, MOST, MOST, &error), QR_OK, "%s: %s", t->op, error.message);
    while (high - low > 1) {
        const uint64_t middle = (low + high) / 2;
        const qr_status status =
            run_trial(t, of_steps ? middle : MOST, of_steps ? MOST : middle, &error);
        cr_assert(status == QR_OK || status == QR_BAD_MODEL, "%s: %s", t->op, error.message);
        if (status != QR_OK)
            cr_assert_not_null(strstr(error.message, of_steps ? "`y/n`" : "too many numbers"), "%s",
                               error.message);
        *(status == QR_OK ? &high : &low) = middle;
    }
    return high;
}

#define READ(n) (uint64_t)(QR__STEPS_READ * (n))
#define MADE(n) (uint64_t)(QR__STEPS_MADE * (n))
#define LOOP(n) (uint64_t)(QR__STEPS_LOOP * (n))

static const trial trials[] = {
    {.op = "Neg", .inputs = "a", .shapes = {SHAPE(5)}, .steps = READ(5) + MADE(5), .numbers = 5},
    {.op = "MatMul",
     .inputs = "a b",
     .shapes = {SHAPE(3, 4, 8), SHAPE(8, 2)},
     .steps = READ(112) + MADE(24) + 192,
     .numbers = 24},
    {.op = "MatMul",
     .inputs = "a b",
     .shapes = {SHAPE(4, 8), SHAPE(8, 2)},
     .type = QR_ONNX_INT64,
     .steps = READ(48) + MADE(8) + LOOP(64),
     .numbers = 8},
    {.op = "Gemm",
     .inputs = "a b",
     .shapes = {SHAPE(4, 8), SHAPE(8, 2)},
     .steps = READ(48) + MADE(8) + 64,
     .numbers = 8},
    {.op = "MatMulInteger",
     .inputs = "a b",
     .shapes = {SHAPE(4, 8), SHAPE(8, 2)},
     .type = QR_ONNX_UINT8,
     .steps = READ(48) + MADE(8) + 64,
     .numbers = 8},
    {.op = "Einsum",
     .inputs = "a b c",
     .shapes = {SHAPE(3), SHAPE(5, 2), SHAPE(7)},
     .equation = "a,bc,d->c",
     .steps = READ(20) + MADE(2) + LOOP(3 * 210),
     .numbers = 2},
    /* 1 x 3 heads of 2 numbers, 4 queries, 5 keys: queries, keys, values, twice the scores. */
    {.op = "Attention",
     .inputs = "a b c",
     .shapes = {SHAPE(1, 3, 4, 2), SHAPE(1, 3, 5, 2), SHAPE(1, 3, 5, 2)},
     .steps = READ(84) + MADE(24 + 30 + 30 + 120) + 60 * 4 + MADE(24),
     .numbers = 204},
    /* 4 rows of 6 numbers projected to 3 x 6, then 3 heads of 2. */
    {.op = "com.microsoft:Attention",
     .inputs = "a b",
     .shapes = {SHAPE(1, 4, 6), SHAPE(6, 18)},
     .heads = 3,
     .steps = READ(132) + MADE(72) + 72 * 6 + MADE(3 * 24 + 96) + 48 * 4 + 2 * MADE(24),
     .numbers = 168},
};

Test(run_steps, every_product_is_charged) {
    for (size_t i = 0; i < sizeof trials / sizeof trials[0]; i++)
        cr_expect_eq(least(&trials[i], true), trials[i].steps, "%zu: %s: %ju, not %ju", i,
                     trials[i].op, (uintmax_t)least(&trials[i], true), (uintmax_t)trials[i].steps);
}

Test(run_steps, memory_beside_outputs_is_bounded) {
    for (size_t i = 0; i < sizeof trials / sizeof trials[0]; i++)
        cr_expect_eq(least(&trials[i], false), trials[i].numbers, "%zu: %s: %ju, not %zu", i,
                     trials[i].op, (uintmax_t)least(&trials[i], false), trials[i].numbers);
}

/* Four tensors of 40 KB and a sum of 10^16 terms: months. Constant, so folding meets it first. */
Test(run_steps, a_sum_without_end_is_refused_at_once) {
    static const float zeros[10000] = {0};
    onnx_maker *m = onnx_maker_create(17);
    onnx_maker_floats(m, "v", 1, (int64_t[]){10000}, zeros);
    onnx_maker_string(m, onnx_maker_node(m, "Einsum", "v v v v", "y"), "equation", "a,b,c,d->");
    onnx_maker_output(m, "y", QR_ONNX_FLOAT, 0, NULL);
    qr_onnx_graph *graph = onnx_maker_open(m);
    onnx_maker_destroy(m);
    qr_error error = {0};
    qr_onnx_run *run;
    cr_assert_eq(qr_onnx_fold(graph, &error), QR_OK, "%s", error.message);
    cr_expect_not(graph->nodes[0].folded);
    cr_assert_eq(qr_onnx_run_create(graph, &(qr_onnx_run_options){0}, &run, &error), QR_OK);
    cr_expect_eq(qr_onnx_run_forward(run, &error), QR_BAD_MODEL);
    cr_expect_not_null(strstr(error.message, "`y/n` (Einsum): with it the graph takes more work"),
                       "%s", error.message);
    qr_onnx_run_destroy(run);
    qr_onnx_close(graph);
}
