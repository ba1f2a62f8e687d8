/* tests: a ragged batch through a graph that takes padded ones: a small graph that hands its inputs
 * on, and exports with what ONNX Runtime answers. What would be recognised is said by hand. */
#include <criterion/criterion.h>

#include <dirent.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/model/open_import.h"

#define GOLDENS QR_SOURCE_DIR "/tests/golden/onnx"

/* A graph of Casts: each output shows what an input was. */

enum { IDS, MASK, TYPES, POSITIONS, HIDDEN, START, END, TOKEN_LABELS, LABELS, VALUES };
#define NODES (VALUES - HIDDEN)

static size_t places[VALUES];
static qr_onnx_value values[VALUES];
static qr_onnx_node nodes[NODES];
static qr_onnx_attribute to_float, axes;
static const int64_t second[] = {1};
static size_t inputs[4], outputs[NODES];
static qr_onnx_graph graph;
static qr__graph_output kinds[NODES];
static qr__recognised found;
static qr_import import;
static qr_error error;

static void set_node(size_t at, const char *op, size_t from, qr_onnx_attribute *attribute) {
    nodes[at] = (qr_onnx_node){.name = "",
                               .op = op,
                               .domain = "",
                               .inputs = &places[from],
                               .input_count = 1,
                               .outputs = &places[HIDDEN + at],
                               .output_count = 1,
                               .attributes = attribute,
                               .attribute_count = 1};
}

static void setup(void) {
    static const char *const names[VALUES] = {"ids",   "mask", "types", "positions", "hidden",
                                              "start", "end",  "k",     "labels"};
    static const qr__graph_output_kind kind_of[NODES] = {QR__GRAPH_HIDDEN, QR__GRAPH_SPAN_START,
                                                         QR__GRAPH_SPAN_END, QR__GRAPH_TOKEN_LABELS,
                                                         QR__GRAPH_LABELS};
    static const size_t shown[] = {IDS, MASK, POSITIONS, TYPES};
    to_float = (qr_onnx_attribute){.name = "to", .kind = QR_ONNX_ATTR_INT, .i = QR_ONNX_FLOAT};
    axes =
        (qr_onnx_attribute){.name = "axes", .kind = QR_ONNX_ATTR_INTS, .ints = second, .count = 1};
    for (size_t i = 0; i < VALUES; i++) {
        places[i] = i;
        values[i] = (qr_onnx_value){.name = names[i],
                                    .producer = i < HIDDEN ? QR_ONNX_NONE : i - HIDDEN,
                                    .is_input = i < HIDDEN,
                                    .is_output = i >= HIDDEN,
                                    .type = i < HIDDEN ? QR_ONNX_INT64 : QR_ONNX_FLOAT,
                                    .rank = 2,
                                    .dims = {-1, -1}};
    }
    for (size_t i = 0; i < 4; i++) {
        inputs[i] = i;
        found.inputs[i] = (qr__graph_input){i, (qr__graph_input_kind)i};
        set_node(i, "Cast", shown[i], &to_float);
    }
    set_node(4, "ReduceSum", END, &axes); /* of positions: says how far was padded */
    for (size_t i = 0; i < NODES; i++) {
        outputs[i] = HIDDEN + i;
        kinds[i] = (qr__graph_output){HIDDEN + i, kind_of[i]};
    }
    graph = (qr_onnx_graph){.path = "casts.onnx",
                            .opset = 11,
                            .nodes = nodes,
                            .node_count = NODES,
                            .values = values,
                            .value_count = VALUES,
                            .inputs = inputs,
                            .input_count = 4,
                            .outputs = outputs,
                            .output_count = NODES};
    found.graph = &graph;
    found.input_count = 4;
    found.outputs = kinds;
    found.info.hidden = found.info.labels = 1;
    import = (qr_import){.found = &found};
    error = (qr_error){0};
}

TestSuite(import_run, .init = setup);

/* Sequences of 2, 4, 2 and 3 tokens: 1 and more, so that none is like padding. */
static const int32_t ids[] = {11, 12, 21, 22, 23, 24, 31, 32, 41, 42, 43};
static const uint8_t types[] = {0, 1, 0, 0, 1, 1, 1, 1, 0, 1, 0};
static const uint32_t starts[] = {0, 2, 6, 8, 11};
static const qr_batch batch = {ids, types, starts, 4, NULL};
#define TOKENS (sizeof ids / sizeof ids[0])

/* The batch comes back as it went in, and each sequence was padded to `padded` tokens. */
static void expect_casts(const size_t padded[4]) {
    qr_import_run *run;
    cr_assert_eq(qr_import_forward(&import, &batch, false, &run, &error), QR_OK, "%s",
                 error.message);
    const float *hidden = qr_import_output(run, QR_OUTPUT_HIDDEN),
                *span = qr_import_output(run, QR_OUTPUT_SPAN),
                *type = qr_import_output(run, QR_OUTPUT_TOKEN_LABELS),
                *sums = qr_import_output(run, QR_OUTPUT_LABELS);
    cr_assert_null(qr_import_output(run, QR_OUTPUT_POOLED));
    for (size_t b = 0; b < 4; b++) {
        for (size_t t = starts[b]; t < starts[b + 1]; t++) {
            cr_expect_eq(hidden[t], (float)ids[t], "token %zu", t);
            cr_expect_eq(span[2 * t], 1, "its mask");
            cr_expect_eq(span[2 * t + 1], (float)(t - starts[b]), "its position");
            cr_expect_eq(type[t], (float)types[t]);
        }
        cr_expect_eq(sums[b], (float)(padded[b] * (padded[b] - 1) / 2), "%zu: %g", b, sums[b]);
    }
    qr_import_run_destroy(run);
}

Test(import_run, pads_to_the_longest) {
    expect_casts((const size_t[4]){4, 4, 4, 4});
}

Test(import_run, feeds_the_types_that_are_declared) {
    static const qr_onnx_type rows[] = {QR_ONNX_INT32,   QR_ONNX_INT64, QR_ONNX_FLOAT,
                                        QR_ONNX_FLOAT16, QR_ONNX_UINT8, QR_ONNX_DOUBLE};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (size_t v = 0; v < HIDDEN; v++)
            values[v].type = rows[i];
        expect_casts((const size_t[4]){4, 4, 4, 4});
    }
    values[MASK].type = QR_ONNX_BOOL;
    expect_casts((const size_t[4]){4, 4, 4, 4});
}

Test(import_run, fixed_tokens) {
    found.fixed_tokens = 6;
    expect_casts((const size_t[4]){6, 6, 6, 6});
    found.fixed_tokens = 3;
    qr_import_run *run;
    cr_assert_eq(qr_import_forward(&import, &batch, false, &run, &error), QR_BAD_MODEL);
    cr_assert_null(run);
    cr_assert_not_null(strstr(error.message, "at most 3 tokens, not one of 4"), "%s",
                       error.message);
}

Test(import_run, fixed_batches) {
    found.fixed_batch = 3; /* the fourth comes alone, twice repeated */
    expect_casts((const size_t[4]){4, 4, 4, 3});
    found.fixed_batch = 1;
    expect_casts((const size_t[4]){2, 4, 2, 3});
    found.fixed_batch = 8;
    expect_casts((const size_t[4]){4, 4, 4, 4});
}

/* What showed it shows the ids then. */
static void leave_out_mask(void) {
    found.inputs[MASK] = found.inputs[3];
    found.input_count = 3;
    inputs[MASK] = POSITIONS;
    graph.input_count = 3;
    values[MASK].is_input = false;
    nodes[1].inputs = &places[IDS];
}

Test(import_run, without_a_mask_one_length_at_a_time) {
    leave_out_mask();
    qr_import_run *run;
    cr_assert_eq(qr_import_forward(&import, &batch, false, &run, &error), QR_OK, "%s",
                 error.message);
    const float *hidden = qr_import_output(run, QR_OUTPUT_HIDDEN),
                *sums = qr_import_output(run, QR_OUTPUT_LABELS);
    static const float lengths[] = {2, 4, 2, 3};
    for (size_t t = 0; t < TOKENS; t++)
        cr_expect_eq(hidden[t], (float)ids[t], "token %zu", t);
    for (size_t b = 0; b < 4; b++)
        cr_expect_eq(sums[b], lengths[b] * (lengths[b] - 1) / 2, "%zu", b);
    qr_import_run_destroy(run);
    found.fixed_tokens = 4;
    cr_assert_eq(qr_import_forward(&import, &batch, false, &run, &error), QR_BAD_MODEL);
    cr_assert_not_null(strstr(error.message, "sequences of 4 tokens, not one of 2"), "%s",
                       error.message);
}

Test(import_run, positions_may_be_one_row) {
    for (size_t rank = 1; rank <= 2; rank++) {
        size_t both[] = {IDS, POSITIONS};
        values[POSITIONS].rank = rank;
        values[POSITIONS].dims[0] = rank == 2 ? 1 : -1;
        graph.node_count = graph.output_count = 1;
        nodes[0].op = "Add";
        nodes[0].inputs = both;
        nodes[0].input_count = 2;
        nodes[0].attribute_count = 0;
        values[IDS].type = values[POSITIONS].type = QR_ONNX_FLOAT;
        qr_import_run *run;
        cr_assert_eq(qr_import_forward(&import, &batch, false, &run, &error), QR_OK, "%s",
                     error.message);
        const float *hidden = qr_import_output(run, QR_OUTPUT_HIDDEN);
        for (size_t b = 0; b < 4; b++)
            for (size_t t = starts[b]; t < starts[b + 1]; t++)
                cr_expect_eq(hidden[t], (float)(ids[t] + (int)(t - starts[b])), "token %zu", t);
        qr_import_run_destroy(run);
    }
}

Test(import_run, stages_are_cut_too) {
    qr__graph_stage stages[] = {{QR__STAGE_EMBEDDINGS, 0, END},
                                {QR__STAGE_QUERY, 0, QR_ONNX_NONE},
                                {QR__STAGE_INTERMEDIATE, 0, END}};
    found.stages = stages;
    found.stage_count = 3;
    found.info.feed_forward = 5;
    qr_import_run *run;
    cr_assert_eq(qr_import_forward(&import, &batch, false, &run, &error), QR_OK);
    const float *positions = qr_import_stage(run, &stages[0]);
    cr_assert_not_null(positions);
    for (size_t b = 0; b < 4; b++)
        for (size_t t = starts[b]; t < starts[b + 1]; t++)
            cr_expect_eq(positions[t], (float)(t - starts[b]));
    cr_expect_eq(qr_import_stage(run, &stages[0]), positions, "kept");
    cr_expect_null(qr_import_stage(run, &stages[1]));
    cr_expect_null(qr_import_stage(run, &stages[2]), "of another width");
    qr_import_run_destroy(run);
    qr_import_run_destroy(NULL);
}

Test(import_run, an_output_of_another_shape) {
    found.info.hidden = 2;
    qr_import_run *run;
    cr_assert_eq(qr_import_forward(&import, &batch, false, &run, &error), QR_BAD_MODEL);
    cr_assert_not_null(strstr(error.message, "`hidden` has shape [4, 4]"), "%s", error.message);
}

Test(import_run, a_model_that_pools_in_another_way_has_no_measure) {
    kinds[4].kind = QR__GRAPH_POOLED;
    found.info.embedding = 1;
    qr_import_run *run;
    cr_assert_eq(qr_import_forward(&import, &batch, false, &run, &error), QR_OK);
    cr_expect_not_null(qr_import_output(run, QR_OUTPUT_POOLED));
    qr__import_pools_otherwise(&import);
    cr_expect_null(qr_import_output(run, QR_OUTPUT_POOLED));
    qr_import_run_destroy(run);
}

/* Exports. */

static qr__graph_input_kind input_kind(const char *name) {
    return strcmp(name, "attention_mask") == 0   ? QR__GRAPH_MASK
           : strcmp(name, "token_type_ids") == 0 ? QR__GRAPH_TYPES
           : strcmp(name, "position_ids") == 0   ? QR__GRAPH_POSITIONS
                                                 : QR__GRAPH_IDS;
}

static const struct {
    const char *name;
    qr__graph_output_kind kind;
    qr_output output;
    size_t stride, column;
} outputs_of[] = {
    {"hidden", QR__GRAPH_HIDDEN, QR_OUTPUT_HIDDEN, 1, 0},
    {"pooled", QR__GRAPH_POOLED, QR_OUTPUT_POOLED, 1, 0},
    {"span start", QR__GRAPH_SPAN_START, QR_OUTPUT_SPAN, 2, 0},
    {"span end", QR__GRAPH_SPAN_END, QR_OUTPUT_SPAN, 2, 1},
    {"labels", QR__GRAPH_LABELS, QR_OUTPUT_LABELS, 1, 0},
    {"token labels", QR__GRAPH_TOKEN_LABELS, QR_OUTPUT_TOKEN_LABELS, 1, 0},
    {"left out", QR__GRAPH_LEFT_OUT, QR_OUTPUT_HIDDEN, 1, 0},
};

static size_t find_output(const char *kind) {
    size_t at = 0;
    while (strcmp(outputs_of[at].name, kind) != 0)
        at++;
    return at;
}

static size_t size_of(const json_t *facts, const char *key) {
    return (size_t)json_integer_value(json_object_get(facts, key));
}

/* What the recogniser would say of the graph, from the golden's own facts. */
static void tell(const json_t *facts, qr_onnx_graph *opened, qr__recognised *out) {
    const json_t *fixed = json_object_get(facts, "fixed");
    *out = (qr__recognised){.graph = opened};
    out->info.hidden = out->info.embedding = size_of(facts, "hidden");
    out->info.labels = size_of(facts, "labels");
    out->fixed_batch = (size_t)json_integer_value(json_array_get(fixed, 0));
    out->fixed_tokens = (size_t)json_integer_value(json_array_get(fixed, 1));
    out->input_count = opened->input_count;
    for (size_t i = 0; i < opened->input_count; i++)
        out->inputs[i] = (qr__graph_input){opened->inputs[i],
                                           input_kind(opened->values[opened->inputs[i]].name)};
    out->outputs = calloc(opened->output_count, sizeof *out->outputs);
    for (size_t i = 0; i < opened->output_count; i++) {
        const char *name = opened->values[opened->outputs[i]].name;
        const char *kind =
            json_string_value(json_object_get(json_object_get(facts, "outputs"), name));
        out->outputs[i] =
            (qr__graph_output){opened->outputs[i], outputs_of[find_output(kind)].kind};
    }
}

static void read_batch(const json_t *sequences, const json_t *segments, qr_ragged *ragged) {
    qr_ragged_clear(ragged);
    for (size_t b = 0; b < json_array_size(sequences); b++) {
        int32_t sequence[64];
        uint8_t segment[64];
        const json_t *from = json_array_get(sequences, b), *of = json_array_get(segments, b);
        const size_t len = json_array_size(from);
        for (size_t t = 0; t < len; t++) {
            sequence[t] = (int32_t)json_integer_value(json_array_get(from, t));
            segment[t] = (uint8_t)json_integer_value(json_array_get(of, t));
        }
        cr_assert(qr_ragged_add(ragged, sequence, segment, len));
    }
}

/* The greatest difference from what ONNX Runtime gave for an output, by the tolerance. */
static double worst_of(const qr_import_run *run, size_t output, const json_t *expected) {
    const float *got = qr_import_output(run, outputs_of[output].output);
    double worst = 0;
    cr_assert_not_null(got);
    for (size_t i = 0; i < json_array_size(expected); i++) {
        const double b = json_number_value(json_array_get(expected, i)),
                     a = got[i * outputs_of[output].stride + outputs_of[output].column];
        const double off = fabs(a - b) / fmax(1, fabs(b));
        worst = off > worst || isnan(off) ? off : worst;
    }
    return worst;
}

/* ONNX Runtime fuses what a static export quantizes, and some numbers fall on another step then:
 * with its optimizations off it differs from itself by as much. */
static double allowed(const char *name, const json_t *golden) {
    const double said = json_number_value(json_object_get(golden, "tolerance"));
    return strstr(name, "static") == NULL ? said : fmax(said, 0.05);
}

static bool is_known(const qr_onnx_graph *opened) {
    size_t at = 0;
    while (at < opened->node_count && qr_onnx_knows(opened->nodes[at].domain, opened->nodes[at].op))
        at++;
    return at == opened->node_count;
}

static bool check_export(const char *name) {
    char path[512];
    qr_ragged ragged;
    qr_onnx_graph *opened;
    qr__recognised told;
    snprintf(path, sizeof path, GOLDENS "/%s/expected.json", name);
    json_t *golden = json_load_file(path, 0, NULL);
    cr_assert_not_null(golden, "%s", path);
    snprintf(path, sizeof path, GOLDENS "/%s/model.onnx", name);
    cr_assert_eq(qr_onnx_open(path, &opened, &error), QR_OK, "%s", error.message);
    tell(json_object_get(golden, "facts"), opened, &told);
    const qr_import made = {.found = &told};
    const json_t *batches = json_object_get(golden, "batches");
    const double tolerance = allowed(name, golden);
    const bool known = is_known(opened);
    cr_assert(qr_ragged_init(&ragged, 512, 16));
    for (size_t i = 0; known && i < json_array_size(batches); i++) {
        const json_t *one = json_array_get(batches, i), *answers = json_object_get(one, "outputs");
        qr_import_run *run;
        read_batch(json_object_get(one, "ids"), json_object_get(one, "types"), &ragged);
        cr_assert_eq(qr_import_forward(&made, &ragged.batch, false, &run, &error), QR_OK, "%s",
                     error.message);
        for (size_t o = 0; o < opened->output_count; o++) {
            const char *output = opened->values[opened->outputs[o]].name;
            const char *kind = json_string_value(json_object_get(
                json_object_get(json_object_get(golden, "facts"), "outputs"), output));
            if (strcmp(kind, "left out") == 0)
                continue;
            const double worst = worst_of(run, find_output(kind), json_object_get(answers, output));
            cr_expect(worst <= tolerance, "%s, batch %zu, %s: off by %g", name, i, output, worst);
        }
        qr_import_run_destroy(run);
    }
    qr_ragged_deinit(&ragged);
    free(told.outputs);
    qr_onnx_close(opened);
    json_decref(golden);
    return known;
}

Test(import_run, exports_answer_as_in_onnx_runtime, .timeout = 300) {
    DIR *all = opendir(GOLDENS);
    size_t checked = 0;
    cr_assert_not_null(all);
    for (struct dirent *entry = readdir(all); entry != NULL; entry = readdir(all)) {
        if (strchr(entry->d_name, '.') != NULL)
            continue;
        checked += check_export(entry->d_name);
    }
    closedir(all);
    cr_expect_geq(checked, 50);
}
