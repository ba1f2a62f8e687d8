/* tests/cuda/ptx/ptx_fixture.h: small kernels of PTX, written by hand, for the interpreter's tests.
 *
 *     ptx_test k("add.s32 %r10, %r1, 5;\n"
 *                "st.global.u32 [%rd3], %r10;");             // %r1: the lane; %rd3: its 16 bytes
 *     k.run();
 *     CHECK(k.result(7)[0] == 12);
 *
 * A kernel "k" of one warp. In front of its body %r1 is the lane, %rd1 and %rd2 the places `to` and
 * `from` (1024 bytes each), %rd3 and %rd4 the lane's own 16 bytes there; a and b of the argument
 * are %r2 and %r3. Shared memory has 1024 bytes.
 */
#ifndef QR_TESTS_PTX_FIXTURE_H
#define QR_TESTS_PTX_FIXTURE_H

#include "probe_kernels.h"
#include "ptx.h"
#include <string>

constexpr uint32_t PTX_TEST_SHARED = 1024;

/** The text of a kernel with that body. */
std::string ptx_text(const std::string &body, const std::string &target = "sm_90");

struct ptx_test {
    emulator::memory to, from;
    probe_args args;
    ptx::module made;

    explicit ptx_test(const std::string &body, uint32_t a = 0, uint32_t b = 0,
                      const std::string &target = "sm_90")
        : to(1024), from(1024), args{to.data, from.data, a, b},
          made("test.ptx", ptx_text(body, target)) {}
    /** `to` is zeros before. */
    void run();
    emulator::launch_config config() const {
        return {made.find("k"), {1, 1, 1}, 32, PTX_TEST_SHARED, true};
    }
    /** Four words of a lane. */
    const uint32_t *result(uint32_t lane) const { return to.as<uint32_t>() + 4 * lane; }
};

/** Builds and runs it in a child, which must say `expected` and abort. */
void ptx_dies(const char *body, const char *expected);

#endif
