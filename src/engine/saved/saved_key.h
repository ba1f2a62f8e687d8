/* engine/saved/saved_key.h: the hash of all that a saved plan or proof follows from. Private to
 * saved/. */
#ifndef QR_ENGINE_SAVED_KEY_H
#define QR_ENGINE_SAVED_KEY_H

#include "engine/saved/saved.h"
#include "engine/saved/saved_hash.h"

/** Raised with every change of what a file holds or how. */
#define QR__SAVED_VERSION 5u

/** Reads model and program. QR_IO: one of them cannot be read; QR_NO_MEMORY. */
QR_MUST_USE qr_status qr__saved_key(const qr_saved_options *options, qr__saved_digest *out,
                                    qr_error *error);

/** The same for what was proven of a model from ONNX: it does not depend on the precision, nor on
 * the texts of the gate. */
QR_MUST_USE qr_status qr__saved_proof_key(const qr_model *model, const qr_device *device,
                                          qr__saved_digest *out, qr_error *error);

#endif
