/* engine/model/graph_config.h: a graph's facts, and those of the files beside it. Private to
 * model/.
 *
 *     status = qr__graph_info(&files, found, &info, error);
 *     qr__model_info_deinit(&info);
 */
#ifndef QR_ENGINE_MODEL_GRAPH_CONFIG_H
#define QR_ENGINE_MODEL_GRAPH_CONFIG_H

#include "engine/model/recognise.h"

/** The facts of a model that was recognised in files->onnx: the graph's, with what only files tell
 * (names of labels, pooling where the graph does not pool, max_seq_length). No file need be there.
 * QR_BAD_MODEL: config.json contradicts the graph, or a size is out of bounds. Label names are
 * info's own, also after a failure. */
QR_MUST_USE qr_status qr__graph_info(const qr_model_files *files, const qr__recognised *found,
                                     qr_model_info *info, qr_error *error);

#endif
