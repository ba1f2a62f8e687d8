/* Where pieces of rows lie in shared memory: each in a place of its own, and the 8 rows that
 * ldmatrix takes at once in 8 different groups of banks (16 bytes of 128), or it would take
 * turns. */
#include "engine/cuda/kernels/elements_body.h"
#include "kernel_fixture.h"

#include <set>

using namespace kernel_test;

namespace {

template <uint32_t PIECES> void check_places() {
    std::set<uint32_t> places;
    name_case("rows of %u pieces", PIECES);
    for (uint32_t row = 0; row < 64; row += 8) {
        for (uint32_t piece = 0; piece < PIECES; piece++) {
            std::set<uint32_t> groups;
            for (uint32_t i = row; i < row + 8; i++) {
                const uint32_t at = swizzled<PIECES>(i, piece);
                groups.insert(at / 8 % 8);
                places.insert(at);
                expect(at % 8 == 0 && at / 8 / PIECES == i, "another row's place", i);
            }
            expect(groups.size() == 8, "banks meet from row", row);
        }
    }
    expect(places.size() == 64 * PIECES, "two pieces in one place", 0);
}

} // namespace

QR_TEST(layouts) {
    check_places<2>(), check_places<4>(), check_places<8>(), check_places<16>();
}
