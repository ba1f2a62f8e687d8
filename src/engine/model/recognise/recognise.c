/* recognise/recognise.c: runs the graph once on a small batch, says of each value what it is, and
 * puts together what the outputs come from. */
#include <stdio.h>
#include <stdlib.h>

#include "engine/model/recognise/assemble.h"
#include "engine/model/recognise/inputs.h"
#include "engine/model/recognise/maps.h"
#include "engine/model/recognise/steps.h"
#include "engine/model/recognise/twins.h"

/* What all values of the one run may hold together: BERT-large's hold a seventh of it. What a graph
 * that is made for one size holds depends on that size. */
#define NUMBERS (1u << 28)

qr_status qr__refuse_at(const qr__reading *r, size_t node, const char *why, qr_error *error) {
    char text[256] = "the graph";
    if (r->no_memory) /* what is missed is missing for that */
        return qr__no_memory(r, error);
    if (node < r->graph->node_count)
        qr_onnx_node_text(r->graph, &r->graph->nodes[node], text);
    return qr_error_set(error, QR_BAD_MODEL, "%s: not recognised as a BERT: %s: expected here: %s",
                        r->graph->path, text, why);
}

static bool only_shapes(const qr_onnx_node *node) {
    return strcmp(node->op, "Shape") == 0 || strcmp(node->op, "Size") == 0;
}

/* All that a node reads is known, so is what it makes; but rows of a table are embeddings. */
static bool all_known(const qr__reading *r, const qr_onnx_node *node, uint32_t *deps) {
    *deps = 0;
    if (only_shapes(node))
        return true;
    for (size_t i = 0; i < node->input_count; i++) {
        if (!qr__has_input(node, i))
            continue;
        if (!r->values[node->inputs[i]].known)
            return false;
        *deps |= r->values[node->inputs[i]].deps;
    }
    if (strcmp(node->op, "EmbedLayerNormalization") == 0)
        return false;
    const qr_onnx_tensor *table = qr__input_constant(r, node, 0);
    const bool looks_up = strcmp(node->op, "Gather") == 0 && table != NULL && table->rank == 2 &&
                          (qr_onnx_is_float(table->type) || table->type == QR_ONNX_INT8 ||
                           table->type == QR_ONNX_UINT8);
    return !looks_up;
}

/* Whether something known may stand before what is not. */
static bool begins_known(const qr_onnx_node *node) {
    static const char *const ops[] = {"Add",
                                      "Sub",
                                      "Mul",
                                      "Div",
                                      "Pow",
                                      "Max",
                                      "Min",
                                      "Sum",
                                      "Where",
                                      "MatMul",
                                      "Gemm",
                                      "FusedMatMul",
                                      "Einsum",
                                      "Gather",
                                      "EmbedLayerNormalization",
                                      "SkipLayerNormalization"};
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++)
        if (strcmp(node->op, ops[i]) == 0)
            return true;
    return false;
}

static void read_node(qr__reading *r, const qr_onnx_node *node, size_t number) {
    uint32_t deps = 0;
    if (all_known(r, node, &deps)) {
        for (size_t o = 0; o < node->output_count; o++)
            if (node->outputs[o] != QR_ONNX_NONE)
                r->values[node->outputs[o]] = (qr__known_value){.known = true, .deps = deps};
        return;
    }
    for (size_t i = 0; i < node->input_count; i++) { /* the first fault is the one to be told */
        if (qr__has_input(node, i) && !qr__input_known(r, node, i) &&
            qr__is_unknown(qr__input_view(r, node, i))) {
            for (size_t o = 0; o < node->output_count; o++)
                qr__output_set(r, node, o, *qr__input_view(r, node, i));
            return;
        }
    }
    for (size_t o = 0; o < node->output_count; o++)
        if (node->outputs[o] != QR_ONNX_NONE && qr__tensor_of(r, node->outputs[o]) == NULL) {
            qr__output_set(r, node, o, qr__unknown(r, number, "a value"));
            return;
        }
    if (!qr__has_input(node, 0) || (qr__input_known(r, node, 0) && !begins_known(node))) {
        for (size_t o = 0; o < node->output_count; o++)
            qr__output_set(r, node, o, qr__unknown(r, number, "states as the first input"));
        return;
    }
    if (qr__read_twin(r, node, number))
        return;
    if (!qr__read_lookup(r, node, number) && !qr__read_fused(r, node, number) &&
        !qr__read_quantized(r, node, number) && !qr__read_elementwise(r, node, number) &&
        !qr__read_reduction(r, node, number) && !qr__read_product(r, node, number))
        qr__move(r, node, number);
    for (size_t o = 0; o < node->output_count; o++) /* a second one that nobody looked at */
        if (node->outputs[o] != QR_ONNX_NONE && !r->values[node->outputs[o]].known &&
            r->values[node->outputs[o]].view.term == NULL)
            qr__output_set(r, node, o, qr__unknown(r, number, "a node's first output"));
}

/* Whether the file has matrices of this type; of half precision any numbers count. */
static bool has_weights_of(const qr_onnx_graph *graph, qr_onnx_type type, size_t rank) {
    for (size_t v = 0; v < graph->value_count; v++) {
        const qr_onnx_tensor *constant = graph->values[v].constant;
        if (constant != NULL && constant->count > 1 && constant->type == type &&
            constant->rank >= rank)
            return true;
    }
    return false;
}

static bool has_half(const qr_onnx_graph *graph) {
    return has_weights_of(graph, QR_ONNX_FLOAT16, 0) || has_weights_of(graph, QR_ONNX_BFLOAT16, 0);
}

static bool has_int8(const qr_onnx_graph *graph) {
    return has_weights_of(graph, QR_ONNX_INT8, 2) || has_weights_of(graph, QR_ONNX_UINT8, 2);
}

static qr_status read_graph(qr__reading *r, qr__recognised *found, qr_error *error) {
    qr_onnx_graph *graph = r->graph;
    qr_status status = qr__inputs_name(r, found, error);
    if (status != QR_OK)
        return status;
    size_t nodes = 0;
    for (size_t n = 0; n < graph->node_count; n++)
        nodes += !graph->nodes[n].folded;
    if (nodes > QR_LIMIT_ONNX_RUN_NODES)
        return qr_error_set(error, QR_BAD_MODEL,
                            "%s: not recognised as a BERT: it has %zu nodes, more than %u",
                            graph->path, nodes, QR_LIMIT_ONNX_RUN_NODES);
    const bool any_size = found->fixed_batch == 0 && found->fixed_tokens == 0;
    const qr_onnx_run_options options = {
        .keep = true, .bypass = true, .most = any_size ? NUMBERS : QR_LIMIT_ONNX_NUMBERS};
    status = qr_onnx_run_create(graph, &options, &r->run, error);
    if (status == QR_OK)
        status = qr__inputs_feed(r, error);
    if (status == QR_OK)
        status = qr_onnx_run_forward(r->run, error);
    if (status != QR_OK)
        return status;
    for (size_t v = 0; v < graph->value_count; v++)
        if (graph->values[v].constant != NULL)
            r->values[v] = (qr__known_value){.known = true};
        else if (graph->values[v].producer == QR_ONNX_NONE && !graph->values[v].is_input)
            r->values[v].view = qr__unknown(r, QR_ONNX_NONE, "a value that something makes");
    for (size_t n = 0; n < graph->node_count && !r->no_memory; n++)
        if (!graph->nodes[n].folded)
            read_node(r, &graph->nodes[n], n);
    return r->no_memory ? qr__no_memory(r, error) : QR_OK;
}

static void describe(const qr__reading *r, qr__recognised *found) {
    const qr_onnx_graph *graph = r->graph;
    bool whole_norm = false;
    bool fused = false;
    bool merged = false;
    for (size_t n = 0; n < graph->node_count; n++) {
        const char *op = graph->nodes[n].op;
        whole_norm = whole_norm || strstr(op, "LayerNormalization") != NULL;
        fused = fused || strstr(op, "Attention") != NULL;
        const bool own = graph->nodes[n].domain[0] == '\0'; /* that takes Q, K and V apart */
        merged = merged || (strcmp(op, "Attention") == 0 && !own) || strcmp(op, "QAttention") == 0;
    }
    for (size_t t = 0; t < r->term_count && !fused; t++)
        if (r->terms[t]->kind == QR__TERM_SCORES &&
            r->terms[t]->of->matrix == r->terms[t]->other->matrix)
            merged = true;
    snprintf(found->style, sizeof found->style, "%.40s %.20s, %s Q K V, %s, layer norm %s%s%s",
             graph->producer == NULL || graph->producer[0] == '\0' ? "unnamed exporter"
                                                                   : graph->producer,
             graph->producer_version == NULL ? "" : graph->producer_version,
             merged ? "merged" : "separate", fused ? "fused attention" : "attention in pieces",
             whole_norm ? "as one node" : "in pieces", r->int8 ? ", int8 weights" : "",
             r->half ? ", f16 weights" : "");
}

static void forget(qr__reading *r) {
    for (size_t i = 0; i < r->owned_count; i++)
        free(r->owned[i]);
    free(r->owned);
    free(r->terms);
    free(r->values);
    qr_onnx_run_destroy(r->run);
}

qr_status qr__recognise(qr_onnx_graph *graph, qr__recognised **out, qr_error *error) {
    *out = NULL;
    qr_status status = qr_onnx_fold(graph, error);
    if (status != QR_OK)
        return status;
    qr__recognised *found = calloc(1, sizeof *found);
    qr__reading r = {.graph = graph, .half = has_half(graph), .int8 = has_int8(graph)};
    r.values = calloc(qr_max(graph->value_count, 1), sizeof *r.values);
    if (found == NULL || r.values == NULL)
        status = qr__no_memory(&r, error);
    const qr__term *states = NULL;
    if (status == QR_OK)
        status = read_graph(&r, found, error);
    if (status == QR_OK)
        status = qr__assemble_outputs(&r, found, &states, error);
    if (status == QR_OK)
        status = qr__assemble_layers(&r, states, found, error);
    if (status == QR_OK) {
        found->quantized = r.quantized;
        found->half = r.half;
        memcpy(found->inputs, r.inputs, sizeof found->inputs);
        found->input_count = r.input_count;
        snprintf(found->info.dtype, sizeof found->info.dtype, "%s",
                 r.int8   ? "int8"
                 : r.half ? "f16"
                          : "f32");
        describe(&r, found);
        found->graph = graph;
    }
    if (r.values != NULL)
        forget(&r);
    if (status != QR_OK) {
        qr__recognised_destroy(found);
        return status;
    }
    *out = found;
    return QR_OK;
}
