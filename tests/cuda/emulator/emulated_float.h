/* tests/cuda/emulator/emulated_float.h: 16-bit floats as the GPU converts them, in plain integer
 * arithmetic.
 *
 *     float x = to_float(half);
 *     qr_f16 h = from_float<qr_f16>(70000);             // infinity, as cvt.rn.f16.f32
 *     uint32_t two = pack2<qr_bf16>(1, 2);              // 1 in the low half
 *
 * Rounding is to nearest, ties to even; subnormals are kept; NaN becomes 0x7fff.
 */
#ifndef QR_TESTS_EMULATED_FLOAT_H
#define QR_TESTS_EMULATED_FLOAT_H

#include <cstdint>
#include <cstring>

namespace emulated {

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

/** Without branches, so that loops over it become vector code. */
inline float widen(qr_f16, uint16_t half) {
    float scaled = float_of((half & 0x7fffu) << 13) * 0x1p112f;
    uint32_t special = (half & 0x7c00u) == 0x7c00u ? 0x7f800000u : 0u;
    return float_of(bits_of(scaled) | special | (half & 0x8000u) << 16);
}

inline float widen(qr_bf16, uint16_t half) {
    return float_of((uint32_t)half << 16);
}

inline uint16_t narrow_f16(float x) {
    uint32_t bits = bits_of(x), sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u)
        return 0x7fff;
    if (magnitude >= 0x47800000u) // 65536 and more
        return (uint16_t)(sign | 0x7c00u);
    if (magnitude < 0x38800000u) { // subnormal: the sum's last bits are its units of 2^-24
        uint32_t sum = bits_of(float_of(magnitude) + 0.5f);
        return (uint16_t)(sign | (sum - 0x3f000000u));
    }
    uint32_t rounded = magnitude + 0xfffu + (magnitude >> 13 & 1u);
    return (uint16_t)(sign | (rounded - 0x38000000u) >> 13); // up to infinity by its carry
}

inline uint16_t narrow_bf16(float x) {
    uint32_t bits = bits_of(x);
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return 0x7fff;
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

} // namespace emulated

inline float to_float(qr_f16 x) {
    return emulated::widen(x, x.bits);
}
inline float to_float(qr_bf16 x) {
    return emulated::widen(x, x.bits);
}
inline float to_float(float x) {
    return x;
}

template <class T> T from_float(float x);
template <> inline qr_f16 from_float<qr_f16>(float x) {
    return {emulated::narrow_f16(x)};
}
template <> inline qr_bf16 from_float<qr_bf16>(float x) {
    return {emulated::narrow_bf16(x)};
}
template <> inline float from_float<float>(float x) {
    return x;
}

template <class T> uint32_t pack2(float low, float high) {
    return (uint32_t)from_float<T>(low).bits | (uint32_t)from_float<T>(high).bits << 16;
}

#endif
