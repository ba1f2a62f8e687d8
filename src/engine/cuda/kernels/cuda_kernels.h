/* engine/cuda/kernels/cuda_kernels.h: what the host and the kernels agree on: every kernel's
 * argument and grid (names, threads and shared memory: cuda_kernel_list.h).
 *
 * A forward pass over T tokens, [rows][pitch] row-major everywhere:
 *
 *     embed        x = LN(word[id] + position[p] + type[t])           and the batch's table staged
 *     gemm         h = x * projection + b                             where E is not C
 *     L times:
 *       gemm       qkv = x * Wqkv + b
 *       attention  a = softmax(q * k') * v                            a head a block
 *       gemm       partial = a * Wo                                   f32, in `splits` parts of K
 *       add_norm   m = LN(x + b + sum of partials)
 *       gemm       f = activation(m * Wup + b)
 *       gemm       partial = f * Wdown
 *       add_norm   x = LN(m + b + sum of partials)
 *     pool, widen, linear                                             heads, in f32
 *
 * x and m are kept twice, as the next product takes them (T) and in f32, which is what is added to
 * and what heads read: so no number is rounded to T but on its way into a product.
 *
 * One graph serves every batch of a bucket: grids are made for the bucket's size, and kernels read
 * from device memory how many tokens, sequences and tiles there are (qr_cuda_table). What is beyond
 * returns at once.
 *
 * Structs have no padding of the compiler's (`unused` fills it): their bytes are all defined, and
 * the emulator looks through them for addresses.
 *
 * T is the element of weights and activations: f16, bf16 or f32. Names end in it:
 * qr_cuda_embed_f16.
 */
#ifndef QR_ENGINE_CUDA_KERNELS_H
#define QR_ENGINE_CUDA_KERNELS_H

#include "engine/cuda/kernels/cuda_modes.h"
#include "engine/cuda/kernels/cuda_table.h"

/* Columns of a block of a matrix product whose tile is so many tokens; gemm_f32 has one tile. */
#define QR_CUDA_GEMM_COLUMNS(tile) ((tile) == 16 ? 16u : (tile) == 128 ? 64u : 32u)
#define QR_CUDA_GEMM_F32_TILE      32u

/** embed_{f16,bf16,f32}: grid (bucket tokens). Block i writes row i of x; blocks together copy
 * counts, starts, skip and tiles from `from` to `to`; ids, positions and types stay with the host.
 */
typedef struct qr_cuda_embed_args {
    qr_cuda_table from, to;
    const void *word, *position, *type; /* T [..][pitch]; type may be NULL */
    const float *gamma, *beta;          /* [pitch] */
    void *x;                            /* T [rows][pitch] */
    float *residual; /* [rows][pitch] x in f32; NULL: not wanted, as by embed_f32 */
    uint32_t width, pitch;
    float epsilon;
    uint32_t unused;
} qr_cuda_embed_args;

/** gemm_{f16,bf16}_{16,32,64,128}: y[rows][n] = epilogue(x[rows][k] * w[n][k]' + bias), tiles of so
 * many tokens; gemm_f32: the same in f32, tiles of QR_CUDA_GEMM_F32_TILE. Grid (n /
 * QR_CUDA_GEMM_COLUMNS(tile), ceil(bucket / tile), splits). n and k are multiples of QR_CUDA_PAD;
 * split s takes `depth` of K, which is a multiple of QR_CUDA_PAD too; splits > 1 with
 * QR_CUDA_PARTIAL only. x, w, y, bias are aligned to 16 bytes. */
typedef struct qr_cuda_gemm_args {
    const qr_cuda_counts *counts; /* staged */
    const void *x;                /* T [rows][k] */
    const void *w;                /* T [n][k] */
    const float *bias;            /* [n] */
    void *y;                      /* T [rows][n], or f32 for QR_CUDA_PARTIAL */
    uint32_t n, k, depth;         /* depth: k / splits */
    uint32_t rows;                /* of x and y: the bucket's, the distance between partials */
    qr_cuda_epilogue epilogue;
    uint32_t unused;
} qr_cuda_gemm_args;

/** attention_{f16,bf16}_{16,32,64,128}, attention_f32: qkv T [rows][3 * heads * head] with q, k, v
 * side by side, heads side by side in each; q is scaled by log2(e)/sqrt(D) already. y T
 * [rows][pitch], heads side by side, zeros behind heads * head up to pitch. Grid (no more blocks
 * than `tiles` has places, heads): blocks stride over the tiles. */
typedef struct qr_cuda_attention_args {
    const qr_cuda_counts *counts;
    const qr_cuda_tile *tiles;
    const void *qkv;
    void *y;
    uint32_t heads, head; /* head: padded size; of attention_f32 any up to QR_CUDA_HEAD_MAX */
    uint32_t qkv_pitch, pitch;
} qr_cuda_attention_args;

/** add_norm_{f16,bf16,f32}: y = LN(x + bias + sum over splits of partial, first to last). Grid
 * (bucket tokens). */
typedef struct qr_cuda_add_norm_args {
    const qr_cuda_counts *counts;
    const float *x;                   /* [rows][pitch] */
    const float *partial;             /* [splits][rows][pitch] */
    const float *bias, *gamma, *beta; /* [pitch] */
    void *y;                          /* T [rows][pitch]; of f32 it may be x */
    float *residual;                  /* [rows][pitch] y in f32; may be x; NULL: as above */
    uint32_t width, pitch, splits, rows;
    float epsilon;
    uint32_t unused;
} qr_cuda_add_norm_args;

/** activate_{f16,bf16}: y = epilogue(y) for [tokens][n] in place, behind a library's product. Grid
 * (bucket tokens). */
typedef struct qr_cuda_activate_args {
    const qr_cuda_counts *counts;
    void *y;
    uint32_t n;
    qr_cuda_epilogue epilogue;
} qr_cuda_activate_args;

/** widen_{f16,bf16,f32}: y f32 [tokens][width] of x T [tokens][pitch]. Grid (bucket tokens). */
typedef struct qr_cuda_widen_args {
    const qr_cuda_counts *counts;
    const void *x;
    float *y;
    uint32_t width, pitch;
} qr_cuda_widen_args;

/** pool_f32: y f32 [sequences][poolings * width], each sequence's rows added first to
 * last (engine/cpu/pooling.c has the formulas). Grid (any number of blocks, poolings): blocks
 * stride over the sequences. */
typedef struct qr_cuda_pool_args {
    const qr_cuda_counts *counts;
    const uint32_t *starts, *skip;
    const float *x; /* [rows][pitch] */
    float *y;
    uint32_t width, pitch;
    uint32_t poolings, pooling[QR_CUDA_POOLINGS]; /* qr_cuda_pooling */
    uint32_t unused;
} qr_cuda_pool_args;

/** linear_f32: y[rows][out] = activation(x[rows][in] * w[out][in]' + bias) + add, all f32, unpadded
 * but for x: heads and Dense modules. Each number is a sum over `in` in an order that does not
 * depend on the batch. Grid (ceil(out / QR_CUDA_LINEAR_COLUMNS), any number of blocks): blocks
 * stride over rows. */
typedef struct qr_cuda_linear_args {
    const qr_cuda_counts *counts;
    const float *x, *w, *bias; /* x [rows][pitch]; bias may be NULL */
    const float *add;          /* [rows][out]; may be NULL */
    float *y;
    uint32_t in, out, pitch, unused;
    qr_cuda_rows rows;
    qr_cuda_activation activation;
} qr_cuda_linear_args;
#define QR_CUDA_LINEAR_COLUMNS 8u

#endif
