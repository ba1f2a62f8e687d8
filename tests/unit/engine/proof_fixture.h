/* tests: a bert held against a graph, by the proof and by the scalar reference. */
#ifndef QR_TESTS_PROOF_FIXTURE_H
#define QR_TESTS_PROOF_FIXTURE_H

#include "engine/plan/proof.h"
#include "engine/plan/proof_probes.h"

/** Proves a bert (const weights, but for what a test did to them) against a graph, on an
 * instruction set (NULL: the best). */
qr_status prove(const qr_import *import, const qr_bert *bert, const char *isa, qr_proof *out,
                qr_error *error);

/** What the scalar reference gives for all that a graph is compared by, on the proof's own probes.
 */
struct reference {
    qr__proof_probes probes;
    float *outputs[QR__PROOF_BATCHES][QR_OUTPUT_TOKEN_LABELS + 1]; /* NULL: not compared */
};

void reference_make(const qr_import *import, const qr_bert *bert, struct reference *out);
void reference_free(struct reference *reference);

/** The largest |b - a| / max(1, |a|) between two references of one graph. */
double reference_apart(const qr_bert *bert, const struct reference *a, const struct reference *b);

/** The same for one stage's numbers between two berts: the least of all probes. */
double stage_apart(const qr_import *import, const qr_bert *a, const qr_bert *b, qr__stage_kind kind,
                   size_t layer);

#endif
