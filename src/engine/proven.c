/* engine/proven.c: who asks for a proof, and who may take an earlier start's word for it. */
#include "engine/proven.h"

#include "engine/model/import.h"
#include "engine/plan/proof.h"
#include "engine/saved/saved.h"

static void describe(const qr_proof *proof, bool from_cache, qr_plan_info *plan) {
    plan->proven = true;
    plan->proof = *proof;
    plan->proof_from_cache = from_cache;
    qr_proof_text(proof, plan->proof_text, sizeof plan->proof_text);
}

void qr__proven_by_plan(const qr_model *model, const qr_proof *proof, qr_plan_info *plan) {
    if (qr_model_import(model) != NULL)
        describe(proof, true, plan);
}

static qr_status pack_and_prove(const qr__proven_options *options, qr_packed **f32, qr_proof *out,
                                qr_error *error) {
    const qr_backend *backend = options->device->backend;
    const qr_plan plan = {.precision = QR_PRECISION_F32};
    qr_status status = backend->pack(options->device, options->bert, &plan, NULL, f32, error);
    if (status != QR_OK)
        return status;
    const qr_proof_options asked = {
        .import = qr_model_import(options->model), .packed = *f32, .threads = options->threads};
    status = qr_prove(&asked, out, error);
    if (status == QR_OK)
        return QR_OK;
    backend->packed_destroy(*f32);
    *f32 = NULL;
    return status;
}

qr_status qr__proven(const qr__proven_options *options, qr_packed **f32, qr_plan_info *plan,
                     qr_error *error) {
    uint64_t begin = qr_clock_ns();
    qr_proof proof;
    *f32 = NULL;
    if (qr_model_import(options->model) == NULL)
        return QR_OK;
    qr_saved_proof *saved =
        qr_saved_proof_open(options->cache_dir, options->model, options->device);
    bool known = qr_saved_proof_load(saved, &proof);
    qr_status status = known ? QR_OK : pack_and_prove(options, f32, &proof, error);
    if (status == QR_OK && !known)
        qr_saved_proof_write(saved, &proof);
    qr_saved_proof_close(saved);
    if (status != QR_OK)
        return status;
    describe(&proof, known, plan);
    plan->proof_ms = (double)(qr_clock_ns() - begin) / (double)QR_NS_PER_MS;
    return QR_OK;
}
