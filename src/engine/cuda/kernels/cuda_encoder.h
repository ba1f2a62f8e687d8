/* engine/cuda/kernels/cuda_encoder.h: the argument of the persistent encoder: all layers in one
 * launch, for batches of up to 32 tokens.
 *
 *     encoder_{f16,bf16}_{16,32}: tiles of so many tokens; grid (any number of blocks that the
 *     device holds at once, in a cooperative launch)
 *
 * It takes x and the residual stream where `embed` left them and leaves the last layer's there, as
 * the layers' own kernels do (cuda_kernels.h draws them). Blocks share each product's units: a unit
 * is QR_CUDA_ENCODER_COLUMNS of its columns over `depth` of K, 0 to n / COLUMNS of the first part
 * of K, then of the next. Between products all blocks meet, which counts->arrived counts.
 *
 * All layers have the same shapes, and `layer_bytes` lie between a tensor and the next layer's.
 */
#ifndef QR_ENGINE_CUDA_ENCODER_H
#define QR_ENGINE_CUDA_ENCODER_H

#include "engine/cuda/kernels/cuda_modes.h"
#include "engine/cuda/kernels/cuda_table.h"

#define QR_CUDA_ENCODER_COLUMNS 16u   /* of a unit */
#define QR_CUDA_ENCODER_WIDTH   1024u /* the widest hidden states */
/* The deepest unit: what shared memory has room for beside the weights on their way. */
#define QR_CUDA_ENCODER_DEPTH(tile) ((tile) == 16 ? 1536u : 1024u)

/** A layer's products, in their order. */
enum {
    QR_CUDA_ENCODER_QKV,    /* of x */
    QR_CUDA_ENCODER_OUTPUT, /* of what attention leaves; one part */
    QR_CUDA_ENCODER_UP,     /* of m */
    QR_CUDA_ENCODER_DOWN,   /* of f */
    QR_CUDA_ENCODER_PRODUCTS
};

/** y = x * w' + bias. */
typedef struct qr_cuda_encoder_product {
    const void *w;     /* T [n][k], layer 0's */
    const float *bias; /* [n], layer 0's */
    uint32_t n, k;     /* multiples of QR_CUDA_PAD */
    uint32_t depth;    /* k / splits; a multiple of QR_CUDA_PAD, QR_CUDA_ENCODER_DEPTH at most */
    uint32_t units;    /* n / QR_CUDA_ENCODER_COLUMNS * splits */
} qr_cuda_encoder_product;

/** A layer norm of rows [width]. */
typedef struct qr_cuda_encoder_norm {
    const float *gamma, *beta; /* [pitch], layer 0's */
} qr_cuda_encoder_norm;

typedef struct qr_cuda_encoder_args {
    qr_cuda_counts *counts; /* staged; arrived is 0 */
    const uint32_t *starts; /* staged */
    qr_cuda_encoder_product product[QR_CUDA_ENCODER_PRODUCTS];
    qr_cuda_encoder_norm attention_norm, output_norm;
    uint64_t layer_bytes;
    void *x;           /* T [tile][pitch] */
    float *residual;   /* [tile][pitch] x in f32 */
    void *qkv, *inner; /* T [tile][n] of their products */
    float *partial;    /* [splits][tile][pitch] */
    uint32_t layers, heads;
    uint32_t head;               /* 32 or 64; heads * head is OUTPUT's k */
    uint32_t width, pitch;       /* pitch: DOWN's n, QR_CUDA_ENCODER_WIDTH at most */
    qr_cuda_epilogue activation; /* of UP */
    float epsilon;
    uint32_t unused;
} qr_cuda_encoder_args;

#endif
