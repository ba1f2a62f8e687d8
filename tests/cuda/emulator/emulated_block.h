/* tests/cuda/emulator/emulated_block.h: a block of threads: who runs next, who waits for what.
 *
 *     emulated::block b(config, args, block_index, random, true);
 *     if (!b.run())                                     // up to grid_wait, for early blocks
 *         b.release(), b.run();                         // to the end
 *
 * Not for kernels. One host thread runs a block from begin to end.
 */
#ifndef QR_TESTS_EMULATED_BLOCK_H
#define QR_TESTS_EMULATED_BLOCK_H

#include "emulated_fiber.h"
#include "emulated_lane.h"
#include "emulator.h"
#include <vector>

namespace emulated {

/** A small generator: the order of a launch follows from its seed. */
struct random_bits {
    uint64_t state;
    explicit random_bits(uint64_t seed);
    uint32_t next();
};

/** Sets of a warp's lanes by what they do; a lane is in one of them. */
struct warp {
    uint32_t ready, met, synced, held, done;
    collective operation; // of those in `met`
    const char *what;
    place where;
    void *operands[LANES];
};

struct pending_copy {
    void *to;
    const void *from; // NULL: zeros
};

/** cp.async of a thread: the oldest first; group_ends[i] is where a committed group ends. */
struct copies {
    std::vector<pending_copy> pending;
    std::vector<size_t> group_ends;
};

struct block {
    block(const emulator::launch_config &config, const void *args, index at, uint64_t seed,
          bool early);
    ~block();
    block(const block &) = delete;
    block &operator=(const block &) = delete;

    /** Runs until all threads have returned (true), or those that are left wait in grid_wait or for
     * other blocks, or one that does so lets other blocks run at once. */
    bool run();
    /** Lets these waits pass. */
    void release();
    /** Nothing that the other blocks do will let the block go on. */
    [[noreturn]] void report_alone(const char *why);

    lane *choose();    // who runs next; NULL: nobody can
    void give_way();   // the current lane, whose state is set, for another
    void make_order(); // another order from here on
    bool resolve();    // after nobody could run: whether somebody can again
    [[noreturn]] void report_stuck();

    const emulator::launch_config &config;
    const void *args;
    random_bits random;
    uint64_t seed;
    bool early, waited; // waited: a thread came to grid_wait
    bool paused;        // other blocks run, though threads of this one could
    std::vector<lane> lanes;
    std::vector<stack> stacks;
    std::vector<copies> in_flight;
    std::vector<warp> warps;
    uint32_t ready_warps, last_warp;
    uint32_t rotation, stay; // order within a warp; stay: of 256, how often a warp runs on
    bool downwards;
    void *caller; // stack pointer of run()
    struct arena *shared_map;
};

/** How often a word that other blocks wait for was written, on this host thread. */
extern thread_local uint64_t signals;

/** Shared memory of exactly `bytes` before a page that faults, poisoned. */
struct arena *arena_take(uint32_t bytes, unsigned char **start);
/** Gives it back; the name of what is wrong with it (written in front of it) or NULL. */
const char *arena_give(struct arena *a, uint32_t bytes);

/** Whether a test wants a wait left out of the kernel (QR_EMULATOR_WITHOUT). */
bool is_left_out(place where);

void catch_faults(); // of memory, so that they are reported; once a process and host thread

} // namespace emulated

#endif
