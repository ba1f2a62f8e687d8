/* tests/cuda/ptx/ptx_arithmetic.h: what single instructions of PTX do to numbers, where C++ has no
 * operator for it. Written by the definitions in the PTX ISA, not for speed.
 *
 *     uint16_t h = f16_of_float(1.0f);                       // cvt.rn.f16.f32: 0x3c00
 *     float x = saturated(-3);                               // cvt.sat.f32.f32: 0
 */
#ifndef QR_TESTS_PTX_ARITHMETIC_H
#define QR_TESTS_PTX_ARITHMETIC_H

#include <cfenv>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace ptx {

inline uint32_t bits_of(float x) {
    uint32_t bits;
    memcpy(&bits, &x, 4);
    return bits;
}

inline float float_of(uint32_t bits) {
    float x;
    memcpy(&x, &bits, 4);
    return x;
}

/** Without branches, so that loops over it become vector code: a number of f16 has its exponent
 * 112 too low as f32, subnormal ones as well. */
inline float float_of_f16(uint16_t half) {
    const uint32_t magnitude = half & 0x7fffu, sign = (uint32_t)(half & 0x8000u) << 16;
    const uint32_t number = bits_of(float_of(magnitude << 13) * 0x1p112f);
    const uint32_t special = 0x7f800000u | magnitude << 13; /* infinity and NaN */
    return float_of((magnitude < 0x7c00u ? number : special) | sign);
}

inline float float_of_bf16(uint16_t half) {
    return float_of((uint32_t)half << 16);
}

/** Rounds to a format of 16 bits with so many bits of fraction and the least exponent of its normal
 * numbers: to the nearest multiple of the unit in which x's binade is counted, ties to even. */
inline uint16_t narrowed(float x, int fraction, int least) {
    const int exponents = 15 - fraction, bias = (1 << (exponents - 1)) - 1;
    const uint16_t sign = std::signbit(x) ? 0x8000 : 0;
    if (std::isnan(x))
        return 0x7fff; /* the one NaN that such conversions give */
    int exponent = x == 0 || std::isinf(x) ? least : std::ilogb(x);
    if (exponent < least)
        exponent = least;
    double units = std::nearbyint(std::ldexp(std::fabs((double)x), fraction - exponent));
    if (units == std::ldexp(1.0, fraction + 1)) { /* up to the next binade */
        units /= 2;
        exponent++;
    }
    if (std::isinf(x) || exponent > bias)
        return (uint16_t)(sign | ((1 << exponents) - 1) << fraction);
    const bool subnormal = units < std::ldexp(1.0, fraction);
    const int counted = subnormal ? (int)units : (int)units - (1 << fraction);
    return (uint16_t)(sign | (subnormal ? 0 : exponent + bias) << fraction | counted);
}

inline uint16_t f16_of_float(float x) {
    return narrowed(x, 10, -14);
}

inline uint16_t bf16_of_float(float x) {
    return narrowed(x, 7, -126);
}

/** .ftz: a subnormal number counts as 0 of its sign. */
inline float flushed(float x) {
    return std::fpclassify(x) == FP_SUBNORMAL ? std::copysign(0.0f, x) : x;
}

/** .approx: the ISA lets a result be off by so many units in the last place, and so it is here: by
 * up to that, up or down, as its own bits say. */
inline float approximate(float exact, uint32_t units) {
    if (!std::isnormal(exact))
        return exact;
    const uint32_t bits = bits_of(exact), drawn = bits * 2654435761u >> 16;
    return float_of(bits + drawn % (2 * units + 1) - units);
}

/** .sat: into [0, 1]; NaN becomes 0. */
inline float saturated(float x) {
    return x >= 1 ? 1.0f : x > 0 ? x : 0.0f;
}

/** max.f32: a number wins over NaN, +0 over -0; of two NaN the one of all ones. */
inline uint32_t greater(uint32_t a, uint32_t b) {
    const float x = float_of(a), y = float_of(b);
    if (std::isnan(x) || std::isnan(y))
        return std::isnan(x) && std::isnan(y) ? 0x7fffffffu : std::isnan(x) ? b : a;
    return x == y ? a & b : x > y ? a : b; /* equal ones differ in the sign of 0 at most */
}

/** fma.rm: towards -infinity. What is volatile is not computed before the direction is set. */
inline float fma_down(float a, float b, float c) {
    const int before = fegetround();
    fesetround(FE_DOWNWARD);
    volatile float x = a;
    volatile float result = fmaf(x, b, c);
    fesetround(before);
    return result;
}

inline uint32_t f16_pair(float high, float low) {
    return (uint32_t)f16_of_float(high) << 16 | f16_of_float(low);
}
inline uint32_t bf16_pair(float high, float low) {
    return (uint32_t)bf16_of_float(high) << 16 | bf16_of_float(low);
}

/** prmt: a byte of the result is that of the 8 of b and a which 3 bits of the selector say, or,
 * with the fourth, 8 times its sign. */
inline uint32_t permuted(uint32_t a, uint32_t b, uint32_t selector) {
    const uint64_t from = (uint64_t)b << 32 | a;
    uint32_t made = 0;
    for (uint32_t i = 0; i < 4; i++) {
        const uint32_t chosen = selector >> 4 * i & 15;
        const auto byte = (uint32_t)(from >> 8 * (chosen & 7)) & 0xff;
        made |= (chosen < 8 ? byte : byte >> 7 ? 0xffu : 0) << 8 * i;
    }
    return made;
}

/** bfi: the lowest `length` bits of a, from bit `first` of b on. */
inline uint32_t field_inserted(uint32_t a, uint32_t b, uint32_t first, uint32_t length) {
    first &= 0xff;
    length &= 0xff;
    for (uint32_t i = 0; i < length && first + i < 32; i++)
        b = (b & ~(1u << (first + i))) | (a >> i & 1) << (first + i);
    return b;
}

} // namespace ptx

#endif
