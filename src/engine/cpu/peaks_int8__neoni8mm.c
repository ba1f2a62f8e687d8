/* engine/cpu/peaks_int8__neoni8mm.c: the rate of USMMLA. */
#include <arm_neon.h>

#define QR_PEAK_NAME qr__peak_int8__neoni8mm
#define QR_PEAK_DATA int32x4_t
#define QR_PEAK_ONE  vdupq_n_s32(0x03030303)
#define QR_PEAK_MAC_ONE(sum, a, b)                                                                 \
    vusmmlaq_s32(sum, vreinterpretq_u8_s32(a), vreinterpretq_s8_s32(b))
#include "engine/cpu/peaks_neon_loop.h"
