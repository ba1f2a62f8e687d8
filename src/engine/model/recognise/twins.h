/* recognise/twins.h: nodes that do the same with the same. Private to recognise/. */
#ifndef QR_ENGINE_MODEL_RECOGNISE_TWINS_H
#define QR_ENGINE_MODEL_RECOGNISE_TWINS_H

#include "engine/model/recognise/terms.h"

/** Gives a node's outputs what those of an earlier one are, if there is one that does the same with
 * the same values; so a value that exporters compute twice is one term. False: it is the first. */
bool qr__read_twin(qr__reading *r, const qr_onnx_node *node, size_t number);

#endif
