/* Mutated files: each is refused, or read into a graph that keeps the promises of onnx.h, is folded
 * and runs as far as it can; never a crash, a hang or a byte read outside. */
#include <criterion/criterion.h>
#include <criterion/logging.h>
#include <stdio.h>
#include <stdlib.h>

#include "fuzz.h"
#include "onnx/reader.h"
#include "onnx/scan.h"
#include "onnx_maker.h"

/* Something of all that the reader reads, small: most of its bytes mean something. */
static uint8_t *make(size_t *bytes) {
    onnx_maker *m = onnx_maker_create(17);
    onnx_maker_input(m, "x", QR_ONNX_FLOAT, 2, (int64_t[]){-1, 2});
    onnx_maker_input(m, "w", QR_ONNX_FLOAT, 2, (int64_t[]){2, 1});
    onnx_maker_floats(m, "w", 2, (int64_t[]){2, 1}, (float[]){1, 2});
    onnx_maker_longs(m, "s", 1, (int64_t[]){2}, (int64_t[]){0, -1});
    onnx_maker_initializer(m, "h", QR_ONNX_FLOAT16, 1, (int64_t[]){1}, "ab", 2);
    onnx_maker_initializer(m, "q", QR_ONNX_INT8, 0, NULL, "a", 1);
    Onnx__TensorProto *typed =
        onnx_maker_initializer(m, "t", QR_ONNX_UINT8, 1, (int64_t[]){2}, "", 0);
    typed->has_raw_data = 0;
    typed->n_int32_data = 2;
    typed->int32_data = (int32_t[]){1, 200};
    onnx_maker_node(m, "Add", "p c", "y");
    onnx_maker_node(m, "MatMul", "x w", "p");
    onnx_maker_float(m, onnx_maker_node(m, "Constant", "", "c"), "value_float", 1);
    onnx_maker_node(m, "Reshape", "y s", "r");
    onnx_maker_node(m, "Gather", "t q", "g");
    Onnx__NodeProto *node = onnx_maker_node(m, "com.microsoft:Odd", "y - s h q t", "z - v");
    onnx_maker_int(m, node, "i", 1);
    onnx_maker_string(m, node, "n", "ab");
    onnx_maker_ints(m, node, "l", 2, (int64_t[]){1, 2});
    onnx_maker_attr_floats(m, node, "f", 2, (float[]){1, 2});
    onnx_maker_attr_tensor(m, node, "k",
                           onnx_maker_tensor(m, "", QR_ONNX_BOOL, 1, (int64_t[]){1}, "\1", 1));
    onnx_maker_output(m, "r", QR_ONNX_FLOAT, 2, (int64_t[]){2, 1});
    onnx_maker_output(m, "z", QR_ONNX_FLOAT, 2, (int64_t[]){-1, 1});
    uint8_t *packed = onnx_maker_pack(m, bytes);
    onnx_maker_destroy(m);
    return packed;
}

/* Tags, lengths, data types and numbers that matter to somebody. */
static const uint8_t pieces[][10] = {
    {0x00},
    {0x01},
    {0x7f},
    {0x80},
    {0xff},
    {0x0a, 0x00},
    {0x2a, 0x00},
    {0x3a, 0x00},
    {0x10, 0x0b},
    {0x10, 0x11},
    {0x08, 0x00},
    {0x0b},
    {0x70, 0x01},
    {0x6a, 0x00},
    {0x1a, 0x00},
    {0x42, 0x00},
    {0x4a, 0x00},
    {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01},
    {0xff, 0xff, 0xff, 0xff, 0x07},
};

/* Three of four keep the length, and with it all lengths around them. */
static void mutate(uint8_t *bytes, size_t *count, size_t room) {
    const size_t at = fuzz_below(*count);
    size_t len = 1 + fuzz_below(8);
    switch (fuzz_below(8)) {
    case 0:
        bytes[at] = (uint8_t)fuzz_below(256);
        break;
    case 1:
    case 2:
        bytes[at] = (uint8_t)(bytes[at] ^ 1 << fuzz_below(8));
        break;
    case 3: /* small numbers: types, ranks, lengths */
        bytes[at] = (uint8_t)fuzz_below(32);
        break;
    case 4: /* a letter: names are one letter, so that another name is often one that is there */
        bytes[at] = (uint8_t)"xwshqtpcyzvrg"[fuzz_below(13)];
        break;
    case 5: { /* one piece over another: names again, and whole messages */
        const size_t from = fuzz_below(*count);
        len = qr_min(len, *count - qr_max(at, from));
        memmove(bytes + at, bytes + from, len);
        break;
    }
    case 6: /* cut out */
        len = qr_min(len, *count - at);
        memmove(bytes + at, bytes + at + len, *count - at - len);
        *count -= len;
        break;
    default: {
        const size_t piece = fuzz_below(sizeof pieces / sizeof pieces[0]);
        len = sizeof pieces[0];
        while (len > 2 && pieces[piece][len - 1] == 0)
            len--;
        len = qr_min(len, room - *count);
        memmove(bytes + at + len, bytes + at, *count - at);
        memcpy(bytes + at, pieces[piece], len);
        *count += len;
    }
    }
    if (*count == 0)
        bytes[(*count)++] = 0;
}

static volatile double sink; /* so that every number is read */

static void check_tensor(const qr_onnx_tensor *tensor) {
    size_t count = 1;
    cr_assert(tensor->rank <= QR_ONNX_RANK_MAX);
    for (size_t i = 0; i < tensor->rank; i++)
        count *= tensor->shape[i];
    cr_assert_eq(count, tensor->count);
    for (size_t i = 0; i < count; i++)
        sink = tensor->floats != NULL ? (double)tensor->floats[i] : (double)qr_onnx_int(tensor, i);
    if (tensor->type == QR_ONNX_BOOL)
        for (size_t i = 0; i < count; i++)
            cr_assert(tensor->bytes[i] <= 1);
}

static void check_node(const qr_onnx_graph *graph, size_t at) {
    char text[256];
    const qr_onnx_node *node = &graph->nodes[at];
    cr_assert(node->op[0] != '\0' && node->name != NULL && node->domain != NULL);
    qr_onnx_node_text(graph, node, text);
    cr_assert(qr_utf8_valid(qr_text_of(text)));
    for (size_t i = 0; i < node->input_count; i++) {
        if (node->inputs[i] == QR_ONNX_NONE)
            continue;
        cr_assert_lt(node->inputs[i], graph->value_count);
        const qr_onnx_value *value = &graph->values[node->inputs[i]];
        cr_assert((value->producer != QR_ONNX_NONE && value->producer < at) || value->is_input ||
                  value->constant != NULL);
    }
    for (size_t i = 0; i < node->output_count; i++)
        if (node->outputs[i] != QR_ONNX_NONE)
            cr_assert_eq(graph->values[node->outputs[i]].producer, at);
    for (size_t i = 0; i < node->attribute_count; i++) {
        const qr_onnx_attribute *a = &node->attributes[i];
        cr_assert_eq(qr_onnx_find_attribute(node, a->name), a);
        cr_assert_eq(a->kind == QR_ONNX_ATTR_TENSOR, a->t != NULL);
        cr_assert_eq(a->kind == QR_ONNX_ATTR_STRING, a->s != NULL);
        if (a->t != NULL)
            check_tensor(a->t);
        for (size_t k = 0; k < a->count; k++)
            sink = a->kind == QR_ONNX_ATTR_INTS ? (double)a->ints[k] : (double)a->floats[k];
    }
}

/* The promises of onnx.h. */
static void check_graph(const qr_onnx_graph *graph) {
    cr_assert(graph->opset >= 11 && graph->ir_version >= 3 && graph->producer != NULL);
    for (size_t i = 0; i < graph->value_count; i++) {
        const qr_onnx_value *value = &graph->values[i];
        cr_assert(value->rank == SIZE_MAX || value->rank <= QR_ONNX_RANK_MAX);
        cr_assert_leq(
            (value->producer != QR_ONNX_NONE) + (value->constant != NULL) + value->is_input, 1);
        if (value->constant != NULL)
            check_tensor(value->constant);
    }
    for (size_t i = 0; i < graph->node_count; i++)
        check_node(graph, i);
    for (size_t i = 0; i < graph->input_count; i++)
        cr_assert(graph->values[graph->inputs[i]].is_input);
    for (size_t i = 0; i < graph->output_count; i++)
        cr_assert(graph->values[graph->outputs[i]].is_output);
}

/* What an input is fed with: small, of the size and type that it declares. */
static void feed(qr_onnx_run *run, const qr_onnx_graph *graph, size_t input) {
    const qr_onnx_value *value = &graph->values[input];
    size_t shape[QR_ONNX_RANK_MAX];
    const size_t rank = value->rank == SIZE_MAX ? fuzz_below(3) : value->rank;
    for (size_t i = 0; i < rank; i++) {
        const bool small = value->rank != SIZE_MAX && value->dims[i] >= 0 && value->dims[i] < 4;
        shape[i] = small ? (size_t)value->dims[i] : 2;
    }
    qr_onnx_tensor *tensor = qr_onnx_tensor_create(value->type, rank, shape);
    if (tensor == NULL) /* of a type that is not held */
        return;
    qr_onnx_run_feed(run, input, tensor);
    qr_onnx_tensor_destroy(tensor);
}

/* How many nodes of the graph have made something. */
static size_t run_graph(const qr_onnx_graph *graph) {
    const qr_onnx_run_options options = {.keep = true, .most = 1 << 16};
    qr_onnx_run *run;
    qr_error error = {0};
    size_t made = 0;
    cr_assert_eq(qr_onnx_run_create(graph, &options, &run, &error), QR_OK);
    for (size_t i = 0; i < graph->input_count; i++)
        feed(run, graph, graph->inputs[i]);
    const qr_status status = qr_onnx_run_forward(run, &error);
    cr_assert(status == QR_OK || status == QR_BAD_MODEL, "%s", error.message);
    for (size_t v = 0; v < graph->value_count; v++) {
        const qr_onnx_tensor *value = qr_onnx_run_value(run, v);
        if (value == NULL || graph->values[v].producer == QR_ONNX_NONE)
            continue;
        check_tensor(value);
        made++;
    }
    qr_onnx_run_destroy(run);
    return made;
}

Test(onnx_fuzz, mutated_files, .timeout = 7200) {
    size_t bytes;
    size_t accepted = 0;
    size_t made = 0;
    const size_t count = fuzz_runs(10000);
    uint8_t *whole = make(&bytes);
    const size_t room = bytes + 64;
    uint8_t *file = malloc(room);
    for (size_t run = 0; run < count; run++) {
        qr_onnx_graph *graph;
        qr_error error = {0};
        size_t len = bytes;
        memcpy(file, whole, bytes);
        for (size_t i = 1 + fuzz_below(3); i > 0; i--)
            mutate(file, &len, room);
        uint8_t *exact = malloc(len); /* so that ASan sees a read past the end */
        memcpy(exact, file, len);
        if (qr__onnx_open_bytes("/nowhere/f.onnx", exact, len, &graph, &error) == QR_OK) {
            qr__onnx_scan scan = {.path = "f", .bytes = exact, .count = len, .error = &error};
            cr_assert_eq(qr__onnx_scan_model(&scan), QR_OK);
            cr_assert_leq(graph->file->taken, scan.memory); /* it counts no less than it takes */
            free(exact);                                    /* nothing of the graph stands in it */
            check_graph(graph);
            cr_assert_eq(qr_onnx_fold(graph, &error), QR_OK);
            made += run_graph(graph);
            qr_onnx_close(graph);
            accepted++;
            continue;
        }
        free(exact);
        cr_assert_null(graph);
        cr_assert_eq(error.status, QR_BAD_MODEL, "%s", error.message);
        cr_assert_not_null(strstr(error.message, "/nowhere/f.onnx: "));
        /* What the scan lets through can be unpacked, within the memory that it counted. */
        cr_assert_null(strstr(error.message, "cannot be unpacked"), "%s", error.message);
    }
    free(file);
    free(whole);
    cr_log_info("%zu mutated files, %zu accepted", count, accepted);
    cr_assert(accepted > count / 20 && accepted < count);
    cr_assert_gt(made, accepted); /* most run further than their first node */
}
