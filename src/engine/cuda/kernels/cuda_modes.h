/* engine/cuda/kernels/cuda_modes.h: what a kernel may be told to do, by number.
 *
 *     args.epilogue = QR_CUDA_GELU;
 *     args.pooling[0] = (uint32_t)info->pooling[0];  // the same numbers as the engine's
 *
 * Numbers of the engine's own lists (qr_pooling, qr_dense_activation), which kernels do not
 * include, are repeated here; the host's side asserts that they agree.
 */
#ifndef QR_ENGINE_CUDA_MODES_H
#define QR_ENGINE_CUDA_MODES_H

/** What a matrix product ends with. */
typedef enum qr_cuda_epilogue {
    QR_CUDA_BIAS,     /* y = xW + b */
    QR_CUDA_GELU,     /* erf */
    QR_CUDA_GELU_NEW, /* tanh */
    QR_CUDA_RELU,
    QR_CUDA_PARTIAL /* f32, no bias, [splits][rows][n] */
} qr_cuda_epilogue;

/** As qr_pooling, in its order. */
typedef enum qr_cuda_pooling {
    QR_CUDA_CLS,
    QR_CUDA_MAX,
    QR_CUDA_MEAN,
    QR_CUDA_MEAN_SQRT_LEN,
    QR_CUDA_WEIGHTED_MEAN,
    QR_CUDA_LAST
} qr_cuda_pooling;
#define QR_CUDA_POOLINGS 6u

/** Rows that a linear has. */
typedef enum qr_cuda_rows { QR_CUDA_TOKENS, QR_CUDA_SEQUENCES } qr_cuda_rows;

/** What stands between a head's linear layers: as qr_dense_activation, in its order. */
typedef enum qr_cuda_activation {
    QR_CUDA_IDENTITY,
    QR_CUDA_TANH,
    QR_CUDA_RELU_OF,
    QR_CUDA_GELU_OF,
    QR_CUDA_SIGMOID
} qr_cuda_activation;

#endif
