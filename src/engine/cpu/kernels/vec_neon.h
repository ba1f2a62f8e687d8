/* engine/cpu/kernels/vec_neon.h: eight floats in two registers of ARMv8's NEON, under the names
 * that vec_avx2.h and vec_math.h give to eight in one. Included by *__neon*.c files only.
 *
 * Two registers, because there are 32: a tile of 6 rows by two of these vectors fills 24 of them
 * with sums, and every loop that is written for AVX2 has the chains that two to four NEON units
 * need. A struct and not arm_neon.h's float32x4x2_t, whose halves gcc 12 keeps side by side by
 * moving them about. */
#ifndef QR_ENGINE_CPU_VEC_NEON_H
#define QR_ENGINE_CPU_VEC_NEON_H

#include <arm_neon.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

typedef struct qr__vec {
    float32x4_t low, high;
} qr__vec;
#define QR_VEC_LANES ((size_t)8)
#define QR_VEC_TABLE 8 /* floats that qr__vec_lookup chooses among */

static inline qr__vec qr__vec_add(qr__vec a, qr__vec b) {
    return (qr__vec){vaddq_f32(a.low, b.low), vaddq_f32(a.high, b.high)};
}

static inline qr__vec qr__vec_sub(qr__vec a, qr__vec b) {
    return (qr__vec){vsubq_f32(a.low, b.low), vsubq_f32(a.high, b.high)};
}

static inline qr__vec qr__vec_mul(qr__vec a, qr__vec b) {
    return (qr__vec){vmulq_f32(a.low, b.low), vmulq_f32(a.high, b.high)};
}

static inline qr__vec qr__vec_div(qr__vec a, qr__vec b) {
    return (qr__vec){vdivq_f32(a.low, b.low), vdivq_f32(a.high, b.high)};
}

/* A NaN in either stays one: x86's min and max give b, and no caller's a is one. */
static inline qr__vec qr__vec_min(qr__vec a, qr__vec b) {
    return (qr__vec){vminq_f32(a.low, b.low), vminq_f32(a.high, b.high)};
}

static inline qr__vec qr__vec_max(qr__vec a, qr__vec b) {
    return (qr__vec){vmaxq_f32(a.low, b.low), vmaxq_f32(a.high, b.high)};
}

static inline qr__vec qr__vec_load(const float *p) {
    return (qr__vec){vld1q_f32(p), vld1q_f32(p + 4)};
}

static inline void qr__vec_store(float *p, qr__vec v) {
    vst1q_f32(p, v.low);
    vst1q_f32(p + 4, v.high);
}

static inline qr__vec qr__vec_set(float f) {
    return (qr__vec){vdupq_n_f32(f), vdupq_n_f32(f)};
}

/* The first n lanes (0..8) from p, zeros behind them; p[n] and on are not read. */
static inline qr__vec qr__vec_load_first(const float *p, size_t n) {
    if (n == QR_VEC_LANES)
        return qr__vec_load(p);
    float lanes[8] = {0};
    memcpy(lanes, p, n * sizeof *p);
    return qr__vec_load(lanes);
}

static inline void qr__vec_store_first(float *p, qr__vec v, size_t n) {
    if (n == QR_VEC_LANES) {
        qr__vec_store(p, v);
        return;
    }
    float lanes[8];
    qr__vec_store(lanes, v);
    memcpy(p, lanes, n * sizeof *p);
}

/* a * b + c, rounded once. */
static inline qr__vec qr__vec_fma(qr__vec a, qr__vec b, qr__vec c) {
    return (qr__vec){vfmaq_f32(c.low, a.low, b.low), vfmaq_f32(c.high, a.high, b.high)};
}

static inline qr__vec qr__vec_abs(qr__vec a) {
    return (qr__vec){vabsq_f32(a.low), vabsq_f32(a.high)};
}

/* b in the lanes of the first n (0..8), a in the others. */
static inline qr__vec qr__vec_blend_first(qr__vec a, qr__vec b, size_t n) {
    const uint32_t numbers[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    const uint32x4_t count = vdupq_n_u32((uint32_t)n);
    return (qr__vec){vbslq_f32(vcltq_u32(vld1q_u32(numbers), count), b.low, a.low),
                     vbslq_f32(vcltq_u32(vld1q_u32(numbers + 4), count), b.high, a.high)};
}

/* a in the first n lanes, zeros behind them. */
static inline qr__vec qr__vec_first(qr__vec a, size_t n) {
    return qr__vec_blend_first(qr__vec_set(0), a, n);
}

static inline float qr__vec_min_lane(qr__vec a) {
    return vminvq_f32(vminq_f32(a.low, a.high));
}

static inline float qr__vec_max_lane(qr__vec a) {
    return vmaxvq_f32(vmaxq_f32(a.low, a.high));
}

/* In AVX2's order. */
static inline float qr__vec_sum(qr__vec a) {
    const float32x4_t fours = vaddq_f32(a.low, a.high);
    const float32x2_t twos = vadd_f32(vget_low_f32(fours), vget_high_f32(fours));
    return vget_lane_f32(twos, 0) + vget_lane_f32(twos, 1);
}

static inline float32x4_t qr__vec_lookup4(uint8x16x2_t table, float32x4_t index) {
    const uint32x4_t i = vandq_u32(vreinterpretq_u32_f32(index), vdupq_n_u32(QR_VEC_TABLE - 1));
    const uint32x4_t bytes = vmlaq_n_u32(vdupq_n_u32(0x03020100), i, 0x04040404);
    return vreinterpretq_f32_u8(vqtbl2q_u8(table, vreinterpretq_u8_u32(bytes)));
}

/* table[i] for i in the low three bits of each lane. */
static inline qr__vec qr__vec_lookup(const float table[QR_VEC_TABLE], qr__vec index) {
    const uint8_t *p = (const uint8_t *)table;
    const uint8x16x2_t all = {{vld1q_u8(p), vld1q_u8(p + 16)}};
    return (qr__vec){qr__vec_lookup4(all, index.low), qr__vec_lookup4(all, index.high)};
}

/* Integers in lanes, as floats. */
static inline qr__vec qr__vec_from_i32(const int32_t *p) {
    return (qr__vec){vcvtq_f32_s32(vld1q_s32(p)), vcvtq_f32_s32(vld1q_s32(p + 4))};
}

/* Rounded to nearest even, clamped to 0..255. */
static inline void qr__vec_store_u8(uint8_t *p, qr__vec v) {
    const uint16x4_t low = vqmovn_u32(vcvtnq_u32_f32(v.low));
    vst1_u8(p, vqmovn_u16(vcombine_u16(low, vqmovn_u32(vcvtnq_u32_f32(v.high)))));
}

static inline qr__vec qr__vec_load_f16(const uint16_t *p) {
    return (qr__vec){vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p))),
                     vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p + 4)))};
}

static inline void qr__vec_store_f16(uint16_t *p, qr__vec v) {
    vst1_u16(p, vreinterpret_u16_f16(vcvt_f16_f32(v.low)));
    vst1_u16(p + 4, vreinterpret_u16_f16(vcvt_f16_f32(v.high)));
}

#endif
