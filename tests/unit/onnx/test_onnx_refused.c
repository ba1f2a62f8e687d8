/* Every rule of the reader, broken once: refused with the place and the reason (docs/ONNX.md). */
#include <criterion/criterion.h>
#include <criterion/logging.h>
#include <stdio.h>
#include <stdlib.h>

#include "onnx/scan.h"
#include "onnx_maker.h"

static onnx_maker *m;

/* x[-1, 4] times w[4, 3], plus b[3]. */
static void set_up(void) {
    static const float numbers[12] = {1, 2, 3};
    m = onnx_maker_create(17);
    onnx_maker_input(m, "x", QR_ONNX_FLOAT, 2, (int64_t[]){-1, 4});
    onnx_maker_floats(m, "w", 2, (int64_t[]){4, 3}, numbers);
    onnx_maker_floats(m, "b", 1, (int64_t[]){3}, numbers);
    onnx_maker_node(m, "MatMul", "x w", "p");
    onnx_maker_node(m, "Add", "p b", "y");
    onnx_maker_output(m, "y", QR_ONNX_FLOAT, 2, (int64_t[]){-1, 3});
}
static void tear_down(void) {
    onnx_maker_destroy(m);
}

TestSuite(onnx_refused, .init = set_up, .fini = tear_down);

/* The parts of the message, NULL at the end. */
static void check_says(const char *message, const char *const *says) {
    for (; *says != NULL; says++)
        cr_assert_not_null(strstr(message, *says), "\"%s\" does not say \"%s\"", message, *says);
}

/* ---- The wire format ---- */

static void scan_refused(const void *bytes, size_t count, const char *const *says) {
    qr_error error = {0};
    uint8_t *exact = malloc(qr_max(count, 1)); /* so that ASan sees a read past the end */
    memcpy(exact, bytes, count);
    qr__onnx_scan scan = {.path = "f.onnx", .bytes = exact, .count = count, .error = &error};
    cr_assert_eq(qr__onnx_scan_model(&scan), QR_BAD_MODEL, "%s", says[0]);
    check_says(error.message, says);
    cr_assert_not_null(strstr(error.message, "f.onnx: byte "));
    free(exact);
}

#define BYTES(text) text, sizeof text - 1

Test(onnx_refused, wire) {
    static const struct {
        const char *bytes;
        size_t count;
        const char *says[3];
    } rows[] = {
        {BYTES("\x08"), {"ModelProto", "a number has no end"}},
        {BYTES("\x08\xff\xff"), {"a number has no end"}},
        {BYTES("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), {"a number has no end"}},
        {BYTES("\x80"), {"no field has such a tag"}},
        {BYTES("\x00\x00"), {"no field has such a tag"}},                     /* field 0 */
        {BYTES("\x88\x80\x80\x80\x80\x01\x00"), {"no field has such a tag"}}, /* above 32 bits */
        {BYTES("\x0b\x0c"), {"a group"}},
        {BYTES("\x0c"), {"a group"}},
        {BYTES("\x0e"), {"wire type 6"}},
        {BYTES("\x0f"), {"wire type 7"}},
        {BYTES("\x12\x05yz"), {"a length leads outside its message"}},
        {BYTES("\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), {"a length leads outside"}},
        {BYTES("\x3a\x04\x12\x03xyz"), {"GraphProto", "a length leads outside"}},
        {BYTES("\x3a\x80"), {"a length leads outside"}},
        {BYTES("\xfd\x3f\x00\x00\x00"), {"a number leads outside"}}, /* unknown, 32 bits */
        {BYTES("\xf9\x3f\x00\x00\x00\x00\x00\x00\x00"), {"a number leads outside"}}, /* 64 bits */
        {BYTES("\x38\x00"), {"`graph` is written as another type"}},
        {BYTES("\x0a\x00"), {"`ir_version` is written as another type"}},
        {BYTES("\x08\x03\x08\x03"), {"`ir_version` is given twice"}},
        {BYTES("\x3a\x00\x3a\x00"), {"`graph` is given twice"}},
        {BYTES("\x3a\x07\x2a\x05\x22\x03\x00\x00\x00"),
         {"TensorProto", "`float_data` ends inside"}},
        {BYTES("\x3a\x05\x2a\x03\x0a\x01\x80"), {"TensorProto", "`dims` ends inside a number"}},
        {BYTES("\x12\x03"
               "a\nb"),
         {"`producer_name` has control characters"}},
        {BYTES("\x12\x03"
               "a\x7f"
               "b"),
         {"`producer_name` has control characters"}},
        {BYTES("\x12\x03"
               "a\0b"),
         {"`producer_name` has control characters"}},
        {BYTES("\x12\x02"
               "a\xff"),
         {"`producer_name` is not UTF-8"}},
        {BYTES("\x72\x04\x12\x02"
               "a\0"),
         {"StringStringEntryProto", "`value` has control"}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        scan_refused(rows[i].bytes, rows[i].count, rows[i].says);
    cr_log_info("%zu files refused", sizeof rows / sizeof rows[0]);
}

/* `count` copies of `piece`, in a graph or (graph false) in the model. */
static void scan_many(const char *piece, size_t bytes, size_t count, bool graph, const char *says) {
    uint8_t *all = malloc(16 + bytes * count);
    size_t at = 0;
    if (graph) {
        all[at++] = 0x3a;
        for (size_t left = bytes * count;; left >>= 7) {
            all[at++] = (uint8_t)((left & 0x7f) | (left > 0x7f ? 0x80 : 0));
            if (left <= 0x7f)
                break;
        }
    }
    for (size_t i = 0; i < count; i++, at += bytes)
        memcpy(all + at, piece, bytes);
    scan_refused(all, at, (const char *const[]){says, NULL});
    free(all);
}

Test(onnx_refused, too_many) {
    scan_many("\x0a\x00", 2, QR_LIMIT_ONNX_NODES + 1, true, "more than 262144 nodes");
    scan_many("\x2a\x00", 2, QR_LIMIT_ONNX_VALUES + 1, true, "more than 1048576 tensors and names");
    scan_many("\x0a\x08\x0a\x00\x0a\x00\x12\x00\x12\x00", 10, QR_LIMIT_ONNX_VALUES / 4 + 1, true,
              "more than"); /* four names a node */
    scan_many("\x0a\x0a\x2a\x00\x2a\x00\x2a\x00\x2a\x00\x2a\x00", 12, QR_LIMIT_ONNX_VALUES / 5 + 1,
              true, "more than 1048576 attributes");
    /* An empty entry of metadata takes two bytes here and eighty times as many unpacked. */
    scan_many("\x72\x00", 2, 4u << 20, false, "bytes of memory");
    scan_many("\xfa\x07\x00", 3, 5u << 20, false, "bytes of memory"); /* unknown fields too */
}

/* A graph in an attribute of a node of a graph ... : three messages a level. */
static void nest(size_t levels) {
    Onnx__GraphProto *graph = m->graph;
    for (size_t i = 0; i < levels; i++) {
        Onnx__NodeProto *node = onnx_maker_alloc(m, sizeof *node);
        Onnx__GraphProto *inner = onnx_maker_alloc(m, sizeof *inner);
        onnx__node_proto__init(node);
        onnx__graph_proto__init(inner);
        node->op_type = onnx_maker_text(m, "If");
        node->attribute = onnx_maker_alloc(m, 32 * sizeof(void *));
        Onnx__AttributeProto *attribute = onnx_maker_int(m, node, "body", 0);
        attribute->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH;
        attribute->g = inner;
        if (graph->node == NULL)
            graph->node = onnx_maker_alloc(m, sizeof(void *));
        graph->node[graph->n_node++] = node;
        graph = inner;
    }
}

static void refused(const char *const *says) {
    qr_onnx_graph *graph = NULL;
    qr_error error = {0};
    cr_assert_eq(onnx_maker_try(m, &graph, &error), QR_BAD_MODEL, "%s", says[0]);
    cr_assert_null(graph);
    check_says(error.message, says);
}

Test(onnx_refused, depth) {
    nest(4); /* 1 + 1 + 3 * 4 = 14 messages */
    qr_onnx_close(onnx_maker_open(m));
    tear_down();
    set_up();
    nest(5);
    refused((const char *const[]){"nest deeper than 16", NULL});
}

/* ---- The model and its graph ---- */

#define FIRST  m->graph->node[0]
#define SECOND m->graph->node[1]
#define W      m->graph->initializer[0]

static Onnx__TensorProto *three(int type, const void *raw, size_t bytes) {
    return onnx_maker_tensor(m, "", type, 1, (int64_t[]){3}, raw, bytes);
}
static void constant(const char *attribute, Onnx__TensorProto *t) {
    onnx_maker_attr_tensor(m, onnx_maker_node(m, "Constant", "", "c"), attribute, t);
}
static void set_int32(Onnx__TensorProto *t, int type, int32_t x) {
    t->has_raw_data = 0;
    t->data_type = type;
    t->n_dims = 0;
    t->n_int32_data = 1;
    t->int32_data = onnx_maker_alloc(m, sizeof x);
    *t->int32_data = x;
}
static void set_raw(Onnx__TensorProto *t, int type, size_t bytes) {
    t->data_type = type;
    t->raw_data.len = bytes;
}
static void set_dims(Onnx__TensorProto *t, size_t rank, int64_t first, int64_t second) {
    t->n_dims = rank;
    t->dims = onnx_maker_alloc(m, rank * sizeof(int64_t));
    for (size_t i = 0; i < rank; i++)
        t->dims[i] = i == 0 ? first : i == 1 ? second : 1;
}

static void add_sparse(void) {
    Onnx__SparseTensorProto *sparse = onnx_maker_alloc(m, sizeof *sparse);
    onnx__sparse_tensor_proto__init(sparse);
    m->graph->n_sparse_initializer = 1;
    m->graph->sparse_initializer = onnx_maker_alloc(m, sizeof(void *));
    m->graph->sparse_initializer[0] = sparse;
}
static void make_input_constant_twice(void) {
    W->name = m->graph->initializer[1]->name = "x";
    m->graph->initializer[1]->n_dims = 1;
}
static void add_overload(void) {
    static uint8_t data[] = {1, 'a'};
    ProtobufCMessageUnknownField *field = onnx_maker_alloc(m, sizeof *field);
    *field = (ProtobufCMessageUnknownField){8, PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED, 2, data};
    FIRST->base.n_unknown_fields = 1;
    FIRST->base.unknown_fields = field;
}
static void add_function(const char *domain) {
    static const char *const names[] = {"Zeta", "MatMul", "Alpha"};
    m->model->functions = onnx_maker_alloc(m, 3 * sizeof(void *));
    for (size_t i = 0; i < 3; i++) {
        Onnx__FunctionProto *function = onnx_maker_alloc(m, sizeof *function);
        onnx__function_proto__init(function);
        function->name = onnx_maker_text(m, names[i]);
        function->domain = onnx_maker_text(m, domain);
        m->model->functions[m->model->n_functions++] = function;
    }
}
static void add_twice(void) {
    onnx_maker_int(m, FIRST, "a", 1);
    onnx_maker_float(m, FIRST, "a", 1);
}
static void add_attributes(size_t count) {
    Onnx__AttributeProto *attribute = onnx_maker_int(m, FIRST, "a", 1);
    FIRST->attribute = onnx_maker_alloc(m, count * sizeof(void *));
    for (FIRST->n_attribute = 0; FIRST->n_attribute < count; FIRST->n_attribute++)
        FIRST->attribute[FIRST->n_attribute] = attribute;
}
static void add_segment(Onnx__TensorProto *t) {
    t->segment = onnx_maker_alloc(m, sizeof *t->segment);
    onnx__tensor_proto__segment__init(t->segment);
}
static void set_uint32(Onnx__TensorProto *t, uint64_t x) {
    set_int32(t, QR_ONNX_UINT32, 0);
    t->n_int32_data = 0;
    t->n_uint64_data = 1;
    t->uint64_data = onnx_maker_alloc(m, sizeof x);
    *t->uint64_data = x;
}

/* Breaks the model anew and holds the message against its parts. */
#define REFUSED(how, ...)                                                                          \
    do {                                                                                           \
        tear_down();                                                                               \
        set_up();                                                                                  \
        how;                                                                                       \
        refused((const char *const[]){__VA_ARGS__, NULL});                                         \
    } while (0)

Test(onnx_refused, models) {
    qr_onnx_close(onnx_maker_open(m)); /* whole, it is read */
    REFUSED(m->model->ir_version = 2, "ir_version: 2", "is it an ONNX file");
    REFUSED(m->model->has_ir_version = 0, "ir_version: 0", "is it an ONNX file");
    REFUSED(m->model->graph = NULL, "it has no graph");
    REFUSED(m->model->opset_import[0]->version = 10, "version 10", "11 and later");
    REFUSED(m->model->opset_import[0]->version = 25, "version 25", "up to 24");
    REFUSED(m->model->n_opset_import = 0, "no version of ONNX's operators");
    REFUSED(m->model->opset_import[1]->domain = "ai.onnx", "two versions");
    REFUSED(add_sparse(), "graph: it has sparse tensors");
}

Test(onnx_refused, values) {
    REFUSED(onnx_maker_input(m, "x", 1, 0, NULL), "value `x`: it is made twice");
    REFUSED(m->graph->input[0]->name = NULL, "an input without a name");
    REFUSED(W->name = NULL, "a tensor without a name");
    REFUSED(m->graph->initializer[1]->name = W->name, "value `w`: it is made");
    REFUSED(make_input_constant_twice(), "tensor `x`: it is there twice");
    REFUSED(SECOND->output[0] = "p", "value `p`: it is made twice");
    REFUSED(FIRST->output[0] = "x", "value `x`: it is made twice");
    REFUSED(FIRST->output[0] = "b", "value `b`: it is made twice");
    REFUSED(SECOND->input[1] = "v", "node `y/n` (Add)", "`v`, which nothing");
    REFUSED(m->graph->output[0]->name = "v", "output `v`: nothing makes it");
    REFUSED(onnx_maker_output(m, "y", 1, 0, NULL), "output `y`: it is there");
    REFUSED(FIRST->input[0] = "y", "node `p/n` (MatMul): it waits", "a cycle");
    REFUSED(SECOND->input[1] = "y", "node `y/n` (Add): it waits", "a cycle");
    REFUSED(
        {
            m->graph->output[0]->name = "b";
            m->graph->initializer[1]->data_type = 17;
            SECOND->input[1] = "w";
        },
        "output `b`: it is a constant of a type that is not read");
    REFUSED(onnx_maker_input(m, "z", 1, 9, (int64_t[9]){1}),
            "value `z`: it is declared with 9 axes, more than 8");
}

Test(onnx_refused, nodes) {
    REFUSED(FIRST->op_type = NULL, "node `p/n` (): it has no operator");
    REFUSED(add_overload(), "node `p/n` (MatMul): it has an `overload`");
    REFUSED(add_function(""), "node `p/n` (MatMul): it calls a function", "inline");
    REFUSED(add_function("ai.onnx"), "node `p/n` (MatMul): it calls a function"); /* the same */
    REFUSED(onnx_maker_int(m, FIRST, "", 1), "attribute without a name");
    REFUSED(add_twice(), "node `p/n` (MatMul): it has the attribute `a` twice");
    REFUSED(onnx_maker_int(m, FIRST, "a", 1)->ref_attr_name = "b",
            "its attribute `a` refers to a function's");
    REFUSED(onnx_maker_int(m, FIRST, "a", 1)->has_type = 0, "its attribute `a` has no type");
    REFUSED(onnx_maker_int(m, FIRST, "a", 1)->type = 0, "has no type");
    REFUSED(onnx_maker_attr_tensor(m, FIRST, "a", NULL),
            "node `p/n` (MatMul), attribute `a`: it has no tensor");
    REFUSED(add_attributes(257), "node `p/n` (MatMul): it has more than 256");
}

Test(onnx_refused, constants) {
    REFUSED(onnx_maker_node(m, "Constant", "", "c"), "node `c/n` (Constant)", "has one attribute");
    REFUSED(onnx_maker_int(m, onnx_maker_node(m, "Constant", "x", "c"), "value_int", 1),
            "has one attribute");
    REFUSED(constant("values", three(QR_ONNX_INT8, "abc", 3)), "`values` is no const");
    REFUSED(constant("value_int", three(2, "abc", 3)), "is no constant's");
    REFUSED(constant("value", three(QR_ONNX_INT8, "ab", 2)),
            "node `c/n` (Constant), attribute `value`: it has 2 bytes");
}

Test(onnx_refused, tensors) {
    REFUSED(set_dims(W, 9, 1, 1), "tensor `w`: it has 9 axes, more than 8");
    REFUSED(set_dims(W, 2, 4, -3), "tensor `w`: its axis 1 has the length -3");
    REFUSED(set_dims(W, 2, 1ll << 31, 2), "tensor `w`: it has more than 2147483648");
    REFUSED(set_dims(W, 3, 1ll << 62, 1ll << 62), "it has more than");
    REFUSED(set_dims(W, 2, 0, 1ll << 40), "it has more than");
    REFUSED(add_segment(W), "tensor `w`: it is a segment");
    REFUSED(
        {
            W->n_float_data = 12;
            W->float_data = (float *)(void *)W->raw_data.data;
        },
        "tensor `w`: it has its numbers in more than one place");
    REFUSED(
        {
            W->n_string_data = 1;
            W->string_data = &W->raw_data;
        },
        "than one place");
    REFUSED(set_raw(W, 1, 47), "tensor `w`: it has 47 bytes", "float32", "48");
    REFUSED(set_raw(W, 10, 25), "it has 25 bytes", "float16", "24");
    REFUSED(W->has_raw_data = 0, "it has 0 numbers of type float32", "needs 12");
    REFUSED(
        {
            set_int32(W, 3, 1);
            set_dims(W, 1, 0, 0);
        },
        "it has 1 numbers");
    REFUSED(set_int32(W, 1, 1), "it has 0 numbers of type float32", "needs 1");
    REFUSED(
        {
            set_raw(W, 9, 12);
            W->raw_data.data[3] = 2;
        },
        "a bool that is neither");
    REFUSED(set_int32(W, 9, 2), "its number 2 is none of type bool");
    REFUSED(set_int32(W, 3, 128), "its number 128 is none of type int8");
    REFUSED(set_int32(W, 2, -1), "its number -1 is none of type uint8");
    REFUSED(set_int32(W, 5, 32768), "its number 32768 is none of type int16");
    REFUSED(set_int32(W, 4, 65536), "its number 65536 is none of type uint16");
    REFUSED(set_int32(W, 10, 65536), "its number 65536 is none of type float16");
    REFUSED(set_int32(W, 16, -1), "its number -1 is none of type bfloat16");
    REFUSED(set_uint32(W, 1ull << 32), "its number 4294967296 is none of type");
    REFUSED(
        {
            W->has_data_type = 0;
            W->data_type = 0;
        },
        "`w`", "not known (0)");
    REFUSED(set_raw(W, 8, 0), "node `p/n` (MatMul): it reads `w`", "string (8)");
    REFUSED(set_raw(W, 14, 96), "it reads `w`, whose type complex64 (14)");
    REFUSED(set_raw(W, 17, 12), "it reads `w`, whose type float8e4m3fn (17) is not");
    REFUSED(set_raw(W, 22, 6), "it reads `w`, whose type int4 (22) is not read");
    REFUSED(set_raw(W, 26, 6), "it reads `w`, whose type int2 (26) is not read");
    REFUSED(set_raw(W, 99, 6), "it reads `w`, whose type a type that is not");
}

Test(onnx_refused, files) {
    qr_onnx_graph *graph = NULL;
    qr_error error = {0};
    cr_assert_eq(qr_onnx_open("/nowhere/model.onnx", &graph, &error), QR_IO);
    cr_assert_not_null(strstr(error.message, "/nowhere/model.onnx"));
    cr_assert_eq(qr_onnx_open("/tmp", &graph, &error), QR_IO);
    cr_assert_eq(qr_onnx_open("/dev/null", &graph, &error), QR_IO);
    cr_assert_null(graph);
}
