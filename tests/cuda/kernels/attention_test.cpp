/* Attention on the emulator against softmax in double.
 *
 * The bound of an element of y = sum p * v / sum p: p is rounded to T, which costs T's half unit of
 * sum p * |v|, and so is y; p itself is off by 2^-21 or so for exp2 and by its score's error, D *
 * 2^-23 of the sum of its products' magnitudes. */
#include "kernel_fixture.h"

#include <algorithm>

using namespace kernel_test;

namespace {

struct sizes {
    uint32_t heads, real, head; /* real: of `head`, the rest is padding */
    uint32_t rows, blocks;      /* of the buffers; of the grid */
    double scale;               /* of q and k */
    uint32_t width() const { return heads * head; }
    uint32_t qkv_pitch() const { return padded(3 * width()); }
    uint32_t pitch() const { return padded(width()); }
};

/* q, k, v of real columns at random, zeros where heads are padded. */
template <class T> std::vector<T> random_qkv(dice &random, const sizes &s, uint32_t tokens) {
    std::vector<T> qkv((size_t)tokens * s.qkv_pitch(), T{});
    for (size_t t = 0; t < tokens; t++) {
        for (uint32_t i = 0; i < 3 * s.width(); i++) {
            const double scale = i < 2 * s.width() ? s.scale : 1;
            if (i % s.head < s.real)
                qkv[t * s.qkv_pitch() + i] = from_float<T>((float)random.between(-scale, scale));
        }
    }
    return qkv;
}

struct scores {
    std::vector<double> p; /* that add up to 1 */
    double error = 0;      /* of the worst, relative */
};

template <class T> scores softmax(const sizes &s, const T *q, const T *k, uint32_t keys) {
    scores found;
    std::vector<double> score(keys);
    for (uint32_t key = 0; key < keys; key++) {
        double magnitude = 0;
        for (uint32_t d = 0; d < s.head; d++) {
            const double product = (double)to_float(q[d]) * to_float(k[key * s.qkv_pitch() + d]);
            score[key] += product;
            magnitude += fabs(product);
        }
        found.error = std::max(found.error, s.head * 0x1p-23 * magnitude);
    }
    const double most = *std::max_element(score.begin(), score.end());
    found.error += 0x1p-21 + 0x1p-23 * fabs(most);
    double sum = 0;
    for (double x : score)
        sum += exp2(x - most);
    for (double x : score)
        found.p.push_back(exp2(x - most) / sum);
    return found;
}

template <class T>
void check_query(const sizes &s, const T *q, const T *k, uint32_t keys, const T *y, size_t at) {
    const scores all = softmax(s, q, k, keys);
    const T *v = k + s.width();
    for (uint32_t d = 0; d < s.head; d++) {
        double sum = 0, magnitude = 0;
        for (uint32_t key = 0; key < keys; key++) {
            const double x = to_float(v[key * s.qkv_pitch() + d]);
            sum += all.p[key] * x;
            magnitude += all.p[key] * fabs(x);
        }
        const double rounding = element<T>::rounding * (magnitude + fabs(sum)) * 1.01;
        expect_near("y", at + d, to_float(y[d]), sum,
                    rounding + (2 * all.error + keys * 0x1p-23) * magnitude +
                        element<T>::least * 2);
    }
}

/* Every query of every head, the padding behind the heads, and what no kernel may touch. */
template <class T>
void check_all(const sizes &s, const packed &batch, const std::vector<T> &qkv, const T *y) {
    for (uint32_t b = 0; b < batch.sequences(); b++) {
        const uint32_t begin = batch.starts[b], end = batch.starts[b + 1];
        for (uint32_t i = 0; i < (end - begin) * s.heads; i++) {
            const uint32_t t = begin + i / s.heads, head = i % s.heads * s.head;
            const T *k = &qkv[(size_t)begin * s.qkv_pitch() + s.width() + head];
            const size_t at = (size_t)t * s.pitch() + head;
            check_query(s, &qkv[(size_t)t * s.qkv_pitch() + head], k, end - begin, y + at, at);
        }
    }
    for (uint32_t t = 0; t < s.rows; t++) {
        for (uint32_t i = s.width(); i < s.pitch() && t < batch.tokens(); i++)
            expect(to_float(y[t * s.pitch() + i]) == 0, "no zero behind the heads of token", t);
        for (uint32_t i = 0; i < s.pitch() && t >= batch.tokens(); i++)
            expect(is_untouched(y[t * s.pitch() + i]), "wrote behind the tokens", t);
    }
}

template <class T> std::string kernel_name(const sizes &s) {
    const std::string name = std::string("attention_") + element<T>::name;
    return std::is_same<T, float>::value ? name : name + "_" + std::to_string(s.head);
}

template <class T>
std::vector<T> attend(const sizes &s, const packed &batch, const std::vector<T> &qkv) {
    bench at;
    T *y = at.output<T>((size_t)s.rows * s.pitch());
    const qr_cuda_attention_args args = {
        at.counts(batch.tokens(), batch.sequences(), (uint32_t)batch.tiles.size()),
        at.late(batch.tiles, std::max<size_t>(batch.tiles.size(), s.blocks)),
        at.late(qkv, (size_t)s.rows * s.qkv_pitch()),
        y,
        s.heads,
        s.head,
        s.qkv_pitch(),
        s.pitch()};
    name_case("%s heads %u of %u, tokens %u of %u, sequences %u, blocks %u",
              kernel_name<T>(s).c_str(), s.heads, s.real, batch.tokens(), s.rows, batch.sequences(),
              s.blocks);
    at.run(kernel_name<T>(s), {s.blocks, s.heads, 1}, args);
    return std::vector<T>(y, y + (size_t)s.rows * s.pitch());
}

template <class T> void attend_batch(dice &random, sizes s, const packed &batch) {
    s.rows = batch.tokens() + random.below(20);
    s.blocks = 1 + random.below((uint32_t)batch.tiles.size());
    const std::vector<T> qkv = random_qkv<T>(random, s, batch.tokens());
    const std::vector<T> y = attend(s, batch, qkv);
    check_all(s, batch, qkv, y.data());
}

/* Each sequence alone gives the bits that it has in the batch. */
template <class T> void attend_alone(dice &random, sizes s, const packed &batch) {
    s.rows = batch.tokens();
    s.blocks = 2;
    const std::vector<T> qkv = random_qkv<T>(random, s, batch.tokens());
    const std::vector<T> y = attend(s, batch, qkv);
    for (uint32_t b = 0; b < batch.sequences(); b++) {
        const size_t begin = batch.starts[b], end = batch.starts[b + 1];
        s.rows = (uint32_t)(end - begin);
        const std::vector<T> own(qkv.begin() + begin * s.qkv_pitch(),
                                 qkv.begin() + end * s.qkv_pitch());
        const std::vector<T> alone = attend(s, packed({s.rows}), own);
        expect(memcmp(alone.data(), &y[begin * s.pitch()], alone.size() * sizeof(T)) == 0,
               "other bits alone: sequence", b);
    }
}

/* `real` of the head's elements are the model's, as when 24, 26 or 80 are padded. */
template <class T> void attend_sizes(uint32_t heads, uint32_t real, uint32_t head) {
    dice random(head * 131 + real + sizeof(T));
    const sizes s = {heads, real, head, 0, 0, 4 / sqrt(sqrt((double)real))};
    attend_batch<T>(random, s, packed({1}));
    attend_batch<T>(random, s, packed({16, 17, 15, 1, 64, 48}));
    attend_batch<T>(random, s, packed({65, 2, 128}));
    attend_batch<T>(random, s, packed({63, 129}));
    for (int i = 0; i < 3; i++)
        attend_batch<T>(random, s, random_packed(random, 1 + random.below(300)));
    attend_alone<T>(random, s, packed({9, 70, 1, 31}));
}

/* Scores that differ by hundreds: the softmax is one key's, and nothing overflows. */
template <class T> void attend_extremes(uint32_t head) {
    dice random(head);
    const sizes s = {2, head, head, 0, 0, 30};
    attend_batch<T>(random, s, packed({5, 100}));
}

} // namespace

QR_TEST(attention_f16_16) {
    attend_sizes<qr_f16>(3, 16, 16), attend_sizes<qr_f16>(1, 12, 16);
}
QR_TEST(attention_f16_32) {
    attend_sizes<qr_f16>(2, 32, 32), attend_sizes<qr_f16>(3, 26, 32);
}
QR_TEST(attention_f16_64) {
    attend_sizes<qr_f16>(2, 64, 64), attend_sizes<qr_f16>(1, 48, 64);
}
QR_TEST(attention_f16_128) {
    attend_sizes<qr_f16>(1, 128, 128), attend_sizes<qr_f16>(2, 80, 128);
}
QR_TEST(attention_bf16_16) {
    attend_sizes<qr_bf16>(5, 16, 16);
}
QR_TEST(attention_bf16_32) {
    attend_sizes<qr_bf16>(3, 24, 32);
}
QR_TEST(attention_bf16_64) {
    attend_sizes<qr_bf16>(2, 64, 64);
}
QR_TEST(attention_bf16_128) {
    attend_sizes<qr_bf16>(1, 80, 128);
}
QR_TEST(attention_f32) {
    for (uint32_t head : {16u, 24u, 26u, 32u, 64u, 80u, 128u})
        attend_sizes<float>(head < 64 ? 3 : 1, head, head);
}
QR_TEST(attention_extremes) {
    attend_extremes<qr_f16>(32), attend_extremes<qr_bf16>(64), attend_extremes<float>(26);
}
