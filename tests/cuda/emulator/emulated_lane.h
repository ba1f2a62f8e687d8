/* tests/cuda/emulator/emulated_lane.h: a thread of an emulated block, and the places where threads
 * meet. What gpu_emulated.h is made of; kernels see only that.
 *
 *     void warp_sync(place where = here()) { meet(no_operation, "warp_sync", nullptr, where); }
 *     uint32_t i = current->thread.x;
 *
 * Each thread of a block is a fiber on the host thread that launched. It runs until it has to wait
 * for others, so between two meetings a thread sees either nothing or all of what another does: a
 * missing barrier becomes stale or poisoned data. Nothing here is shared between host threads.
 */
#ifndef QR_TESTS_EMULATED_LANE_H
#define QR_TESTS_EMULATED_LANE_H

#include <cstddef>
#include <cstdint>

namespace emulated {

constexpr uint32_t LANES = 32; // of a warp

struct index {
    uint32_t x, y, z;
};

/** Where in the kernel's source a wrapper was called. */
struct place {
    const char *file;
    int line;
};

/** As the default of a wrapper's last parameter: the line that calls the wrapper. */
constexpr place here(const char *file = __builtin_FILE(), int line = __builtin_LINE()) {
    return {file, line};
}

struct block; // emulated_block.h

/** A thread of a block. */
struct lane {
    index thread, block_index, block_size, grid;
    unsigned char *shared; // the block's shared memory
    size_t shared_bytes;
    uint32_t number; // of the thread in its block
    block *of;
    void *stack_pointer; // while it does not run
    const char *waits;   // in what, or NULL
    place where;
};

/** The thread that runs, of the block that this host thread runs; NULL outside kernels. */
extern __thread lane *current __attribute__((tls_model("initial-exec")));

/** What a warp does together: operands[i] is what lane i passed to meet(). */
using collective = void (*)(void *const operands[LANES]);

/** A meeting of the current warp: waits until all 32 lanes are in the same call, which `operation`
 * is done for once. Another call or another line of one of them is a fault. */
void meet(collective operation, const char *what, void *operands, place where);

void meet_warp(place where); // warp_sync

/** block_sync: waits for all threads of the block, on the same line. */
void meet_block(place where);

/** ldmatrix for `count` matrices. A lane reads its row when it comes to it: what another lane wrote
 * is there for sure only behind a warp_sync or block_sync. */
template <int count, bool transposed>
void meet_matrices(uint32_t *r, const void *row, const char *what, place where);

/** grid_wait: waits until the kernel before has ended, when this one was started early. */
void wait_for_grid(place where);

/** Before a word that other blocks write is read: now and then, until each that can run has run, in
 * a cooperative launch. signal_blocks: such a word is being written. */
void wait_for_blocks(place where);
void signal_blocks();

/** cp.async of the current thread: 16 bytes that are poison in shared memory until copies_wait. */
void copy_start(void *shared, const void *global, bool real, place where);
void copies_commit();
void copies_wait(uint32_t groups_left, place where);

/** Checks that 16 bytes at `address` are the block's shared memory and aligned. */
void check_shared(const void *address, const char *what, place where);

/** A fault of the kernel: prints message, kernel, block, thread, place and seed, and aborts. */
[[noreturn]] void fail(place where, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** Bodies of the warp's instructions (emulated_warp.cpp). */
struct matrix_operands {
    uint32_t *r;
    uint16_t row[8];
};

struct mma_operands {
    float *c;
    const uint32_t *a, *b;
};
template <class T> void multiply(void *const operands[LANES]);

struct shuffle_operands {
    uint32_t value;
    uint32_t from;
};
void exchange(void *const operands[LANES]);

} // namespace emulated

#endif
