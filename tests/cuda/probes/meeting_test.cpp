/* Blocks that wait for each other, in C++ and in PTX. */
#include "probe_kernels.h"
#include "ptx_fixture.h"
#include <cstring>

using emulator::memory;

static constexpr uint32_t BLOCKS = 5, ROUNDS = 3;

/* Blocks whose sum is that of their neighbour's words. Early ones begin before the counter is 0. */
static uint32_t right_sums(uint64_t seed, uint32_t short_of, bool cooperative) {
    memory to((1 + ROUNDS) * BLOCKS * 4), arrived(4);
    emulator::seed(seed);
    memset(to.data, 0, to.bytes);
    memset(arrived.data, 0, arrived.bytes);
    const emulator::launch_config config = {
        emulator::find("probe_meeting"), {BLOCKS}, 128, 0, false, cooperative};
    const probe_args args = {to.data, arrived.data, ROUNDS, short_of};
    emulator::grid(config, &args).finish();
    uint32_t right = 0;
    for (uint32_t b = 0; b < BLOCKS; b++)
        right += to.as<uint32_t>()[b] == 100 * (1 + 2 + 3) + 3 * ((b + 1) % BLOCKS);
    return right;
}

TEST(blocks_meet) {
    for (uint64_t seed = 1; seed <= 30; seed++)
        CHECK(right_sums(seed, 0, true) == BLOCKS);
}

/* Who waits for all but one reads now and then what is not there yet. */
TEST(a_meeting_of_fewer_is_seen) {
    uint32_t wrong = 0;
    for (uint64_t seed = 1; seed <= 30; seed++)
        wrong += right_sums(seed, 1, true) < BLOCKS;
    CHECK(wrong > 3);
}

TEST(blocks_that_need_not_run_at_once_cannot_wait) {
    dies("a launch that is not cooperative", "and they need not run at the same time",
         [] { right_sums(1, 0, false); });
}

/* The counter never has what is waited for. */
TEST(a_meeting_that_nobody_comes_to_is_found) {
    dies("too many", "waits for other blocks, none of which goes on",
         [] { right_sums(1, 0u - 1, true); });
}

/* --- the same in PTX --- */

/* A block's word is at `to`, what it read of the other's 64 bytes on. Lane 0 adds a to the counter
 * and waits until that is b. */
static const char *const meeting =
    "mov.u32 %r4, %ctaid.x;\n"
    "mul.wide.u32 %rd5, %r4, 4;\nadd.s64 %rd6, %rd1, %rd5;\n"
    "add.s32 %r5, %r4, 7;\nst.global.u32 [%rd6], %r5;\n"
    "bar.sync 0;\nsetp.ne.s32 %p1, %r1, 0;\n@%p1 bra $L__met;\n"
    "red.release.gpu.global.add.u32 [%rd2], %r2;\n"
    "$L__poll:\nld.acquire.gpu.global.u32 %r6, [%rd2];\nsetp.lt.u32 %p2, %r6, %r3;\n"
    "@%p2 bra $L__poll;\n"
    "$L__met:\nbar.sync 0;\n"
    "sub.s32 %r7, 1, %r4;\nmul.wide.u32 %rd7, %r7, 4;\nadd.s64 %rd8, %rd1, %rd7;\n"
    "ld.global.u32 %r8, [%rd8];\nst.global.u32 [%rd6+64], %r8;\n";

TEST(ptx_meets_too) {
    for (uint64_t seed = 1; seed <= 30; seed++) {
        ptx_test k(meeting, 1, 2, "sm_80");
        emulator::launch_config config = k.config();
        memset(k.to.data, 0, k.to.bytes);
        memset(k.from.data, 0, k.from.bytes);
        config.grid = {2}, config.cooperative = true;
        emulator::seed(seed);
        emulator::grid(config, &k.args).finish();
        for (uint32_t block = 0; block < 2; block++)
            CHECK(k.to.as<uint32_t>()[16 + block] == 7 + 1 - block);
    }
}
