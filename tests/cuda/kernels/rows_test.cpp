/* Kernels of which a block works at a token's row, on the emulator against sums in double.
 *
 * The bound of a layer norm's element: half a unit of T, and for the f32 arithmetic before 2^-23
 * for each of the additions that a sum of `width` numbers in lanes, warps and rounds is deep
 * (below 64), of the numbers' size. */
#include "kernel_fixture.h"

using namespace kernel_test;

namespace {

/* y[width] = LN(v) in double, and the bound beside it. */
struct norm {
    std::vector<double> y, bound;
};

template <class T>
norm layer_norm(const std::vector<double> &v, const std::vector<float> &gamma,
                const std::vector<float> &beta, double epsilon) {
    const size_t width = v.size();
    double mean = 0, variance = 0, most = 0;
    for (double x : v)
        mean += x / (double)width;
    for (double x : v)
        variance += (x - mean) * (x - mean) / (double)width, most = std::max(most, fabs(x));
    const double scale = 1 / sqrt(variance + epsilon);
    norm found;
    for (size_t i = 0; i < width; i++) {
        const double normal = (v[i] - mean) * scale, y = normal * gamma[i] + beta[i];
        const double slack = 0x1p-17 * (most * scale + fabs(normal)) * fabs(gamma[i]);
        found.y.push_back(y);
        found.bound.push_back(1.01 * element<T>::rounding * fabs(y) + element<T>::least + slack +
                              0x1p-22 * fabs(beta[i]));
    }
    return found;
}

/* A row of y: the norm's numbers, then zeros. */
template <class T> void check_row(const norm &expected, const T *y, uint32_t pitch, uint32_t row) {
    const size_t width = expected.y.size();
    for (size_t i = 0; i < width; i++)
        expect_near("y", row * pitch + i, to_float(y[i]), expected.y[i], expected.bound[i]);
    for (size_t i = width; i < pitch; i++)
        expect(to_float(y[i]) == 0, "no zero behind the width", row * pitch + i);
}

template <class T> void check_rest(const T *y, size_t from, size_t to) {
    for (size_t i = from; i < to; i++)
        expect(is_untouched(y[i]), "wrote behind the tokens", i);
}

template <class T> bool has_residual(dice &random) {
    return !std::is_same_v<T, float> && random.chance(0.7);
}

/* The same row in f32, which is what y was rounded from. */
template <class T>
void check_residual(const norm &expected, const float *residual, const T *y, uint32_t pitch,
                    uint32_t row) {
    check_row(expected, residual, pitch, row);
    for (size_t i = 0; i < pitch; i++)
        expect(to_float(from_float<T>(residual[i])) == to_float(y[i]), "not y's", row * pitch + i);
}

/* A batch's table with room for a bucket; `from` is there late, `to` is output. */
struct tables {
    qr_cuda_table from, to;
    std::vector<qr_cuda_tile> tiles;
    std::vector<uint32_t> positions, types, starts, skip;
    std::vector<int32_t> ids;
    tables(bench &at, dice &random, const packed &batch, uint32_t bucket, uint32_t vocab)
        : tiles(batch.tiles), starts(batch.starts) {
        for (uint32_t b = 0; b < batch.sequences(); b++) {
            skip.push_back(random.below(batch.starts[b + 1] - batch.starts[b]));
            for (uint32_t t = batch.starts[b]; t < batch.starts[b + 1]; t++) {
                ids.push_back((int32_t)random.below(vocab));
                positions.push_back(t - batch.starts[b]);
                types.push_back(random.below(2));
            }
        }
        from.counts = const_cast<qr_cuda_counts *>(
            at.counts(batch.tokens(), batch.sequences(), (uint32_t)tiles.size()));
        from.ids = at.late(ids, bucket), from.positions = at.late(positions, bucket);
        from.types = at.late(types, bucket), from.starts = at.late(starts, bucket + 2);
        from.skip = at.late(skip, bucket), from.tiles = at.late(tiles, bucket);
        to = from; /* ids, positions and types stay where they are */
        to.counts = at.output_of<qr_cuda_counts>(1);
        to.starts = at.output_of<uint32_t>(bucket + 2), to.skip = at.output_of<uint32_t>(bucket);
        to.tiles = at.output_of<qr_cuda_tile>(bucket);
    }
    void check() const {
        expect(memcmp(from.counts, to.counts, sizeof *to.counts) == 0, "counts", 0);
        expect(memcmp(starts.data(), to.starts, starts.size() * 4) == 0, "starts", 0);
        expect(memcmp(skip.data(), to.skip, skip.size() * 4) == 0, "skip", 0);
        expect(memcmp(tiles.data(), to.tiles, tiles.size() * sizeof tiles[0]) == 0, "tiles", 0);
        expect(to.starts[starts.size()] == ~0u, "wrote behind starts", starts.size());
    }
};

template <class T>
void embed(dice &random, uint32_t width, uint32_t tokens, uint32_t bucket, bool has_types) {
    const uint32_t pitch = padded(width), vocab = 50;
    const packed batch = random_packed(random, tokens);
    const auto word = random_rows<T>(random, vocab, width, pitch, 2);
    const auto position = random_rows<T>(random, tokens, width, pitch, 1);
    const auto type = random_rows<T>(random, 2, width, pitch, 1);
    const auto gamma = random_floats(random, width, pitch, 0.2, 2);
    const auto beta = random_floats(random, width, pitch, -1, 1);
    bench at;
    const tables table(at, random, batch, bucket, vocab);
    T *x = at.output<T>((size_t)bucket * pitch);
    float *residual = has_residual<T>(random) ? at.output<float>((size_t)bucket * pitch) : nullptr;
    const qr_cuda_embed_args args = {table.from,
                                     table.to,
                                     at.early(word),
                                     at.early(position),
                                     has_types ? at.early(type) : nullptr,
                                     at.early(gamma),
                                     at.early(beta),
                                     x,
                                     residual,
                                     width,
                                     pitch,
                                     1e-6f,
                                     0};
    name_case("embed_%s width %u, tokens %u of %u", element<T>::name, width, tokens, bucket);
    at.run(std::string("embed_") + element<T>::name, {bucket, 1, 1}, args);
    for (uint32_t t = 0; t < tokens; t++) {
        std::vector<double> v(width);
        for (uint32_t i = 0; i < width; i++)
            v[i] = (double)to_float(word[(size_t)table.ids[t] * pitch + i]) +
                   to_float(position[table.positions[t] * pitch + i]) +
                   (has_types ? to_float(type[table.types[t] * pitch + i]) : 0);
        check_row(layer_norm<T>(v, gamma, beta, 1e-6), x + (size_t)t * pitch, pitch, t);
        if (residual != nullptr)
            check_residual(layer_norm<float>(v, gamma, beta, 1e-6), residual + (size_t)t * pitch,
                           x + (size_t)t * pitch, pitch, t);
    }
    check_rest(x, (size_t)tokens * pitch, (size_t)bucket * pitch);
    if (residual != nullptr)
        check_rest(residual, (size_t)tokens * pitch, (size_t)bucket * pitch);
    table.check();
}

template <class T>
void add_norm(dice &random, uint32_t width, uint32_t tokens, uint32_t bucket, uint32_t splits) {
    const uint32_t pitch = padded(width);
    const auto x = random_rows<float>(random, tokens, width, pitch, 2);
    std::vector<float> partial((size_t)splits * bucket * pitch, NAN);
    for (size_t i = 0; i < (size_t)splits * tokens * pitch; i++) {
        const size_t split = i / pitch / tokens, row = i / pitch % tokens, column = i % pitch;
        partial[(split * bucket + row) * pitch + column] =
            column < width ? (float)random.between(-1, 1) : 0;
    }
    const auto bias = random_floats(random, width, pitch, -1, 1);
    const auto gamma = random_floats(random, width, pitch, 0.2, 2);
    const auto beta = random_floats(random, width, pitch, -1, 1);
    bench at;
    T *y = at.output<T>((size_t)bucket * pitch);
    float *residual = has_residual<T>(random) ? at.output<float>((size_t)bucket * pitch) : nullptr;
    const qr_cuda_add_norm_args args = {at.counts(tokens),
                                        at.late(x, (size_t)bucket * pitch),
                                        at.late(partial),
                                        at.early(bias),
                                        at.early(gamma),
                                        at.early(beta),
                                        y,
                                        residual,
                                        width,
                                        pitch,
                                        splits,
                                        bucket,
                                        1e-5f,
                                        0};
    name_case("add_norm_%s width %u, tokens %u of %u, splits %u", element<T>::name, width, tokens,
              bucket, splits);
    at.run(std::string("add_norm_") + element<T>::name, {bucket, 1, 1}, args);
    for (uint32_t t = 0; t < tokens; t++) {
        std::vector<double> v(width);
        for (uint32_t i = 0; i < width; i++) {
            v[i] = (double)x[(size_t)t * pitch + i] + bias[i];
            for (uint32_t split = 0; split < splits; split++)
                v[i] += partial[((size_t)split * bucket + t) * pitch + i];
        }
        check_row(layer_norm<T>(v, gamma, beta, 1e-5), y + (size_t)t * pitch, pitch, t);
        if (residual != nullptr)
            check_residual(layer_norm<float>(v, gamma, beta, 1e-5), residual + (size_t)t * pitch,
                           y + (size_t)t * pitch, pitch, t);
    }
    check_rest(y, (size_t)tokens * pitch, (size_t)bucket * pitch);
    if (residual != nullptr)
        check_rest(residual, (size_t)tokens * pitch, (size_t)bucket * pitch);
}

/* The residual, or y in f32, is x: what layers do. */
template <class T> void add_norm_in_place() {
    dice random(5);
    const uint32_t width = 312, pitch = padded(width), tokens = 7;
    const auto x = random_rows<float>(random, tokens, width, pitch, 2);
    const auto partial = random_rows<float>(random, tokens, width, pitch, 1);
    const auto gamma = random_floats(random, width, pitch, 0.2, 2);
    const bool is_wide = std::is_same_v<T, float>;
    std::vector<float> apart;
    for (bool in_place : {false, true}) {
        bench at;
        float *in = at.late(x), *residual = in_place ? in : at.output<float>(x.size());
        void *y = is_wide ? (void *)residual : at.output<T>(x.size());
        const qr_cuda_add_norm_args args = {at.counts(tokens),
                                            in,
                                            at.late(partial),
                                            at.early(gamma),
                                            at.early(gamma),
                                            at.early(gamma),
                                            y,
                                            is_wide ? nullptr : residual,
                                            width,
                                            pitch,
                                            1,
                                            tokens,
                                            1e-5f,
                                            0};
        at.run(std::string("add_norm_") + element<T>::name, {tokens, 1, 1}, args);
        if (!in_place)
            apart.assign(residual, residual + x.size());
        name_case("add_norm_%s in place", element<T>::name);
        expect(memcmp(apart.data(), residual, x.size() * sizeof x[0]) == 0, "other bits", 0);
    }
}

template <class T> void norm_sizes() {
    dice random(sizeof(T));
    for (uint32_t width : {1u, 30u, 64u, 312u, 384u, 768u, 1023u, 1024u, 1030u, 2050u, 8192u}) {
        const uint32_t bucket = 1 + random.below(width > 1000 ? 3 : 20);
        const uint32_t tokens = 1 + random.below(bucket);
        embed<T>(random, width, tokens, bucket, random.chance(0.5));
        add_norm<T>(random, width, tokens, bucket, 1 + random.below(9));
    }
    embed<T>(random, 40, 300, 300, true);
}

template <class T> void activate(dice &random, qr_cuda_epilogue epilogue) {
    const uint32_t n = padded(64 + random.below(1500)), bucket = 9,
                   tokens = 1 + random.below(bucket);
    const auto values = random_rows<T>(random, tokens, n, n, 8);
    bench at;
    T *y = at.late(values, (size_t)bucket * n);
    const qr_cuda_activate_args args = {at.counts(tokens), y, n, epilogue};
    name_case("activate_%s n %u, epilogue %d", element<T>::name, n, (int)epilogue);
    at.run(std::string("activate_") + element<T>::name, {bucket, 1, 1}, args);
    for (size_t i = 0; i < values.size(); i++) {
        const double x = to_float(values[i]);
        const double expected =
            epilogue == QR_CUDA_GELU ? 0.5 * x * (1 + erf(x / sqrt(2.0)))
            : epilogue == QR_CUDA_GELU_NEW
                ? 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)))
                : (x > 0 ? x : 0);
        expect_near("y", i, to_float(y[i]), expected,
                    1.001 * element<T>::rounding * fabs(expected) + element<T>::least + 1e-6);
    }
}

template <class T> void widen(dice &random) {
    const uint32_t width = 1 + random.below(700), pitch = padded(width), bucket = 12;
    const uint32_t tokens = 1 + random.below(bucket);
    const auto x = random_rows<T>(random, tokens, width, pitch, 100);
    bench at;
    float *y = at.output<float>((size_t)bucket * width);
    const qr_cuda_widen_args args = {at.counts(tokens), at.late(x, (size_t)bucket * pitch), y,
                                     width, pitch};
    name_case("widen_%s width %u, tokens %u", element<T>::name, width, tokens);
    at.run(std::string("widen_") + element<T>::name, {bucket, 1, 1}, args);
    for (size_t i = 0; i < (size_t)tokens * width; i++)
        expect(y[i] == to_float(x[i / width * pitch + i % width]), "y", i);
    check_rest(y, (size_t)tokens * width, (size_t)bucket * width);
}

template <class T> void each_of(void (*body)(dice &)) {
    dice random(sizeof(T) + 17);
    for (int i = 0; i < 3; i++)
        body(random);
}

} // namespace

QR_TEST(norms_f16) {
    norm_sizes<qr_f16>();
}
QR_TEST(norms_bf16) {
    norm_sizes<qr_bf16>();
}
QR_TEST(norms_f32) {
    norm_sizes<float>();
}
QR_TEST(norm_in_place) {
    add_norm_in_place<qr_f16>(), add_norm_in_place<float>();
}
QR_TEST(activations) {
    dice random(3);
    for (qr_cuda_epilogue epilogue : {QR_CUDA_GELU, QR_CUDA_GELU_NEW, QR_CUDA_RELU})
        activate<qr_f16>(random, epilogue), activate<qr_bf16>(random, epilogue);
}
QR_TEST(widenings) {
    each_of<qr_f16>(widen<qr_f16>), each_of<qr_bf16>(widen<qr_bf16>), each_of<float>(widen<float>);
}
