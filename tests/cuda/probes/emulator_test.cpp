/* The emulator against the PTX ISA's formulas, and against kernels that are wrong. */
#include "gpu.h"
#include "probe_kernels.h"
#include <set>
#include <string>
#include <thread>
#include <vector>

using emulator::launch;
using emulator::memory;

struct fragments {
    uint32_t a[4], b[2];
    float c[4];
};

static uint32_t next_random(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* --- layouts --- */

/* Element (r, c) of a matrix is in lane 4 r + c / 2; transposed, (c, r) is. */
static void check_ldmatrix(uint32_t variant, uint32_t row_bytes) {
    memory from(32 * row_bytes), to(32 * 4 * 4);
    auto *in = from.as<uint16_t>();
    for (uint32_t i = 0; i < 32 * row_bytes / 2; i++)
        in[i] = (uint16_t)(i * 7 + 3);
    launch("probe_ldmatrix", {}, 32 * row_bytes, probe_args{to.data, in, variant, row_bytes});
    uint32_t matrices = variant < 2 ? 4 : 2, wrong = 0;
    bool transposed = variant & 1;
    for (uint32_t m = 0; m < matrices; m++)
        for (uint32_t r = 0; r < 8; r++)
            for (uint32_t c = 0; c < 8; c++) {
                uint32_t lane = transposed ? c * 4 + r / 2 : r * 4 + c / 2;
                uint32_t half = transposed ? r % 2 : c % 2;
                uint32_t word = to.as<uint32_t>()[lane * 4 + m];
                wrong += (uint16_t)(word >> 16 * half) != in[(m * 8 + r) * row_bytes / 2 + c];
            }
    CHECK(wrong == 0);
}

TEST(ldmatrix_follows_the_isa) {
    for (uint32_t variant = 0; variant < 4; variant++)
        for (uint32_t row_bytes : {16u, 48u, 144u})
            check_ldmatrix(variant, row_bytes);
}

/* 9.7.14.5.8 of the ISA: groupID = lane >> 2, t = lane % 4. */
static void place_fragments(fragments *lanes, const uint16_t a[16][16], const uint16_t b[16][8],
                            const float c[16][8]) {
    for (uint32_t lane = 0; lane < 32; lane++) {
        uint32_t group = lane >> 2, t = lane % 4;
        uint16_t ai[8], bi[4];
        for (uint32_t i = 0; i < 8; i++) {
            uint32_t row = i < 2 || (i >= 4 && i < 6) ? group : group + 8;
            ai[i] = a[row][t * 2 + (i & 1) + (i >= 4 ? 8 : 0)];
        }
        for (uint32_t i = 0; i < 4; i++)
            bi[i] = b[t * 2 + (i & 1) + (i >= 2 ? 8 : 0)][group];
        for (uint32_t i = 0; i < 4; i++)
            lanes[lane].c[i] = c[i < 2 ? group : group + 8][t * 2 + (i & 1)];
        memcpy(lanes[lane].a, ai, sizeof ai);
        memcpy(lanes[lane].b, bi, sizeof bi);
    }
}

/* Small multiples of 1/8: their sums are exact in any order. */
template <class T> static void check_mma(const char *kernel) {
    uint16_t a[16][16], b[16][8];
    float c[16][8];
    uint32_t state = 5;
    auto eighths = [&] { return (float)((int)(next_random(&state) % 31) - 15) / 8; };
    for (auto &row : a)
        for (uint16_t &x : row)
            x = from_float<T>(eighths()).bits;
    for (auto &row : b)
        for (uint16_t &x : row)
            x = from_float<T>(eighths()).bits;
    for (auto &row : c)
        for (float &x : row)
            x = eighths();
    memory lanes(32 * sizeof(fragments));
    place_fragments(lanes.as<fragments>(), a, b, c);
    launch(kernel, {}, 0, probe_args{lanes.data, nullptr, 0, 0});
    uint32_t wrong = 0;
    for (uint32_t lane = 0; lane < 32; lane++)
        for (uint32_t i = 0; i < 4; i++) {
            uint32_t row = (lane >> 2) + (i < 2 ? 0 : 8), column = lane % 4 * 2 + (i & 1);
            float sum = c[row][column];
            for (int k = 0; k < 16; k++)
                sum += to_float(T{a[row][k]}) * to_float(T{b[k][column]});
            wrong += lanes.as<fragments>()[lane].c[i] != sum;
        }
    CHECK(wrong == 0);
}

TEST(mma_follows_the_isa) {
    check_mma<qr_f16>("probe_mma_f16");
    check_mma<qr_bf16>("probe_mma_bf16");
}

/* Infinity, NaN and the smallest numbers keep what they are. */
TEST(mma_keeps_special_values) {
    for (int bits : {0x7c00, 0xfc00, 0x7e00, 0x0001, 0x8001}) {
        auto special = (uint16_t)bits;
        memory lanes(32 * sizeof(fragments));
        auto *f = lanes.as<fragments>();
        memset(f, 0, lanes.bytes);
        f[0].a[0] = special;
        f[0].b[0] = 0x3c00; // 1
        launch("probe_mma_f16", {}, 0, probe_args{f, nullptr, 0, 0});
        float expected = to_float(qr_f16{special});
        CHECK(f[0].c[0] == expected || (expected != expected && f[0].c[0] != f[0].c[0]));
        CHECK(f[0].c[1] == 0 || expected != expected || expected * 0 != 0);
    }
}

TEST(shuffles_exchange) {
    for (uint32_t mask : {1u, 5u, 16u, 31u}) {
        memory to(32 * 3 * 4);
        launch("probe_shuffle", {}, 0, probe_args{to.data, nullptr, mask, 0});
        uint32_t wrong = 0;
        for (uint32_t i = 0; i < 32; i++) {
            const uint32_t *r = to.as<uint32_t>() + i * 3;
            wrong +=
                r[0] != (i ^ mask) + 100 || r[1] != (mask + i) % 32 + 200 || r[2] != (i ^ mask);
        }
        CHECK(wrong == 0);
    }
}

/* --- conversions --- */

static double value_f16(uint32_t bits) {
    int exponent = (int)(bits >> 10 & 31);
    double mantissa = bits & 1023;
    double x = exponent ? ldexp(1024 + mantissa, exponent - 25) : ldexp(mantissa, -24);
    return bits & 0x8000 ? -x : x;
}

TEST(f16_widens) {
    uint32_t wrong = 0;
    for (uint32_t bits = 0; bits < 65536; bits++) {
        float x = to_float(qr_f16{(uint16_t)bits});
        if ((bits & 0x7c00) == 0x7c00)
            wrong += bits & 1023 ? x == x : x != (bits & 0x8000 ? -INFINITY : INFINITY);
        else
            wrong += (double)x != value_f16(bits);
    }
    CHECK(wrong == 0);
}

/* Between two neighbours: below, at and above the middle. */
TEST(f16_rounds_to_nearest_even) {
    uint32_t wrong = 0;
    for (uint32_t bits = 0; bits < 0x7bff; bits++) {
        float middle = (float)((value_f16(bits) + value_f16(bits + 1)) / 2);
        wrong += from_float<qr_f16>(nextafterf(middle, 0)).bits != bits;
        wrong += from_float<qr_f16>(nextafterf(middle, 1e9f)).bits != bits + 1;
        wrong += from_float<qr_f16>(middle).bits != (bits & 1 ? bits + 1 : bits);
        wrong += from_float<qr_f16>(-middle).bits != (0x8000 | (bits & 1 ? bits + 1 : bits));
        wrong += from_float<qr_f16>((float)value_f16(bits)).bits != bits;
    }
    CHECK(wrong == 0);
    CHECK(from_float<qr_f16>(65519.996f).bits == 0x7bff &&
          from_float<qr_f16>(65520).bits == 0x7c00);
    CHECK(from_float<qr_f16>(1e20f).bits == 0x7c00 && from_float<qr_f16>(-1e20f).bits == 0xfc00);
    CHECK(from_float<qr_f16>(NAN).bits == 0x7fff && from_float<qr_f16>(INFINITY).bits == 0x7c00);
    CHECK(pack2<qr_f16>(1, -2) == 0xc0003c00u);
}

TEST(bf16_rounds_to_nearest_even) {
    uint32_t wrong = 0;
    for (uint32_t bits = 0; bits < 0x7f7f; bits++) {
        float middle = emulated::float_of(bits << 16 | 0x8000);
        wrong += from_float<qr_bf16>(nextafterf(middle, 0)).bits != bits;
        wrong += from_float<qr_bf16>(nextafterf(middle, INFINITY)).bits != bits + 1;
        wrong += from_float<qr_bf16>(middle).bits != (bits & 1 ? bits + 1 : bits);
        wrong += to_float(qr_bf16{(uint16_t)bits}) != emulated::float_of(bits << 16);
    }
    CHECK(wrong == 0);
    CHECK(from_float<qr_bf16>(3.4e38f).bits == 0x7f80 && from_float<qr_bf16>(NAN).bits == 0x7fff);
    CHECK(pack2<qr_bf16>(1, -2) == 0xc0003f80u);
}

/* --- order --- */

constexpr uint64_t SEEDS = 24;

/* For how many seeds it came out right. */
static uint64_t right_of(const char *kernel, uint32_t barrier, uint32_t threads,
                         uint32_t (*expected)(uint32_t)) {
    uint64_t right = 0;
    for (uint64_t s = 1; s <= SEEDS; s++) {
        memory to(threads * 4);
        emulator::seed(s);
        launch(kernel, {}, threads * 16, probe_args{to.data, nullptr, barrier, 0});
        bool same = true;
        for (uint32_t i = 0; i < threads; i++)
            same = same && to.as<uint32_t>()[i] == expected(i);
        right += same;
    }
    return right;
}

static std::vector<uint32_t> order_of(uint64_t seed, uint32_t blocks) {
    memory to((1 + blocks * 128) * 4);
    to.as<uint32_t>()[0] = 0;
    emulator::seed(seed);
    launch("probe_order", {blocks}, 0, probe_args{to.data, nullptr, 0, 0});
    return {to.as<uint32_t>() + 1, to.as<uint32_t>() + 1 + blocks * 128};
}

TEST(a_missing_barrier_is_seen) {
    auto reversed = [](uint32_t i) { return 127 - i; };
    CHECK(right_of("probe_reverse", 1, 128, reversed) == SEEDS);
    CHECK(right_of("probe_reverse", 0, 128, reversed) == 0);
}

TEST(a_wait_can_be_left_out) {
    CHECK(status_with("QR_EMULATOR_WITHOUT", "/reverse:7", "a_missing_barrier_is_seen") == 1);
    CHECK(status_with("QR_EMULATOR_WITHOUT", "/reverse:8", "a_missing_barrier_is_seen") == 0);
    CHECK(status_with("QR_EMULATOR_WITHOUT", "/other:7", "a_missing_barrier_is_seen") == 0);
}

TEST(the_environment_has_a_seed) {
    auto own = [] {
        memory to(129 * 4);
        to.as<uint32_t>()[0] = 0;
        launch("probe_order", {}, 0, probe_args{to.data, nullptr, 0, 0});
        return std::vector<uint32_t>(to.as<uint32_t>() + 1, to.as<uint32_t>() + 129);
    };
    static bool (*is_of)(uint64_t);
    static std::vector<uint32_t> (*order)();
    order = own;
    is_of = [](uint64_t s) { // a thread has not set a seed of its own
        std::vector<uint32_t> found;
        std::thread([&found] { found = order(); }).join();
        return found == order_of(s, 1);
    };
    ends("as it says", 0, "", [] {
        setenv("QR_EMULATOR_SEED", "77", 1);
        exit(!is_of(77));
    });
    ends("when it says nothing", 0, "", [] {
        unsetenv("QR_EMULATOR_SEED");
        exit(!is_of(1) || is_of(2));
    });
}

TEST(a_missing_barrier_before_writing_again_is_seen) {
    auto sum = [](uint32_t i) { return 6000 + 4 * ((i + 33) % 128); };
    CHECK(right_of("probe_rounds", 1, 128, sum) == SEEDS);
    CHECK(right_of("probe_rounds", 0, 128, sum) < SEEDS / 4);
}

TEST(a_missing_meeting_of_the_warp_is_seen) {
    auto reversed = [](uint32_t i) { return 31 - i; };
    CHECK(right_of("probe_warp", 1, 32, reversed) == SEEDS);
    CHECK(right_of("probe_warp", 0, 32, reversed) == 0);
}

TEST(rows_of_other_lanes_need_a_meeting) {
    auto four = [](uint32_t) { return 4u; };
    CHECK(right_of("probe_written_rows", 1, 32, four) == SEEDS);
    CHECK(right_of("probe_written_rows", 0, 32, four) == 0);
}

TEST(a_seed_is_an_order) {
    auto first = order_of(3, 5);
    CHECK(first == order_of(3, 5));
    CHECK(first != order_of(4, 5));
    CHECK(std::set<uint32_t>(first.begin(), first.end()).size() == 5 * 128);
}

/* Of any two warps, lanes or blocks each is the first now and then. */
TEST(every_order_of_two_occurs) {
    std::set<std::string> seen;
    for (uint64_t s = 1; s <= 64; s++) {
        auto order = order_of(s, 2);
        std::vector<uint32_t> at(256);
        for (uint32_t i = 0; i < 256; i++)
            at[order[i]] = i;
        seen.insert(at[0] < at[128] ? "block 0" : "block 1");
        for (uint32_t w = 1; w < 4; w++)
            seen.insert("warp " + std::to_string(w) + (at[0] < at[w * 32] ? " after" : " before"));
        for (uint32_t l = 1; l < 32; l++)
            seen.insert("lane " + std::to_string(l) + (at[0] < at[l] ? " after" : " before"));
    }
    CHECK(seen.size() == 2 + 3 * 2 + 31 * 2);
}

TEST(every_block_runs_once) {
    for (emulator::size3 grid : {emulator::size3{1}, {7}, {3, 4, 5}, {1, 1, 9}, {64, 2}}) {
        uint32_t threads = grid.x * grid.y * grid.z * 128, wrong = 0;
        memory to(threads * 4);
        memset(to.data, 0, threads * 4);
        launch("probe_index", grid, 0, probe_args{to.data, nullptr, 0, 0});
        for (uint32_t i = 0; i < threads; i++)
            wrong += to.as<uint32_t>()[i] != i + 1;
        CHECK(wrong == 0);
    }
}

TEST(host_threads_launch_at_once) {
    std::vector<std::thread> threads;
    uint64_t right[4] = {};
    for (uint64_t &r : right)
        threads.emplace_back([&r] {
            r = right_of("probe_rounds", 1, 128,
                         [](uint32_t i) { return 6000 + 4 * ((i + 33) % 128); });
        });
    for (std::thread &t : threads)
        t.join();
    for (uint64_t r : right)
        CHECK(r == SEEDS);
}

/* --- copies --- */

/* How many of the first group's and of the second's values are what they should be. */
static void copied(uint64_t seed, uint32_t wait, uint32_t reader, uint32_t right[2]) {
    memory from(128 * 32), to(128 * 8);
    for (uint32_t i = 0; i < 128 * 8; i++)
        from.as<float>()[i] = (float)i;
    emulator::seed(seed);
    launch("probe_copies", {}, 128 * 32, probe_args{to.data, from.data, wait, reader});
    right[0] = right[1] = 0;
    for (uint32_t t = 0; t < 128; t++) {
        uint32_t reads = reader ? (t + 64) % 128 : t;
        right[0] += to.as<float>()[t * 2] == (float)(reads * 4);
        right[1] += to.as<float>()[t * 2 + 1] == (reads % 2 ? 0 : (float)(512 + reads * 4));
    }
}

TEST(copies_arrive_when_awaited) {
    uint32_t right[2];
    for (uint64_t s = 1; s <= SEEDS; s++) {
        copied(s, 1, 0, right);
        CHECK(right[0] == 128 && right[1] == 128);
        copied(s, 0, 0, right); // only the first group
        CHECK(right[0] == 128 && right[1] == 0);
        copied(s, 1, 2, right); // another thread's, behind a barrier
        CHECK(right[0] == 128 && right[1] == 128);
        copied(s, 1, 1, right); // without it
        CHECK(right[0] < 128 && right[1] < 128);
    }
}

static void bad_copy(uint32_t which, uint32_t at) {
    memory from(1024);
    launch("probe_bad_copy", {}, 512, probe_args{nullptr, from.data, which, at});
}

TEST(wrong_copies_are_found) {
    dies("shared address", "shared memory is not a multiple of 16", [] { bad_copy(0, 0); });
    dies("global address", "global memory is not a multiple of 16", [] { bad_copy(1, 0); });
    dies("behind", "16 bytes at byte 512 of shared memory, which has 512",
         [] { bad_copy(2, 512); });
    dies("in front", "16 bytes at byte -16 of shared memory", [] { bad_copy(2, (uint32_t)-16); });
    dies("never awaited", "before its copies had arrived", [] { bad_copy(3, 0); });
}

/* --- memory --- */

TEST(shared_memory_is_nan_at_first) {
    memory to(32 * 12);
    uint32_t nans = 0;
    launch("probe_uninitialised", {}, 128, probe_args{to.data, nullptr, 0, 0});
    for (uint32_t i = 0; i < 96; i++)
        nans += to.as<float>()[i] != to.as<float>()[i];
    CHECK(nans == 96);
    memory fresh(64);
    CHECK(fresh.as<float>()[0] != fresh.as<float>()[0]);
}

static void touch(uint32_t which, int32_t at) {
    memory to(1000);
    launch("probe_touch", {}, 200, probe_args{to.data, nullptr, which, (uint32_t)at});
}

TEST(memory_outside_is_found) {
    touch(0, 199);
    touch(1, 999);
    dies("behind shared memory", "behind its end", [] { touch(0, 200); });
    dies("further behind", "accesses byte 208 of shared memory, which has 200",
         [] { touch(0, 208); });
    dies("in front of it", "in front of its begin", [] { touch(0, -1); });
    dies("behind memory", "byte 1000 of 1000 of memory was written", [] { touch(1, 1000); });
    dies("further behind", "accesses memory at 0x", [] { touch(1, 1024); });
    dies("in front", "accesses memory at 0x", [] { touch(1, -4096 * 2); });
    dies("the stack", "more stack than a thread has", [] {
        memory to(16);
        launch("probe_deep", {}, 0, probe_args{to.data, nullptr, 100, 0});
    });
    dies("ldmatrix", "ldmatrix_x4: 16 bytes at byte 512 of shared memory, which has 512",
         [] { launch("probe_bad_ldmatrix", {}, 512, probe_args{nullptr, nullptr, 0, 16}); });
    dies("its alignment", "shared memory is not a multiple of 16",
         [] { launch("probe_bad_ldmatrix", {}, 1024, probe_args{nullptr, nullptr, 0, 8}); });
}

static void undefined(uint32_t which, uint32_t b) {
    memory to(256);
    launch("probe_undefined", {}, 0, probe_args{to.data, nullptr, which, b});
}

TEST(what_is_undefined_is_found) {
    const char *expected = "a wrong index, alignment, shift or division";
    static void (*go)(uint32_t, uint32_t) = undefined;
    for (uint32_t which = 0; which < 3; which++)
        go(which, 0);
    dies("alignment", expected, [] { go(0, 2); });
    dies("index", expected, [] { go(1, 4); });
    dies("shift", expected, [] { go(2, 32); });
    memory to(128);
    launch("probe_unset", {}, 0, probe_args{to.data, nullptr, 1, 2});
    CHECK(to.as<float>()[7] == 0);
    launch("probe_unset", {}, 0, probe_args{to.data, nullptr, 0, 2});
    CHECK(!(fabsf(to.as<float>()[7]) < 1e9f));
}

/* --- threads that do not come --- */

TEST(threads_that_do_not_come_are_found) {
    auto run = [](const char *kernel, uint32_t a, uint32_t b) {
        launch(kernel, {}, 0, probe_args{nullptr, nullptr, a, b});
    };
    static void (*go)(const char *, uint32_t, uint32_t);
    go = run;
    dies("barrier", "thread 77 has returned", [] { go("probe_returns", 77, 1); });
    dies("its line", "waits in block_sync at ", [] { go("probe_returns", 77, 1); });
    dies("warp", "waits in warp_sync at ", [] { go("probe_returns", 5, 0); });
    dies("half a warp", "waits for threads that do not come", [] { go("probe_half", 0, 0); });
    dies("two calls", "while a lane of its warp waits in", [] { go("probe_other_call", 0, 0); });
    dies("two on a line", "comes to ", [] { go("probe_other_on_a_line", 0, 0); });
    dies("two lines of a warp", "comes to warp_sync while", [] { go("probe_other_line", 0, 0); });
    dies("two lines of a block", "while thread 0 is in the one at",
         [] { go("probe_other_line", 1, 0); });
    dies("who", "emulator: probe_half, block (0, 0, 0), thread", [] { go("probe_half", 0, 0); });
    dies("the seed", "QR_EMULATOR_SEED=", [] { go("probe_half", 0, 0); });
    go("probe_returns", 200, 1); // nobody
}

TEST(wrong_launches_are_found) {
    dies("name", "there is no kernel probe_none",
         [] { launch("probe_none", {}, 0, probe_args{}); });
    dies("argument", "its args have another size", [] { launch("probe_half", {}, 0, 1); });
}

/* --- kernels that follow each other --- */

TEST(an_early_grid_waits) {
    for (uint64_t s = 1; s <= SEEDS; s++) {
        memory x(4096), y(4096);
        emulator::seed(s);
        memset(x.data, 0, 4096);
        emulator::launch_config config = {emulator::find("probe_chain"), {8}, 128, 0, true};
        probe_args first = {x.data, x.data, 5, 1}, second = {y.data, x.data, 1, 1};
        emulator::grid early(config, &second);
        early.begin();
        emulator::grid(config, &first).finish();
        early.finish();
        uint32_t wrong = 0;
        for (uint32_t i = 0; i < 1024; i++)
            wrong += y.as<uint32_t>()[i] != 6;
        CHECK(wrong == 0);
    }
    dies("no grid_wait", "ended without grid_wait", [] {
        probe_args args = {};
        emulator::launch_config config = {emulator::find("probe_no_wait"), {2}, 128, 0, true};
        emulator::grid(config, &args).finish();
    });
}

int main(int argc, char **argv) {
    return run_tests(argc, argv);
}
