/* engine/cpu/ref/ref.h: the oracle: BERT's forward pass as the paper writes it, in scalar C with
 * double sums.
 *
 *     float *hidden = malloc(T * C * sizeof *hidden);
 *     qr__ref_forward(bert, &batch, QR_OUTPUT_HIDDEN, hidden, &error);
 *
 * Slow on purpose (no tiles, no tricks) so that it can be read beside the paper; fast kernels are
 * tested against it, and it is tested against PyTorch. Threads: no state; allocates its own work
 * space.
 */
#ifndef QR_ENGINE_CPU_REF_H
#define QR_ENGINE_CPU_REF_H

#include "engine/engine.h"
#include "engine/model/model.h"

/** Floats of an output for this batch: T*C, B*embedding, T*2, B*K or T*K. */
size_t qr__ref_output_floats(const qr_bert *bert, const qr_batch *batch, qr_output wanted);

/** `out` holds qr__ref_output_floats(); shapes as qr_output says. The bert's weights must not have
 * been released. QR_BAD_REQUEST: an id, a type, a length or an output that the model does not have.
 */
QR_MUST_USE qr_status qr__ref_forward(const qr_bert *bert, const qr_batch *batch, qr_output wanted,
                                      float *out, qr_error *error);

#endif
