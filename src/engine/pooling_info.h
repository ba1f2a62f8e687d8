/* engine/pooling_info.h: how a sequence's hidden states become one vector; a part of model_info.h.
 *
 *     x = each of info->pooling, one behind the other              [poolings * C]
 *     x = activation(x * W + b) + residual for each info->dense    [out]
 */
#ifndef QR_ENGINE_POOLING_INFO_H
#define QR_ENGINE_POOLING_INFO_H

#include "base/base.h"

/** One vector of a sequence's hidden states: of [CLS] or the last token, the greatest of
 * each channel, or their sum by n, by sqrt(n), or weighted by position from 1. */
typedef enum qr_pooling {
    QR_POOLING_CLS,
    QR_POOLING_MAX,
    QR_POOLING_MEAN,
    QR_POOLING_MEAN_SQRT_LEN,
    QR_POOLING_WEIGHTED_MEAN,
    QR_POOLING_LAST
} qr_pooling;
#define QR_POOLINGS (QR_POOLING_LAST + 1u)

/** What stands behind a Dense module's matrix. */
typedef enum qr_dense_activation {
    QR_DENSE_IDENTITY,
    QR_DENSE_TANH,
    QR_DENSE_RELU,
    QR_DENSE_GELU, /* erf */
    QR_DENSE_SIGMOID
} qr_dense_activation;

/** What a Dense module adds to its result: nothing, its input, or a matrix's product with it. */
typedef enum qr_residual { QR_RESIDUAL_NONE, QR_RESIDUAL_INPUT, QR_RESIDUAL_MATRIX } qr_residual;

/** A module of sentence-transformers behind the pooling:
 * y[out] = activation(x[in] * W + b) + residual. */
typedef struct qr_dense {
    char folder[256]; /* of the model's directory, where its model.safetensors lies */
    size_t in, out;
    bool bias;
    qr_dense_activation activation;
    qr_residual residual;
} qr_dense;

/** As sentence-transformers' newer files call it: "mean", "lasttoken". */
const char *qr_pooling_name(qr_pooling pooling);

#endif
