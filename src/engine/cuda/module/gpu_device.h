/* engine/cuda/module/gpu_device.h: a GPU that was opened: the driver, our kernels on it, and
 * whether it still works.
 *
 *     qr__gpu *gpu;
 *     status = qr__gpu_open(host, "0", backend, &gpu, &error);
 *     int result = qr__gpu_enter(gpu);                       // on each thread, at each call
 *     if (result == QR__CU_OK)
 *         result = gpu->driver.mem_alloc(&pointer, bytes);
 *     if (result != QR__CU_OK)
 *         return qr__gpu_fault(gpu, result, "weights", &error);
 *     qr__gpu_close(gpu);
 *
 * All opens of a device in a process share the driver's primary context, so what breaks one breaks
 * all: a lost device is remembered for the process's life. Threads: any; the driver keeps a current
 * context for each, which qr__gpu_enter sets.
 */
#ifndef QR_ENGINE_CUDA_GPU_DEVICE_H
#define QR_ENGINE_CUDA_GPU_DEVICE_H

#include <stdlib.h>

#include "engine/cuda/kernels/cuda_kernel_list.h"
#include "engine/cuda/module/driver.h"
#include "engine/cuda/module_abi.h"

/** Every kernel of the image. */
typedef enum qr__gpu_kernel {
#define QR_X(name, arguments, threads, shared) QR__GPU_##name,
    QR_CUDA_KERNEL_LIST(QR_X)
#undef QR_X
        QR__GPU_KERNELS
} qr__gpu_kernel;

/** A clock for waits, and how they sleep (tests have one that nobody waits for). */
typedef struct qr__gpu_time {
    uint64_t (*now_ns)(void *state);
    void (*sleep)(void *state, uint64_t ns);
    void *state;
} qr__gpu_time;

typedef struct qr__gpu {
    qr_device base;
    const qr__cuda_host *host;
    qr__driver driver;
    uint64_t wait_ns;         /* of gpu_wait.h: for how long the least work is waited for */
    const qr__gpu_time *time; /* NULL: the system's */
    int ordinal;
    qr__cu_device device;
    qr__cu_context context;
    qr__cu_module module;
    int major, minor; /* compute capability */
    unsigned multiprocessors;
    bool programmatic;        /* a kernel may begin while the one before it ends: sm_90 and later */
    bool persistent;          /* the persistent encoder is wanted, where the device can run it */
    size_t shared_bytes_most; /* of a block */
    qr__cu_function kernels[QR__GPU_KERNELS]; /* NULL: an encoder that cannot be had */
} qr__gpu;

/** QUERENT_CUDA_PERSISTENT=1: it has met no device yet, so nobody gets it who did not ask. */
static inline bool qr__gpu_wants_persistent(void) {
    const char *wanted = getenv("QUERENT_CUDA_PERSISTENT");
    return wanted != NULL && strcmp(wanted, "1") == 0;
}

/** Opens device `target` ("0"; NULL: the first). QR_BAD_OPTION with what to do. *out: returns
 * owned; borrows the host and the backend. */
QR_MUST_USE qr_status qr__gpu_open(const qr__cuda_host *host, const char *target,
                                   const qr_backend *backend, qr__gpu **out, qr_error *error);

/** What qr__gpu_open would say, but for what only the device's context can tell: none is made. */
QR_MUST_USE qr_status qr__gpu_check(const char *target, qr_error *error);

/** NULL is allowed. Of a hung device nothing is given back. */
void qr__gpu_close(qr__gpu *gpu);

/** Makes the device the calling thread's. */
QR_MUST_USE qr__cu_result qr__gpu_enter(const qr__gpu *gpu);

/** Says what a failed call means: QR_NO_MEMORY, or QR_DEVICE; then looks whether the device works
 * at all and remembers when it does not. `what` was being done, for the message; `error` may be
 * NULL. */
qr_status qr__gpu_fault(const qr__gpu *gpu, qr__cu_result result, const char *what,
                        qr_error *error);

/** Whether a result leaves the context as it was. After any other nothing that the device computes
 * is to be trusted, and the driver says the same again at every call. */
bool qr__gpu_is_passing(qr__cu_result result);

/** As qr_backend.lost. */
bool qr__gpu_is_lost(const qr__gpu *gpu);

/** The device has a kernel that does not end: found by qr__gpu_wait, which every thread hears of.
 * It is as good as lost, and its memory, host's or its own, is never given back. */
void qr__gpu_hang(const qr__gpu *gpu);

/** Whether it has been found so. Any thread. */
bool qr__gpu_is_hung(const qr__gpu *gpu);

/** How a kernel begins. */
typedef enum qr__gpu_start {
    QR__GPU_BEHIND,  /* when what is before it in the stream has ended */
    QR__GPU_FOLLOWS, /* it waits by itself for the kernel before it, and may begin earlier where the
                        device can do that */
    QR__GPU_TOGETHER /* as BEHIND, with all of its blocks at once */
} qr__gpu_start;

/** Launches a kernel with its one argument on a stream. */
QR_MUST_USE qr__cu_result qr__gpu_launch(const qr__gpu *gpu, qr__cu_stream stream,
                                         qr__gpu_kernel kernel, const uint32_t grid[3],
                                         const void *argument, qr__gpu_start start);

#endif
