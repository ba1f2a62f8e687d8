/* engine/cuda/kernels/head_kernels.cu: what stands behind the layers, in f32: poolings and small
 * matrices (span, labels, pooler, Dense modules). */
#include "engine/cuda/kernels/elements_body.h"

namespace head_kernels {

constexpr uint32_t POOL_THREADS = QR_CUDA_ROW_THREADS;

/* A channel over rows [begin, end) of x, which are `place` and so on of their sequence, from 1. */
QR_DEVICE float pooled(const float *x, uint32_t pitch, uint32_t begin, uint32_t end, uint32_t place,
                       uint32_t mode) {
    const float rows = (float)(end - begin);
    float sum = mode == QR_CUDA_MAX ? x[(size_t)begin * pitch] : 0.0f, weights = 0;
    for (uint32_t row = begin; row < end; row++) {
        const float v = x[(size_t)row * pitch];
        const float weight = mode == QR_CUDA_WEIGHTED_MEAN ? (float)(place + row - begin) : 1.0f;
        weights += weight;
        if (mode == QR_CUDA_MAX)
            sum = v > sum ? v : sum;
        else
            sum += weight * v;
    }
    switch (mode) {
    case QR_CUDA_MEAN:
    case QR_CUDA_WEIGHTED_MEAN:
        return sum / weights;
    case QR_CUDA_MEAN_SQRT_LEN:
        return sum / sqrtf(rows);
    default:
        return sum;
    }
}

QR_DEVICE void pool_sequence(const qr_cuda_pool_args &args, uint32_t b, uint32_t mode, float *y) {
    const uint32_t place = args.skip[b];
    uint32_t begin = args.starts[b] + place, end = args.starts[b + 1];
    if (mode == QR_CUDA_CLS)
        end = begin + 1;
    if (mode == QR_CUDA_LAST)
        begin = end - 1;
    for (uint32_t column = threadIdx.x; column < args.width; column += POOL_THREADS)
        y[column] = pooled(args.x + column, args.pitch, begin, end, place + 1, mode);
}

QR_KERNEL(qr_cuda_pool_f32, qr_cuda_pool_args, pool_f32_threads) {
    grid_release();
    grid_wait();
    const uint32_t sequences = args.counts->sequences, mode = args.pooling[blockIdx.y];
    for (uint32_t b = blockIdx.x; b < sequences; b += gridDim.x) {
        float *y = args.y + ((size_t)b * args.poolings + blockIdx.y) * args.width;
        pool_sequence(args, b, mode, y);
    }
}

QR_DEVICE float activated(float x, qr_cuda_activation activation) {
    switch (activation) {
    case QR_CUDA_TANH:
        return tanhf(x);
    case QR_CUDA_RELU_OF:
        return finished(x, QR_CUDA_RELU);
    case QR_CUDA_GELU_OF:
        return gelu(x);
    case QR_CUDA_SIGMOID:
        return 1.0f / (1.0f + expf(-x));
    default:
        return x;
    }
}

constexpr uint32_t LINEAR_ROWS = 4; /* that a warp multiplies a row of weights with at a time */
static_assert(linear_f32_threads == 32 * QR_CUDA_LINEAR_COLUMNS, "a warp a column");

/* sum[r] = x[row + r] . w, over the lanes; rows behind the last are those of the last again. */
QR_DEVICE void dot_rows(const qr_cuda_linear_args &args, const float *w, uint32_t row,
                        uint32_t rows, float (&sum)[LINEAR_ROWS]) {
    const float *x[LINEAR_ROWS];
    for (uint32_t r = 0; r < LINEAR_ROWS; r++) {
        x[r] = args.x + (size_t)(row + r < rows ? row + r : rows - 1) * args.pitch;
        sum[r] = 0;
    }
    for (uint32_t i = threadIdx.x % 32; i < args.in; i += 32) {
        const float weight = w[i];
        for (uint32_t r = 0; r < LINEAR_ROWS; r++)
            sum[r] += x[r][i] * weight;
    }
    for (uint32_t r = 0; r < LINEAR_ROWS; r++)
        sum[r] = warp_sum(sum[r]);
}

QR_KERNEL(qr_cuda_linear_f32, qr_cuda_linear_args, linear_f32_threads) {
    grid_release();
    grid_wait();
    const uint32_t rows =
        args.rows == QR_CUDA_TOKENS ? args.counts->tokens : args.counts->sequences;
    const uint32_t column = blockIdx.x * QR_CUDA_LINEAR_COLUMNS + threadIdx.x / 32;
    if (column >= args.out) /* all of the warp */
        return;
    const float *w = args.w + (size_t)column * args.in;
    const float bias = args.bias != nullptr ? args.bias[column] : 0.0f;
    for (uint32_t row = blockIdx.y * LINEAR_ROWS; row < rows; row += gridDim.y * LINEAR_ROWS) {
        float sum[LINEAR_ROWS];
        dot_rows(args, w, row, rows, sum);
        for (uint32_t r = 0; r < LINEAR_ROWS && row + r < rows; r++) {
            const size_t at = (size_t)(row + r) * args.out + column;
            const float y = activated(sum[r] + bias, args.activation);
            if (threadIdx.x % 32 == 0)
                args.y[at] = y + (args.add != nullptr ? args.add[at] : 0.0f);
        }
    }
}

} // namespace head_kernels
