/* tests/cuda/kernels/kernel_data.h: random numbers, rows and batches for kernels' tests, the same
 * in every run.
 *
 *     dice random(7);
 *     const auto x = random_rows<qr_f16>(random, tokens, width, padded(width), 2);
 *     const packed batch = random_packed(random, tokens);
 *
 * Threads: each its own dice.
 */
#ifndef QR_TESTS_KERNEL_DATA_H
#define QR_TESTS_KERNEL_DATA_H

#include "engine/cuda/kernels/cuda_kernel_list.h"
#include "engine/cuda/kernels/gpu.h"

#include <vector>

namespace kernel_test {

/** Random numbers, the same in every run. */
class dice {
  public:
    explicit dice(uint64_t seed) : state(seed * 2654435761u + 88172645463325252u) {}
    uint32_t below(uint32_t n);
    double between(double low, double high);
    bool chance(double p) { return between(0, 1) < p; }

  private:
    uint64_t state;
};

/** n numbers of T from -scale to scale, [rows][pitch], of which columns from `width` on are 0. */
template <class T>
std::vector<T> random_rows(dice &random, size_t rows, size_t width, size_t pitch, double scale);
std::vector<float> random_floats(dice &random, size_t width, size_t pitch, double low, double high);

/** Packed sequences, and the tiles of attention, as the host cuts them. */
struct packed {
    std::vector<uint32_t> starts;
    std::vector<qr_cuda_tile> tiles;
    uint32_t tokens() const { return starts.back(); }
    uint32_t sequences() const { return (uint32_t)starts.size() - 1; }
    explicit packed(const std::vector<uint32_t> &lengths);
};
/** Random lengths that add up to `tokens`. */
packed random_packed(dice &random, uint32_t tokens);

inline uint32_t padded(uint32_t width) {
    return (width + QR_CUDA_PAD - 1) / QR_CUDA_PAD * QR_CUDA_PAD;
}

template <class T>
std::vector<T> random_rows(dice &random, size_t rows, size_t width, size_t pitch, double scale) {
    std::vector<T> values(rows * pitch, T{});
    for (size_t i = 0; i < rows * width; i++)
        values[i / width * pitch + i % width] = from_float<T>((float)random.between(-scale, scale));
    return values;
}

} // namespace kernel_test

#endif
