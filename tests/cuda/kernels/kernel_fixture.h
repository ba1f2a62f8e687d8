/* tests/cuda/kernels/kernel_fixture.h: a kernel's launch on the emulator, and expectations.
 *
 *     bench at;
 *     qr_cuda_widen_args args = {at.counts(tokens), at.late(x), at.output<float>(size), ...};
 *     at.run("widen_f16", {bucket, 1, 1}, args);              // several orders, one result
 *     expect_near("row", i, args.y[i], expected, bound);
 *
 * Late memory is NaN until the kernel has begun: its first blocks run up to grid_wait() before it
 * is filled, as when the kernel before still runs. So is output, with a number that no kernel
 * writes. Rows behind the tokens stay NaN.
 */
#ifndef QR_TESTS_KERNEL_FIXTURE_H
#define QR_TESTS_KERNEL_FIXTURE_H

#include "engine/cuda/kernels/cuda_kernel_list.h"
#include "engine/cuda/kernels/gpu.h"
#include "kernel_data.h"

#include <deque>
#include <string>
#include <vector>

namespace kernel_test {

/** What rounding to T may cost, relative and below its normal numbers; and T's part of names. */
template <class T> struct element;
template <> struct element<qr_f16> {
    static constexpr double rounding = 0x1p-11, least = 0x1p-25;
    static constexpr const char *name = "f16";
};
template <> struct element<qr_bf16> {
    static constexpr double rounding = 0x1p-8, least = 0;
    static constexpr const char *name = "bf16";
};
template <> struct element<float> {
    static constexpr double rounding = 0x1p-24, least = 0;
    static constexpr const char *name = "f32";
};

constexpr float UNTOUCHED = -12345; /* what output holds before a kernel */

/** One launch's memory and args. */
class bench {
  public:
    /** Memory that is there from the start: weights. */
    template <class T> T *early(const std::vector<T> &values);
    /** Memory that the kernel before wrote; the first values of a longer array are enough. */
    template <class T> T *late(const std::vector<T> &values, size_t count = 0);
    template <class T> T *output(size_t count);
    /** Both: what the kernel before wrote, and this one changes. */
    template <class T> T *in_place(const std::vector<T> &values, size_t count);
    /** The same for what is not of floats: all bits are 1 before. */
    template <class T> T *output_of(size_t count);
    const qr_cuda_counts *counts(uint32_t tokens, uint32_t sequences = 1, uint32_t tiles = 0);

    /** Runs qr_cuda_NAME in several orders; the bits of all output must be the same. */
    template <class A> void run(const std::string &name, emulator::size3 grid, const A &args) {
        run(name, grid, &args, sizeof args, false);
    }
    /** The same of a kernel whose blocks wait for each other. */
    template <class A>
    void run_together(const std::string &name, emulator::size3 grid, const A &args) {
        run(name, grid, &args, sizeof args, true);
    }

  private:
    struct buffer {
        emulator::memory memory;
        std::vector<unsigned char> bytes;
        bool is_late, is_output;
        buffer(size_t size, bool late, bool output)
            : memory(size), is_late(late), is_output(output) {}
    };
    void run(const std::string &name, emulator::size3 grid, const void *args, size_t args_bytes,
             bool cooperative);
    void fill_late();
    void launch(const emulator::launch_config &config, const void *args);
    void launch_on_device(const emulator::launch_config &config, const void *args);
    std::vector<unsigned char> results() const;
    void *place(const void *values, size_t bytes, size_t room, bool late, bool output);
    std::deque<buffer> buffers;
};

/** A failed expectation is printed, the first few of a test; the test goes on. */
void expect_near(const char *what, size_t i, double got, double expected, double bound);
void expect(bool is_true, const char *what, size_t i);
/** Begins a case of a test: stands in front of what fails. */
void name_case(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** A test runs in main() when no word, or one of its name's, is on the command line. */
struct test {
    test(const char *name, void (*body)());
};
#define QR_TEST(name)                                                                              \
    static void name();                                                                            \
    static const kernel_test::test name##_test(#name, name);                                       \
    static void name()

template <class T> T *bench::early(const std::vector<T> &values) {
    return (T *)place(values.data(), values.size() * sizeof(T), 0, false, false);
}
template <class T> T *bench::late(const std::vector<T> &values, size_t count) {
    return (T *)place(values.data(), values.size() * sizeof(T), count * sizeof(T), true, false);
}
template <class T> T *bench::in_place(const std::vector<T> &values, size_t count) {
    return (T *)place(values.data(), values.size() * sizeof(T), count * sizeof(T), true, true);
}
template <class T> T *bench::output(size_t count) {
    std::vector<T> values(count, from_float<T>(UNTOUCHED));
    return (T *)place(values.data(), count * sizeof(T), 0, true, true);
}
template <class T> T *bench::output_of(size_t count) {
    const std::vector<unsigned char> ones(count * sizeof(T), 0xff);
    return (T *)place(ones.data(), ones.size(), 0, true, true);
}
/** What output holds where no kernel wrote. */
template <class T> bool is_untouched(T x) {
    return to_float(x) == to_float(from_float<T>(UNTOUCHED));
}

} // namespace kernel_test

#endif
