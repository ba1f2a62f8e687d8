/* What is read of a file: tensors of every type in every place, attributes, declared shapes, order,
 * data in files beside it. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "onnx_maker.h"

static onnx_maker *m;

static void set_up(void) {
    m = onnx_maker_create(17);
}
static void tear_down(void) {
    onnx_maker_destroy(m);
}

TestSuite(onnx_read, .init = set_up, .fini = tear_down);

/* The constant of that name. */
static const qr_onnx_tensor *constant(const qr_onnx_graph *graph, const char *name) {
    const qr_onnx_tensor *tensor = graph->values[onnx_maker_value(graph, name)].constant;
    cr_assert_not_null(tensor, "%s", name);
    return tensor;
}

static double number(const qr_onnx_tensor *tensor, size_t at) {
    return tensor->floats != NULL ? (double)tensor->floats[at] : (double)qr_onnx_int(tensor, at);
}

static const int64_t three[] = {3};

/* One tensor of three numbers: as raw bytes, and what they are. */
static const struct row {
    qr_onnx_type type;
    const char *name;
    size_t bytes;
    const void *raw;
    double numbers[3];
} rows[] = {
    {QR_ONNX_FLOAT, "float32", 12, (float[]){1.5f, -2, 1e30f}, {1.5, -2, (double)1e30f}},
    {QR_ONNX_DOUBLE, "float64", 24, (double[]){1.5, -0.25, 3}, {1.5, -0.25, 3}},
    {QR_ONNX_FLOAT16,
     "float16",
     6,
     (uint16_t[]){0x3e00, 0xc001, 0x0001},
     {1.5, -2.001953125, 0x1p-24}},
    {QR_ONNX_BFLOAT16, "bfloat16", 6, (uint16_t[]){0x3fc0, 0xc000, 0x7f80}, {1.5, -2, INFINITY}},
    {QR_ONNX_INT8, "int8", 3, (int8_t[]){-128, 127, -1}, {-128, 127, -1}},
    {QR_ONNX_UINT8, "uint8", 3, (uint8_t[]){0, 255, 128}, {0, 255, 128}},
    {QR_ONNX_BOOL, "bool", 3, (uint8_t[]){0, 1, 1}, {0, 1, 1}},
    {QR_ONNX_INT16, "int16", 6, (int16_t[]){-32768, 32767, -1}, {-32768, 32767, -1}},
    {QR_ONNX_UINT16, "uint16", 6, (uint16_t[]){0, 65535, 7}, {0, 65535, 7}},
    {QR_ONNX_INT32, "int32", 12, (int32_t[]){INT32_MIN, INT32_MAX, -1}, {INT32_MIN, INT32_MAX, -1}},
    {QR_ONNX_UINT32, "uint32", 12, (uint32_t[]){0, UINT32_MAX, 7}, {0, UINT32_MAX, 7}},
    {QR_ONNX_INT64, "int64", 24, (int64_t[]){-(1ll << 53), 1ll << 53, -1}, {-0x1p53, 0x1p53, -1}},
    {QR_ONNX_UINT64, "uint64", 24, (int64_t[]){0, 1ll << 53, 7}, {0, 0x1p53, 7}},
};
#define ROWS (sizeof rows / sizeof rows[0])

static void check_rows(const qr_onnx_graph *graph, const char *place) {
    for (size_t i = 0; i < ROWS; i++) {
        const qr_onnx_tensor *tensor = constant(graph, rows[i].name);
        cr_assert_eq(tensor->type, rows[i].type);
        cr_assert(tensor->rank == 1 && tensor->shape[0] == 3 && tensor->count == 3);
        cr_assert_eq(tensor->floats != NULL, qr_onnx_is_float(rows[i].type));
        cr_assert_eq(tensor->bytes != NULL, qr_onnx_is_bytes(rows[i].type));
        for (size_t k = 0; k < 3; k++)
            cr_assert_eq(number(tensor, k), rows[i].numbers[k], "%s in %s, %zu", rows[i].name,
                         place, k);
    }
}

Test(onnx_read, raw_tensors) {
    for (size_t i = 0; i < ROWS; i++)
        onnx_maker_initializer(m, rows[i].name, (int)rows[i].type, 1, three, rows[i].raw,
                               rows[i].bytes);
    qr_onnx_graph *graph = onnx_maker_open(m);
    check_rows(graph, "raw data");
    cr_assert_null(constant(graph, "float32")->owned); /* borrowed */
    qr_onnx_close(graph);
}

/* The numbers of `row` in the typed field that ONNX gives its type. */
static void set_typed(Onnx__TensorProto *t, const struct row *row) {
    int32_t *ints = onnx_maker_alloc(m, 3 * sizeof *ints);
    uint64_t *longs = onnx_maker_alloc(m, 3 * sizeof *longs);
    t->has_raw_data = 0;
    for (size_t i = 0; i < 3; i++) {
        ints[i] = qr_onnx_is_float(row->type) ? ((const uint16_t *)row->raw)[i]
                                              : (int32_t)fmin(row->numbers[i], INT32_MAX);
        longs[i] = row->numbers[i] < 0 ? (uint64_t)(int64_t)row->numbers[i]
                                       : (uint64_t)fmin(row->numbers[i], 0x1p60);
    }
    if (row->type == QR_ONNX_FLOAT)
        t->n_float_data = 3, t->float_data = (float *)(uintptr_t)row->raw;
    else if (row->type == QR_ONNX_DOUBLE)
        t->n_double_data = 3, t->double_data = (double *)(uintptr_t)row->raw;
    else if (row->type == QR_ONNX_INT64)
        t->n_int64_data = 3, t->int64_data = (int64_t *)(uintptr_t)row->raw;
    else if (row->type == QR_ONNX_UINT64 || row->type == QR_ONNX_UINT32)
        t->n_uint64_data = 3, t->uint64_data = longs;
    else
        t->n_int32_data = 3, t->int32_data = ints;
}

Test(onnx_read, typed_tensors) {
    for (size_t i = 0; i < ROWS; i++)
        set_typed(onnx_maker_initializer(m, rows[i].name, (int)rows[i].type, 1, three, "", 0),
                  &rows[i]);
    qr_onnx_graph *graph = onnx_maker_open(m);
    check_rows(graph, "typed fields");
    qr_onnx_close(graph);
}

static void add_external(Onnx__TensorProto *t, const char *key, const char *value) {
    if (t->external_data == NULL)
        t->external_data = onnx_maker_alloc(m, 8 * sizeof(void *));
    Onnx__StringStringEntryProto *entry = onnx_maker_alloc(m, sizeof *entry);
    onnx__string_string_entry_proto__init(entry);
    entry->key = onnx_maker_text(m, key);
    entry->value = onnx_maker_text(m, value);
    t->external_data[t->n_external_data++] = entry;
    t->has_data_location = 1;
    t->data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
    t->has_raw_data = 0;
}

/* Two files beside it, in turn; one tensor takes the whole of a third, without offset or length. */
Test(onnx_read, external_tensors) {
    char dir[] = "/tmp/querent-onnx-XXXXXX";
    char path[64];
    uint8_t data[2][512];
    size_t used[2] = {0, 0};
    cr_assert_not_null(mkdtemp(dir));
    for (size_t i = 0; i < ROWS; i++) {
        char text[32];
        const size_t file = i % 2;
        Onnx__TensorProto *t =
            onnx_maker_initializer(m, rows[i].name, (int)rows[i].type, 1, three, "", 0);
        add_external(t, "location", file == 0 ? "even.data" : "odd.data");
        snprintf(text, sizeof text, "%zu", used[file] + 1); /* not aligned */
        add_external(t, "offset", text);
        snprintf(text, sizeof text, "%zu", rows[i].bytes);
        add_external(t, "length", text);
        add_external(t, "checksum", "?"); /* nobody's business */
        memcpy(data[file] + used[file] + 1, rows[i].raw, rows[i].bytes);
        used[file] += rows[i].bytes + 1;
    }
    add_external(onnx_maker_initializer(m, "all", QR_ONNX_FLOAT, 1, three, "", 0), "location",
                 "all.data");
    snprintf(path, sizeof path, "%s/even.data", dir);
    onnx_maker_write_bytes(path, data[0], used[0]);
    snprintf(path, sizeof path, "%s/odd.data", dir);
    onnx_maker_write_bytes(path, data[1], used[1]);
    snprintf(path, sizeof path, "%s/all.data", dir);
    onnx_maker_write_bytes(path, rows[0].raw, 12);
    snprintf(path, sizeof path, "%s/model.onnx", dir);
    onnx_maker_write(m, path);
    qr_onnx_graph *graph = NULL;
    qr_error error = {0};
    const qr_status status = qr_onnx_open(path, &graph, &error);
    static const char *const names[] = {"even.data", "odd.data", "all.data", "model.onnx"};
    for (size_t i = 0; i < 4; i++) { /* what was read is ours: the files may go */
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        cr_assert_eq(unlink(path), 0);
    }
    cr_assert_eq(rmdir(dir), 0);
    cr_assert_eq(status, QR_OK, "%s", error.message);
    check_rows(graph, "files beside it");
    cr_assert_eq(constant(graph, "all")->floats[0], 1.5f);
    qr_onnx_close(graph);
}

Test(onnx_read, empty_and_single_numbers) {
    onnx_maker_longs(m, "one", 0, NULL, (int64_t[]){7});
    onnx_maker_floats(m, "none", 2, (int64_t[]){0, 4}, NULL);
    qr_onnx_graph *graph = onnx_maker_open(m);
    const qr_onnx_tensor *one = constant(graph, "one");
    cr_assert(one->rank == 0 && one->count == 1 && one->longs[0] == 7);
    const qr_onnx_tensor *none = constant(graph, "none");
    cr_assert(none->rank == 2 && none->shape[0] == 0 && none->shape[1] == 4 && none->count == 0);
    qr_onnx_close(graph);
}

Test(onnx_read, attributes) {
    onnx_maker_input(m, "x", QR_ONNX_FLOAT, 1, (int64_t[]){-1});
    Onnx__NodeProto *node = onnx_maker_node(m, "com.microsoft:Attention", "x - x", "y - z");
    onnx_maker_int(m, node, "heads", -12);
    onnx_maker_float(m, node, "scale", 0.25f);
    onnx_maker_string(m, node, "equation", "bij,bjk->bik");
    onnx_maker_ints(m, node, "perm", 3, (int64_t[]){0, 2, -1});
    onnx_maker_attr_floats(m, node, "floats", 2, (float[]){1.5f, -1});
    onnx_maker_attr_tensor(m, node, "value",
                           onnx_maker_tensor(m, "", QR_ONNX_INT8, 1, three, "\1\2\3", 3));
    onnx_maker_attr_tensor(m, node, "texts",
                           onnx_maker_tensor(m, "", QR_ONNX_STRING, 1, three, "", 0));
    Onnx__AttributeProto *body = onnx_maker_int(m, node, "body", 0);
    body->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH;
    body->g = onnx_maker_alloc(m, sizeof *body->g);
    onnx__graph_proto__init(body->g);
    qr_onnx_graph *graph = onnx_maker_open(m);
    const qr_onnx_node *n = &graph->nodes[0];
    cr_assert_eq(n->attribute_count, 8);
    cr_assert_str_eq(n->op, "Attention");
    cr_assert_str_eq(n->domain, "com.microsoft");
    cr_assert(n->input_count == 3 && n->inputs[1] == QR_ONNX_NONE && n->inputs[0] == n->inputs[2]);
    cr_assert(n->output_count == 3 && n->outputs[1] == QR_ONNX_NONE);
    cr_assert_eq(qr_onnx_attribute_int(n, "heads", 1), -12);
    cr_assert_eq(qr_onnx_attribute_int(n, "scale", 1), 1); /* of another kind */
    cr_assert_eq(qr_onnx_attribute_int(n, "absent", 1), 1);
    cr_assert_eq(qr_onnx_attribute_float(n, "scale", 1), 0.25f);
    cr_assert_eq(qr_onnx_attribute_float(n, "heads", 1), 1);
    cr_assert_str_eq(qr_onnx_attribute_text(n, "equation", ""), "bij,bjk->bik");
    cr_assert_str_eq(qr_onnx_attribute_text(n, "absent", "none"), "none");
    const qr_onnx_attribute *perm = qr_onnx_find_attribute(n, "perm");
    cr_assert(perm->kind == QR_ONNX_ATTR_INTS && perm->count == 3 && perm->ints[2] == -1);
    const qr_onnx_attribute *floats = qr_onnx_find_attribute(n, "floats");
    cr_assert(floats->kind == QR_ONNX_ATTR_FLOATS && floats->count == 2);
    cr_assert_eq(floats->floats[0], 1.5f);
    const qr_onnx_attribute *value = qr_onnx_find_attribute(n, "value");
    cr_assert(value->kind == QR_ONNX_ATTR_TENSOR && qr_onnx_int(value->t, 2) == 3);
    cr_assert_eq(qr_onnx_find_attribute(n, "texts")->kind, QR_ONNX_ATTR_OTHER);
    cr_assert_eq(qr_onnx_find_attribute(n, "body")->kind, QR_ONNX_ATTR_OTHER);
    cr_assert_null(qr_onnx_find_attribute(n, "absent"));
    qr_onnx_close(graph);
}

Test(onnx_read, constant_nodes_are_values) {
    onnx_maker_attr_tensor(m, onnx_maker_node(m, "Constant", "", "t"), "value",
                           onnx_maker_tensor(m, "", QR_ONNX_FLOAT, 1, three, rows[0].raw, 12));
    onnx_maker_int(m, onnx_maker_node(m, "Constant", "", "i"), "value_int", 5);
    onnx_maker_float(m, onnx_maker_node(m, "ai.onnx:Constant", "", "f"), "value_float", 0.5f);
    onnx_maker_ints(m, onnx_maker_node(m, "Constant", "", "is"), "value_ints", 2,
                    (int64_t[]){1, -1});
    onnx_maker_attr_floats(m, onnx_maker_node(m, "Constant", "", "fs"), "value_floats", 2,
                           (float[]){1, -1});
    onnx_maker_string(m, onnx_maker_node(m, "Constant", "", "unread"), "value_string", "a");
    onnx_maker_node(m, "Add", "f t", "y");
    qr_onnx_graph *graph = onnx_maker_open(m);
    cr_assert_eq(graph->node_count, 1);
    cr_assert_eq(graph->values[onnx_maker_value(graph, "t")].producer, QR_ONNX_NONE);
    cr_assert_eq(constant(graph, "t")->floats[1], -2);
    cr_assert(constant(graph, "i")->rank == 0 && constant(graph, "i")->longs[0] == 5);
    cr_assert(constant(graph, "f")->rank == 0 && constant(graph, "f")->floats[0] == 0.5f);
    cr_assert(constant(graph, "is")->rank == 1 && constant(graph, "is")->longs[1] == -1);
    cr_assert(constant(graph, "fs")->shape[0] == 2 && constant(graph, "fs")->floats[1] == -1);
    cr_assert_null(graph->values[onnx_maker_value(graph, "unread")].constant);
    qr_onnx_close(graph);
}

Test(onnx_read, inputs_and_outputs) {
    onnx_maker_input(m, "x", QR_ONNX_FLOAT, 3, (int64_t[]){-1, 4, 0});
    onnx_maker_input(m, "w", QR_ONNX_FLOAT, 1, three); /* IR 3: an initializer is an input too */
    onnx_maker_input(m, "any", QR_ONNX_INT64, SIZE_MAX, NULL);
    onnx_maker_floats(m, "w", 1, three, rows[0].raw);
    onnx_maker_node(m, "Add", "x w", "y");
    onnx_maker_output(m, "y", QR_ONNX_FLOAT16, 1, (int64_t[]){-1});
    onnx_maker_output(m, "any", QR_ONNX_INT64, SIZE_MAX, NULL);
    m->model->ir_version = 3;
    qr_onnx_graph *graph = onnx_maker_open(m);
    cr_assert(graph->input_count == 2 && graph->output_count == 2);
    const qr_onnx_value *x = &graph->values[graph->inputs[0]];
    cr_assert_str_eq(x->name, "x");
    cr_assert(x->is_input && !x->is_output && x->type == QR_ONNX_FLOAT && x->rank == 3);
    cr_assert(x->dims[0] == -1 && x->dims[1] == 4 && x->dims[2] == 0);
    const qr_onnx_value *any = &graph->values[graph->inputs[1]];
    cr_assert(any->is_input && any->is_output && any->rank == SIZE_MAX);
    cr_assert_eq(graph->outputs[1], graph->inputs[1]);
    const qr_onnx_value *w = &graph->values[onnx_maker_value(graph, "w")];
    cr_assert(!w->is_input && w->constant != NULL && w->producer == QR_ONNX_NONE);
    const qr_onnx_value *y = &graph->values[graph->outputs[0]];
    cr_assert(y->is_output && y->producer == 0 && y->type == QR_ONNX_FLOAT16 && y->rank == 1);
    qr_onnx_close(graph);
}

Test(onnx_read, head) {
    m->model->opset_import[0]->domain = onnx_maker_text(m, "ai.onnx");
    m->model->ir_version = 13; /* newer than the schema */
    qr_onnx_graph *graph = onnx_maker_open(m);
    cr_assert(graph->opset == 17 && graph->ir_version == 13);
    cr_assert_str_eq(graph->producer, "onnx_maker");
    cr_assert_str_eq(graph->producer_version, "1");
    cr_assert_str_eq(graph->name, "main");
    cr_assert(graph->node_count == 0 && graph->value_count == 0);
    qr_onnx_close(graph);
    m->model->producer_name = NULL;
    graph = onnx_maker_open(m);
    cr_assert_str_eq(graph->producer, "");
    qr_onnx_close(graph);
}

/* Each node's inputs come from before it; nodes that are in order stay in it. */
static void check_order(const qr_onnx_graph *graph) {
    for (size_t i = 0; i < graph->node_count; i++) {
        const qr_onnx_node *node = &graph->nodes[i];
        for (size_t k = 0; k < node->input_count; k++) {
            const size_t producer = graph->values[node->inputs[k]].producer;
            cr_assert(producer == QR_ONNX_NONE || producer < i);
        }
        for (size_t k = 0; k < node->output_count; k++)
            cr_assert_eq(graph->values[node->outputs[k]].producer, i);
    }
}

#define CHAIN 2000

Test(onnx_read, order_is_made_and_kept) {
    onnx_maker_input(m, "v0", QR_ONNX_FLOAT, 1, three);
    for (size_t i = 1; i <= CHAIN; i++) {
        char inputs[64];
        char output[32];
        snprintf(inputs, sizeof inputs, "v%zu v%zu", i - 1, i / 2);
        snprintf(output, sizeof output, "v%zu", i);
        onnx_maker_node(m, "Add", inputs, output);
    }
    qr_onnx_graph *graph = onnx_maker_open(m);
    check_order(graph);
    for (size_t i = 0; i < CHAIN; i++)
        cr_assert_str_eq(graph->nodes[i].name, m->graph->node[i]->name);
    qr_onnx_close(graph);
    for (size_t i = 0; i < CHAIN / 2; i++) { /* the last first: the deepest walk */
        Onnx__NodeProto *kept = m->graph->node[i];
        m->graph->node[i] = m->graph->node[CHAIN - 1 - i];
        m->graph->node[CHAIN - 1 - i] = kept;
    }
    graph = onnx_maker_open(m);
    check_order(graph);
    cr_assert_str_eq(graph->nodes[0].name, "v1/n");
    qr_onnx_close(graph);
}

Test(onnx_read, node_texts) {
    char text[256];
    char longest[400] = {0};
    onnx_maker_input(m, "x", QR_ONNX_FLOAT, 1, three);
    onnx_maker_node(m, "Relu", "x", "y");
    onnx_maker_node(m, "Relu", "x", "z")->name = NULL;
    for (size_t i = 0; i < 199; i++) /* 398 bytes of two-byte letters, from an odd place on */
        memcpy(longest + 1 + i * 2, "\xc3\xa9", 2);
    longest[0] = 'a';
    onnx_maker_node(m, "Relu", "x", "q")->name = longest;
    qr_onnx_graph *graph = onnx_maker_open(m);
    qr_onnx_node_text(graph, &graph->nodes[0], text);
    cr_assert_str_eq(text, "node `y/n` (Relu)");
    qr_onnx_node_text(graph, &graph->nodes[1], text);
    cr_assert_str_eq(text, "node `z` (Relu)");
    qr_onnx_node_text(graph, &graph->nodes[2], text);
    cr_assert(qr_utf8_valid(qr_text_of(text)));
    cr_assert_not_null(strstr(text, "` (Relu)"));
    qr_onnx_close(graph);
}

/* A function in the file that no node calls, a type that no node reads: neither is in the way. */
Test(onnx_read, what_nobody_needs_is_skipped) {
    Onnx__FunctionProto *function = onnx_maker_alloc(m, sizeof *function);
    onnx__function_proto__init(function);
    function->name = onnx_maker_text(m, "Mine");
    function->domain = onnx_maker_text(m, "mine");
    m->model->functions = &function;
    m->model->n_functions = 1;
    onnx_maker_initializer(m, "float8", 17, 1, three, "abc", 3);
    onnx_maker_input(m, "x", QR_ONNX_FLOAT, 1, three);
    onnx_maker_node(m, "Mine", "x", "y");
    qr_onnx_graph *graph = onnx_maker_open(m);
    cr_assert_null(graph->values[onnx_maker_value(graph, "float8")].constant);
    qr_onnx_close(graph);
}

/* A field of a newer schema (metadata of a node, IR 10: an entry whose key is `a`) inside what is
 * read. */
Test(onnx_read, newer_fields_are_skipped) {
    uint8_t data[] = {3, 0x0a, 1, 'a'};
    ProtobufCMessageUnknownField field = {9, PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED, sizeof data,
                                          data};
    onnx_maker_input(m, "x", QR_ONNX_FLOAT, 1, three);
    Onnx__NodeProto *node = onnx_maker_node(m, "Relu", "x", "y");
    node->base.n_unknown_fields = 1;
    node->base.unknown_fields = &field;
    qr_onnx_graph *graph = onnx_maker_open(m);
    cr_assert_eq(graph->node_count, 1);
    qr_onnx_close(graph);
}
