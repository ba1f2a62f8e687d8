/* engine/saved/saved_key.h: the hash of all that a saved plan follows from. Private to saved/. */
#ifndef QR_ENGINE_SAVED_KEY_H
#define QR_ENGINE_SAVED_KEY_H

#include "engine/saved/saved.h"
#include "engine/saved/saved_hash.h"

/** Raised with every change of what a file holds or how. */
#define QR__SAVED_VERSION 4u

/** Reads model and program. QR_IO: one of them cannot be read; QR_NO_MEMORY. */
QR_MUST_USE qr_status qr__saved_key(const qr_saved_options *options, qr__saved_digest *out,
                                    qr_error *error);

#endif
