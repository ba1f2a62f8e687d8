/* engine/cpu/trial.h: from a loaded bert to packed weights that passed the accuracy gate
 * (plan/plan.h decides; this packs and runs).
 *
 *     qr_trial_result result;
 *     status = qr_trial_run(bert, &(qr_trial){.asked = QR_PRECISION_AUTO, .isa = isa, .probes =
 * probes, .threads = 2}, &result, &error);
 *     // result.weights and result.words are the caller's; the bert's own matrices are still there
 */
#ifndef QR_ENGINE_CPU_TRIAL_H
#define QR_ENGINE_CPU_TRIAL_H

#include "engine/cpu/weights.h"
#include "engine/plan/plan.h"

typedef struct qr_trial {
    qr_precision asked;
    qr_isa isa;
    const qr_batch *probes; /* NULL: no gate; AUTO is then f32 */
    int threads;
} qr_trial;

typedef struct qr_trial_result {
    qr_weights *weights;
    qr_words *words;
    qr_precision precision;
    double pack_ms, gate_ms;
    char reason[256];
} qr_trial_result;

QR_MUST_USE qr_status qr_trial_run(const qr_bert *bert, const qr_trial *trial, qr_trial_result *out,
                                   qr_error *error);

#endif
