/* cli/import_tally.h: the nodes of an ONNX graph counted by the fused step that they became.
 *
 *     qr__import_tally *tally = qr__import_tally_create(found);
 *     const qr__import_cell *cell = qr__import_cell_of(tally, QR_IMPORT_QKV, layer);
 *     printf("%zu nodes: %s x %zu\n", cell->nodes, cell->ops[0].name, cell->ops[0].count);
 *     qr__import_tally_destroy(tally);
 *
 * Threads: const after creation.
 */
#ifndef QR_CLI_IMPORT_TALLY_H
#define QR_CLI_IMPORT_TALLY_H

#include "engine/engine.h"

#define QR_IMPORT_OPS_MOST 24 /* kinds of operators in one box; those beyond are only nodes */

typedef struct qr__import_op {
    const char *name; /* "MatMul" */
    size_t count;
} qr__import_op;

/** Nodes of one step. */
typedef struct qr__import_cell {
    qr__import_op ops[QR_IMPORT_OPS_MOST]; /* most frequent first, then by name */
    size_t kinds, nodes;
} qr__import_cell;

/** Ways that data take between steps, as bits. */
enum {
    QR_WAY_ENTERS = 1,          /* from embeddings or the layer before to Q K V, or attention */
    QR_WAY_ENTERS_RESIDUAL = 2, /* ... to attention's output */
    QR_WAY_QKV_ATTENTION = 4,
    QR_WAY_MASK_ATTENTION = 8,
    QR_WAY_ATTENTION_AO = 16,
    QR_WAY_AO_UP = 32,
    QR_WAY_UP_DOWN = 64,
    QR_WAY_AO_DOWN = 128, /* the residual */
    QR_WAY_LEAVES = 256   /* the last layer: to head, pooling or an output */
};

typedef struct qr__import_tally {
    qr__import_cell *cells;
    unsigned *ways; /* [layers] */
    size_t layers;
} qr__import_tally;

/** NULL: no memory. Returns owned; borrows `found`. */
qr__import_tally *qr__import_tally_create(const qr_import_info *found);

/** NULL is allowed. */
void qr__import_tally_destroy(qr__import_tally *tally);

/** The cell of a step; `layer` is looked at for QKV to DOWN only, and below tally->layers. */
const qr__import_cell *qr__import_cell_of(const qr__import_tally *tally, qr_import_block block,
                                          size_t layer);

/** Whether two layers have the same operators in each step, and the same ways between them. */
bool qr__import_layers_alike(const qr__import_tally *tally, size_t a, size_t b);

#endif
