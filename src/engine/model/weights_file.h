/* engine/model/weights_file.h: an open model.safetensors as weights. Private to model/.
 *
 *     qr__weight_source weights = {0};
 *     status = qr__weights_file_open(dir, &weights, error);
 *     names.prefix = qr__weights_file_prefix(&weights, "bert.");
 */
#ifndef QR_ENGINE_MODEL_WEIGHTS_FILE_H
#define QR_ENGINE_MODEL_WEIGHTS_FILE_H

#include "engine/model/weight_source.h"

/** Opens dir/model.safetensors and checks its header completely. QR_BAD_MODEL, with a hint on what
 * lies there instead; QR_NO_MEMORY. To be closed also when this fails. */
QR_MUST_USE qr_status qr__weights_file_open(const char *dir, qr__weight_source *weights,
                                            qr_error *error);

/** The prefix under which the file has the word embeddings: `prefix` or ""; NULL: under neither. */
const char *qr__weights_file_prefix(const qr__weight_source *weights, const char *prefix);

#endif
