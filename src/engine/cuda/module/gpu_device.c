/* engine/cuda/module/gpu_device.c: opening a device, and telling a failed batch from a lost one. */
#include "engine/cuda/module/gpu_device.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/cuda/module/gpu_image.h"
#include "engine/cuda/module/gpu_wait.h"

#define DEVICES_MAX       64          /* that we can tell apart */
#define SHARED_EVERYWHERE (99u << 10) /* that a block can have, from compute capability 8.0 on */

static const struct {
    const char *name;
    unsigned threads, shared_bytes;
} kernels[QR__GPU_KERNELS] = {
#define QR_X(name, arguments, threads, shared) {"qr_cuda_" #name, threads, shared},
    QR_CUDA_KERNEL_LIST(QR_X)
#undef QR_X
};

/* Ever, in this process: a broken primary context stays broken while anybody holds it. */
static atomic_bool lost[DEVICES_MAX], hung[DEVICES_MAX];

bool qr__gpu_is_lost(const qr__gpu *gpu) {
    return atomic_load_explicit(&lost[gpu->ordinal], memory_order_acquire);
}

/* A word of its own, which guards nothing else that is written: whoever sees it late only waits a
 * little longer. Who gives something back has waited for its own streams before, in this thread or
 * in one whose work was handed to it with a release; so what hung there is seen there. */
void qr__gpu_hang(const qr__gpu *gpu) {
    QR_CHAOS_DELAY();
    if (!atomic_exchange_explicit(&hung[gpu->ordinal], true, memory_order_acq_rel))
        gpu->host->hung();
}

bool qr__gpu_is_hung(const qr__gpu *gpu) {
    return atomic_load_explicit(&hung[gpu->ordinal], memory_order_acquire);
}

qr__cu_result qr__gpu_enter(const qr__gpu *gpu) {
    return gpu->driver.set_current(gpu->context);
}

bool qr__gpu_is_passing(qr__cu_result result) {
    return result == QR__CU_OUT_OF_MEMORY || result == QR__CU_INVALID_VALUE ||
           result == QR__CU_LAUNCH_OUT_OF_RESOURCES;
}

/* Also after a passing error the context is asked for something harmless: an earlier launch may
 * have broken it at the same time. */
static bool still_works(const qr__gpu *gpu, qr__cu_result result) {
    size_t free_bytes, total_bytes;
    return qr__gpu_is_passing(result) && qr__gpu_enter(gpu) == QR__CU_OK &&
           gpu->driver.mem_info(&free_bytes, &total_bytes) == QR__CU_OK;
}

static void remember_loss(const qr__gpu *gpu, const char *what, const char *text) {
    char line[QR__DRIVER_TEXT_BYTES + 256];
    if (atomic_exchange(&lost[gpu->ordinal], true))
        return;
    snprintf(line, sizeof line,
             "device cuda:%d is lost (%s: %s): nothing runs on it until this process is restarted",
             gpu->ordinal, what, text);
    gpu->host->tell(line);
}

qr_status qr__gpu_fault(const qr__gpu *gpu, qr__cu_result result, const char *what,
                        qr_error *error) {
    char text[QR__DRIVER_TEXT_BYTES] = "it does not end";
    if (result != QR__GPU_ENDLESS)
        qr__driver_text(&gpu->driver, result, text);
    if (!still_works(gpu, result))
        remember_loss(gpu, what, text);
    else if (result == QR__CU_OUT_OF_MEMORY)
        return qr_error_set(error, QR_NO_MEMORY, "device cuda:%d: no memory for %s", gpu->ordinal,
                            what);
    return qr_error_set(error, QR_DEVICE, "device cuda:%d: %s: %s", gpu->ordinal, what, text);
}

/* --- opening --- */

static qr_status refuse(const qr__gpu *gpu, qr__cu_result result, const char *what,
                        qr_error *error) {
    char text[QR__DRIVER_TEXT_BYTES];
    return qr_error_set(error, QR_BAD_OPTION, "device cuda:%d: %s: %s", gpu->ordinal, what,
                        qr__driver_text(&gpu->driver, result, text));
}

/* "0" and up. */
static qr_status read_ordinal(const char *target, int count, int *out, qr_error *error) {
    char *end = NULL;
    long ordinal = target == NULL ? 0 : strtol(target, &end, 10);
    bool number = target == NULL || (target[0] >= '0' && target[0] <= '9' && *end == '\0');
    if (!number)
        return qr_error_set(
            error, QR_BAD_OPTION,
            "device cuda:%.32s: a device is cuda, or cuda:N with a number from 0 on", target);
    if (count <= 0)
        return qr_error_set(error, QR_IO,
                            "device cuda: the NVIDIA driver shows no GPU; look at nvidia-smi and "
                            "CUDA_VISIBLE_DEVICES");
    if (ordinal >= count || ordinal >= DEVICES_MAX)
        return qr_error_set(
            error, QR_BAD_OPTION,
            "device cuda:%.32s: the highest number here is %d (CUDA_VISIBLE_DEVICES "
            "may hide some)",
            target, (count < DEVICES_MAX ? count : DEVICES_MAX) - 1);
    *out = (int)ordinal;
    return QR_OK;
}

/* The environment's QUERENT_CUDA_EARLY=0: each kernel begins when the one before it has ended. */
static bool starts_early(const qr__gpu *gpu) {
    const char *wanted = getenv("QUERENT_CUDA_EARLY");
    return gpu->major >= 9 && (wanted == NULL || strcmp(wanted, "0") != 0);
}

static qr_status find_device(qr__gpu *gpu, const char *target, qr_error *error) {
    char name[64] = "";
    int count = 0, multiprocessors = 0, shared = 0, cooperative = 0;
    qr__cu_result result = gpu->driver.device_count(&count);
    if (result != QR__CU_OK && result != QR__CU_NO_DEVICE)
        return refuse(gpu, result, "the driver cannot count its devices", error);
    qr_status status = read_ordinal(target, count, &gpu->ordinal, error);
    if (status != QR_OK)
        return status;
    result = gpu->driver.device_get(&gpu->device, gpu->ordinal);
    if (result == QR__CU_OK)
        result = gpu->driver.device_name(name, sizeof name, gpu->device);
    const struct {
        int attribute, *value;
    } facts[] = {{QR__CU_CAPABILITY_MAJOR, &gpu->major},
                 {QR__CU_CAPABILITY_MINOR, &gpu->minor},
                 {QR__CU_MULTIPROCESSORS, &multiprocessors},
                 {QR__CU_SHARED_BYTES_MOST, &shared},
                 {QR__CU_TAKES_COOPERATIVE, &cooperative}};
    for (size_t i = 0; i < sizeof facts / sizeof facts[0] && result == QR__CU_OK; i++)
        result = gpu->driver.device_attribute(facts[i].value, facts[i].attribute, gpu->device);
    if (result != QR__CU_OK)
        return refuse(gpu, result, "the device does not say what it is", error);
    gpu->multiprocessors = (unsigned)multiprocessors;
    gpu->shared_bytes_most = shared > 0 ? (size_t)shared : 0;
    gpu->programmatic = starts_early(gpu);
    gpu->persistent = cooperative != 0 && qr__gpu_wants_persistent();
    snprintf(gpu->base.target, sizeof gpu->base.target, "sm_%d%d", gpu->major, gpu->minor);
    gpu->base.number = (unsigned)gpu->ordinal;
    snprintf(gpu->base.rates.name, sizeof gpu->base.rates.name, "%s, no rates measured", name);
    if (gpu->major < 8 || multiprocessors <= 0)
        return qr_error_set(error, QR_BAD_OPTION,
                            "device cuda:%d: %s has compute capability %d.%d, and the kernels need "
                            "8.0 (Ampere) or newer",
                            gpu->ordinal, name, gpu->major, gpu->minor);
    return QR_OK;
}

/* Setting an attribute loads a kernel now, where the driver would else do it at the first launch,
 * in the midst of a capture.
 *
 * A multiprocessor cuts its memory into L1 and shared anew for another kernel only when it is idle.
 * Products take most of it as shared memory; so all kernels ask for that cut, or none of their
 * blocks could lie beside those of the kernel before, which is what an early start is. It is a
 * wish: a driver that does not take it is slower and as right.
 *
 * The persistent encoder alone takes more than every device has: it is not there where nobody wants
 * it or it has no room, and whoever launches it looks. */
static qr_status find_kernels(qr__gpu *gpu, qr_error *error) {
    const size_t most = gpu->persistent ? gpu->shared_bytes_most : 0;
    for (size_t i = 0; i < QR__GPU_KERNELS; i++) {
        if (kernels[i].shared_bytes > qr_max(SHARED_EVERYWHERE, most))
            continue;
        int result = gpu->driver.module_function(&gpu->kernels[i], gpu->module, kernels[i].name);
        if (result == QR__CU_OK)
            result = gpu->driver.function_set(gpu->kernels[i], QR__CU_FUNCTION_SHARED_BYTES,
                                              (int)kernels[i].shared_bytes);
        if (result != QR__CU_OK)
            return refuse(gpu, result, kernels[i].name, error);
        (void)gpu->driver.function_set(gpu->kernels[i], QR__CU_FUNCTION_CARVEOUT, 100);
    }
    return QR_OK;
}

static qr_status open_context(qr__gpu *gpu, qr_error *error) {
    int result = gpu->driver.primary_retain(&gpu->context, gpu->device);
    if (result != QR__CU_OK) {
        gpu->context = NULL;
        return refuse(gpu, result, "the device cannot be used", error);
    }
    result = qr__gpu_enter(gpu);
    if (result == QR__CU_OK)
        result = gpu->driver.module_load(&gpu->module, qr__gpu_image());
    if (result != QR__CU_OK) {
        gpu->module = NULL;
        return refuse(gpu, result, "the driver does not take this build's kernels", error);
    }
    return find_kernels(gpu, error);
}

static void describe(qr__gpu *gpu) {
    static const qr_precision order[] = {QR_PRECISION_F16, QR_PRECISION_BF16, QR_PRECISION_F32};
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        gpu->base.runs[order[i]] = true;
        gpu->base.varies[order[i]] = true; /* tiles and splits of products go by the bucket */
        gpu->base.order[i] = order[i];
    }
    gpu->base.streams = 2; /* one batch is computed while the next one's table is filled */
}

/* The driver, and a device of it that our kernels run on and that was not lost. */
static qr_status find(qr__gpu *gpu, const char *target, qr_error *error) {
    qr_status status = qr__driver_open(&gpu->driver, error);
    if (status == QR_OK)
        status = find_device(gpu, target, error);
    if (status == QR_OK && qr__gpu_is_lost(gpu))
        status =
            qr_error_set(error, QR_BAD_OPTION,
                         "device cuda:%d was lost earlier; restart this process", gpu->ordinal);
    return status;
}

qr_status qr__gpu_check(const char *target, qr_error *error) {
    qr__gpu gpu = {.context = NULL};
    return find(&gpu, target, error);
}

qr_status qr__gpu_open(const qr__cuda_host *host, const char *target, const qr_backend *backend,
                       qr__gpu **out, qr_error *error) {
    *out = NULL;
    qr__gpu *gpu = calloc(1, sizeof *gpu);
    if (gpu == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "no memory for a device");
    gpu->base.backend = backend;
    gpu->host = host;
    gpu->wait_ns = qr__gpu_wait_ns();
    describe(gpu);
    qr_status status = find(gpu, target, error);
    if (status == QR_OK)
        status = open_context(gpu, error);
    if (status == QR_OK)
        *out = gpu;
    else
        qr__gpu_close(gpu);
    return status;
}

void qr__gpu_close(qr__gpu *gpu) {
    if (gpu == NULL)
        return;
    if (gpu->context != NULL && !qr__gpu_is_hung(gpu)) {
        (void)!qr__gpu_enter(gpu);
        if (gpu->module != NULL)
            (void)gpu->driver.module_unload(gpu->module);
        (void)gpu->driver.primary_release(gpu->device);
    }
    free(gpu);
}

qr__cu_result qr__gpu_launch(const qr__gpu *gpu, qr__cu_stream stream, qr__gpu_kernel kernel,
                             const uint32_t grid[3], const void *argument, qr__gpu_start start) {
    const bool together = start == QR__GPU_TOGETHER;
    const bool early = start == QR__GPU_FOLLOWS && gpu->programmatic;
    qr__cu_attribute attribute = {
        .id = together ? QR__CU_LAUNCH_COOPERATIVE : QR__CU_LAUNCH_PROGRAMMATIC, .value.number = 1};
    const qr__cu_launch launch = {.grid_x = grid[0],
                                  .grid_y = grid[1],
                                  .grid_z = grid[2],
                                  .block_x = kernels[kernel].threads,
                                  .block_y = 1,
                                  .block_z = 1,
                                  .shared_bytes = kernels[kernel].shared_bytes,
                                  .stream = stream,
                                  .attributes = &attribute,
                                  .attributes_len = together || early ? 1 : 0};
    void *arguments[] = {(void *)(uintptr_t)argument};
    return gpu->driver.launch(&launch, gpu->kernels[kernel], arguments, NULL);
}
