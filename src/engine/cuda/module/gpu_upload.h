/* engine/cuda/module/gpu_upload.h: rows of f32 on their way to the device: converted, padded, and
 * sent through one pinned buffer.
 *
 *     qr__gpu_upload *upload;
 *     status = qr__gpu_upload_create(gpu, &upload, &error);
 *     qr__gpu_upload_at(upload, matrix, QR_PRECISION_F16);
 *     for (...)
 *         qr__gpu_upload_row(upload, &(qr__gpu_row){weights + n * K, 1, K, K, pitch, 1});
 *     status = qr__gpu_upload_finish(upload, &error);       // the first fault of all the calls
 *
 * Errors are kept until the end, so that packing reads like a list. Threads: one at a time.
 */
#ifndef QR_ENGINE_CUDA_GPU_UPLOAD_H
#define QR_ENGINE_CUDA_GPU_UPLOAD_H

#include "engine/cuda/module/gpu_device.h"

typedef struct qr__gpu_upload qr__gpu_upload;

/** A row: `pieces` of `piece` numbers each become `pieces` of `padded`, and zeros follow up to
 * `pitch` in all. NULL numbers: all zeros. */
typedef struct qr__gpu_row {
    const float *numbers; /* [pieces][piece] */
    size_t pieces, piece, padded, pitch;
    float scale; /* of every number */
} qr__gpu_row;

/** Bytes of a number on the device. */
size_t qr__gpu_element_bytes(qr_precision precision);

/** Converts to nearest, ties to even: to[n] = from[n] * scale. Above f16's range numbers become its
 * greatest. */
void qr__gpu_elements(qr_precision precision, const float *from, size_t n, float scale, void *to);

/** One row as the device has it, pitch elements at `to`. */
void qr__gpu_row_write(qr_precision precision, const qr__gpu_row *row, void *to);

/** The device is the calling thread's (qr__gpu_enter). *out: returns owned; borrows the GPU. */
QR_MUST_USE qr_status qr__gpu_upload_create(const qr__gpu *gpu, qr__gpu_upload **out,
                                            qr_error *error);

/** The next row goes to `to`, in this precision; the one after it behind that. */
void qr__gpu_upload_at(qr__gpu_upload *upload, qr__cu_pointer to, qr_precision precision);

/** Sends a row. */
void qr__gpu_upload_row(qr__gpu_upload *upload, const qr__gpu_row *row);

/** Waits for all rows, and destroys. QR_DEVICE, QR_NO_MEMORY: a row was not sent. NULL is
 * allowed. */
QR_MUST_USE qr_status qr__gpu_upload_finish(qr__gpu_upload *upload, qr_error *error);

#endif
