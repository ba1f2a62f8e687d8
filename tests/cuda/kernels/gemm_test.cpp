/* Matrix products on the emulator against sums in double.
 *
 * The bound of an element: products of 16-bit numbers are exact in f32, so a sum of K of them is
 * off by at most K * 2^-24 of the sum of their magnitudes (twice that here: sums of partial sums),
 * and rounding the result to T costs half a unit in its last place. An activation's slope is below
 * 1.2, and its own error below 1e-6. */
#include "kernel_fixture.h"

using namespace kernel_test;

namespace {

struct sizes {
    uint32_t tokens, rows, n, k, splits;
    qr_cuda_epilogue epilogue;
};

double finished(double x, qr_cuda_epilogue epilogue) {
    switch (epilogue) {
    case QR_CUDA_GELU:
        return 0.5 * x * (1 + erf(x / sqrt(2.0)));
    case QR_CUDA_GELU_NEW:
        return 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case QR_CUDA_RELU:
        return x > 0 ? x : 0;
    default:
        return x;
    }
}

/* The sum of x[i] * w[i] over [from, to), and of their magnitudes. */
template <class T> double dot(const T *x, const T *w, size_t from, size_t to, double &magnitude) {
    double sum = 0;
    magnitude = 0;
    for (size_t i = from; i < to; i++) {
        const double product = (double)to_float(x[i]) * to_float(w[i]);
        sum += product;
        magnitude += fabs(product);
    }
    return sum;
}

template <class T> struct operands {
    std::vector<T> x, w;
    std::vector<float> bias;
};

template <class T>
void check_element(const sizes &s, const operands<T> &in, const void *y, uint32_t split, size_t t,
                   size_t c) {
    const size_t part = s.k / s.splits, i = t * s.n + c;
    double magnitude;
    double sum = dot(&in.x[t * s.k], &in.w[c * s.k], split * part, (split + 1) * part, magnitude);
    const double slack = (double)s.k * 0x1p-23 * magnitude;
    if (s.epilogue == QR_CUDA_PARTIAL) {
        const float *partial = (const float *)y + (size_t)split * s.rows * s.n;
        expect_near("partial", i, partial[i], sum, slack);
        return;
    }
    const double expected = finished(sum + in.bias[c], s.epilogue);
    const double bound = element<T>::rounding * fabs(expected) + element<T>::least;
    expect_near("y", i, to_float(((const T *)y)[i]), expected,
                1.001 * bound + 1.2 * (slack + 0x1p-23 * fabs(in.bias[c])) + 1e-6);
}

template <class T> void check_rest(const sizes &s, const void *y) {
    for (size_t i = (size_t)s.tokens * s.n; i < (size_t)s.rows * s.n; i++) {
        if (s.epilogue == QR_CUDA_PARTIAL)
            expect(is_untouched(((const float *)y)[i]), "wrote behind the tokens", i);
        else
            expect(is_untouched(((const T *)y)[i]), "wrote behind the tokens", i);
    }
}

template <class T> void multiply(dice &random, const sizes &s, uint32_t tile) {
    const operands<T> in = {random_rows<T>(random, s.tokens, s.k, s.k, 1),
                            random_rows<T>(random, s.n, s.k, s.k, 1 / sqrt(s.k / 8.0)),
                            random_floats(random, s.n, s.n, -1, 1)};
    bench at;
    const bool partial = s.epilogue == QR_CUDA_PARTIAL;
    const size_t outputs = (size_t)s.rows * s.n * s.splits;
    void *y = partial ? (void *)at.output<float>(outputs) : (void *)at.output<T>(outputs);
    const qr_cuda_gemm_args args = {at.counts(s.tokens),
                                    at.late(in.x, (size_t)s.rows * s.k),
                                    at.early(in.w),
                                    partial ? nullptr : at.early(in.bias),
                                    y,
                                    s.n,
                                    s.k,
                                    s.k / s.splits,
                                    s.rows,
                                    s.epilogue,
                                    0};
    const emulator::size3 grid = {s.n / QR_CUDA_GEMM_COLUMNS(tile), (s.rows + tile - 1) / tile,
                                  s.splits};
    std::string name = std::string("gemm_") + element<T>::name;
    if (!std::is_same<T, float>::value)
        name += "_" + std::to_string(tile);
    name_case("%s tokens %u of %u, n %u, k %u, splits %u, epilogue %d", name.c_str(), s.tokens,
              s.rows, s.n, s.k, s.splits, (int)s.epilogue);
    at.run(name, grid, args);
    for (uint32_t split = 0; split < s.splits; split++) {
        for (size_t i = 0; i < (size_t)s.tokens * s.n; i++)
            check_element(s, in, y, split, i / s.n, i % s.n);
    }
    check_rest<T>(s, y);
}

template <class T> void multiply_sizes(uint32_t tile) {
    dice random(tile + sizeof(T));
    /* More K than the ring has stages; then all the rest at random. */
    multiply<T>(random, {tile, tile, 64, 64 * 19, 1, QR_CUDA_BIAS}, tile);
    multiply<T>(random, {1, 1, 64, 64, 1, QR_CUDA_GELU}, tile);
    multiply<T>(random, {tile + 1, 2 * tile + 5, 128, 64 * 12, 4, QR_CUDA_PARTIAL}, tile);
    for (int i = 0; i < 6; i++) {
        sizes s;
        s.rows = 1 + random.below(i == 5 ? 300 : 3 * tile);
        s.tokens = 1 + random.below(s.rows);
        s.n = 64 * (1 + random.below(3));
        s.epilogue = (qr_cuda_epilogue)(i % 5);
        s.splits = s.epilogue == QR_CUDA_PARTIAL ? 1 + random.below(4) : 1;
        s.k = 64 * s.splits * (1 + random.below(s.splits > 1 ? 3 : 9));
        multiply<T>(random, s, tile);
    }
}

/* A token's numbers depend neither on the others nor on its place. */
template <class T> void check_places(uint32_t tile) {
    dice random(99);
    const uint32_t rows = 2 * tile, n = 64, k = 192;
    const std::vector<T> w = random_rows<T>(random, n, k, k, 0.3);
    const std::vector<T> one = random_rows<T>(random, 1, k, k, 1);
    std::vector<T> x = random_rows<T>(random, rows, k, k, 1), first;
    for (uint32_t place : {0u, 3u, tile - 1, tile, rows - 1}) {
        std::copy(one.begin(), one.end(), x.begin() + place * k);
        bench at;
        T *y = at.output<T>(rows * n);
        const qr_cuda_gemm_args args = {at.counts(place + 1),
                                        at.late(x),
                                        at.early(w),
                                        at.early(random_floats(random, 0, n, 0, 0)),
                                        y,
                                        n,
                                        k,
                                        k,
                                        rows,
                                        QR_CUDA_BIAS,
                                        0};
        name_case("gemm_%s_%u, a token at %u", element<T>::name, tile, place);
        at.run(std::string("gemm_") + element<T>::name + "_" + std::to_string(tile),
               {n / QR_CUDA_GEMM_COLUMNS(tile), 2, 1}, args);
        const std::vector<T> found(y + place * n, y + place * n + n);
        if (first.empty())
            first = found;
        expect(memcmp(first.data(), found.data(), n * sizeof(T)) == 0, "other bits at", place);
    }
}

/* Weights that change nothing show what the activations are off by: 1e-6, and f32's rounding. */
void activations_exactly(qr_cuda_epilogue epilogue) {
    const uint32_t rows = 200, n = 64;
    std::vector<float> x(rows * n), w(n * n, 0.0f);
    for (uint32_t i = 0; i < rows * n; i++)
        x[i] = -12 + 24 * (float)i / (float)(rows * n);
    for (uint32_t i = 0; i < n; i++)
        w[i * n + i] = 1;
    bench at;
    float *y = at.output<float>(rows * n);
    const qr_cuda_gemm_args args = {at.counts(rows),
                                    at.late(x),
                                    at.early(w),
                                    at.early(std::vector<float>(n, 0.0f)),
                                    y,
                                    n,
                                    n,
                                    n,
                                    rows,
                                    epilogue,
                                    0};
    name_case("gemm_f32, activation %d", (int)epilogue);
    at.run("gemm_f32", {n / QR_CUDA_GEMM_COLUMNS(QR_CUDA_GEMM_F32_TILE), 7, 1}, args);
    for (uint32_t i = 0; i < rows * n; i++) {
        const double expected = finished(x[i], epilogue);
        expect_near("y", i, y[i], expected, 1e-6 + 0x1p-22 * fabs(expected));
    }
}

} // namespace

QR_TEST(activations_exact) {
    activations_exactly(QR_CUDA_GELU), activations_exactly(QR_CUDA_GELU_NEW);
    activations_exactly(QR_CUDA_RELU);
}
QR_TEST(gemm_f16_16) {
    multiply_sizes<qr_f16>(16), check_places<qr_f16>(16);
}
QR_TEST(gemm_f16_32) {
    multiply_sizes<qr_f16>(32), check_places<qr_f16>(32);
}
QR_TEST(gemm_f16_64) {
    multiply_sizes<qr_f16>(64), check_places<qr_f16>(64);
}
QR_TEST(gemm_f16_128) {
    multiply_sizes<qr_f16>(128), check_places<qr_f16>(128);
}
QR_TEST(gemm_bf16_16) {
    multiply_sizes<qr_bf16>(16);
}
QR_TEST(gemm_bf16_32) {
    multiply_sizes<qr_bf16>(32);
}
QR_TEST(gemm_bf16_64) {
    multiply_sizes<qr_bf16>(64);
}
QR_TEST(gemm_bf16_128) {
    multiply_sizes<qr_bf16>(128);
}
QR_TEST(gemm_f32) {
    multiply_sizes<float>(QR_CUDA_GEMM_F32_TILE);
}
