/* engine/model/weight_source.h: where weights come from: a safetensors file, or an ONNX graph.
 * Private to model/.
 *
 *     qr__weight_source weights = {0};
 *     status = qr__weights_file_open(dir, &weights, error);    // or qr__weight_source_of_import
 *     status = weights.kind->check(&weights, &slot, error);    // it has the tensor
 *     status = weights.kind->read(&weights, &slot, to, error);
 *     qr__weight_source_close(&weights);
 *
 * Threads: const after it is open.
 */
#ifndef QR_ENGINE_MODEL_WEIGHT_SOURCE_H
#define QR_ENGINE_MODEL_WEIGHT_SOURCE_H

#include "engine/model/bert_store.h"
#include "engine/model/import.h"

struct qr__weight_source_kind;

typedef struct qr__weight_source {
    const struct qr__weight_source_kind *kind; /* NULL: not open */
    const char *path;                          /* of the file, for messages */
    union {
        struct qr__weights_file *file; /* owned */
        const qr_import *import;       /* borrowed */
    } of;
} qr__weight_source;

/** What can be done with one kind of weights. */
typedef struct qr__weight_source_kind {
    /** The slot's tensor is there, of a type that is read, and of the slot's shape. QR_BAD_MODEL.
     * */
    qr_status (*check)(const qr__weight_source *weights, const qr__bert_slot *slot,
                       qr_error *error);

    /** Reads a slot that was checked into its elements `to`. QR_BAD_MODEL: it cannot be read, or is
     * not finite. */
    qr_status (*read)(const qr__weight_source *weights, const qr__bert_slot *slot, float *to,
                      qr_error *error);

    /** How the slot's numbers are stored: "f32", "f16", "bf16", "int8". */
    const char *(*dtype)(const qr__weight_source *weights, const qr__bert_slot *slot);

    /** Tensors that are there, needed or not; 0: that is not counted. */
    size_t (*tensors)(const qr__weight_source *weights);

    /** Writes the bytes of the file, and of those that belong to it. QR_IO: one cannot be read. */
    qr_status (*write_files)(const qr__weight_source *weights, const qr_sink *sink);

    /** False when such a file's size, or the times that the system keeps of changes, are others
     * than when it was opened. */
    bool (*unchanged)(const qr__weight_source *weights);

    void (*close)(qr__weight_source *weights);
} qr__weight_source_kind;

/** A zeroed one is allowed. */
static inline void qr__weight_source_close(qr__weight_source *weights) {
    if (weights->kind != NULL)
        weights->kind->close(weights);
    *weights = (qr__weight_source){0};
}

/** The weights that were recognised in a graph. Borrows the import. */
qr__weight_source qr__weight_source_of_import(const qr_import *import);

#endif
