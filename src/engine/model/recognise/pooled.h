/* recognise/pooled.h: outputs that are pooled vectors. Private to recognise/. */
#ifndef QR_ENGINE_MODEL_RECOGNISE_POOLED_H
#define QR_ENGINE_MODEL_RECOGNISE_POOLED_H

#include "engine/model/recognise/assemble.h"

/** Takes an output of `count` numbers as pooled vectors, if it is one: sets the pooling, the dense
 * modules and whether vectors are normalised. states: the last layer's. alone: no output has these.
 * QR_BAD_MODEL: vectors by something that no model directory can say. */
QR_MUST_USE qr_status qr__take_pooled(qr__reading *r, const qr__view *view, size_t count,
                                      const qr__term *states, bool alone, qr__recognised *found,
                                      bool *is_pooled, qr_error *error);

#endif
