/* engine/plan/proof_locate.h: where a graph and what was recognised in it part. Private to plan/.
 *
 *     qr__proof_place place;
 *     status = qr__proof_locate(&where, &place, error);
 *     printf("%s", place.text);    // "layer 1's intermediate, node `/Gelu` (Gelu), by 0.2"
 *
 * The scalar reference runs the weights that were recognised and shows its numbers at each stage of
 * the pass; the graph's own, at the value that recognition named for it, are compared with them in
 * the order of the pass. So what is named is the first place where numbers differ, not a guess from
 * the outputs.
 */
#ifndef QR_ENGINE_PLAN_PROOF_LOCATE_H
#define QR_ENGINE_PLAN_PROOF_LOCATE_H

#include "engine/model/import.h"
#include "engine/model/model.h"

/** An output that differs. */
typedef struct qr__proof_where {
    const qr_import *import;
    const qr_import_run *run; /* of `batch` */
    const qr_bert *bert;
    const qr_batch *batch;
    qr_output output;
    double allowed; /* of it, as qr_proof has it */
} qr__proof_where;

typedef enum qr__proof_part {
    QR__PROOF_LAYERS, /* a stage differs, which is named */
    QR__PROOF_BEHIND, /* none does, but the output: pooling or a head */
    QR__PROOF_KERNELS /* the reference agrees with the graph, its output too */
} qr__proof_part;

typedef struct qr__proof_place {
    qr__proof_part part;
    qr__stage_kind kind; /* of the stage; LAYERS only, as the next two */
    size_t layer;
    double error; /* as qr_proof.error, of the stage */
    char text[400];
} qr__proof_place;

/** QR_NO_MEMORY, or what the reference refuses. */
QR_MUST_USE qr_status qr__proof_locate(const qr__proof_where *where, qr__proof_place *out,
                                       qr_error *error);

#endif
