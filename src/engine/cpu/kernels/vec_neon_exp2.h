/* engine/cpu/kernels/vec_neon_exp2.h: what vec_math.h's powers of 2 need of NEON (vec_neon.h
 * comes first). */
#ifndef QR_ENGINE_CPU_VEC_NEON_EXP2_H
#define QR_ENGINE_CPU_VEC_NEON_EXP2_H

static inline qr__vec qr__vec_round(qr__vec a) {
    return (qr__vec){vrndnq_f32(a.low), vrndnq_f32(a.high)};
}

static inline qr__vec qr__vec_bound2(qr__vec n) {
    return qr__vec_max(qr__vec_set(-126.0f), qr__vec_min(qr__vec_set(126.0f), n));
}

static inline bool qr__vec_all_below(qr__vec a, float limit) {
    const float32x4_t most = vdupq_n_f32(limit);
    return vminvq_u32(vandq_u32(vcltq_f32(a.low, most), vcltq_f32(a.high, most))) != 0;
}

/* 2^n, n integral in -126..127. */
static inline float32x4_t qr__vec_power4(float32x4_t n) {
    const int32x4_t exponent = vaddq_s32(vcvtnq_s32_f32(n), vdupq_n_s32(127));
    return vreinterpretq_f32_s32(vshlq_n_s32(exponent, 23));
}

/* a * 2^n */
static inline qr__vec qr__vec_scale2(qr__vec a, qr__vec n) {
    return (qr__vec){vmulq_f32(a.low, qr__vec_power4(n.low)),
                     vmulq_f32(a.high, qr__vec_power4(n.high))};
}

#endif
