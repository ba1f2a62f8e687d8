/* engine/cpu/peaks_int8__neondot.c: the rate of SDOT. */
#include <arm_neon.h>

#define QR_PEAK_NAME               qr__peak_int8__neondot
#define QR_PEAK_DATA               int32x4_t
#define QR_PEAK_ONE                vdupq_n_s32(0x03030303)
#define QR_PEAK_MAC_ONE(sum, a, b) vdotq_s32(sum, vreinterpretq_s8_s32(a), vreinterpretq_s8_s32(b))
#include "engine/cpu/peaks_neon_loop.h"
