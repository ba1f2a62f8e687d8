/* tests: the literal graph of a bert, and what a recogniser that makes no mistake would say of it.
 *
 *     const struct graph_options options = {.output = QR_OUTPUT_LABELS};
 *     struct made_graph *made = graph_make(bert, &options);
 *     ... made->import ... made->found.stages ...
 *     graph_free(made);
 *
 * The nodes are ONNX's own (opset 20), one for each thing that the paper names, so that the proof
 * can be tested apart from files and from recognition.
 */
#ifndef QR_TESTS_GRAPH_MAKER_H
#define QR_TESTS_GRAPH_MAKER_H

#include "engine/model/open_import.h"

struct graph_options {
    qr_output output;  /* what the graph gives beside hidden states */
    bool ignores_mask; /* takes one and does not look at it */
    bool no_mask;      /* takes none */
    bool no_hidden;    /* does not give hidden states */
    bool no_types;     /* takes none: all are 0 */
    bool quantized;    /* activations before each product pass DynamicQuantizeLinear */
    size_t fixed_batch, fixed_tokens;
};

struct made_graph {
    qr_import import;
    qr__recognised found;
    qr_onnx_graph graph;
    qr_arena arena;
};

/** Of a bert (borrowed for the call) with erf or tanh GELU or ReLU, and one pooling. */
struct made_graph *graph_make(const qr_bert *bert, const struct graph_options *options);
void graph_free(struct made_graph *made);

#endif
