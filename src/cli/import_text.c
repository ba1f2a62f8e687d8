/* cli/import_text.c: the facts of qr_import_info, each once. */
#include "cli/import_text.h"

#include <stdio.h>

const char *qr__import_output_text(const char *kind) {
    static const char *const texts[][2] = {
        {"hidden", "last hidden states"},
        {"pooled", "one vector a text"},
        {"span_start", "logits of answers' starts"},
        {"span_end", "logits of answers' ends"},
        {"labels", "logits of a text's labels"},
        {"token_labels", "logits of each token's labels"},
        {"left_out", "recognised, but not served"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (strcmp(kind, texts[i][0]) == 0)
            return texts[i][1];
    return kind;
}

void qr__import_nodes_text(const qr_import_info *found, char out[QR_IMPORT_NODES_TEXT]) {
    char constant[64] = "";
    if (found->folded > 0)
        snprintf(constant, sizeof constant, " (%zu of them compute constants)", found->folded);
    snprintf(out, QR_IMPORT_NODES_TEXT, "%zu nodes%s", found->node_count, constant);
}

void qr__import_text(const qr_import_info *found, qr_buf *out) {
    char nodes[QR_IMPORT_NODES_TEXT];
    qr__import_nodes_text(found, nodes);
    qr_buf_printf(out, "onnx        %s (opset %jd)\n", found->style, (intmax_t)found->opset);
    qr_buf_printf(out, "graph       %s -> %zu fused steps\n", nodes, found->steps);
    for (size_t i = 0; i < found->input_count; i++)
        qr_buf_printf(out, "%s%s (%s)", i == 0 ? "inputs      " : ", ", found->inputs[i].name,
                      found->inputs[i].kind);
    qr_buf_append(out, "\n", found->input_count > 0);
    for (size_t i = 0; i < found->output_count; i++)
        qr_buf_printf(out, "%s%s: %s\n", i == 0 ? "outputs     " : "            ",
                      found->outputs[i].name, qr__import_output_text(found->outputs[i].kind));
    if (found->quantized)
        qr_buf_literal(out,
                       "quantized   int8 weights, read with their own scales; activations as the "
                       "plan has them\n");
    if (found->half)
        qr_buf_literal(out, "half        f16 weights or activations, computed in f32\n");
    if (found->fixed_batch > 0)
        qr_buf_printf(out, "exported    for batches of %zu\n", found->fixed_batch);
    if (found->fixed_tokens > 0)
        qr_buf_printf(out, "exported    for %zu tokens a text\n", found->fixed_tokens);
}

static void json_ports(const char *name, const qr_import_port *ports, size_t len, qr_buf *out) {
    qr_buf_printf(out, ",\"%s\":[", name);
    for (size_t i = 0; i < len; i++) {
        qr_buf_text(out, qr_text_of(i == 0 ? "{\"name\":" : ",{\"name\":"));
        qr_json_text(out, qr_text_of(ports[i].name));
        qr_buf_printf(out, ",\"kind\":\"%s\"}", ports[i].kind);
    }
    qr_buf_byte(out, ']');
}

static void json_pair(const char *name, const char *value, qr_buf *out) {
    qr_buf_printf(out, "\"%s\":", name);
    qr_json_text(out, qr_text_of(value));
    qr_buf_byte(out, ',');
}

void qr__import_json(const qr_import_info *found, qr_buf *out) {
    qr_buf_byte(out, '{');
    json_pair("path", found->path, out);
    json_pair("producer", found->producer, out);
    json_pair("producer_version", found->producer_version, out);
    json_pair("style", found->style, out);
    qr_buf_printf(out, "\"opset\":%jd,\"nodes\":%zu,\"constants\":%zu,\"steps\":%zu",
                  (intmax_t)found->opset, found->node_count, found->folded, found->steps);
    json_ports("inputs", found->inputs, found->input_count, out);
    json_ports("outputs", found->outputs, found->output_count, out);
    qr_buf_printf(out, ",\"quantized\":%s,\"half\":%s", found->quantized ? "true" : "false",
                  found->half ? "true" : "false");
    qr_buf_printf(out, ",\"fixed_batch\":%zu,\"fixed_tokens\":%zu}", found->fixed_batch,
                  found->fixed_tokens);
}
