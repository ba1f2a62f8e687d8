/* cli/import_tally.c: one pass over nodes, one over edges. */
#include "cli/import_tally.h"

#include <stdlib.h>

#define LAYERED ((size_t)QR_IMPORT_DOWN - QR_IMPORT_QKV + 1)

static bool is_layered(qr_import_block block) {
    return block >= QR_IMPORT_QKV && block <= QR_IMPORT_DOWN;
}

/* Steps without layers come first. */
static size_t cell_at(qr_import_block block, size_t layer) {
    if (!is_layered(block))
        return block;
    return QR_IMPORT_BLOCKS + layer * LAYERED + (size_t)(block - QR_IMPORT_QKV);
}

const qr__import_cell *qr__import_cell_of(const qr__import_tally *tally, qr_import_block block,
                                          size_t layer) {
    return &tally->cells[cell_at(block, layer)];
}

static void count_node(qr__import_cell *cell, const char *op) {
    size_t i = 0;
    cell->nodes++;
    while (i < cell->kinds && strcmp(cell->ops[i].name, op) != 0)
        i++;
    if (i == QR_IMPORT_OPS_MOST)
        return;
    if (i == cell->kinds) {
        cell->ops[i].name = op;
        cell->kinds++;
    }
    cell->ops[i].count++;
}

static void sort_ops(qr__import_cell *cell) {
    for (size_t i = 1; i < cell->kinds; i++)
        for (size_t j = i; j > 0; j--) {
            bool after = cell->ops[j].count < cell->ops[j - 1].count ||
                         (cell->ops[j].count == cell->ops[j - 1].count &&
                          strcmp(cell->ops[j].name, cell->ops[j - 1].name) >= 0);
            if (after)
                break;
            qr__import_op kept = cell->ops[j];
            cell->ops[j] = cell->ops[j - 1];
            cell->ops[j - 1] = kept;
        }
}

/* What one edge says of the layer that it leads to, or, at the encoder's end, from. */
static void mark_way(qr__import_tally *tally, const qr_import_node *from,
                     const qr_import_node *to) {
    const bool enters = (from->block == QR_IMPORT_EMBEDDINGS && to->layer == 0) ||
                        (from->block == QR_IMPORT_DOWN && from->layer + 1 == to->layer);
    const bool within = from->layer == to->layer;
    unsigned *ways = &tally->ways[is_layered(to->block) ? to->layer : 0];
    if (enters && (to->block == QR_IMPORT_QKV || to->block == QR_IMPORT_ATTENTION))
        *ways |= QR_WAY_ENTERS;
    if (enters && to->block == QR_IMPORT_ATTENTION_OUTPUT)
        *ways |= QR_WAY_ENTERS_RESIDUAL;
    if (from->block == QR_IMPORT_MASK && to->block == QR_IMPORT_ATTENTION)
        *ways |= QR_WAY_MASK_ATTENTION;
    if (from->block == QR_IMPORT_DOWN && from->layer + 1 == tally->layers &&
        (to->block == QR_IMPORT_HEAD || to->block == QR_IMPORT_POOLING))
        tally->ways[from->layer] |= QR_WAY_LEAVES;
    static const struct {
        qr_import_block from, to;
        unsigned way;
    } inner[] = {
        {QR_IMPORT_QKV, QR_IMPORT_ATTENTION, QR_WAY_QKV_ATTENTION},
        {QR_IMPORT_ATTENTION, QR_IMPORT_ATTENTION_OUTPUT, QR_WAY_ATTENTION_AO},
        {QR_IMPORT_ATTENTION_OUTPUT, QR_IMPORT_UP, QR_WAY_AO_UP},
        {QR_IMPORT_UP, QR_IMPORT_DOWN, QR_WAY_UP_DOWN},
        {QR_IMPORT_ATTENTION_OUTPUT, QR_IMPORT_DOWN, QR_WAY_AO_DOWN},
    };
    for (size_t i = 0; within && i < sizeof inner / sizeof *inner; i++)
        if (from->block == inner[i].from && to->block == inner[i].to)
            *ways |= inner[i].way;
}

static bool allocate(qr__import_tally *tally, const qr_import_info *found) {
    for (size_t i = 0; i < found->node_count; i++)
        if (is_layered(found->nodes[i].block))
            tally->layers = qr_max(tally->layers, found->nodes[i].layer + 1);
    if (tally->layers > QR_LIMIT_LAYERS)
        return false;
    tally->cells = calloc(QR_IMPORT_BLOCKS + tally->layers * LAYERED, sizeof *tally->cells);
    tally->ways = calloc(tally->layers + 1, sizeof *tally->ways);
    return tally->cells != NULL && tally->ways != NULL;
}

qr__import_tally *qr__import_tally_create(const qr_import_info *found) {
    qr__import_tally *tally = calloc(1, sizeof *tally);
    if (tally == NULL || !allocate(tally, found)) {
        qr__import_tally_destroy(tally);
        return NULL;
    }
    for (size_t i = 0; i < found->node_count; i++) {
        const qr_import_node *node = &found->nodes[i];
        count_node(&tally->cells[cell_at(node->block, node->layer)], node->op);
    }
    for (size_t i = 0; i < QR_IMPORT_BLOCKS + tally->layers * LAYERED; i++)
        sort_ops(&tally->cells[i]);
    for (size_t i = 0; i < found->edge_count; i++)
        mark_way(tally, &found->nodes[found->edges[i].from], &found->nodes[found->edges[i].to]);
    return tally;
}

void qr__import_tally_destroy(qr__import_tally *tally) {
    if (tally == NULL)
        return;
    free(tally->cells);
    free(tally->ways);
    free(tally);
}

static bool same_cells(const qr__import_cell *a, const qr__import_cell *b) {
    bool same = a->nodes == b->nodes && a->kinds == b->kinds;
    for (size_t i = 0; same && i < a->kinds; i++)
        same = a->ops[i].count == b->ops[i].count && strcmp(a->ops[i].name, b->ops[i].name) == 0;
    return same;
}

/* Where the last layer's data go is no difference of the layer. */
bool qr__import_layers_alike(const qr__import_tally *tally, size_t a, size_t b) {
    const unsigned own = ~(unsigned)QR_WAY_LEAVES;
    bool same = (tally->ways[a] & own) == (tally->ways[b] & own);
    for (qr_import_block block = QR_IMPORT_QKV; same && block <= QR_IMPORT_DOWN; block++)
        same = same_cells(qr__import_cell_of(tally, block, a), qr__import_cell_of(tally, block, b));
    return same;
}
