/* engine/cuda/module/gpu_shapes.h: sizes of batches that graphs are made for, and of the grids in
 * them. Arithmetic only.
 *
 *     uint32_t buckets[QR__GPU_BUCKETS_MAX];
 *     size_t count = qr__gpu_buckets(tokens_max, buckets);             // 16, 32, ... tokens_max
 *     qr__gpu_gemm g = qr__gpu_gemm_of(QR_PRECISION_F16, buckets[i], n, k, true, 132);
 *     launch(g.kernel, g.grid, ...);
 *
 * A matrix product of few tokens reads its weights and does little else, so what counts is that all
 * multiprocessors read: narrow blocks, and K in parts where the next kernel can add them up.
 */
#ifndef QR_ENGINE_CUDA_GPU_SHAPES_H
#define QR_ENGINE_CUDA_GPU_SHAPES_H

#include "engine/cuda/module/gpu_device.h"

#define QR__GPU_BUCKETS_MAX 24u /* up to QR_LIMIT_TEXT_TOKENS */
#define QR__GPU_SPLITS_MAX  16u

/** Kernels of a precision. */
typedef struct qr__gpu_kinds {
    qr__gpu_kernel embed, add_norm, activate, widen;
    qr__gpu_kernel gemm[4];      /* tiles of 16, 32, 64, 128 tokens */
    qr__gpu_kernel attention[4]; /* heads of 16, 32, 64, 128 */
} qr__gpu_kinds;

/** Lives for ever. */
const qr__gpu_kinds *qr__gpu_kinds_of(qr_precision precision);

/** The attention kernel for a padded head size. */
qr__gpu_kernel qr__gpu_attention_of(qr_precision precision, uint32_t head);

/** A matrix product's launch. */
typedef struct qr__gpu_gemm {
    qr__gpu_kernel kernel;
    uint32_t grid[3];
    uint32_t splits; /* grid[2] */
} qr__gpu_gemm;

/** For y[bucket][n] with K = k; `partial`: K may be split. */
qr__gpu_gemm qr__gpu_gemm_of(qr_precision precision, uint32_t bucket, uint32_t n, uint32_t k,
                             bool partial, unsigned multiprocessors);

/** Writes the buckets for batches of up to `tokens_max` tokens, rising; returns how many. */
size_t qr__gpu_buckets(size_t tokens_max, uint32_t out[QR__GPU_BUCKETS_MAX]);

/** The most tiles of queries that a batch of up to so many tokens and sequences can have. */
uint32_t qr__gpu_tiles_max(size_t tokens, size_t sequences);

/** Writes a legal batch into a table. `types` of the batch count only where the model has them,
 * `skip` only when it is asked for. */
void qr__gpu_table_fill(const qr_cuda_table *table, const qr_batch *batch, bool types, bool skip);

#endif
