/* Single instructions of PTX against results that were worked out by hand, from the ISA. */
#include "gpu.h"
#include "ptx_arithmetic.h"
#include "ptx_fixture.h"
#include "ptx_instructions.h"
#include <cstdio>
#include <cstring>
#include <vector>

/* What the text writes last is its result: r10, rd8, rs8, f10 or p8. */
struct single {
    const char *text;
    uint64_t expected;
};

static const single singles[] = {
    {"mov.u32 %r10, -2;", 0xfffffffe},
    {"mov.b32 %r10, 0f3F800000;", 0x3f800000},
    {"mov.f32 %f10, 0fC0000000;", 0xc0000000},
    {"mov.u64 %rd8, -2;", 0xfffffffffffffffe},
    {"mov.b64 %rd8, 4294967296;", 0x100000000},
    {"mov.b16 %rs8, -1;", 0xffff},
    {"mov.u16 %rs8, 65535;", 0xffff},
    {"mov.u32 %r10, qr_shared;", 1024},
    {"mov.u32 %r10, %ntid.x;", 32},
    {"mov.u32 %r10, %nctaid.y;", 1},
    {"cvta.to.global.u64 %rd8, 77;", 77},
    {"add.s16 %rs8, 65535, 2;", 1},
    {"add.s32 %r10, 5, -7;", 0xfffffffe},
    {"add.s64 %rd8, 4294967295, 1;", 0x100000000},
    {"sub.s16 %rs8, 1, 2;", 0xffff},
    {"sub.s32 %r10, 1, 2;", 0xffffffff},
    {"sub.s64 %rd8, 0, 1;", ~0ull},
    {"mul.lo.s16 %rs8, 300, 300;", 90000 & 0xffff},
    {"mul.lo.s32 %r10, 65537, 65537;", 131073},
    {"mul.lo.s64 %rd8, 4294967296, 3;", 0x300000000},
    {"mul.wide.u16 %r10, 65535, 65535;", 0xfffe0001},
    {"mul.wide.u32 %rd8, -1, -1;", 0xfffffffe00000001},
    {"mul.wide.s32 %rd8, -1, 3;", 0xfffffffffffffffd},
    {"mul.hi.u32 %r10, -1, -1;", 0xfffffffe},
    {"mad.lo.s32 %r10, 3, 5, -16;", 0xffffffff},
    {"div.u32 %r10, -1, 16;", 0x0fffffff},
    {"rem.u32 %r10, 29, 8;", 5},
    {"min.u32 %r10, -1, 3;", 3},
    {"max.u32 %r10, -1, 3;", 0xffffffff},
    {"min.s32 %r10, -1, 3;", 0xffffffff},
    {"max.s32 %r10, -1, 3;", 3},
    {"and.b16 %rs8, 255, 3855;", 15},
    {"and.b32 %r10, 12, 10;", 8},
    {"or.b32 %r10, 12, 10;", 14},
    {"xor.b32 %r10, 12, 10;", 6},
    {"not.b32 %r10, 0;", 0xffffffff},
    {"and.b64 %rd8, -1, 4294967296;", 0x100000000},
    {"or.b64 %rd8, 1, 4294967296;", 0x100000001},
    {"shl.b32 %r10, 3, 31;", 0x80000000},
    {"shl.b32 %r10, 3, 32;", 0}, /* shifts beyond the register are clamped, not taken modulo */
    {"shl.b64 %rd8, 3, 63;", 0x8000000000000000},
    {"shl.b64 %rd8, 3, 64;", 0},
    {"shr.u16 %rs8, 65535, 12;", 15},
    {"shr.u16 %rs8, 65535, 16;", 0},
    {"shr.u32 %r10, -1, 28;", 15},
    {"shr.u32 %r10, -1, 32;", 0},
    {"shr.s32 %r10, -16, 2;", 0xfffffffc},
    {"shr.s32 %r10, -16, 40;", 0xffffffff},
    {"shr.u64 %rd8, -1, 60;", 15},
    {"shr.u64 %rd8, -1, 64;", 0},
    {"bfi.b32 %r10, 5, -1, 4, 3;", 0xffffffdf},
    {"bfi.b32 %r10, -1, 0, 28, 8;", 0xf0000000},
    {"bfi.b32 %r10, -1, 9, 4, 0;", 9},
    {"prmt.b32 %r10, 857870592, 2003195204, 4180;", 0x11005544}, /* 33221100, 77665544; 1054 */
    {"prmt.b32 %r10, 128, 127, 49288;", 0x0080ffff},             /* c088 */
    {"setp.eq.s16 %p8, 65535, -1;", 1},
    {"setp.ne.s16 %p8, 1, 2;", 1},
    {"setp.eq.s32 %p8, -1, -1;", 1},
    {"setp.eq.s32 %p8, 1, -1;", 0},
    {"setp.ne.s32 %p8, 1, -1;", 1},
    {"setp.lt.s32 %p8, -1, 1;", 1},
    {"setp.gt.s32 %p8, -1, 1;", 0},
    {"setp.lt.u32 %p8, -1, 1;", 0},
    {"setp.lt.u32 %p8, 1, 1;", 0},
    {"setp.le.u32 %p8, 1, 1;", 1},
    {"setp.gt.u32 %p8, -1, 1;", 1},
    {"setp.ge.u32 %p8, 1, 1;", 1},
    {"setp.ge.u32 %p8, 0, 1;", 0},
    {"setp.eq.s64 %p8, 4294967296, 0;", 0},
    {"setp.ne.s64 %p8, 4294967296, 0;", 1},
    {"setp.lt.f32 %p8, 0fBF800000, 0f00000000;", 1},
    {"setp.lt.f32 %p8, 0f7FC00000, 0f00000000;", 0}, /* NaN */
    {"setp.ltu.f32 %p8, 0f7FC00000, 0f00000000;", 1},
    {"setp.ltu.f32 %p8, 0f00000000, 0f00000000;", 0},
    {"setp.leu.f32 %p8, 0f7FC00000, 0f00000000;", 1},
    {"setp.leu.f32 %p8, 0f00000000, 0f00000000;", 1},
    {"setp.leu.f32 %p8, 0f3F800000, 0f00000000;", 0},
    {"setp.gt.f32 %p8, 0f3F800000, 0f00000000;", 1},
    {"setp.gt.f32 %p8, 0f7FC00000, 0f00000000;", 0},
    {"setp.ge.f32 %p8, 0f00000000, 0f80000000;", 1},
    {"setp.ge.f32 %p8, 0f7FC00000, 0f00000000;", 0},
    {"setp.eq.s32 %p1, 1, 1;\nmov.pred %p8, %p1;", 1},
    {"setp.eq.s32 %p1, 1, 1;\nnot.pred %p8, %p1;", 0},
    {"setp.eq.s32 %p1, 1, 1;\nsetp.eq.s32 %p2, 1, 2;\nand.pred %p8, %p1, %p2;", 0},
    {"setp.eq.s32 %p1, 1, 1;\nsetp.eq.s32 %p2, 1, 2;\nor.pred %p8, %p1, %p2;", 1},
    {"setp.eq.s32 %p1, 1, 1;\nselp.b32 %r10, 3, 4, %p1;", 3},
    {"setp.eq.s32 %p1, 1, 2;\nselp.u32 %r10, 3, 4, %p1;", 4},
    {"setp.eq.s32 %p1, 1, 2;\nselp.u16 %rs8, 3, 65535, %p1;", 0xffff},
    {"setp.eq.s32 %p1, 1, 2;\nselp.f32 %f10, 0f3F800000, 0f40000000, %p1;", 0x40000000},
    {"setp.eq.s32 %p1, 1, 2;\nselp.b64 %rd8, 3, 4294967299, %p1;", 0x100000003},
    {"setp.eq.s32 %p1, 1, 2;\nmov.u32 %r10, 1;\n@%p1 mov.u32 %r10, 2;", 1},
    {"setp.eq.s32 %p1, 1, 2;\nmov.u32 %r10, 1;\n@!%p1 mov.u32 %r10, 2;", 2},
    {"cvt.u16.u32 %rs8, 65538;", 2},
    {"mov.b16 %rs1, -1;\ncvt.u32.u16 %r10, %rs1;", 0xffff},
    {"cvt.u32.u64 %r10, 4294967299;", 3},
    {"cvt.u64.u32 %rd8, -1;", 0xffffffff},
    {"cvt.s64.s32 %rd8, -1;", ~0ull},
    {"cvt.rn.f32.u32 %f10, -1;", 0x4f800000},
    {"cvt.rn.f32.s32 %f10, -1;", 0xbf800000},
    {"cvt.sat.f32.f32 %f10, 0f40000000;", 0x3f800000},
    {"cvt.sat.f32.f32 %f10, 0fC0000000;", 0},
    {"cvt.sat.f32.f32 %f10, 0f7FC00000;", 0},
    {"cvt.sat.f32.f32 %f10, 0f3E800000;", 0x3e800000},
    {"mov.b16 %rs1, 49152;\ncvt.f32.f16 %f10, %rs1;", 0xc0000000},
    {"cvt.rn.f16.f32 %rs8, 0f3F800000;", 0x3c00},
    {"cvt.rn.bf16.f32 %rs8, 0f3F800000;", 0x3f80},
    {"cvt.rn.f16x2.f32 %r10, 0f3F800000, 0f40000000;", 0x3c004000}, /* the first one above */
    {"cvt.rn.bf16x2.f32 %r10, 0f3F800000, 0f40000000;", 0x3f804000},
    {"add.f32 %f10, 0f3F800000, 0f40000000;", 0x40400000},
    {"add.f32 %f10, 0f00000001, 0f00000001;", 2}, /* subnormal numbers are kept */
    {"sub.f32 %f10, 0f3F800000, 0f40000000;", 0xbf800000},
    {"mul.f32 %f10, 0f40400000, 0f40000000;", 0x40c00000},
    {"fma.rn.f32 %f10, 0f3F800001, 0f3F800001, 0fBF800002;", 0x28800000}, /* the 2^-46 of 1 ulp^2 */
    {"fma.rm.f32 %f10, 0f3F800000, 0f3F800000, 0f28800000;", 0x3f800000},
    {"fma.rm.f32 %f10, 0f3F800000, 0f3F800000, 0fA8800000;", 0x3f7fffff},
    {"div.rn.f32 %f10, 0f3F800000, 0f40400000;", 0x3eaaaaab},
    {"rcp.rn.f32 %f10, 0f40400000;", 0x3eaaaaab},
    {"sqrt.rn.f32 %f10, 0f40000000;", 0x3fb504f3},
    {"rcp.approx.ftz.f32 %f10, 0f40800000;", 0x3e800000},
    {"rcp.approx.ftz.f32 %f10, 0f80000001;", 0xff800000}, /* flushed: -0 */
    {"rcp.approx.ftz.f32 %f10, 0f7F000000;", 0},          /* 2^-127 is flushed */
    {"rsqrt.approx.ftz.f32 %f10, 0f40800000;", 0x3f000000},
    {"rsqrt.approx.ftz.f32 %f10, 0f00000001;", 0x7f800000},
    {"ex2.approx.ftz.f32 %f10, 0f40400000;", 0x41000000},
    {"ex2.approx.ftz.f32 %f10, 0fFF800000;", 0},
    {"ex2.approx.ftz.f32 %f10, 0fC3000000;", 0}, /* 2^-128 is flushed */
    {"ex2.approx.f32 %f10, 0fC3000000;", 0x00200000},
    {"max.f32 %f10, 0f3F800000, 0f40000000;", 0x40000000},
    {"max.f32 %f10, 0f7FC00000, 0f40000000;", 0x40000000},
    {"max.f32 %f10, 0fFF800000, 0f7FC00000;", 0xff800000},
    {"max.f32 %f10, 0f7FC00000, 0fFFC00000;", 0x7fffffff},
    {"max.f32 %f10, 0f80000000, 0f00000000;", 0},
    {"neg.f32 %f10, 0f3F800000;", 0xbf800000},
    {"abs.f32 %f10, 0fBF800000;", 0x3f800000},
    {"copysign.f32 %f10, 0fBF800000, 0f40000000;", 0xc0000000}, /* the sign of the first */
    {"bra $L_own;\nmov.u32 %r10, 1;\n$L_own:\nmov.u32 %r10, 2;", 2},
};

/* What stores the last register that the text names. */
static std::string stored(const char *text, size_t i) {
    const std::string all = text, to = "[%rd1+" + std::to_string(8 * i) + "]";
    if (all.find("%rd8") != std::string::npos)
        return "st.global.u64 " + to + ", %rd8;\n";
    if (all.find("%rs8") != std::string::npos)
        return "st.global.u16 " + to + ", %rs8;\n";
    if (all.find("%f10") != std::string::npos)
        return "st.global.f32 " + to + ", %f10;\n";
    if (all.find("%p8") != std::string::npos)
        return "selp.b32 %r10, 1, 0, %p8;\nst.global.u32 " + to + ", %r10;\n";
    return "st.global.u32 " + to + ", %r10;\n";
}

TEST(single_instructions_give_known_results) {
    constexpr size_t count = sizeof singles / sizeof singles[0], at_once = 1024 / 8;
    for (size_t begin = 0; begin < count; begin += at_once) {
        std::string body;
        for (size_t i = begin; i < count && i < begin + at_once; i++)
            body += std::string(singles[i].text) + "\n" + stored(singles[i].text, i - begin);
        ptx_test k(body);
        k.run();
        for (size_t i = begin; i < count && i < begin + at_once; i++) {
            const uint64_t found = k.to.as<uint64_t>()[i - begin];
            const uint64_t off = strstr(singles[i].text, ".approx.") ? 2 : 0; /* that is allowed */
            const bool is_right = found - singles[i].expected + off <= 2 * off;
            if (!is_right)
                printf("%s gives %llx\n", singles[i].text, (unsigned long long)found);
            CHECK(is_right);
        }
    }
}

/* Those that need a warp, or memory, have their tests in other files. */
TEST(every_instruction_has_a_case) {
    static const char *const elsewhere[] = {
        "@bra", "@!bra",           "ret",  "bar.",       "shfl.", "ldmatrix", "mma.",
        "cp.",  "griddepcontrol.", "red.", "ld.acquire."};
    static const char *const names[] = {
#define QR_X(name, text, form, statement) text,
        PTX_INSTRUCTIONS(QR_X)
#undef QR_X
    };
    for (const char *name : names) {
        bool tried = false;
        for (const char *prefix : elsewhere)
            tried = tried || !strncmp(name, prefix, strlen(prefix));
        for (const single &s : singles)
            tried = tried || strstr(s.text, (std::string(name) + " ").c_str());
        if (!tried)
            printf("%s is not tried\n", name);
        CHECK(tried);
    }
}

/* --- formats of 16 bits --- */

TEST(f16_numbers_are_what_their_bits_say) {
    uint32_t wrong = 0;
    for (uint32_t bits = 0; bits < 0x10000; bits++) {
        const uint32_t exponent = bits >> 10 & 31, fraction = bits & 1023;
        const double sign = bits & 0x8000 ? -1 : 1;
        const float found = ptx::float_of_f16((uint16_t)bits);
        if (exponent == 31) {
            wrong += fraction ? !std::isnan(found) : found != (float)(sign * INFINITY);
            continue;
        }
        const double expected = exponent ? std::ldexp(1024.0 + fraction, (int)exponent - 25)
                                         : std::ldexp((double)fraction, -24);
        wrong += found != (float)(sign * expected) || std::signbit(found) != (sign < 0);
        wrong += ptx::f16_of_float(found) != bits;
    }
    CHECK(wrong == 0);
}

/* The numbers between two of f16, and every number of f32 that is a tie; both formats against the
 * emulator's, which was written apart and works on bits. */
TEST(rounding_is_to_the_nearest_and_ties_to_even) {
    uint32_t wrong = 0, state = 1;
    for (uint32_t i = 0; i < 300000; i++) {
        state = state * 1664525u + 1013904223u;
        const uint32_t near_tie = (state & 0xffffe000u) | (i % 3 + 0x0fffu); /* of f16, 1 off */
        const uint32_t near_bf16 = (state & 0xffff0000u) | (i % 3 + 0x7fffu);
        for (uint32_t bits : {state, near_tie, near_bf16, state & 0xb8ffffffu}) {
            const float x = ptx::float_of(bits);
            wrong += ptx::f16_of_float(x) != from_float<qr_f16>(x).bits;
            wrong += ptx::bf16_of_float(x) != from_float<qr_bf16>(x).bits;
        }
    }
    CHECK(wrong == 0);
    CHECK(ptx::f16_of_float(65519.0f) == 0x7bff);
    CHECK(ptx::f16_of_float(65520.0f) == 0x7c00);
    CHECK(ptx::f16_of_float(-1e9f) == 0xfc00);
    CHECK(ptx::f16_of_float(0x1p-25f) == 0);
    CHECK(ptx::f16_of_float(0x1.8p-24f) == 2);
    CHECK(ptx::f16_of_float(2049.0f) == ptx::f16_of_float(2048.0f));
    CHECK(ptx::f16_of_float(2051.0f) == ptx::f16_of_float(2052.0f));
    CHECK(ptx::bf16_of_float(3.4e38f) == 0x7f80);
    CHECK(ptx::bf16_of_float(-NAN) == 0x7fff);
}

/* --- approximations --- */

TEST(approximations_are_off_by_all_that_is_allowed) {
    bool seen[5] = {};
    for (uint32_t i = 0; i < 1000; i++) {
        const float exact = 1 + (float)i / 1024;
        const uint32_t off = ptx::bits_of(ptx::approximate(exact, 2)) - ptx::bits_of(exact) + 2;
        CHECK(off < 5);
        seen[off < 5 ? off : 0] = true;
        CHECK(ptx::approximate(exact, 0) == exact);
    }
    for (bool each : seen)
        CHECK(each);
    CHECK(ptx::approximate(0, 2) == 0 && ptx::approximate(INFINITY, 2) == INFINITY);
}

int main(int argc, char **argv) {
    return run_tests(argc, argv);
}
