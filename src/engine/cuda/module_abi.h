/* engine/cuda/module_abi.h: what the program and libquerent_cuda.so show each other.
 *
 *     void *file = dlopen(path, RTLD_NOW | RTLD_LOCAL);
 *     qr__cuda_module_get *get = dlsym(file, QR__CUDA_MODULE_SYMBOL);
 *     const qr__cuda_module *module = get(&host);
 *     if (module->abi != QR__CUDA_ABI ...) ...
 *
 * Both are made from one checkout, and the program takes no module of another: structs of the seam
 * (engine/backend.h) are passed as they are. The first two members never move.
 */
#ifndef QR_ENGINE_CUDA_MODULE_ABI_H
#define QR_ENGINE_CUDA_MODULE_ABI_H

#include "engine/backend.h"
#include "engine/model/model.h"

#define QR__CUDA_ABI           2u
#define QR__CUDA_MODULE_SYMBOL "querent_cuda_module"

/** Sizes of what is passed, in this order: another compiler or a changed header shows here. */
#define QR__CUDA_SIZES                                                                             \
    {sizeof(qr_backend), sizeof(qr_device),          sizeof(qr_plan),  sizeof(qr_packed),          \
     sizeof(qr_context), sizeof(qr_context_options), sizeof(qr_batch), sizeof(qr_model_info),      \
     sizeof(qr_bert),    sizeof(qr_error),           QR_STATUS_COUNT,  QR_PRECISIONS}
#define QR__CUDA_SIZES_LEN 12u

/** A hash of the sources from which the module is made and of every header of the seam, which
 * cmake/CudaStamp.cmake takes when one of them changes: the program and the module have it each. */
extern const char qr__cuda_stamp[];

/** What the module needs of the program: functions with a state that only the program has. */
typedef struct qr__cuda_host {
    unsigned abi;
    void (*bert_release_all)(qr_bert *bert); /* qr_bert_release_all */
    void (*tell)(const char *message);       /* an error, as a line of the log */
    void (*hung)(void);                      /* a device has a kernel that does not end */
} qr__cuda_host;

/** What the program needs of the module. */
typedef struct qr__cuda_module {
    unsigned abi;
    const char *version; /* QR_VERSION */
    const char *stamp;   /* qr__cuda_stamp */
    size_t sizes[QR__CUDA_SIZES_LEN];
    const qr_backend *backend;
    qr_status (*forward_timed)(qr_context *context, const qr_batch *batch, qr_output wanted,
                               const float **out, float *gpu_us);
} qr__cuda_module;

/** The one symbol that the module exports. `host` is borrowed for the process's life; lives as long
 * itself. */
typedef const qr__cuda_module *qr__cuda_module_get(const qr__cuda_host *host);

#endif
