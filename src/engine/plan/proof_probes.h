/* engine/plan/proof_probes.h: the inputs on which a graph and a plan are compared. Private to
 * plan/.
 *
 *     qr__proof_probes probes;
 *     status = qr__proof_probes_init(found, info, &probes, error);
 *     ... probes.batches[i].batch, the cheapest first ...
 *     qr__proof_probes_deinit(&probes);
 *
 * Ids and types are drawn from a generator with a fixed start, so every start has the same ones.
 * Lengths go from 1 to 64 and, where that costs little, to the longest that the model takes;
 * batches have one sequence, or several of which the shorter are padded. A graph exported for one
 * size gets that size. A graph without a mask gets batches of one length.
 */
#ifndef QR_ENGINE_PLAN_PROOF_PROBES_H
#define QR_ENGINE_PLAN_PROOF_PROBES_H

#include "engine/batch.h"
#include "engine/model/recognised.h"

#define QR__PROOF_BATCHES 8u

typedef struct qr__proof_probes {
    qr_ragged batches[QR__PROOF_BATCHES];
    size_t len;
    size_t literal; /* the first so many are also run with quantized activations, to the letter: the
                       long one would cost more than it shows */
    size_t tokens_max, sequences_max; /* of a batch */
} qr__proof_probes;

/** QR_NO_MEMORY. */
QR_MUST_USE qr_status qr__proof_probes_init(const qr__recognised *found, const qr_model_info *info,
                                            qr__proof_probes *out, qr_error *error);

/** A zeroed one is allowed. */
void qr__proof_probes_deinit(qr__proof_probes *probes);

#endif
