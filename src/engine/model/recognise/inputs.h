/* recognise/inputs.h: the graph's inputs, and the batch that it is looked at with. Private to
 * recognise/. */
#ifndef QR_ENGINE_MODEL_RECOGNISE_INPUTS_H
#define QR_ENGINE_MODEL_RECOGNISE_INPUTS_H

#include "engine/model/recognise/terms.h"

/** Says which input is the ids, the mask, the segments, the positions, and of which sizes the batch
 * is. QR_BAD_MODEL: they are not a BERT's; QR_NO_MEMORY. */
QR_MUST_USE qr_status qr__inputs_name(qr__reading *r, qr__recognised *found, qr_error *error);

/** Feeds r->run with that batch, and keeps what was fed. QR_NO_MEMORY. */
QR_MUST_USE qr_status qr__inputs_feed(qr__reading *r, qr_error *error);

#endif
