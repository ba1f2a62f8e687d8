/* What `querent inspect` says of an ONNX file, line by line. */
#include <criterion/criterion.h>

#include "cli/import_text.h"

static qr_import_port inputs[] = {{"input_ids", "ids"}, {"attention_mask", "mask"}};
static qr_import_port outputs[] = {{"last_hidden_state", "hidden"}, {"pooler_output", "left_out"}};
static qr_import_info found = {.path = "model.onnx",
                               .producer = "pytorch",
                               .producer_version = "2.15.0",
                               .style = "pytorch 2.15.0, separate Q K V",
                               .opset = 14,
                               .node_count = 472,
                               .steps = 31,
                               .inputs = inputs,
                               .outputs = outputs,
                               .input_count = 2,
                               .output_count = 2};

static void expect(const char *text) {
    qr_buf out;
    qr_buf_init(&out, 4096);
    qr__import_text(&found, &out);
    qr_buf_byte(&out, '\0');
    cr_expect_str_eq(out.data, text);
    qr_buf_deinit(&out);
}

Test(import_text, what_there_is_to_say) {
    expect("onnx        pytorch 2.15.0, separate Q K V (opset 14)\n"
           "graph       472 nodes -> 31 fused steps\n"
           "inputs      input_ids (ids), attention_mask (mask)\n"
           "outputs     last_hidden_state: last hidden states\n"
           "            pooler_output: recognised, but not served\n");
}

Test(import_text, and_what_is_not_always) {
    found.folded = 9, found.quantized = true, found.fixed_tokens = 12;
    expect("onnx        pytorch 2.15.0, separate Q K V (opset 14)\n"
           "graph       472 nodes (9 of them compute constants) -> 31 fused steps\n"
           "inputs      input_ids (ids), attention_mask (mask)\n"
           "outputs     last_hidden_state: last hidden states\n"
           "            pooler_output: recognised, but not served\n"
           "quantized   int8 weights, read with their own scales; activations as the plan has "
           "them\n"
           "exported    for 12 tokens a text\n");
}
