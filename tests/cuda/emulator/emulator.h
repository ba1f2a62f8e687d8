/* tests/cuda/emulator/emulator.h: launches kernels on the CPU. For tests of kernels and for the
 * fake driver.
 *
 *     emulator::memory x(rows * pitch * 2);             // NaN, ends before a page that faults
 *     qr_cuda_widen_args args = {counts, x.data, ...};
 *     emulator::seed(7);                                // another order of threads and blocks
 *     emulator::launch("qr_cuda_widen_f16", {rows, 1, 1}, shared_bytes, args);
 *
 * Order is random, but the same for the same seed: QR_EMULATOR_SEED (1 when not set), or seed().
 * A kernel's fault prints what it is and aborts the process. Several host threads may launch at
 * once. QR_EMULATOR_WITHOUT=FILE:LINE leaves the waits of one line out of the kernels (block_sync,
 * warp_sync, copy_wait, grid_wait): tests/cuda/needless_waits.py shows so that tests see each.
 */
#ifndef QR_TESTS_EMULATOR_H
#define QR_TESTS_EMULATOR_H

#include <cstddef>
#include <cstdint>
#include <memory>

namespace emulator {

struct size3 {
    uint32_t x = 1, y = 1, z = 1;
};

/** A kernel as QR_KERNEL registers it, or as PTX has it. */
struct kernel {
    const char *name;
    size_t args_bytes;
    uint32_t threads; // of a block, at most: __launch_bounds__
    void (*run)(const void *args);
    bool may_begin_early = true; // false: PTX for a target below sm_90
    const void *code = nullptr;  // of PTX: what `run` runs
};

struct registration {
    explicit registration(kernel registered);
};

/** NULL: there is none of that name. QR_EMULATOR_PTX=FILE: that file's (ptx.h), and no others. */
const kernel *find(const char *name);

/** A launch. args are copied when it is made. */
struct launch_config {
    const kernel *what;
    size3 grid;
    uint32_t threads;         // a multiple of 32
    uint32_t shared;          // bytes
    bool programmatic;        // may begin before the kernel before it has ended, if the kernel may
    bool cooperative = false; // all blocks are there at once, and may wait for each other
};

/** A launch that may be run in two parts, on one host thread. */
class grid {
  public:
    grid(const launch_config &config, const void *args);
    ~grid();
    /** Begins some blocks, chosen at random, and runs them up to their grid_wait. */
    void begin();
    /** Runs all that is left. */
    void finish();

  private:
    struct state;
    std::unique_ptr<state> own;
};

/** Runs a kernel from begin to end with all of its threads; a wrong name or size of args aborts. */
void launch(const char *name, size3 grid, uint32_t shared, const void *args, size_t args_bytes);
template <class A> void launch(const char *name, size3 grid, uint32_t shared, const A &args) {
    launch(name, grid, shared, &args, sizeof args);
}

/** The seed of this host thread's launches from now on. */
void seed(uint64_t value);
/** Another number of the seed's, for an order that is not a launch's own. */
uint64_t draw();

/** Memory for kernels' data: 256-byte aligned, filled with NaN, faulting before and (rounded up to
 * 256 bytes, which are checked when it goes) behind. */
struct memory {
    explicit memory(size_t bytes);
    ~memory();
    memory(const memory &) = delete;
    memory &operator=(const memory &) = delete;
    /** Aborts when what stands between the end and the page behind was written. */
    void check() const;
    /** Makes it fault when it is touched, and not again. */
    void allow(bool access);
    template <class T> T *as() const { return static_cast<T *>(data); }

    void *data;
    size_t bytes;

  private:
    void *map;
    size_t map_bytes;
};

} // namespace emulator

#endif
