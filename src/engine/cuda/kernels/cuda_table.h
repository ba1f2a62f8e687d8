/* engine/cuda/kernels/cuda_table.h: a batch as kernels see it, and how rows are padded.
 *
 *     table.counts->tokens = 9, table.counts->sequences = 1;  // mapped host memory, by the host
 *     table.starts[0] = 0, table.starts[1] = 9;
 *     table.tiles[table.counts->tiles++] = (qr_cuda_tile){.begin = 0, .end = 9, .first = 0};
 *
 * Padding. Widths are padded when weights are packed, so that no kernel has an odd edge but in the
 * token direction: columns to a multiple of QR_CUDA_PAD, heads to D in {16, 32, 64, 128}; padded
 * weights, biases, gammas and betas are 0, so padded columns of activations are 0 (a layer norm
 * divides by the real width and writes zeros behind it). Rows of activations beyond `tokens` are
 * whatever was there: no kernel lets one row reach another, but attention, which knows its rows.
 *
 * The host writes it before a graph is launched; kernel `embed` copies what later kernels read to
 * device memory. Written by one thread, and not while a graph runs.
 */
#ifndef QR_ENGINE_CUDA_TABLE_H
#define QR_ENGINE_CUDA_TABLE_H

#include <stdint.h>

#define QR_CUDA_PAD      64u  /* columns of activations and weights are a multiple of it */
#define QR_CUDA_HEAD_MAX 128u /* head sizes above are refused */
#define QR_CUDA_TILE     64u  /* queries of a block of attention */

/** Counts of a batch; 0 blocks of the persistent encoder have come to a meeting yet. */
typedef struct qr_cuda_counts {
    uint32_t tokens, sequences, tiles, arrived;
} qr_cuda_counts;

/** Queries [first, first + QR_CUDA_TILE) of a sequence, as far as it goes. */
typedef struct qr_cuda_tile {
    uint32_t begin, end; /* the sequence's tokens */
    uint32_t first;      /* token of the first query: begin + a multiple of QR_CUDA_TILE */
} qr_cuda_tile;

/** A batch, in mapped host memory and, staged by `embed`, in device memory: arrays for the bucket's
 * sizes at these places. */
typedef struct qr_cuda_table {
    qr_cuda_counts *counts;
    int32_t *ids;        /* [T] */
    uint32_t *positions; /* [T] in its sequence */
    uint32_t *types;     /* [T] 0 where the model has none */
    uint32_t *starts;    /* [B + 1] */
    uint32_t *skip;      /* [B] leading tokens that pooling leaves out */
    qr_cuda_tile *tiles; /* [tiles] */
} qr_cuda_table;

#endif
