/* engine/plan/plan.h: precision is measured, not assumed: from a loaded bert to weights packed
 * for the fastest plan that keeps its answers.
 *
 *     qr_trial trial = {.bert = bert, .device = device, .asked = QR_PRECISION_AUTO,
 *                       .probes = &batch, .threads = 2};
 *     qr_trial_result result;
 *     status = qr_trial_run(&trial, &result, &error);      // result.packed is the caller's
 *
 * Three parts: trial.c packs candidates and runs the probe texts on them; choose.h decides which
 * candidate comes next; gate.h judges its outputs. The room stands above engine/backend.h and
 * knows no device.
 *
 * The same model, program and device give the same plan, always: no step asks a clock. Replicas
 * must agree on a text's bits, and a restart must not change them.
 */
#ifndef QR_ENGINE_PLAN_H
#define QR_ENGINE_PLAN_H

#include "engine/backend.h"

typedef struct qr_trial {
    const qr_bert *bert;
    const qr_device *device;
    qr_precision asked;
    const qr_batch *probes;      /* texts for the gate; NULL: no gate, and AUTO is f32 */
    const qr_batch *calibration; /* texts for int8's ranges, not the gate's; NULL: none */
    int threads;                 /* that run the probes */
    qr_packed *f32; /* takes: the bert packed in f32, where a proof needed it; or NULL */
} qr_trial;

typedef struct qr_trial_result {
    qr_packed *packed; /* returns owned */
    qr_precision precision;
    uint8_t fallback[QR_LIMIT_LAYERS]; /* as qr_plan has it */
    double pack_ms, gate_ms;           /* for the log: nothing depends on them */
    char reason[256]; /* "int8: passed the gate (mean cosine 0.99910, worst 0.99840)" */
} qr_trial_result;

/** Takes trial->f32, also when it fails. AUTO: the device's order of precisions up to f32, int8
 * also with its worst matrices in bf16: the first that passes. Others by name are taken even
 * when they fail (the reason says so). QR_BAD_OPTION: the device has no kernels for what was asked
 * by name. */
QR_MUST_USE qr_status qr_trial_run(const qr_trial *trial, qr_trial_result *out, qr_error *error);

#endif
