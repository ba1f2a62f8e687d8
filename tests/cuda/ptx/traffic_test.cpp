/* What an access of a warp costs, by hand. */
#include "ptx_fixture.h"
#include "ptx_traffic.h"

/* Lane l accesses `bytes` at base + l * distance. */
static ptx::cost of(bool is_shared, uint32_t base, uint32_t distance, uint32_t bytes,
                    uint32_t mask = ~0u) {
    uint64_t address[32];
    for (uint32_t lane = 0; lane < 32; lane++)
        address[lane] = base + (uint64_t)lane * distance;
    return (is_shared ? ptx::shared_cost : ptx::global_cost)(address, mask, bytes);
}
static bool is(ptx::cost found, uint64_t needed, uint64_t least) {
    return found.needed == needed && found.least == least;
}

TEST(banks_that_are_wanted_twice_take_turns) {
    CHECK(is(of(true, 1024, 4, 4), 1, 1));
    CHECK(is(of(true, 1024, 0, 4), 1, 1)); /* all want one word */
    CHECK(is(of(true, 1024, 8, 4), 2, 1));
    CHECK(is(of(true, 1024, 128, 4), 32, 1));
    CHECK(is(of(true, 1024, 132, 4), 1, 1)); /* a word further each: all banks */
    CHECK(is(of(true, 1024, 8, 8), 2, 2));
    CHECK(is(of(true, 1024, 16, 16), 4, 4));
    CHECK(is(of(true, 1024, 128, 16), 32, 4)); /* rows of 128 bytes under each other */
    CHECK(is(of(true, 1024, 144, 16), 4, 4));
    CHECK(is(of(true, 1024, 128, 16, 0xff), 8, 1));
    CHECK(is(of(true, 1024, 2, 2), 1, 1));
}

/* Eight lanes of each quarter want one group of banks, each quarter another. */
TEST(lanes_of_16_bytes_go_in_quarters) {
    uint64_t address[32];
    for (uint32_t lane = 0; lane < 32; lane++)
        address[lane] = 1024 + lane / 8 * 16 + lane % 8 * 128;
    CHECK(is(ptx::shared_cost(address, ~0u, 16), 32, 4));
}

TEST(sectors_are_those_that_are_touched) {
    CHECK(is(of(false, 4096, 4, 4), 4, 4));
    CHECK(is(of(false, 4096 + 16, 4, 4), 5, 4));
    CHECK(is(of(false, 4096, 128, 4), 32, 4));
    CHECK(is(of(false, 4096, 16, 16), 16, 16));
    CHECK(is(of(false, 4096, 0, 4), 1, 1));
    CHECK(is(of(false, 4096, 2, 2), 2, 2));
    CHECK(is(of(false, 4096, 4, 4, 1), 1, 1));
}
