/* engine/cpu/kernels/f16.h: IEEE half precision in plain C, one number at a time (finite numbers).
 */
#ifndef QR_ENGINE_CPU_F16_H
#define QR_ENGINE_CPU_F16_H

#include <math.h>
#include <stdint.h>
#include <string.h>

/** Exact. */
static inline float qr__f16_to_f32(uint16_t half) {
    int exponent = half >> 10 & 31, fraction = half & 1023;
    float value = exponent == 0 ? ldexpf((float)fraction, -24)
                                : ldexpf((float)(fraction | 1024), exponent - 25);
    return (half >> 15) != 0 ? -value : value;
}

/** Rounds to nearest, ties to even. Magnitudes above 65504 become 65504. */
static inline uint16_t qr__f32_to_f16(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
    if (magnitude >= 0x477ff000) /* would round above 65504 */
        return (uint16_t)(sign | 0x7bff);
    if (magnitude < 0x38800000) { /* below 2^-14: subnormal, in steps of 2^-24 */
        float absolute = value < 0 ? -value : value;
        return (uint16_t)(sign | (uint32_t)rintf(ldexpf(absolute, 24)));
    }
    uint32_t rounded = magnitude + 0xfff + (magnitude >> 13 & 1);
    return (uint16_t)(sign | (rounded - 0x38000000) >> 13);
}

#endif
