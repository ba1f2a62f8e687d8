/* engine/cpu/peaks_bf16__neoni8mm.c: the rate of BFMMLA. */
#include <arm_neon.h>

#define QR_PEAK_NAME qr__peak_bf16__neoni8mm
#define QR_PEAK_DATA float32x4_t
#define QR_PEAK_ONE  vreinterpretq_f32_u16(vdupq_n_u16(0x3f00)) /* 0.5s */
#define QR_PEAK_MAC_ONE(sum, a, b)                                                                 \
    vbfmmlaq_f32(sum, vreinterpretq_bf16_f32(a), vreinterpretq_bf16_f32(b))
#include "engine/cpu/peaks_neon_loop.h"
