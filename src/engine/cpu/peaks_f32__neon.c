/* engine/cpu/peaks_f32__neon.c: NEON's rate of f32 multiply-adds, and of reading. */
#include <arm_neon.h>

#define QR_PEAK_NAME               qr__peak_f32__neon
#define QR_PEAK_DATA               float32x4_t
#define QR_PEAK_ONE                vdupq_n_f32(0.5f)
#define QR_PEAK_MAC_ONE(sum, a, b) vfmaq_f32(sum, a, b)
#include "engine/cpu/peaks_neon_loop.h"

uint64_t qr__peak_read__neon(const void *from, size_t bytes) {
    uint8x16_t a = vdupq_n_u8(0), b = a, c = a, d = a;
    for (const uint8_t *p = from, *end = p + bytes; p < end; p += 64) {
        a = veorq_u8(a, vld1q_u8(p));
        b = veorq_u8(b, vld1q_u8(p + 16));
        c = veorq_u8(c, vld1q_u8(p + 32));
        d = veorq_u8(d, vld1q_u8(p + 48));
    }
    a = veorq_u8(veorq_u8(a, b), veorq_u8(c, d));
    return vgetq_lane_u64(vreinterpretq_u64_u8(a), 0);
}
