/* engine/plan/proof.h: a model that came from ONNX gives what its graph gives, or it is refused.
 *
 *     const qr_proof_options options = {.import = import, .packed = f32, .threads = 2};
 *     status = qr_prove(&options, &proof, error);    // QR_BAD_MODEL: where they differ
 *
 * Recognition says what a graph is; nothing of that is believed. An interpreter runs the literal
 * graph on probe inputs (proof_probes.h), the packed f32 plan runs the same, and every output that
 * the engine serves must agree, and the last hidden states with them:
 *
 *     |ours - graph's| <= allowed * max(1, |graph's|)      allowed: 1e-3, in half precision 1e-2
 *
 * A graph that quantizes its activations is run twice: without that, held to the same bound, and
 * to the letter, where the cosine of all rows of an output together must be 0.98 (docs/ONNX.md says
 * why of all together). Where outputs differ, proof_locate.h finds the first stage that does.
 *
 * The same model, program and device give the same verdict, always: no step asks a clock.
 */
#ifndef QR_ENGINE_PLAN_PROOF_H
#define QR_ENGINE_PLAN_PROOF_H

#include "engine/backend.h"
#include "engine/model/import.h"

#define QR_PROOF_ALLOWED      1e-3
#define QR_PROOF_ALLOWED_HALF 1e-2
#define QR_PROOF_COSINE       0.98

typedef struct qr_proof_options {
    const qr_import *import; /* the graph */
    const qr_packed *packed; /* in f32, of a bert whose weights have not been released */
    int threads;             /* that may help with a pass */
} qr_proof_options;

/** QR_BAD_MODEL: the two differ, or the graph does not run: with the file, the output, by how much,
 * and the first node that differs; QR_NO_MEMORY. *out is what was found, also when it was too much.
 */
QR_MUST_USE qr_status qr_prove(const qr_proof_options *options, qr_proof *out, qr_error *error);

/** Writes "gives what the graph gives: largest difference 2.1e-06 (1e-03 is allowed)"; of a graph
 * that quantizes its activations both measures, each with its bound. */
void qr_proof_text(const qr_proof *proven, char *out, size_t out_bytes);

#endif
