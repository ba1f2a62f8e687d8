/* engine/model/open_import.h: an import, made and unmade. Private to model/.
 *
 *     qr_import *import = NULL;
 *     status = qr__import_open("models/minilm/model.onnx", &import, error);
 *     qr__import_close(import);
 */
#ifndef QR_ENGINE_MODEL_OPEN_IMPORT_H
#define QR_ENGINE_MODEL_OPEN_IMPORT_H

#include "engine/model/import.h"

struct qr_import {
    qr__recognised *found;
    bool pools_otherwise;
};

/** Reads a graph and finds the BERT in it. QR_BAD_MODEL: the file, or what is no BERT in it;
 * QR_IO, QR_NO_MEMORY. *out: returns owned. */
QR_MUST_USE qr_status qr__import_open(const char *path, qr_import **out, qr_error *error);

/** NULL is allowed. */
void qr__import_close(qr_import *import);

/** Says that the model pools in another way than its graph, whose vectors are no measure then. */
void qr__import_pools_otherwise(qr_import *import);

#endif
