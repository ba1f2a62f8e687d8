/* engine/cuda/module/gpu_backend.c: what engine/backend.h asks of a device, and the one symbol by
 * which the program finds it.
 *
 * Threads. A packing is const; a context belongs to one thread at a time and has a stream of its
 * own, so contexts share nothing that is written but the driver, which is made for that. Whichever
 * thread comes makes the device's context its current one first: the driver keeps that for each
 * thread, and pool threads serve models on several devices. */
#include "engine/cuda/module/gpu_context.h"

static const qr__cuda_host *host;

static const qr_backend backend;

static qr_status gpu_open(const char *target, qr_device **out, qr_error *error) {
    qr__gpu *gpu;
    qr_status status = qr__gpu_open(host, target, &backend, &gpu, error);
    *out = status == QR_OK ? &gpu->base : NULL;
    return status;
}

static void gpu_close(qr_device *device) {
    qr__gpu_close((qr__gpu *)device);
}

/* QR_OK: the calling thread may use the device. */
static qr_status enter(const qr__gpu *gpu, qr_error *error) {
    if (qr__gpu_is_lost(gpu))
        return qr_error_set(error, QR_DEVICE, "device cuda:%d is lost; restart this process",
                            gpu->ordinal);
    qr__cu_result result = qr__gpu_enter(gpu);
    return result == QR__CU_OK ? QR_OK : qr__gpu_fault(gpu, result, "using the device", error);
}

/* `like` has nothing to share: tables are in the plan's element, and each precision is packed
 * once. */
static qr_status gpu_pack(const qr_device *device, const qr_bert *bert, const qr_plan *plan,
                          const qr_packed *like, qr_packed **out, qr_error *error) {
    (void)like;
    const qr__gpu *gpu = (const qr__gpu *)device;
    qr__gpu_weights *weights = NULL;
    qr_status status = enter(gpu, error);
    if (status == QR_OK)
        status = qr__gpu_weights_pack(gpu, bert, plan->precision, &weights, error);
    *out = status == QR_OK ? &weights->base : NULL;
    return status;
}

static void gpu_packed_destroy(qr_packed *packed) {
    qr__gpu_weights_destroy((qr__gpu_weights *)packed);
}

static void gpu_release(const qr_packed *packed, qr_bert *bert) {
    qr__gpu_weights_release((const qr__gpu_weights *)packed, bert);
}

static qr_status gpu_context_create(const qr_packed *packed, const qr_context_options *options,
                                    qr_context **out, qr_error *error) {
    const qr__gpu_weights *weights = (const qr__gpu_weights *)packed;
    qr__gpu_context *context = NULL;
    qr_status status = enter(weights->gpu, error);
    if (status == QR_OK)
        status = qr__gpu_context_create(weights, options, &context, error);
    *out = status == QR_OK ? &context->base : NULL;
    return status;
}

static void gpu_context_destroy(qr_context *context) {
    qr__gpu_context_destroy((qr__gpu_context *)context);
}

static qr_status gpu_forward(qr_context *context, const qr_batch *batch, qr_output wanted,
                             const float **out) {
    return qr__gpu_forward((qr__gpu_context *)context, batch, wanted, out, NULL);
}

static qr_status forward_timed(qr_context *context, const qr_batch *batch, qr_output wanted,
                               const float **out, float *gpu_us) {
    return qr__gpu_forward((qr__gpu_context *)context, batch, wanted, out, gpu_us);
}

static bool gpu_lost(const qr_device *device) {
    return qr__gpu_is_lost((const qr__gpu *)device);
}

/* No int8, so neither mix nor calibrate; packing takes no longer than reading what was saved. */
static const qr_backend backend = {
    .name = "cuda",
    .check = qr__gpu_check,
    .open = gpu_open,
    .close = gpu_close,
    .pack = gpu_pack,
    .packed_destroy = gpu_packed_destroy,
    .release = gpu_release,
    .context_create = gpu_context_create,
    .context_destroy = gpu_context_destroy,
    .forward = gpu_forward,
    .lost = gpu_lost,
};

static const qr__cuda_module module = {
    .abi = QR__CUDA_ABI,
    .version = QR_VERSION,
    .stamp = qr__cuda_stamp,
    .sizes = QR__CUDA_SIZES,
    .backend = &backend,
    .forward_timed = forward_timed,
};

__attribute__((visibility("default"))) qr__cuda_module_get querent_cuda_module;

/* The caller looks whether it can use the answer, so a stranger's table is not touched here. */
const qr__cuda_module *querent_cuda_module(const qr__cuda_host *program) {
    if (program->abi == QR__CUDA_ABI)
        host = program;
    return &module;
}
