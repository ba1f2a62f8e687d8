/* Hostile graphs all the way to a model that runs: real exports (tests/golden/onnx) of which one or
 * two things are changed. Each is refused by name, or loads, is proven and computes; never a crash,
 * a hang or memory without bound. */
#include <criterion/criterion.h>
#include <criterion/logging.h>
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/model/open_import.h"
#include "engine/model/recognise.h"
#include "forward_fixture.h"
#include "fuzz.h"

#define GOLDENS_MOST 128
#define CASE_NS_MOST (60 * (uint64_t)QR_NS_PER_S) /* no verdict about speed: a hang */

/* A whole load takes thousands of times as long as to refuse a header: of the long run's number one
 * in so many. */
#define FILES_OF  20
#define GRAPHS_OF 5

/* ---- The exports ---- */

typedef struct golden_graph {
    char dir[512];
    char *bytes;
    size_t len;
    bool *kept; /* [len]: large raw data, where a change is only another weight */
} golden_graph;

static golden_graph goldens[GOLDENS_MOST];
static size_t golden_count;
static char dir[64];

/* A varint; false: none. */
static bool read_varint(const golden_graph *g, size_t *at, size_t end, uint64_t *out) {
    *out = 0;
    for (unsigned shift = 0; shift < 64 && *at < end; shift += 7) {
        const uint8_t byte = (uint8_t)g->bytes[(*at)++];
        *out |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return true;
    }
    return false;
}

/* Marks the raw data of initializers: field 9 of field 5 of field 7. */
static void mark_raw(golden_graph *g, size_t at, size_t end, const unsigned *path) {
    uint64_t key, len;
    while (at < end && read_varint(g, &at, end, &key)) {
        if ((key & 7) == 2) {
            if (!read_varint(g, &at, end, &len) || len > end - at)
                return;
            if (key >> 3 == path[0] && path[1] != 0)
                mark_raw(g, at, at + (size_t)len, path + 1);
            else if (key >> 3 == path[0] && len > 64)
                memset(g->kept + at + 8, true, (size_t)len - 8);
            at += (size_t)len;
        } else if ((key & 7) == 0) {
            if (!read_varint(g, &at, end, &len))
                return;
        } else {
            at += (key & 7) == 5 ? 4 : 8;
        }
    }
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const golden_graph *)a)->dir, ((const golden_graph *)b)->dir);
}

static void set_up(void) {
    static const char root[] = QR_SOURCE_DIR "/tests/golden/onnx";
    DIR *stream = opendir(root);
    cr_assert_not_null(stream);
    for (struct dirent *d = readdir(stream); d != NULL; d = readdir(stream)) {
        golden_graph *g = &goldens[golden_count];
        cr_assert_lt(golden_count, GOLDENS_MOST);
        snprintf(g->dir, sizeof g->dir, "%s/%s", root, d->d_name);
        if (d->d_name[0] != '.' && qr_file_exists(g->dir, "model.onnx") &&
            !qr_file_exists(g->dir, "model.onnx.data"))
            golden_count++;
    }
    closedir(stream);
    cr_assert_gt(golden_count, 40);
    qsort(goldens, golden_count, sizeof goldens[0], by_name);
    for (size_t i = 0; i < golden_count; i++) {
        golden_graph *g = &goldens[i];
        g->bytes = read_file(g->dir, "model.onnx", &g->len);
        g->kept = calloc(g->len, sizeof *g->kept);
        mark_raw(g, 0, g->len, (const unsigned[]){7, 5, 9, 0});
    }
    temp_dir_create(dir);
}

static void tear_down(void) {
    for (size_t i = 0; i < golden_count; i++) {
        free(goldens[i].bytes);
        free(goldens[i].kept);
    }
    golden_count = 0;
    temp_dir_remove(dir);
}

TestSuite(import_fuzz, .init = set_up, .fini = tear_down, .timeout = 7200);

/* ---- Files ---- */

static size_t place(const golden_graph *g) {
    size_t at = fuzz_below(g->len);
    while (g->kept[at])
        at = fuzz_below(g->len);
    return at;
}

static void mutate_byte(const golden_graph *g, char *bytes) {
    const size_t at = place(g);
    const size_t len = qr_min(1 + fuzz_below(8), g->len - at);
    const size_t from = qr_min(place(g), g->len - len);
    switch (fuzz_below(5)) {
    case 0:
        bytes[at] = (char)fuzz_below(256);
        break;
    case 1:
        bytes[at] = (char)(bytes[at] ^ 1 << fuzz_below(8));
        break;
    case 2: /* small numbers: types, axes, ranks, lengths */
        bytes[at] = (char)fuzz_below(16);
        break;
    case 3: /* a digit: names of values are numbered */
        for (size_t i = at; i < g->len && !g->kept[i]; i++)
            if (bytes[i] >= '0' && bytes[i] <= '9') {
                bytes[i] = (char)('0' + fuzz_below(10));
                break;
            }
        break;
    default: /* one piece over another */
        memmove(bytes + at, bytes + from, len);
    }
}

/* A status that a hostile file may have, with a message that says something. */
static void check_refusal(qr_status status, const qr_error *error, const char *golden) {
    (void)golden; /* the plain runner shows no messages */
    cr_assert(status == QR_BAD_MODEL || status == QR_TOO_LARGE || status == QR_NO_MEMORY,
              "%s: status %d: %s", golden, (int)status, error->message);
    cr_assert(strlen(error->message) > 10, "%s: %s", golden, error->message);
    cr_assert(qr_utf8_valid(qr_text_of(error->message)), "%s: %s", golden, error->message);
}

/* What loads and is proven also computes. */
static void compute(const qr_engine *engine, const char *golden) {
    (void)golden;
    const qr_model_info *info = qr_engine_model(engine);
    struct forward_batch texts;
    const float *made;
    size_t longest = qr_min(info->positions, 5);
    qr_context *context = forward_context(engine, NULL);
    forward_draw(&texts, info, (size_t[]){longest, 1, 0}, 5);
    cr_assert_eq(qr_context_forward(context, &texts.batch, QR_OUTPUT_HIDDEN, &made), QR_OK);
    for (size_t i = 0; i < (longest + 1) * info->hidden; i++)
        cr_assert(isfinite(made[i]), "%s: %g", golden, (double)made[i]);
    qr_context_destroy(context);
}

/* True: the model in `dir` was taken. */
static bool load(const char *golden) {
    const qr_engine_options options = {.precision = QR_PRECISION_F32, .cache_dir = "none"};
    qr_engine *engine = NULL;
    qr_model *model = NULL;
    qr_error error = {0};
    qr_status status = qr_model_open(dir, &model, &error);
    if (status == QR_OK)
        status = qr_engine_create(model, &options, &engine, &error);
    if (status == QR_OK)
        compute(engine, golden);
    else
        check_refusal(status, &error, golden);
    qr_engine_destroy(engine);
    qr_model_close(model);
    return status == QR_OK;
}

Test(import_fuzz, mutated_files) {
    const size_t count = fuzz_runs(1000 * FILES_OF) / FILES_OF;
    size_t accepted = 0;
    uint64_t slowest = 0;
    for (size_t run = 0; run < count; run++) {
        const golden_graph *g = &goldens[run % golden_count];
        const uint64_t begin = qr_clock_ns();
        char *bytes = malloc(g->len);
        memcpy(bytes, g->bytes, g->len);
        for (size_t i = 1 + fuzz_below(2); i > 0; i--)
            mutate_byte(g, bytes);
        write_file(dir, "model.onnx", bytes, g->len);
        free(bytes);
        accepted += load(g->dir);
        slowest = qr_max(slowest, qr_clock_ns() - begin);
        cr_assert_lt(slowest, CASE_NS_MOST, "run %zu: %s", run, g->dir);
    }
    cr_log_info("%zu mutated files, %zu accepted, the slowest %.0f ms", count, accepted,
                (double)slowest / 1e6);
    cr_assert(accepted > count / 50 && accepted < count);
}

/* ---- Graphs ---- */

/* A value that stands before node n: mostly one of those just before it. */
static size_t earlier_value(const qr_onnx_graph *graph, size_t n) {
    for (;;) {
        const size_t value = fuzz_below(graph->value_count);
        const qr_onnx_value *v = &graph->values[value];
        if (v->producer == QR_ONNX_NONE ? v->is_input || v->constant != NULL : v->producer < n)
            return value;
    }
}

static void mutate_number(qr_onnx_tensor *tensor) {
    static const float floats[] = {0, 1, -1, 0.5f, 1e-12f, -INFINITY, NAN, 3e38f, 1e30f, 8};
    static const int64_t longs[] = {0, 1, -1, 2, 3, 4, 8, 7, 32, -2, INT64_MAX, INT64_MIN, 1000000};
    if (tensor == NULL || tensor->count == 0)
        return;
    const size_t at = fuzz_below(tensor->count);
    if (qr_onnx_floats(tensor) != NULL)
        qr_onnx_floats(tensor)[at] = floats[fuzz_below(sizeof floats / sizeof floats[0])];
    else
        qr_onnx_set_int(tensor, at, longs[fuzz_below(sizeof longs / sizeof longs[0])]);
}

static void mutate_attribute(qr_onnx_node *node) {
    static const int64_t ints[] = {0, 1, -1, 2, 3, 4, -3, 7, 100, INT64_MAX, INT64_MIN};
    static const float floats[] = {0, 1, -1, 0.5f, 1e-12f, INFINITY, NAN, 3e38f};
    if (node->attribute_count == 0)
        return;
    qr_onnx_attribute *a = &node->attributes[fuzz_below(node->attribute_count)];
    const int64_t number = ints[fuzz_below(sizeof ints / sizeof ints[0])];
    a->i = number;
    a->f = floats[fuzz_below(sizeof floats / sizeof floats[0])];
    if (a->kind == QR_ONNX_ATTR_INTS && a->count > 0)
        ((int64_t *)(uintptr_t)a->ints)[fuzz_below(a->count)] = number;
    if (a->kind == QR_ONNX_ATTR_TENSOR)
        mutate_number(a->t);
    if (fuzz_below(8) == 0)
        a->name = "axis";
}

/* A small constant: shapes, axes, epsilons, masks' numbers. */
static qr_onnx_tensor *small_constant(const qr_onnx_graph *graph) {
    for (size_t tries = 0; tries < 100; tries++) {
        qr_onnx_tensor *tensor = graph->values[fuzz_below(graph->value_count)].constant;
        if (tensor != NULL && tensor->count < 64)
            return tensor;
    }
    return NULL;
}

/* Rows and columns change places, an axis goes or comes, or there are fewer numbers. */
static void mutate_shape(qr_onnx_tensor *tensor) {
    if (tensor->rank == 0 || tensor->count == 0)
        return;
    size_t *shape = tensor->shape, *last = &shape[tensor->rank - 1];
    switch (fuzz_below(3)) {
    case 0:
        *last = qr_max(*last / 2, 1);
        break;
    case 1: {
        const size_t first = shape[0];
        shape[0] = *last;
        *last = first;
        break;
    }
    default:
        if (tensor->rank < QR_ONNX_RANK_MAX)
            shape[tensor->rank++] = 1;
    }
    tensor->count = 1;
    for (size_t i = 0; i < tensor->rank; i++)
        tensor->count *= shape[i];
}

static void mutate_input(qr_onnx_graph *graph) {
    qr_onnx_value *input = &graph->values[graph->inputs[fuzz_below(graph->input_count)]];
    static const int64_t dims[] = {-1, 1, 2, 3, 8, 40, 41, 4096, INT64_MAX, 0};
    static const qr_onnx_type types[] = {QR_ONNX_FLOAT, QR_ONNX_INT32, QR_ONNX_INT64, QR_ONNX_BOOL,
                                         QR_ONNX_UNDEFINED};
    if (fuzz_below(2) == 0)
        input->type = types[fuzz_below(sizeof types / sizeof types[0])];
    else if (input->rank != SIZE_MAX)
        input->dims[fuzz_below(input->rank + 1)] = dims[fuzz_below(sizeof dims / sizeof dims[0])];
}

static void mutate_graph(qr_onnx_graph *graph) {
    const size_t n = fuzz_below(graph->node_count);
    qr_onnx_node *node = &graph->nodes[n];
    const qr_onnx_node *other = &graph->nodes[fuzz_below(graph->node_count)];
    const size_t kind = fuzz_below(12);
    if (kind < 5 && node->input_count > 0) { /* edges are what recognition is about */
        node->inputs[fuzz_below(node->input_count)] =
            fuzz_below(8) == 0 ? QR_ONNX_NONE : earlier_value(graph, n);
    } else if (kind == 5) {
        node->op = other->op;
        node->domain = other->domain;
    } else if (kind == 6) {
        mutate_attribute(node);
    } else if (kind == 7) {
        mutate_number(small_constant(graph));
    } else if (kind == 8) {
        qr_onnx_tensor *tensor = graph->values[earlier_value(graph, 0)].constant;
        if (tensor != NULL)
            mutate_shape(tensor);
    } else if (kind == 9 && node->input_count > 0) {
        node->input_count--;
    } else if (kind == 10) {
        mutate_input(graph);
    } else {
        const size_t at = fuzz_below(graph->output_count);
        graph->values[graph->outputs[at]].is_output = false;
        graph->outputs[at] = earlier_value(graph, graph->node_count);
        graph->values[graph->outputs[at]].is_output = true;
    }
}

/* Every promise of recognised.h that can be checked without knowing the model. */
static void check_found(const qr__recognised *found, const char *golden) {
    (void)golden;
    const qr_onnx_graph *graph = found->graph;
    cr_assert(found->info.layers > 0 && found->info.heads > 0 && found->info.hidden > 0, "%s",
              golden);
    cr_assert_eq(found->info.hidden % found->info.heads, 0, "%s", golden);
    cr_assert_lt(strlen(found->style), sizeof found->style);
    for (size_t i = 0; i < found->input_count; i++)
        cr_assert(graph->values[found->inputs[i].value].is_input, "%s", golden);
    for (size_t i = 0; i < graph->output_count; i++)
        cr_assert_eq(found->outputs[i].value, graph->outputs[i], "%s", golden);
    for (size_t i = 0; i < found->stage_count; i++)
        cr_assert(found->stages[i].value == QR_ONNX_NONE ||
                      found->stages[i].value < graph->value_count,
                  "%s", golden);
}

/* Reads one matrix and one vector of each layer: they lie within what the graph holds. */
static void read_weights(const qr__recognised *found) {
    const size_t C = found->info.hidden, F = found->info.feed_forward;
    float *to = malloc(qr_max(C * F, 1) * sizeof *to);
    for (size_t l = 0; l < found->info.layers; l++) {
        char name[96];
        qr_error error = {0};
        snprintf(name, sizeof name, "encoder.layer.%zu.intermediate.dense.weight", l);
        if (qr__recognised_has(found, name, F, C))
            (void)!qr__recognised_read(found, name, to, &error);
        snprintf(name, sizeof name, "encoder.layer.%zu.output.LayerNorm.bias", l);
        if (qr__recognised_has(found, name, 0, C))
            (void)!qr__recognised_read(found, name, to, &error);
    }
    free(to);
}

Test(import_fuzz, mutated_graphs) {
    const size_t count = fuzz_runs(3000 * GRAPHS_OF) / GRAPHS_OF;
    size_t accepted = 0;
    uint64_t slowest = 0;
    for (size_t run = 0; run < count; run++) {
        const golden_graph *g = &goldens[run % golden_count];
        const uint64_t begin = qr_clock_ns();
        char path[600];
        qr_onnx_graph *graph = NULL;
        qr__recognised *found = NULL;
        qr_error error = {0};
        snprintf(path, sizeof path, "%s/model.onnx", g->dir);
        cr_assert_eq(qr_onnx_open(path, &graph, &error), QR_OK, "%s", error.message);
        for (size_t i = 1 + fuzz_below(2); i > 0; i--)
            mutate_graph(graph);
        const qr_status status = qr__recognise(graph, &found, &error);
        if (status == QR_OK) {
            check_found(found, g->dir);
            read_weights(found);
            accepted++;
            qr__recognised_destroy(found);
        } else {
            check_refusal(status, &error, g->dir);
            cr_assert_null(found);
            qr_onnx_close(graph);
        }
        slowest = qr_max(slowest, qr_clock_ns() - begin);
        cr_assert_lt(slowest, CASE_NS_MOST, "run %zu: %s", run, g->dir);
    }
    cr_log_info("%zu mutated graphs, %zu accepted, the slowest %.0f ms", count, accepted,
                (double)slowest / 1e6);
    cr_assert(accepted > count / 50 && accepted < count);
}
