/* The picture of an ONNX graph: every step with what it swallowed, layers that are alike in one
 * row, arrows where the graph has them. That it is good to look at is for people to say. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "cli/import_chart.h"
#include "cli/import_tally.h"

#define NODES_MOST 1024

static qr_import_node nodes[NODES_MOST];
static qr_import_edge edges[2 * NODES_MOST];
static qr_import_info found;
static qr_buf out;

static size_t add(qr_import_block block, size_t layer, const char *op) {
    nodes[found.node_count] = (qr_import_node){"", op, block, layer};
    return found.node_count++;
}

static void lead(size_t from, size_t to) {
    edges[found.edge_count++] = (qr_import_edge){from, to};
}

/* The last layer norm's last node. `odd`: up has another activation. */
static size_t add_layer(size_t layer, size_t from, size_t mask, bool odd) {
    static const char *const attention[] = {"Reshape", "Transpose", "Reshape", "Transpose",
                                            "MatMul",  "Add",       "Softmax", "MatMul"};
    static const char *const norm[] = {"Add", "ReduceMean", "Sub", "Pow", "ReduceMean",
                                       "Add", "Sqrt",       "Div", "Mul", "Add"};
    static const char *const gelu[] = {"Div", "Erf", "Add", "Mul", "Mul"};
    size_t at = 0, entry = from;
    for (size_t i = 0; i < 3; i++) {
        at = add(QR_IMPORT_QKV, layer, "MatMul");
        lead(entry, at);
        lead(at, add(QR_IMPORT_QKV, layer, "Add"));
    }
    at++;
    for (size_t i = 0; i < sizeof attention / sizeof *attention; i++) {
        size_t next = add(QR_IMPORT_ATTENTION, layer, attention[i]);
        lead(at, next);
        at = next;
    }
    lead(mask, at - 2);
    for (int part = 0; part < 2; part++) {
        const qr_import_block block = part == 0 ? QR_IMPORT_ATTENTION_OUTPUT : QR_IMPORT_DOWN;
        if (part == 1) {
            entry = at;
            size_t up = add(QR_IMPORT_UP, layer, "MatMul");
            lead(at, up);
            at = up;
            for (size_t i = 0; i < sizeof gelu / sizeof *gelu; i++)
                at = add(QR_IMPORT_UP, layer, odd && i == 1 ? "Tanh" : gelu[i]);
        }
        size_t product = add(block, layer, "MatMul");
        lead(at, product);
        at = add(block, layer, "Add");
        for (size_t i = 0; i < sizeof norm / sizeof *norm; i++) {
            at = add(block, layer, norm[i]);
            if (i == 0)
                lead(entry, at);
        }
    }
    return at;
}

/* A model of `layers`; `odd` is the layer that differs. */
static void make(size_t layers, size_t odd) {
    static qr_import_port inputs[] = {{"input_ids", "ids"}, {"attention_mask", "mask"}};
    static qr_import_port outputs[] = {{"logits<b>", "span_start"}, {"pooler_output", "left_out"}};
    found = (qr_import_info){.path = "a & b/model.onnx",
                             .producer = "pytorch",
                             .producer_version = "2.9.0",
                             .style = "separate Q K V, layer norm in pieces, gelu by erf",
                             .opset = 17,
                             .nodes = nodes,
                             .edges = edges,
                             .folded = 2,
                             .steps = 5 * layers + 2,
                             .inputs = inputs,
                             .outputs = outputs,
                             .input_count = 2,
                             .output_count = 2};
    for (int i = 0; i < 3; i++)
        add(QR_IMPORT_EMBEDDINGS, 0, "Gather");
    size_t at = add(QR_IMPORT_EMBEDDINGS, 0, "LayerNormalization");
    add(QR_IMPORT_CONSTANT, 0, "Constant");
    add(QR_IMPORT_CONSTANT, 0, "Constant");
    add(QR_IMPORT_SHAPES, 0, "Shape");
    size_t mask = add(QR_IMPORT_MASK, 0, "Where");
    for (size_t layer = 0; layer < layers; layer++)
        at = add_layer(layer, at, mask, layer == odd);
    size_t head = add(QR_IMPORT_HEAD, 0, "Gemm");
    lead(at, head);
    add(QR_IMPORT_LEFT_OUT, 0, "Tanh");
}

/* The picture as a C string. */
static const char *draw(const char *note) {
    const qr__import_chart chart = {&found, note};
    qr_error error = {0};
    qr_buf_init(&out, 1u << 20);
    cr_assert_eq(qr__import_chart_svg(&chart, &out, &error), QR_OK, "%s", error.message);
    qr_buf_byte(&out, '\0');
    cr_assert(!qr_buf_failed(&out));
    cr_expect_eq(strncmp(out.data, "<svg ", 5), 0);
    cr_expect_eq(strcmp(out.data + out.len - 8, "</svg>\n"), 0);
    return out.data;
}

static size_t count(const char *text, const char *what) {
    size_t times = 0;
    for (; (text = strstr(text, what)) != NULL; text++)
        times++;
    return times;
}

static void end(void) {
    qr_buf_deinit(&out);
}

Test(import_chart, layers_alike_share_a_row, .fini = end) {
    make(12, SIZE_MAX);
    const char *svg = draw("");
    cr_expect_eq(count(svg, ">query, key, value<"), 1);
    cr_expect_eq(count(svg, ">layers 0\u201311<"), 1);
    cr_expect_eq(count(svg, ">\u00d7 12, all alike<"), 1);
    cr_expect_eq(count(svg, ">Add \u00d73, MatMul \u00d73<"), 1);
    cr_expect_eq(count(svg, ">residual<"), 1);
    cr_expect_eq(count(svg, ">mask<"), 1);
    cr_expect_eq(count(svg, " nodes (2 of them compute constants) \u2192 62 fused steps<"), 1);
}

Test(import_chart, a_layer_that_differs_has_a_row_of_its_own, .fini = end) {
    make(6, 3);
    const char *svg = draw("");
    cr_expect_eq(count(svg, ">query, key, value<"), 3);
    cr_expect_eq(count(svg, ">layers 0\u20132<"), 1);
    cr_expect_eq(count(svg, ">layer 3<"), 1);
    cr_expect_eq(count(svg, ">layers 4\u20135<"), 1);
}

/* An arrow stands for an edge in every layer of its row: without one the layer is another. */
Test(import_chart, an_arrow_is_an_edge_of_the_graph, .fini = end) {
    make(4, SIZE_MAX);
    const size_t arrows = count(draw(""), "marker-end");
    end();
    for (size_t i = 0; i < found.edge_count; i++)
        if (found.nodes[edges[i].from].block == QR_IMPORT_MASK)
            edges[i].to = edges[i].from; /* no layer looks at the mask any more */
    const char *svg = draw("");
    cr_expect_eq(count(svg, ">mask<"), 0);
    cr_expect_eq(count(svg, "marker-end"), arrows - 1);
}

Test(import_chart, texts_are_escaped, .fini = end) {
    make(1, SIZE_MAX);
    nodes[0].op = "<Gather>&";
    const char *svg = draw("a < b\x01 & \xff");
    cr_expect_eq(count(svg, ">a &lt; b &amp; \uFFFD<"), 1);
    cr_expect_eq(count(svg, "a &amp; b/model.onnx"), 2);
    cr_expect_eq(count(svg, "&lt;Gather&gt;&amp; \u00d71"), 1);
    cr_expect_eq(count(svg, "logits&lt;b&gt;: logits of answers"), 1);
    cr_expect_eq(count(svg, "<Gather>"), 0);
}

Test(import_chart, every_node_is_counted_once, .fini = end) {
    make(3, 1);
    qr__import_tally *tally = qr__import_tally_create(&found);
    size_t nodes_of_cells = 0;
    for (qr_import_block block = 0; block < QR_IMPORT_BLOCKS; block++) {
        const bool layered = block >= QR_IMPORT_QKV && block <= QR_IMPORT_DOWN;
        for (size_t layer = 0; layer < (layered ? 3u : 1u); layer++)
            nodes_of_cells += qr__import_cell_of(tally, block, layer)->nodes;
    }
    cr_expect_eq(nodes_of_cells, found.node_count);
    cr_expect_not(qr__import_layers_alike(tally, 0, 1));
    cr_expect(qr__import_layers_alike(tally, 0, 2));
    qr__import_tally_destroy(tally);
}

/* More kinds of operators than a box has room for are still nodes of it. */
Test(import_chart, a_box_of_many_kinds, .fini = end) {
    static char names[100][8];
    make(1, SIZE_MAX);
    for (size_t i = 0; i < 100; i++) {
        snprintf(names[i], sizeof names[i], "Op%zu", i);
        add(QR_IMPORT_SHAPES, 0, names[i]);
    }
    const char *svg = draw("");
    cr_expect_eq(count(svg, ">101<"), 1);
}
