/* engine/cpu/kernels/vec_ints_neon.h: eight integers in the lanes of vec_neon.h's eight floats,
 * under the names of vec_ints_avx2.h (include vec_math.h first).
 *
 * Fours stand in a register, four of them: a product takes one of its lanes. */
#ifndef QR_ENGINE_CPU_VEC_INTS_NEON_H
#define QR_ENGINE_CPU_VEC_INTS_NEON_H

typedef struct qr__ints {
    int32x4_t low, high;
} qr__ints;

typedef int8x16_t qr__fours;

static inline qr__fours qr__fours_at(const void *p) {
    return vld1q_s8((const int8_t *)p);
}

static inline qr__ints qr__ints_set(int32_t i) {
    return (qr__ints){vdupq_n_s32(i), vdupq_n_s32(i)};
}

static inline qr__ints qr__ints_load(const void *p) {
    const int32_t *lanes = (const int32_t *)p;
    return (qr__ints){vld1q_s32(lanes), vld1q_s32(lanes + 4)};
}

static inline void qr__ints_store(void *p, qr__ints a) {
    int32_t *lanes = (int32_t *)p;
    vst1q_s32(lanes, a.low);
    vst1q_s32(lanes + 4, a.high);
}

static inline qr__ints qr__ints_add(qr__ints a, qr__ints b) {
    return (qr__ints){vaddq_s32(a.low, b.low), vaddq_s32(a.high, b.high)};
}

static inline qr__ints qr__ints_sub(qr__ints a, qr__ints b) {
    return (qr__ints){vsubq_s32(a.low, b.low), vsubq_s32(a.high, b.high)};
}

static inline qr__ints qr__ints_max(qr__ints a, qr__ints b) {
    return (qr__ints){vmaxq_s32(a.low, b.low), vmaxq_s32(a.high, b.high)};
}

static inline qr__ints qr__ints_xor(qr__ints a, qr__ints b) {
    return (qr__ints){veorq_s32(a.low, b.low), veorq_s32(a.high, b.high)};
}

/* a * 2^n */
#define qr__ints_shift(a, n) ((qr__ints){vshlq_n_s32((a).low, n), vshlq_n_s32((a).high, n)})

static inline qr__vec qr__vec_floor(qr__vec a) {
    return (qr__vec){vrndmq_f32(a.low), vrndmq_f32(a.high)};
}

/* To nearest even. */
static inline qr__ints qr__ints_round(qr__vec a) {
    return (qr__ints){vcvtnq_s32_f32(a.low), vcvtnq_s32_f32(a.high)};
}

static inline qr__vec qr__vec_of_ints(qr__ints a) {
    return (qr__vec){vcvtq_f32_s32(a.low), vcvtq_f32_s32(a.high)};
}

static inline qr__ints qr__ints_of_bits(qr__vec a) {
    return (qr__ints){vreinterpretq_s32_f32(a.low), vreinterpretq_s32_f32(a.high)};
}

static inline qr__vec qr__vec_of_bits(qr__ints a) {
    return (qr__vec){vreinterpretq_f32_s32(a.low), vreinterpretq_f32_s32(a.high)};
}

static inline float32x4_t qr__vec_keep4(float32x4_t a, float32x4_t x, float32x4_t least) {
    return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(a), vcgeq_f32(x, least)));
}

/* a where x is `least` or more, else 0. */
static inline qr__vec qr__vec_keep(qr__vec a, qr__vec x, qr__vec least) {
    return (qr__vec){qr__vec_keep4(a.low, x.low, least.low),
                     qr__vec_keep4(a.high, x.high, least.high)};
}

/* The lowest bytes of four vectors side by side: each shift keeps what stands below it. */
static inline int32x4_t qr__ints_low_bytes4(int32x4_t a, int32x4_t b, int32x4_t c, int32x4_t d) {
    return vsliq_n_s32(vsliq_n_s32(a, b, 8), vsliq_n_s32(c, d, 8), 16);
}

static inline qr__ints qr__ints_low_bytes(qr__ints a, qr__ints b, qr__ints c, qr__ints d) {
    return (qr__ints){qr__ints_low_bytes4(a.low, b.low, c.low, d.low),
                      qr__ints_low_bytes4(a.high, b.high, c.high, d.high)};
}

/* The lowest bytes of 16 lanes, to p[16]. */
static inline void qr__ints_store_bytes(uint8_t *p, qr__ints a, qr__ints b) {
    const int16x8_t words[2] = {vcombine_s16(vmovn_s32(a.low), vmovn_s32(a.high)),
                                vcombine_s16(vmovn_s32(b.low), vmovn_s32(b.high))};
    vst1q_s8((int8_t *)p, vcombine_s8(vmovn_s16(words[0]), vmovn_s16(words[1])));
}

#endif
