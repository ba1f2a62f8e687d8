/* engine/cuda/cuda.c: the program's half of the GPU backend: all but finding and opening a GPU is
 * the module's. */
#include "engine/cuda/cuda.h"

#include "engine/cuda/module_file.h"

static qr_status check_gpu(const char *target, qr_error *error) {
    const qr__cuda_module *module;
    qr_status status = qr__module_file_load(&module, error);
    return status == QR_OK ? module->backend->check(target, error) : status;
}

static qr_status open_gpu(const char *target, qr_device **out, qr_error *error) {
    const qr__cuda_module *module;
    qr_status status = qr__module_file_load(&module, error);
    return status == QR_OK ? module->backend->open(target, out, error) : status;
}

const qr_backend qr_backend_cuda = {
    .name = "cuda",
    .check = check_gpu,
    .open = open_gpu,
};

bool qr_cuda_hung(void) {
    return qr__module_file_hung();
}

qr_status qr_cuda_forward_timed(qr_context *context, const qr_batch *batch, qr_output wanted,
                                const float **out, float *gpu_us) {
    const qr__cuda_module *module;
    qr_status status = qr__module_file_load(&module, NULL);
    if (status != QR_OK || context->packed->device->backend != module->backend)
        return QR_BAD_OPTION;
    status = qr_context_check(context, batch, wanted);
    return status == QR_OK ? module->forward_timed(context, batch, wanted, out, gpu_us) : status;
}
