/* engine/cpu/ref/ref.h: the oracle: BERT's forward pass as the paper writes it, in scalar C with
 * double sums.
 *
 *     float *hidden = malloc(T * C * sizeof *hidden);
 *     qr_ref_forward(bert, &batch, QR_OUTPUT_HIDDEN, hidden, &error);
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
size_t qr_ref_output_floats(const qr_bert *bert, const qr_batch *batch, qr_output wanted);

/** `out` holds qr_ref_output_floats(); shapes as qr_output says. The bert's weights must not have
 * been released. QR_BAD_REQUEST: an id, a type, a length or an output that the model does not have.
 */
QR_MUST_USE qr_status qr_ref_forward(const qr_bert *bert, const qr_batch *batch, qr_output wanted,
                                     float *out, qr_error *error);

/** Places of the pass, in its order: the numbers that an observer is shown are [T] rows. */
typedef enum qr__ref_stage {
    QR__REF_EMBEDDINGS,     /* [T][C] normed, and projected where E is not C */
    QR__REF_QUERY,          /* [T][C] with bias, not scaled */
    QR__REF_KEY,            /* [T][C] */
    QR__REF_VALUE,          /* [T][C] */
    QR__REF_ATTENDED,       /* [T][C] heads side by side */
    QR__REF_ATTENTION_NORM, /* [T][C] */
    QR__REF_INTERMEDIATE,   /* [T][F] behind the activation */
    QR__REF_OUTPUT_NORM     /* [T][C] */
} qr__ref_stage;

/** Who wants to see the numbers on their way. */
typedef struct qr__ref_observer {
    void (*see)(void *user, qr__ref_stage stage, size_t layer, const double *numbers);
    void *user;
} qr__ref_observer;

/** qr_ref_forward that shows each stage to an observer. */
QR_MUST_USE qr_status qr_ref_forward_observed(const qr_bert *bert, const qr_batch *batch,
                                              qr_output wanted, const qr__ref_observer *observer,
                                              float *out, qr_error *error);

#endif
