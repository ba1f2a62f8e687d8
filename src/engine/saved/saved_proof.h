/* engine/saved/saved_proof.h: a proof's numbers within a file. Private to saved/. */
#ifndef QR_ENGINE_SAVED_PROOF_H
#define QR_ENGINE_SAVED_PROOF_H

#include "engine/byte_stream.h"
#include "engine/model_info.h"

/** Writes the numbers. A status is the sink's. */
QR_MUST_USE qr_status qr__saved_proof_put(const qr_proof *proof, const qr_sink *sink);

/** False: the source ended early, or holds what no proof that passed can hold. */
QR_MUST_USE bool qr__saved_proof_get(const qr_source *source, qr_proof *out);

#endif
