/* engine/cuda/cuda.h: NVIDIA GPUs as a backend: a module that is loaded when one is asked for.
 *
 *     qr_device *device;
 *     status = qr_backend_cuda.open("0", &device, &error);     // --device cuda:0
 *     device->backend->pack(device, bert, &plan, NULL, &packed, &error);
 *
 * The table that is named here opens devices; the device's own table (device->backend) is the
 * module's and has the rest. So the program needs no CUDA library: libquerent_cuda.so opens the
 * driver, and nothing opens libquerent_cuda.so but a request for a GPU.
 */
#ifndef QR_ENGINE_CUDA_H
#define QR_ENGINE_CUDA_H

#include "engine/backend.h"

/** Targets are the driver's numbers of devices, "0" and up. */
extern const qr_backend qr_backend_cuda;

/** Whether a GPU of this process was given up because a kernel on it does not end. */
bool qr_cuda_hung(void);

/** qr_context_forward on a context of a GPU, with the time that the GPU itself took for the pass,
 * in microseconds: of the second of two passes, since the host launches that one meanwhile.
 * QR_BAD_OPTION: the context is another device's. */
QR_MUST_USE qr_status qr_cuda_forward_timed(qr_context *context, const qr_batch *batch,
                                            qr_output wanted, const float **out, float *gpu_us);

#endif
