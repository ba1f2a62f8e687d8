/* Poolings and small matrices on the emulator against sums in double. Bounds: n * 2^-23 of the sum
 * of magnitudes for a sum of n numbers in f32. */
#include "kernel_fixture.h"

using namespace kernel_test;

namespace {

/* One channel of one sequence, rows [begin, end) of which the first is `place` from 1. */
struct channel {
    double value, bound;
};
channel pooled(const std::vector<double> &x, uint32_t place, qr_cuda_pooling mode) {
    double sum = 0, weights = 0, weighted = 0, magnitude = 0, most = x[0];
    for (size_t i = 0; i < x.size(); i++) {
        sum += x[i], weighted += (double)(place + i) * x[i], weights += (double)(place + i);
        magnitude += fabs(x[i]), most = std::max(most, x[i]);
    }
    const double n = (double)x.size(), slack = (n + 4) * 0x1p-23;
    switch (mode) {
    case QR_CUDA_CLS:
        return {x[0], 0};
    case QR_CUDA_MAX:
        return {most, 0};
    case QR_CUDA_MEAN:
        return {sum / n, slack * magnitude / n};
    case QR_CUDA_MEAN_SQRT_LEN:
        return {sum / sqrt(n), slack * magnitude / sqrt(n)};
    case QR_CUDA_WEIGHTED_MEAN:
        return {weighted / weights, slack * magnitude};
    default:
        return {x.back(), 0};
    }
}

void pool(dice &random, uint32_t tokens, std::vector<qr_cuda_pooling> modes) {
    const uint32_t width = 1 + random.below(400), pitch = padded(width);
    const packed batch = random_packed(random, tokens);
    const auto x = random_rows<float>(random, tokens, width, pitch, 3);
    std::vector<uint32_t> skip;
    for (uint32_t b = 0; b < batch.sequences(); b++)
        skip.push_back(random.below(batch.starts[b + 1] - batch.starts[b]));
    bench at;
    const size_t out = modes.size() * width, bucket = batch.sequences() + 2;
    float *y = at.output<float>(bucket * out);
    qr_cuda_pool_args args = {at.counts(tokens, batch.sequences()),
                              at.late(batch.starts),
                              at.late(skip),
                              at.late(x, (size_t)(tokens + 9) * pitch),
                              y,
                              width,
                              pitch,
                              (uint32_t)modes.size(),
                              {},
                              0};
    std::copy(modes.begin(), modes.end(), args.pooling);
    name_case("pool_f32 width %u, tokens %u, sequences %u, first mode %d", width, tokens,
              batch.sequences(), (int)modes[0]);
    at.run("pool_f32", {1 + random.below(batch.sequences() + 3), (uint32_t)modes.size(), 1}, args);
    for (size_t i = 0; i < batch.sequences() * out; i++) {
        const size_t b = i / out, mode = i % out / width, column = i % width;
        std::vector<double> v;
        for (uint32_t t = batch.starts[b] + skip[b]; t < batch.starts[b + 1]; t++)
            v.push_back(x[(size_t)t * pitch + column]);
        const channel expected = pooled(v, skip[b] + 1, modes[mode]);
        expect_near("y", i, y[i], expected.value, expected.bound);
    }
    for (size_t i = batch.sequences() * out; i < bucket * out; i++)
        expect(is_untouched(y[i]), "wrote behind the sequences", i);
}

void pool_sizes(uint32_t seed) {
    dice random(seed);
    for (uint32_t mode = 0; mode < QR_CUDA_POOLINGS; mode++)
        pool(random, 1 + random.below(90), {(qr_cuda_pooling)mode});
    pool(random, 300, {QR_CUDA_LAST, QR_CUDA_MEAN, QR_CUDA_MAX});
    pool(random, 60,
         {QR_CUDA_CLS, QR_CUDA_WEIGHTED_MEAN, QR_CUDA_MEAN_SQRT_LEN, QR_CUDA_LAST, QR_CUDA_MEAN,
          QR_CUDA_MAX});
}

double activated(double x, qr_cuda_activation activation) {
    switch (activation) {
    case QR_CUDA_TANH:
        return tanh(x);
    case QR_CUDA_RELU_OF:
        return x > 0 ? x : 0;
    case QR_CUDA_GELU_OF:
        return 0.5 * x * (1 + erf(x / sqrt(2.0)));
    case QR_CUDA_SIGMOID:
        return 1 / (1 + exp(-x));
    default:
        return x;
    }
}

struct linear_case {
    uint32_t in, out, rows;
    qr_cuda_activation activation;
    bool has_bias, has_add;
    qr_cuda_rows rows_of;
    uint32_t blocks;
};

void linear(dice &random, const linear_case &c) {
    const uint32_t pitch = c.in + random.below(40);
    const auto x = random_rows<float>(random, c.rows, c.in, pitch, 1);
    const auto w = random_rows<float>(random, c.out, c.in, c.in, 1 / sqrt(c.in / 4.0));
    const auto bias = random_floats(random, c.out, c.out, -1, 1);
    const auto add = random_rows<float>(random, c.rows, c.out, c.out, 1);
    bench at;
    float *y = at.output<float>((size_t)(c.rows + 3) * c.out);
    const bool tokens = c.rows_of == QR_CUDA_TOKENS;
    const qr_cuda_linear_args args = {at.counts(tokens ? c.rows : 1000, tokens ? 2000 : c.rows),
                                      at.late(x),
                                      at.early(w),
                                      c.has_bias ? at.early(bias) : nullptr,
                                      c.has_add ? at.late(add) : nullptr,
                                      y,
                                      c.in,
                                      c.out,
                                      pitch,
                                      0,
                                      c.rows_of,
                                      c.activation};
    name_case("linear in %u, out %u, rows %u, activation %d", c.in, c.out, c.rows,
              (int)c.activation);
    at.run("linear_f32",
           {(c.out + QR_CUDA_LINEAR_COLUMNS - 1) / QR_CUDA_LINEAR_COLUMNS, c.blocks, 1}, args);
    for (size_t i = 0; i < (size_t)c.rows * c.out; i++) {
        double sum = c.has_bias ? bias[i % c.out] : 0, magnitude = 2;
        for (size_t k = 0; k < c.in; k++) {
            const double product = (double)x[i / c.out * pitch + k] * w[i % c.out * c.in + k];
            sum += product, magnitude += fabs(product);
        }
        const double expected = activated(sum, c.activation) + (c.has_add ? add[i] : 0);
        expect_near("y", i, y[i], expected, (c.in / 32 + 12) * 0x1p-23 * magnitude);
    }
    for (size_t i = (size_t)c.rows * c.out; i < (size_t)(c.rows + 3) * c.out; i++)
        expect(is_untouched(y[i]), "wrote behind the rows", i);
}

} // namespace

QR_TEST(poolings) {
    for (uint32_t seed = 42; seed < 45; seed++)
        pool_sizes(seed);
}
QR_TEST(linear) {
    dice random(11);
    for (uint32_t i = 0; i < 15; i++) {
        linear(random,
               {1 + random.below(500), 1 + random.below(40), 1 + random.below(30),
                (qr_cuda_activation)(i % 5), random.chance(0.7), random.chance(0.5),
                random.chance(0.5) ? QR_CUDA_TOKENS : QR_CUDA_SEQUENCES, 1 + random.below(4)});
    }
    linear(random, {768, 2, 300, QR_CUDA_IDENTITY, true, false, QR_CUDA_TOKENS, 7});
}
