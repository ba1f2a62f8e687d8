/* engine/cuda/module/gpu_wait.h: waiting for a stream, with an end.
 *
 *     result = gpu->driver.graph_launch(graph, stream);
 *     waited = qr__gpu_wait(gpu, stream, operations);
 *     if (waited == QR__GPU_ENDLESS)
 *         leave(...);                     // neither free nor reuse what the stream may touch
 *
 * The driver's own wait has no time limit, so the stream is asked again and again whether it is
 * done: without a pause for a millisecond, in which most batches end, then with pauses. What takes
 * longer than any batch can makes the device hung, for good and for the whole process: a kernel
 * cannot be called off, still writes where it was told to, and most calls of the driver that give
 * something back wait for it. So nothing of a hung device is given back, and no call is made on it;
 * the end of the process does both. Threads: any; a stream has one that waits for it.
 */
#ifndef QR_ENGINE_CUDA_GPU_WAIT_H
#define QR_ENGINE_CUDA_GPU_WAIT_H

#include "engine/cuda/module/gpu_device.h"

/** Beside the driver's results, which are not negative: what was waited for does not end. */
#define QR__GPU_ENDLESS (-1)

/** For how long the least work is waited for, in nanoseconds: the environment's
 * QUERENT_CUDA_WAIT_MS, else 10 s. */
uint64_t qr__gpu_wait_ns(void);

/** Waits until nothing of the stream is left to do, which is so many operations
 * (qr_model_operations; 0: a copy, or less): gpu->wait_ns at most, and a second for each 1e11. The
 * calling thread has entered the device. QR__GPU_ENDLESS: it was not done in time, or another
 * stream was found hung meanwhile; the device is hung from now on. Else the driver's result. */
QR_MUST_USE qr__cu_result qr__gpu_wait(const qr__gpu *gpu, qr__cu_stream stream, double operations);

#endif
