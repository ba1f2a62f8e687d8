/* Runs and folding: what is kept, what is freed, what is left alone, what is said. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "onnx_maker.h"

#define DIMS(...) ((int64_t[]){__VA_ARGS__})

static qr_onnx_tensor *tensor_of(size_t count, const float *numbers) {
    qr_onnx_tensor *tensor = qr_onnx_tensor_create(QR_ONNX_FLOAT, 1, &count);
    cr_assert_not_null(tensor);
    memcpy(qr_onnx_floats(tensor), numbers, count * sizeof(float));
    return tensor;
}

static qr_onnx_run *run_of(const qr_onnx_graph *graph, qr_onnx_run_options options) {
    qr_onnx_run *run;
    qr_error error = {0};
    cr_assert_eq(qr_onnx_run_create(graph, &options, &run, &error), QR_OK, "%s", error.message);
    return run;
}

static void feed(qr_onnx_run *run, const qr_onnx_graph *graph, size_t input, size_t count,
                 const float *numbers) {
    qr_onnx_tensor *tensor = tensor_of(count, numbers);
    qr_onnx_run_feed(run, graph->inputs[input], tensor);
    qr_onnx_tensor_destroy(tensor);
}

static void forward(qr_onnx_run *run) {
    qr_error error = {0};
    cr_assert_eq(qr_onnx_run_forward(run, &error), QR_OK, "%s", error.message);
}

static void expect_numbers(const qr_onnx_run *run, size_t value, size_t count, const float *want) {
    const qr_onnx_tensor *got = qr_onnx_run_value(run, value);
    cr_assert_not_null(got);
    cr_assert_eq(got->count, count);
    for (size_t i = 0; i < count; i++)
        cr_expect_float_eq(got->floats[i], want[i], 1e-6f);
}

/* y = (x + w) * x, with `sum` between. */
static qr_onnx_graph *small_graph(void) {
    onnx_maker *m = onnx_maker_create(17);
    onnx_maker_input(m, "x", QR_ONNX_FLOAT, 1, DIMS(-1));
    onnx_maker_floats(m, "w", 1, DIMS(2), (float[]){10, 20});
    onnx_maker_node(m, "Add", "x w", "sum");
    onnx_maker_node(m, "Mul", "sum x", "y");
    onnx_maker_output(m, "y", QR_ONNX_FLOAT, 1, DIMS(-1));
    qr_onnx_graph *graph = onnx_maker_open(m);
    onnx_maker_destroy(m);
    return graph;
}

Test(run, computes_and_frees_what_nobody_reads_any_more) {
    qr_onnx_graph *graph = small_graph();
    const size_t sum = onnx_maker_value(graph, "sum");
    qr_onnx_run *run = run_of(graph, (qr_onnx_run_options){0});
    feed(run, graph, 0, 2, (float[]){1, 2});
    forward(run);
    expect_numbers(run, graph->outputs[0], 2, (float[]){11, 44});
    cr_expect_null(qr_onnx_run_value(run, sum), "what was read is freed");
    cr_expect_not_null(qr_onnx_run_value(run, onnx_maker_value(graph, "w")));
    qr_onnx_run_destroy(run);
    run = run_of(graph, (qr_onnx_run_options){.keep = true});
    feed(run, graph, 0, 2, (float[]){1, 2});
    forward(run);
    expect_numbers(run, sum, 2, (float[]){11, 22});
    qr_onnx_run_destroy(run);
    qr_onnx_run_destroy(NULL);
    qr_onnx_close(graph);
}

/* Three numbers are fed; each node makes as many. */
static qr_status run_with_most(bool keep, size_t most, qr_error *error) {
    onnx_maker *m = onnx_maker_create(17);
    onnx_maker_input(m, "x", QR_ONNX_FLOAT, 1, DIMS(3));
    onnx_maker_node(m, "Neg", "x", "a");
    onnx_maker_node(m, "Neg", "a", "b");
    onnx_maker_node(m, "Neg", "b", "c");
    onnx_maker_output(m, "c", QR_ONNX_FLOAT, 1, DIMS(3));
    qr_onnx_graph *graph = onnx_maker_open(m);
    onnx_maker_destroy(m);
    qr_onnx_run *run = run_of(graph, (qr_onnx_run_options){.keep = keep, .most = most});
    feed(run, graph, 0, 3, (float[]){1, 2, 3});
    qr_status status = qr_onnx_run_forward(run, error);
    if (status == QR_OK)
        status = qr_onnx_run_forward(run, error); /* what the first left does not count */
    qr_onnx_run_destroy(run);
    qr_onnx_close(graph);
    return status;
}

Test(run, holds_as_many_numbers_as_it_may) {
    qr_error error = {0};
    cr_expect_eq(run_with_most(false, 6, &error), QR_OK, "%s", error.message);
    cr_expect_eq(run_with_most(true, 9, &error), QR_OK, "%s", error.message);
    cr_expect_eq(run_with_most(false, 5, &error), QR_BAD_MODEL);
    cr_expect_not_null(strstr(error.message, "`b/n` (Neg): its output has too many numbers"), "%s",
                       error.message);
    cr_expect_eq(run_with_most(true, 8, &error), QR_BAD_MODEL);
    cr_expect_not_null(strstr(error.message, "`c/n` (Neg)"), "%s", error.message);
}

Test(run, runs_again_with_other_numbers) {
    qr_onnx_graph *graph = small_graph();
    qr_onnx_run *run = run_of(graph, (qr_onnx_run_options){.keep = true});
    feed(run, graph, 0, 2, (float[]){1, 2});
    forward(run);
    feed(run, graph, 0, 1, (float[]){3});
    forward(run);
    expect_numbers(run, graph->outputs[0], 2, (float[]){39, 69});
    forward(run); /* what was fed stays */
    expect_numbers(run, graph->outputs[0], 2, (float[]){39, 69});
    qr_onnx_run_destroy(run);
    qr_onnx_close(graph);
}

Test(run, names_an_input_that_was_not_fed) {
    qr_onnx_graph *graph = small_graph();
    qr_onnx_run *run = run_of(graph, (qr_onnx_run_options){0});
    qr_error error = {0};
    cr_expect_eq(qr_onnx_run_forward(run, &error), QR_BAD_MODEL);
    cr_expect_not_null(strstr(error.message, "input `x` was not fed"), "%s", error.message);
    qr_onnx_run_destroy(run);
    qr_onnx_close(graph);
}

Test(run, names_the_node_that_it_cannot_run) {
    onnx_maker *m = onnx_maker_create(17);
    qr_error error = {0};
    onnx_maker_input(m, "x", QR_ONNX_FLOAT, 1, DIMS(-1));
    onnx_maker_node(m, "Neg", "x", "a");
    onnx_maker_node(m, "NoSuchThing", "a", "y");
    onnx_maker_output(m, "y", QR_ONNX_FLOAT, 1, DIMS(-1));
    qr_onnx_graph *graph = onnx_maker_open(m);
    onnx_maker_destroy(m);
    cr_expect_not(qr_onnx_knows("", "NoSuchThing"));
    cr_expect(qr_onnx_knows("", "MatMul"));
    cr_expect(qr_onnx_knows("ai.onnx", "MatMul"));
    cr_expect(qr_onnx_knows("com.microsoft", "Attention"));
    qr_onnx_run *run = run_of(graph, (qr_onnx_run_options){0});
    feed(run, graph, 0, 1, (float[]){3});
    cr_expect_eq(qr_onnx_run_forward(run, &error), QR_BAD_MODEL);
    cr_expect_not_null(strstr(error.message, "NoSuchThing"), "%s", error.message);
    cr_expect_not_null(strstr(error.message, "y/n"), "%s", error.message);
    qr_onnx_run_destroy(run);
    qr_onnx_close(graph);
}

Test(run, an_output_may_be_an_input_or_a_constant) {
    onnx_maker *m = onnx_maker_create(17);
    onnx_maker_input(m, "x", QR_ONNX_FLOAT, 1, DIMS(-1));
    onnx_maker_floats(m, "w", 1, DIMS(2), (float[]){10, 20});
    onnx_maker_node(m, "Identity", "x", "unused");
    onnx_maker_output(m, "x", QR_ONNX_FLOAT, 1, DIMS(-1));
    onnx_maker_output(m, "w", QR_ONNX_FLOAT, 1, DIMS(2));
    qr_onnx_graph *graph = onnx_maker_open(m);
    onnx_maker_destroy(m);
    qr_onnx_run *run = run_of(graph, (qr_onnx_run_options){0});
    feed(run, graph, 0, 2, (float[]){1, 2});
    forward(run);
    expect_numbers(run, graph->outputs[0], 2, (float[]){1, 2});
    expect_numbers(run, graph->outputs[1], 2, (float[]){10, 20});
    cr_expect_null(qr_onnx_run_value(run, onnx_maker_value(graph, "unused")));
    qr_onnx_run_destroy(run);
    qr_onnx_close(graph);
}

static const qr_onnx_node *producer_of(const qr_onnx_graph *graph, const char *value) {
    const qr_onnx_value *v = &graph->values[onnx_maker_value(graph, value)];
    cr_assert_neq(v->producer, QR_ONNX_NONE);
    return &graph->nodes[v->producer];
}

static void fold(qr_onnx_graph *graph) {
    qr_error error = {0};
    cr_assert_eq(qr_onnx_fold(graph, &error), QR_OK, "%s", error.message);
}

Test(fold, makes_constants_of_what_depends_on_no_input) {
    onnx_maker *m = onnx_maker_create(17);
    onnx_maker_input(m, "x", QR_ONNX_FLOAT, 1, DIMS(-1));
    onnx_maker_floats(m, "w", 1, DIMS(2), (float[]){10, 20});
    onnx_maker_node(m, "Add", "w w", "twice");
    onnx_maker_node(m, "Identity", "twice", "same");
    onnx_maker_node(m, "Add", "x same", "y");
    onnx_maker_output(m, "y", QR_ONNX_FLOAT, 1, DIMS(-1));
    qr_onnx_graph *graph = onnx_maker_open(m);
    onnx_maker_destroy(m);
    fold(graph);
    cr_expect(producer_of(graph, "twice")->folded);
    cr_expect(producer_of(graph, "same")->folded);
    cr_expect_not(producer_of(graph, "y")->folded);
    const qr_onnx_tensor *twice = graph->values[onnx_maker_value(graph, "twice")].constant;
    cr_assert_not_null(twice);
    cr_expect_float_eq(twice->floats[1], 40.0f, 1e-6f);
    fold(graph); /* once more: nothing is left to do */
    qr_onnx_run *run = run_of(graph, (qr_onnx_run_options){0});
    feed(run, graph, 0, 2, (float[]){1, 2});
    forward(run);
    expect_numbers(run, graph->outputs[0], 2, (float[]){21, 42});
    qr_onnx_run_destroy(run);
    qr_onnx_close(graph);
}

Test(fold, no_operator_is_random) {
    static const char *const names[] = {"RandomNormal",  "RandomNormalLike",  "Multinomial",
                                        "RandomUniform", "RandomUniformLike", "Bernoulli"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        cr_expect_not(qr_onnx_knows("", names[i]), "%s: folding must leave it alone", names[i]);
}

Test(fold, leaves_what_fails_and_what_is_too_large) {
    onnx_maker *m = onnx_maker_create(17);
    onnx_maker_longs(m, "many", 1, DIMS(3), (int64_t[]){5000, 5000, 10});
    onnx_maker_longs(m, "huge", 1, DIMS(3), (int64_t[]){1 << 20, 1 << 20, 1 << 20});
    onnx_maker_floats(m, "w", 1, DIMS(2), (float[]){10, 20});
    onnx_maker_floats(m, "tall", 2, DIMS(6000, 1), onnx_maker_alloc(m, 6000 * sizeof(float)));
    onnx_maker_node(m, "ConstantOfShape", "many", "bomb");
    onnx_maker_node(m, "ConstantOfShape", "huge", "no_such_memory");
    onnx_maker_node(m, "Expand", "w huge", "expanded");
    onnx_maker_node(m, "Transpose", "tall", "wide");
    onnx_maker_node(m, "MatMul", "tall wide", "square");
    onnx_maker_node(m, "MatMul", "w tall", "misfit");
    onnx_maker_node(m, "NoSuchThing", "w", "unknown");
    onnx_maker_node(m, "Neg", "w", "y");
    onnx_maker_output(m, "y", QR_ONNX_FLOAT, 1, DIMS(2));
    qr_onnx_graph *graph = onnx_maker_open(m);
    onnx_maker_destroy(m);
    fold(graph);
    static const char *const left[] = {"bomb",   "no_such_memory", "expanded",
                                       "square", "misfit",         "unknown"};
    for (size_t i = 0; i < sizeof left / sizeof left[0]; i++) {
        cr_expect_not(producer_of(graph, left[i])->folded, "%s", left[i]);
        cr_expect_null(graph->values[onnx_maker_value(graph, left[i])].constant, "%s", left[i]);
    }
    cr_expect(producer_of(graph, "wide")->folded);
    cr_expect(producer_of(graph, "y")->folded);
    qr_onnx_close(graph);
}

/* A few bytes in a file must not ask for the machine's memory: together constants grow to some
 * times the file's own, and what a run holds at once has its bound. */
static qr_onnx_graph *doubling_graph(bool from_input) {
    onnx_maker *m = onnx_maker_create(17);
    char inputs[32], output[16];
    onnx_maker_input(m, "x", QR_ONNX_FLOAT, 1, DIMS(-1));
    onnx_maker_floats(m, "w", 1, DIMS(2), (float[]){10, 20});
    for (int i = 0; i < 36; i++) {
        const char *from = i > 0 ? output : from_input ? "x" : "w";
        snprintf(inputs, sizeof inputs, "%s %s", from, from);
        snprintf(output, sizeof output, "d%d", i);
        onnx_maker_int(m, onnx_maker_node(m, "Concat", inputs, output), "axis", 0);
    }
    onnx_maker_output(m, output, QR_ONNX_FLOAT, 1, DIMS(-1));
    qr_onnx_graph *graph = onnx_maker_open(m);
    onnx_maker_destroy(m);
    return graph;
}

Test(fold, constants_grow_to_some_size_together) {
    size_t numbers = 0;
    qr_onnx_graph *graph = doubling_graph(false);
    fold(graph);
    for (size_t v = 0; v < graph->value_count; v++)
        if (graph->values[v].constant != NULL)
            numbers += graph->values[v].constant->count;
    cr_expect(numbers > 10000000 && numbers < 17000000, "%zu", numbers);
    cr_expect_not(graph->nodes[graph->node_count - 1].folded);
    qr_onnx_close(graph);
}

Test(run, holds_so_many_numbers_at_once) {
    qr_onnx_graph *graph = doubling_graph(true);
    for (size_t keep = 0; keep < 2; keep++) {
        qr_error error = {0};
        qr_onnx_run *run = run_of(graph, (qr_onnx_run_options){.keep = keep != 0, .most = 1000});
        feed(run, graph, 0, 1, (float[]){1});
        cr_assert_eq(qr_onnx_run_forward(run, &error), QR_BAD_MODEL);
        /* 2 + 4 + ... + 256 are 510; without them 256 + 512 are held together */
        cr_expect_not_null(strstr(error.message, keep != 0 ? "`d8/n`" : "`d9/n`"), "%s",
                           error.message);
        cr_expect_not_null(strstr(error.message, "too many numbers"), "%s", error.message);
        qr_onnx_run_destroy(run);
    }
    qr_onnx_close(graph);
}

Test(run, what_is_freed_may_be_taken_again) {
    onnx_maker *m = onnx_maker_create(17);
    char input[16] = "x", output[16];
    onnx_maker_input(m, "x", QR_ONNX_FLOAT, 1, DIMS(-1));
    onnx_maker_longs(m, "flat", 1, DIMS(1), (int64_t[]){-1});
    for (int i = 0; i < 100; i++) { /* numbers of its own, a view of them, the same ones */
        static const char *const ops[] = {"Neg", "Reshape", "Identity"};
        const char *op = ops[i % 3];
        snprintf(output, sizeof output, "v%d", i);
        if (i % 3 == 1)
            snprintf(input, sizeof input, "v%d flat", i - 1);
        onnx_maker_node(m, op, input, output);
        snprintf(input, sizeof input, "%s", output);
    }
    onnx_maker_output(m, output, QR_ONNX_FLOAT, 1, DIMS(-1));
    qr_onnx_graph *graph = onnx_maker_open(m);
    onnx_maker_destroy(m);
    qr_onnx_run *run = run_of(graph, (qr_onnx_run_options){.most = 4});
    for (int again = 0; again < 3; again++) {
        feed(run, graph, 0, 2, (float[]){1, 2});
        forward(run);
    }
    qr_onnx_run_destroy(run);
    qr_onnx_close(graph);
}

/* Each is small enough by itself. */
Test(fold, adds_no_more_than_it_may) {
    onnx_maker *m = onnx_maker_create(17);
    onnx_maker_longs(m, "many", 1, DIMS(1), (int64_t[]){7 << 20});
    onnx_maker_node(m, "ConstantOfShape", "many", "first");
    onnx_maker_node(m, "ConstantOfShape", "many", "second");
    onnx_maker_node(m, "ConstantOfShape", "many", "third");
    onnx_maker_output(m, "third", QR_ONNX_FLOAT, 1, DIMS(7 << 20));
    qr_onnx_graph *graph = onnx_maker_open(m);
    onnx_maker_destroy(m);
    fold(graph);
    cr_expect(producer_of(graph, "first")->folded);
    cr_expect(producer_of(graph, "second")->folded);
    cr_expect_not(producer_of(graph, "third")->folded);
    qr_onnx_close(graph);
}
