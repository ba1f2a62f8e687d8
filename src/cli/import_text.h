/* cli/import_text.h: what was found in an ONNX file, in words and as JSON.
 *
 *     qr__import_text(found, &out);       // lines of `querent inspect`
 *     qr__import_json(found, &out);       // an object
 *
 * Threads: pure but for the buffer.
 */
#ifndef QR_CLI_IMPORT_TEXT_H
#define QR_CLI_IMPORT_TEXT_H

#include "engine/engine.h"

/** "last hidden states" of an output's kind "hidden"; a kind that is not known is its own text. */
const char *qr__import_output_text(const char *kind);

#define QR_IMPORT_NODES_TEXT 128

/** "124 nodes (9 of them compute constants)"; "472 nodes" where none does. */
void qr__import_nodes_text(const qr_import_info *found, char out[QR_IMPORT_NODES_TEXT]);

/** Appends lines of a name in 12 columns and what there is to say. */
void qr__import_text(const qr_import_info *found, qr_buf *out);

/** Appends an object. */
void qr__import_json(const qr_import_info *found, qr_buf *out);

#endif
