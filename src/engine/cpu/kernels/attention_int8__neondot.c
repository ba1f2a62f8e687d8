/* engine/cpu/kernels/attention_int8__neondot.c: attention in int8 by SDOT, beside attention in f32.
 * The bits are those of AVX-512's VPDPBUSD. */
#include "engine/cpu/kernels/vec_math.h"

#include "engine/cpu/kernels/vec_ints_neon.h"

#define QUERY_MOST  127         /* codes are -127 to 127 */
#define LOG2_MOST   7.98868469f /* of 254, as with AVX-512 */
#define CARRY_STEP  0           /* as there */
#define FOURS       4u
#define SIGNED_ONLY 1
#define GROUP_MOST  4u /* keys or queries at a time: 16 sums, 4 keys, 4 queries */

/* sum + the products of s with four number i; the instruction takes no variable for i. */
static inline int32x4_t add_four(int32x4_t sum, int8x16_t fours, size_t i, int32x4_t s) {
    const int8x16_t codes = vreinterpretq_s8_s32(s);
    switch (i) {
    case 0:
        return vdotq_laneq_s32(sum, codes, fours, 0);
    case 1:
        return vdotq_laneq_s32(sum, codes, fours, 1);
    case 2:
        return vdotq_laneq_s32(sum, codes, fours, 2);
    default:
        return vdotq_laneq_s32(sum, codes, fours, 3);
    }
}

static inline qr__ints add_products(qr__ints sum, qr__fours fours, size_t i, qr__ints s) {
    return (qr__ints){add_four(sum.low, fours, i, s.low), add_four(sum.high, fours, i, s.high)};
}

#include "engine/cpu/kernels/attention_int8_256_body.h"

#include "engine/cpu/kernels/attention_int8_body.h"

void qr__attention_int8__neondot(const qr__attention *a) {
    if (fits_int8(a))
        attend_int8(a);
    else
        qr__attention_f32__neon(a);
}
