/* engine/proven.h: the proof of a model that came from ONNX, done or remembered. Private to
 * engine.c.
 *
 *     const qr__proven_options options = {.model = model, .bert = bert, .device = device,
 *                                         .cache_dir = dir, .threads = 2};
 *     qr_packed *f32 = NULL;
 *     status = qr__proven(&options, &f32, &engine->plan, error);
 *
 * What it packs for that is handed on: the plan's trial needs f32 anyway.
 */
#ifndef QR_ENGINE_PROVEN_H
#define QR_ENGINE_PROVEN_H

#include "engine/backend.h"

typedef struct qr__proven_options {
    const qr_model *model;
    const qr_bert *bert; /* of it, nothing released */
    const qr_device *device;
    const char *cache_dir; /* as qr_engine_options has it */
    int threads;
} qr__proven_options;

/** Fills in the plan's facts of the proof. *f32: returns owned; NULL where nothing had to be
 * packed: the model is from safetensors, or an earlier start has proven it. QR_BAD_MODEL: it is not
 * what its graph computes; QR_NO_MEMORY. */
QR_MUST_USE qr_status qr__proven(const qr__proven_options *options, qr_packed **f32,
                                 qr_plan_info *plan, qr_error *error);

/** Fills them in from a plan that an earlier start kept: it was proven then. */
void qr__proven_by_plan(const qr_model *model, const qr_proof *proof, qr_plan_info *plan);

#endif
