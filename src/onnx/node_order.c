/* onnx/node_order.c: nodes in an order in which they can run.
 *
 * A walk from each node, in the file's order, to the nodes that it reads from, which come first. So
 * a file that is in order (as the format asks) stays as it is.
 */
#include <stdlib.h>

#include "onnx/reader.h"

enum mark { NEW, WAITS, PLACED };

typedef struct walk {
    const qr_onnx_graph *graph;
    size_t *order; /* nodes as they can run */
    size_t placed;
    size_t *stack;  /* each waits for the one above it */
    size_t *cursor; /* of each node: its inputs up to here are made */
    uint8_t *marks;
} walk;

/* The next node that `node` reads from and that has no place yet; QR_ONNX_NONE: none is left. */
static size_t next_unplaced(walk *w, size_t node) {
    const qr_onnx_node *n = &w->graph->nodes[node];
    while (w->cursor[node] < n->input_count) {
        const size_t value = n->inputs[w->cursor[node]++];
        const size_t producer =
            value == QR_ONNX_NONE ? QR_ONNX_NONE : w->graph->values[value].producer;
        if (producer != QR_ONNX_NONE && w->marks[producer] != PLACED)
            return producer;
    }
    return QR_ONNX_NONE;
}

/* Places `first` behind all that it reads. Returns a node that waits for itself, or none. */
static size_t place(walk *w, size_t first) {
    size_t depth = 0;
    w->stack[depth++] = first;
    w->marks[first] = WAITS;
    while (depth > 0) {
        const size_t node = w->stack[depth - 1];
        const size_t before = next_unplaced(w, node);
        if (before == QR_ONNX_NONE) {
            w->marks[node] = PLACED;
            w->order[w->placed++] = node;
            depth--;
        } else if (w->marks[before] == WAITS) {
            return before;
        } else {
            w->marks[before] = WAITS;
            w->stack[depth++] = before;
        }
    }
    return QR_ONNX_NONE;
}

/* Nodes move to their places; values follow. */
static qr_status move(const qr__onnx_reader *r, const walk *w) {
    qr_onnx_graph *graph = r->graph;
    qr_onnx_node *nodes = malloc(qr_max(graph->node_count, 1) * sizeof *nodes);
    if (nodes == NULL)
        return qr__onnx_no_memory(r);
    for (size_t i = 0; i < graph->node_count; i++) {
        nodes[i] = graph->nodes[w->order[i]];
        for (size_t o = 0; o < nodes[i].output_count; o++)
            if (nodes[i].outputs[o] != QR_ONNX_NONE)
                graph->values[nodes[i].outputs[o]].producer = i;
    }
    memcpy(graph->nodes, nodes, graph->node_count * sizeof *nodes);
    free(nodes);
    return QR_OK;
}

static qr_status place_all(const qr__onnx_reader *r, walk *w) {
    for (size_t i = 0; i < w->graph->node_count; i++) {
        const size_t waits = w->marks[i] == NEW ? place(w, i) : QR_ONNX_NONE;
        if (waits == QR_ONNX_NONE)
            continue;
        char where[256];
        qr_onnx_node_text(w->graph, &w->graph->nodes[waits], where);
        return qr__onnx_refuse(r, where, "it waits for its own output (a cycle)");
    }
    return move(r, w);
}

qr_status qr__onnx_nodes_order(qr__onnx_reader *r) {
    const size_t count = qr_max(r->graph->node_count, 1);
    walk w = {
        .graph = r->graph,
        .order = calloc(count, sizeof *w.order),
        .stack = calloc(count, sizeof *w.stack),
        .cursor = calloc(count, sizeof *w.cursor),
        .marks = calloc(count, sizeof *w.marks),
    };
    const bool room = w.order != NULL && w.stack != NULL && w.cursor != NULL && w.marks != NULL;
    const qr_status status = room ? place_all(r, &w) : qr__onnx_no_memory(r);
    free(w.order);
    free(w.stack);
    free(w.cursor);
    free(w.marks);
    return status;
}
