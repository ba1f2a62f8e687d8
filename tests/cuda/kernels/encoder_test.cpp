/* The persistent encoder on the emulator, all of its blocks at once, against its layers in double,
 * where numbers are rounded to T as the kernel rounds them: what is left is f32's sums, 1e-6 of all
 * numbers, and now and then one that they round to T's other neighbour, which later products
 * spread. So a bound for all together says more than one for each. */
#include "kernel_fixture.h"

#include <algorithm>
#include <cmath>

using namespace kernel_test;

namespace {

struct sizes {
    uint32_t tile, layers, heads, head, width, inner, splits, blocks;
    uint32_t attended() const { return heads * head; }
    uint32_t pitch() const { return padded(width); }
};

/* A matrix [n][k] with its bias, and a norm, with the bytes where they begin in a layer's. */
template <class T> struct linear {
    uint32_t n, k;
    std::vector<T> w;
    std::vector<float> bias;
    size_t w_at, bias_at;
};
struct norm {
    std::vector<float> gamma, beta;
    size_t gamma_at, beta_at;
};
template <class T> struct layer {
    linear<T> product[QR_CUDA_ENCODER_PRODUCTS];
    norm attention, output;
};

size_t take(std::vector<unsigned char> &all, const void *from, size_t bytes) {
    const size_t at = (all.size() + 255) / 256 * 256;
    all.resize(at + bytes);
    memcpy(all.data() + at, from, bytes);
    return at;
}

/* Real rows and columns at random, such that a product is of order 1; zeros behind. */
template <class T>
linear<T> random_linear(dice &random, uint32_t rows, uint32_t n, uint32_t columns, uint32_t k,
                        double scale) {
    linear<T> made = {n,
                      k,
                      random_rows<T>(random, n, columns, k, scale / sqrt(columns)),
                      random_floats(random, rows, n, -0.3, 0.3),
                      0,
                      0};
    std::fill(made.w.begin() + (size_t)rows * k, made.w.end(), T{});
    return made;
}

template <class T> layer<T> random_layer(dice &random, const sizes &s) {
    const uint32_t pitch = s.pitch(), inner = padded(s.inner);
    const auto random_norm = [&] {
        return norm{random_floats(random, s.width, pitch, 0.5, 1.5),
                    random_floats(random, s.width, pitch, -0.5, 0.5), 0, 0};
    };
    return {{random_linear<T>(random, 3 * s.attended(), 3 * s.attended(), s.width, pitch, 2),
             random_linear<T>(random, s.width, pitch, s.attended(), s.attended(), 1),
             random_linear<T>(random, s.inner, inner, s.width, pitch, 2),
             random_linear<T>(random, s.width, pitch, s.inner, inner, 2)},
            random_norm(),
            random_norm()};
}

/* The layers one behind the other; each one's places are the first one's. */
template <class T> std::vector<unsigned char> lay_out(std::vector<layer<T>> &layers) {
    std::vector<unsigned char> all;
    for (layer<T> &l : layers) {
        for (linear<T> &p : l.product) {
            p.w_at = take(all, p.w.data(), p.w.size() * sizeof(T));
            p.bias_at = take(all, p.bias.data(), p.bias.size() * sizeof(float));
        }
        for (norm *n : {&l.attention, &l.output}) {
            n->gamma_at = take(all, n->gamma.data(), n->gamma.size() * sizeof(float));
            n->beta_at = take(all, n->beta.data(), n->beta.size() * sizeof(float));
        }
    }
    return all;
}

/* --- in double --- */

typedef std::vector<double> row;

template <class T> double rounded(double x) {
    return to_float(from_float<T>((float)x));
}

template <class T> row multiplied(const linear<T> &by, const row &x) {
    row y(by.n);
    for (size_t n = 0; n < by.n; n++) {
        y[n] = by.bias[n];
        for (size_t k = 0; k < by.k; k++)
            y[n] += to_float(by.w[n * by.k + k]) * x[k];
    }
    return y;
}

template <class T> row rounded_row(row x) {
    for (double &one : x)
        one = rounded<T>(one);
    return x;
}

row normalised(const norm &by, const row &x, uint32_t width, double epsilon) {
    double mean = 0, variance = 0;
    for (uint32_t i = 0; i < width; i++)
        mean += x[i] / width;
    for (uint32_t i = 0; i < width; i++)
        variance += (x[i] - mean) * (x[i] - mean) / width;
    row y(x.size());
    for (uint32_t i = 0; i < width; i++)
        y[i] = (x[i] - mean) / sqrt(variance + epsilon) * by.gamma[i] + by.beta[i];
    return y;
}

/* A head's weights are rounded to T before they are divided by their sum. */
template <class T>
void attend_head(const sizes &s, const std::vector<row> &qkv, uint32_t begin, uint32_t end,
                 uint32_t token, uint32_t column, row &y) {
    row score(end - begin);
    for (uint32_t key = begin; key < end; key++)
        for (uint32_t d = column; d < column + s.head; d++)
            score[key - begin] += qkv[token][d] * qkv[key][s.attended() + d];
    const double most = *std::max_element(score.begin(), score.end());
    double sum = 0;
    for (uint32_t key = begin; key < end; key++) {
        const double weight = exp2(score[key - begin] - most);
        sum += weight;
        for (uint32_t d = column; d < column + s.head; d++)
            y[d] += rounded<T>(weight) * qkv[key][2 * s.attended() + d];
    }
    for (uint32_t d = column; d < column + s.head; d++)
        y[d] = rounded<T>(y[d] / sum);
}

template <class T>
std::vector<row> attended(const sizes &s, const packed &batch, const std::vector<row> &qkv) {
    std::vector<row> y(batch.tokens(), row(s.attended()));
    for (uint32_t b = 0; b < batch.sequences(); b++)
        for (uint32_t t = batch.starts[b]; t < batch.starts[b + 1]; t++)
            for (uint32_t head = 0; head < s.heads; head++)
                attend_head<T>(s, qkv, batch.starts[b], batch.starts[b + 1], t, head * s.head,
                               y[t]);
    return y;
}

/* x: the residual stream, which products take rounded. */
template <class T>
void run_layer(const sizes &s, const packed &batch, const layer<T> &l, double epsilon,
               std::vector<row> &x) {
    std::vector<row> qkv;
    for (const row &of : x)
        qkv.push_back(
            rounded_row<T>(multiplied(l.product[QR_CUDA_ENCODER_QKV], rounded_row<T>(of))));
    const std::vector<row> a = attended<T>(s, batch, qkv);
    for (uint32_t t = 0; t < batch.tokens(); t++) {
        row m = multiplied(l.product[QR_CUDA_ENCODER_OUTPUT], a[t]);
        for (uint32_t i = 0; i < s.pitch(); i++)
            m[i] += x[t][i];
        m = normalised(l.attention, m, s.width, epsilon);
        row f = multiplied(l.product[QR_CUDA_ENCODER_UP], rounded_row<T>(m));
        for (double &one : f)
            one = rounded<T>(0.5 * one * (1 + erf(one * M_SQRT1_2)));
        x[t] = multiplied(l.product[QR_CUDA_ENCODER_DOWN], f);
        for (uint32_t i = 0; i < s.pitch(); i++)
            x[t][i] += m[i];
        x[t] = normalised(l.output, x[t], s.width, epsilon);
    }
}

/* --- the kernel --- */

template <class T> struct made {
    std::vector<T> x;
    std::vector<float> residual;
};

template <class T>
qr_cuda_encoder_args args_of(bench &at, const sizes &s, std::vector<layer<T>> &layers) {
    const std::vector<unsigned char> bytes = lay_out(layers);
    const unsigned char *first = at.early(bytes);
    qr_cuda_encoder_args args = {};
    const auto place = [&](size_t offset) { return (const float *)(first + offset); };
    for (uint32_t p = 0; p < QR_CUDA_ENCODER_PRODUCTS; p++) {
        const linear<T> &from = layers[0].product[p];
        const uint32_t splits = p == QR_CUDA_ENCODER_DOWN ? s.splits : 1;
        args.product[p] = {first + from.w_at,
                           place(from.bias_at),
                           from.n,
                           from.k,
                           from.k / splits,
                           from.n / QR_CUDA_ENCODER_COLUMNS * splits};
    }
    const layer<T> &l = layers[0];
    args.attention_norm = {place(l.attention.gamma_at), place(l.attention.beta_at)};
    args.output_norm = {place(l.output.gamma_at), place(l.output.beta_at)};
    args.layer_bytes = layers.size() > 1 ? layers[1].product[0].w_at - l.product[0].w_at : 0;
    args.layers = s.layers, args.heads = s.heads, args.head = s.head;
    args.width = s.width, args.pitch = s.pitch();
    args.activation = QR_CUDA_GELU, args.epsilon = 1e-6f;
    return args;
}

/* What is left of x is NaN, as it may be behind a batch's tokens. */
template <class T>
made<T> run_kernel(const sizes &s, const packed &batch, std::vector<layer<T>> &layers,
                   const std::vector<T> &x, const std::vector<float> &residual) {
    bench at;
    qr_cuda_encoder_args args = args_of(at, s, layers);
    const size_t all = (size_t)s.tile * s.pitch();
    T *own_x = at.in_place(x, all);
    float *own_residual = at.in_place(residual, all);
    args.counts = const_cast<qr_cuda_counts *>(at.counts(batch.tokens(), batch.sequences()));
    args.starts = at.late(batch.starts);
    args.x = own_x, args.residual = own_residual;
    args.qkv = at.output_of<T>((size_t)s.tile * 3 * s.attended()); /* NaN, as the others */
    args.inner = at.output_of<T>((size_t)s.tile * padded(s.inner));
    args.partial = at.output_of<float>(s.splits * all);
    const std::string name =
        std::string("encoder_") + element<T>::name + "_" + std::to_string(s.tile);
    name_case("%s, %u layers of %u, %u x %u, inner %u in %u, tokens %u, sequences %u, blocks %u",
              name.c_str(), s.layers, s.width, s.heads, s.head, s.inner, s.splits, batch.tokens(),
              batch.sequences(), s.blocks);
    at.run_together(name, {s.blocks, 1, 1}, args);
    return {std::vector<T>(own_x, own_x + all),
            std::vector<float>(own_residual, own_residual + all)};
}

/* For numbers of order 1: of the worst one, and of the root of the mean square. */
struct bounds {
    double worst, mean;
};

template <class T>
void check(const sizes &s, const std::vector<row> &expected, const made<T> &got,
           const bounds &bound) {
    double squares = 0;
    for (size_t i = 0; i < (size_t)s.tile * s.pitch(); i++) {
        const size_t token = i / s.pitch(), column = i % s.pitch();
        if (token >= expected.size()) {
            expect(std::isnan(got.residual[i]) && std::isnan(to_float(got.x[i])),
                   "wrote behind the tokens", i);
            continue;
        }
        const double y = expected[token][column];
        expect_near("residual", i, got.residual[i], y, column < s.width ? bound.worst : 0);
        expect(to_float(from_float<T>(got.residual[i])) == to_float(got.x[i]), "x is not it", i);
        squares += (got.residual[i] - y) * (got.residual[i] - y);
    }
    const size_t numbers = expected.size() * s.width;
    expect_near("all numbers", numbers, sqrt(squares / (double)numbers), 0, bound.mean);
}

template <class T>
void encode(dice &random, const sizes &s, const packed &batch, const bounds &bound) {
    std::vector<layer<T>> layers;
    for (uint32_t l = 0; l < s.layers; l++)
        layers.push_back(random_layer<T>(random, s));
    std::vector<float> residual(batch.tokens() * s.pitch());
    std::vector<T> x(residual.size());
    std::vector<row> expected(batch.tokens(), row(s.pitch()));
    for (size_t i = 0; i < x.size(); i++) {
        if (i % s.pitch() >= s.width)
            continue;
        residual[i] = (float)random.between(-2, 2);
        x[i] = from_float<T>(residual[i]);
        expected[i / s.pitch()][i % s.pitch()] = residual[i];
    }
    const made<T> got = run_kernel(s, batch, layers, x, residual);
    for (const layer<T> &l : layers)
        run_layer(s, batch, l, 1e-6, expected);
    check(s, expected, got, bound);
}

template <class T> void encode_sizes(uint32_t tile, const bounds &bound) {
    dice random(tile + sizeof(T) + (uint32_t)(bound.worst * 1e6));
    /*                    layers, heads, head, width, inner, splits, blocks */
    encode<T>(random, {tile, 1, 1, 64, 64, 64, 1, 1}, packed({1}), bound);
    encode<T>(random, {tile, 2, 2, 32, 64, 256, 2, 3}, packed({5, 1, tile - 9, 3}), bound);
    encode<T>(random, {tile, 3, 3, 64, 184, 700, 1, 7}, packed({tile - 2}), bound);
    encode<T>(random, {tile, 2, 12, 32, 384, 448, 7, 40}, packed({tile}), bound);
    encode<T>(random, {tile, 1, 10, 32, 300, 1600, 5, 6}, random_packed(random, tile - 3), bound);
}

} // namespace

QR_TEST(encoder_f16_16) {
    encode_sizes<qr_f16>(16, {0.03, 2e-3});
}
QR_TEST(encoder_f16_32) {
    encode_sizes<qr_f16>(32, {0.03, 2e-3});
}
QR_TEST(encoder_bf16_16) {
    encode_sizes<qr_bf16>(16, {0.2, 1.5e-2});
}
QR_TEST(encoder_bf16_32) {
    encode_sizes<qr_bf16>(32, {0.2, 1.5e-2});
}
