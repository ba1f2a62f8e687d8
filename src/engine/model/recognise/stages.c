/* recognise/stages.c: which values hold a step's numbers, and which nodes belong to it. */
#include <stdlib.h>

#include "engine/model/recognise/assemble.h"

void qr__mark(const qr__term *term, qr__block_kind block, size_t layer) {
    qr__term *mine =
        (qr__term *)(uintptr_t)term; /* terms are the reading's, and it is at its end */
    mine->marked = true;
    mine->block = block;
    mine->layer = (uint32_t)layer;
}

bool qr__add_stage(const qr__reading *r, qr__recognised *found, qr__stage_kind kind, size_t layer,
                   const qr__term *term, const double *function) {
    qr__graph_stage *grown =
        realloc(found->stages, (found->stage_count + 1) * sizeof *found->stages);
    if (grown == NULL)
        return false;
    found->stages = grown;
    size_t value = QR_ONNX_NONE;
    for (size_t v = 0; v < r->graph->value_count && value == QR_ONNX_NONE; v++) {
        const qr__known_value *about = &r->values[v];
        if (!about->known && about->view.term == term && about->view.map == NULL &&
            about->view.function == function)
            value = v;
    }
    found->stages[found->stage_count++] = (qr__graph_stage){kind, layer, value};
    return true;
}

static qr__node_block own_block(const qr__reading *r, const qr_onnx_node *node, bool *has) {
    *has = true;
    if (node->folded)
        return (qr__node_block){QR__BLOCK_CONSTANT, 0};
    for (size_t o = 0; o < node->output_count; o++) {
        if (node->outputs[o] == QR_ONNX_NONE)
            continue;
        const qr__known_value *about = &r->values[node->outputs[o]];
        if (about->known)
            return (qr__node_block){about->deps != 0 ? QR__BLOCK_MASK : QR__BLOCK_SHAPES, 0};
        if (about->view.term->marked)
            return (qr__node_block){about->view.term->block, about->view.term->layer};
    }
    *has = false;
    return (qr__node_block){QR__BLOCK_LEFT_OUT, 0};
}

bool qr__assign_blocks(const qr__reading *r, qr__recognised *found) {
    const qr_onnx_graph *graph = r->graph;
    found->blocks = calloc(qr_max(graph->node_count, 1), sizeof *found->blocks);
    uint8_t *has = calloc(qr_max(graph->node_count, 1), 1);
    for (size_t n = 0; found->blocks != NULL && has != NULL && n < graph->node_count; n++)
        found->blocks[n] = (qr__node_block){QR__BLOCK_LEFT_OUT, 0};
    for (size_t n = graph->node_count; found->blocks != NULL && has != NULL && n-- > 0;) {
        const qr_onnx_node *node = &graph->nodes[n];
        bool own = false;
        const qr__node_block block = own_block(r, node, &own);
        if (own)
            found->blocks[n] = block;
        if (!own && !has[n])
            continue;
        for (size_t i = 0; i < node->input_count;
             i++) { /* what it reads may be a step on its way */
            const size_t maker = node->inputs[i] == QR_ONNX_NONE
                                     ? QR_ONNX_NONE
                                     : graph->values[node->inputs[i]].producer;
            if (maker == QR_ONNX_NONE || has[maker])
                continue;
            has[maker] = 1;
            found->blocks[maker] = found->blocks[n];
        }
    }
    const bool ok = found->blocks != NULL && has != NULL;
    free(has);
    return ok;
}
