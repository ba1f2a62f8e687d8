/* engine/model/import_facts.c: a recognised graph -> the facts that the world may see of it. */
#include <stdlib.h>

#include "engine/model/import.h"

static const qr_import_block blocks[] = {
    [QR__BLOCK_EMBEDDINGS] = QR_IMPORT_EMBEDDINGS,
    [QR__BLOCK_MASK] = QR_IMPORT_MASK,
    [QR__BLOCK_QKV] = QR_IMPORT_QKV,
    [QR__BLOCK_ATTENTION] = QR_IMPORT_ATTENTION,
    [QR__BLOCK_ATTENTION_OUTPUT] = QR_IMPORT_ATTENTION_OUTPUT,
    [QR__BLOCK_UP] = QR_IMPORT_UP,
    [QR__BLOCK_DOWN] = QR_IMPORT_DOWN,
    [QR__BLOCK_HEAD] = QR_IMPORT_HEAD,
    [QR__BLOCK_POOLING] = QR_IMPORT_POOLING,
    [QR__BLOCK_SHAPES] = QR_IMPORT_SHAPES,
    [QR__BLOCK_CONSTANT] = QR_IMPORT_CONSTANT,
    [QR__BLOCK_LEFT_OUT] = QR_IMPORT_LEFT_OUT,
};

static const char *const output_kinds[] = {
    [QR__GRAPH_HIDDEN] = "hidden",         [QR__GRAPH_POOLED] = "pooled",
    [QR__GRAPH_SPAN_START] = "span_start", [QR__GRAPH_SPAN_END] = "span_end",
    [QR__GRAPH_LABELS] = "labels",         [QR__GRAPH_TOKEN_LABELS] = "token_labels",
    [QR__GRAPH_LEFT_OUT] = "left_out",
};

static const char *const input_kinds[] = {
    [QR__GRAPH_IDS] = "ids",
    [QR__GRAPH_MASK] = "mask",
    [QR__GRAPH_TYPES] = "types",
    [QR__GRAPH_POSITIONS] = "positions",
};

/* A node's inputs that other nodes make. */
static size_t count_edges(const qr_onnx_graph *graph) {
    size_t count = 0;
    for (size_t i = 0; i < graph->node_count; i++)
        count += graph->nodes[i].input_count;
    return count;
}

static void set_edges(const qr_onnx_graph *graph, qr_import_info *info) {
    for (size_t i = 0; i < graph->node_count; i++)
        for (size_t j = 0; j < graph->nodes[i].input_count; j++) {
            size_t value = graph->nodes[i].inputs[j];
            if (value != QR_ONNX_NONE && graph->values[value].producer != QR_ONNX_NONE)
                info->edges[info->edge_count++] =
                    (qr_import_edge){graph->values[value].producer, i};
        }
}

static void set_nodes(const qr__recognised *found, qr_import_info *info) {
    const qr_onnx_graph *graph = found->graph;
    info->node_count = graph->node_count;
    for (size_t i = 0; i < graph->node_count; i++) {
        const qr_onnx_node *node = &graph->nodes[i];
        const qr_import_block block = blocks[found->blocks[i].kind];
        const bool layered = block >= QR_IMPORT_QKV && block <= QR_IMPORT_DOWN;
        info->nodes[i] = (qr_import_node){.name = node->name,
                                          .op = node->op,
                                          .block = block,
                                          .layer = layered ? found->blocks[i].layer : 0};
        info->folded += block == QR_IMPORT_CONSTANT;
    }
}

static void set_ports(const qr__recognised *found, qr_import_info *info) {
    const qr_onnx_graph *graph = found->graph;
    info->input_count = found->input_count;
    info->output_count = graph->output_count;
    for (size_t i = 0; i < found->input_count; i++)
        info->inputs[i] = (qr_import_port){graph->values[found->inputs[i].value].name,
                                           input_kinds[found->inputs[i].kind]};
    for (size_t i = 0; i < graph->output_count; i++)
        info->outputs[i] = (qr_import_port){graph->values[found->outputs[i].value].name,
                                            output_kinds[found->outputs[i].kind]};
}

qr_status qr_import_info_create(const qr_model *model, qr_import_info **out, qr_error *error) {
    const qr_import *import = qr_model_import(model);
    *out = NULL;
    if (import == NULL)
        return QR_OK;
    const qr__recognised *found = qr_import_recognised(import);
    const qr_onnx_graph *graph = found->graph;
    qr_import_info *info = calloc(1, sizeof *info);
    if (info != NULL) {
        info->nodes = calloc(graph->node_count + 1, sizeof *info->nodes);
        info->edges = calloc(count_edges(graph) + 1, sizeof *info->edges);
        info->inputs = calloc(found->input_count + 1, sizeof *info->inputs);
        info->outputs = calloc(graph->output_count + 1, sizeof *info->outputs);
    }
    if (info == NULL || info->nodes == NULL || info->edges == NULL || info->inputs == NULL ||
        info->outputs == NULL) {
        qr_import_info_destroy(info);
        return qr_error_set(error, QR_NO_MEMORY, "%s: no memory for a table of nodes", graph->path);
    }
    info->path = graph->path;
    info->producer = graph->producer;
    info->producer_version = graph->producer_version;
    info->style = found->style;
    info->opset = graph->opset;
    info->steps = found->steps;
    info->quantized = found->quantized;
    info->half = found->half;
    info->fixed_batch = found->fixed_batch;
    info->fixed_tokens = found->fixed_tokens;
    set_nodes(found, info);
    set_edges(graph, info);
    set_ports(found, info);
    *out = info;
    return QR_OK;
}

void qr_import_info_destroy(qr_import_info *info) {
    if (info == NULL)
        return;
    free(info->nodes);
    free(info->edges);
    free(info->inputs);
    free(info->outputs);
    free(info);
}
