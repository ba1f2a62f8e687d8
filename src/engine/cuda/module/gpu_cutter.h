/* engine/cuda/module/gpu_cutter.h: cuts an allocation into tensors: once to measure, once for good.
 *
 *     qr__gpu_cutter cutter = {0};                          // base 0: to measure
 *     lay_out(things, &cutter);
 *     if (cutter.overflow) ...
 *     driver.mem_alloc(&memory, cutter.used);
 *     cutter = (qr__gpu_cutter){.base = memory};
 *     lay_out(things, &cutter);
 */
#ifndef QR_ENGINE_CUDA_GPU_CUTTER_H
#define QR_ENGINE_CUDA_GPU_CUTTER_H

#include "base/base.h"

typedef struct qr__gpu_cutter {
    uint64_t base;
    size_t used;
    bool overflow; /* more than a size_t counts */
} qr__gpu_cutter;

/** The place of the next `rows` times `columns` things of `size` bytes, aligned to 256 bytes. */
static inline uint64_t qr__gpu_cut(qr__gpu_cutter *cutter, size_t rows, size_t columns,
                                   size_t size) {
    size_t at = cutter->used, bytes;
    if (!qr_checked_mul(rows, columns, &bytes) || !qr_checked_mul(bytes, size, &bytes) ||
        !qr_checked_add(bytes, at, &bytes) || !qr_checked_add(bytes, 255, &bytes))
        cutter->overflow = true;
    else
        cutter->used = bytes & ~(size_t)255;
    return cutter->base + at;
}

#endif
