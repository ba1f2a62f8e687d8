/* engine/cpu/kernels/attention_int8__avx2vnni.c: attention in int8 by AVX-VNNI's VPDPBUSD, beside
 * attention in f32. */
#include "engine/cpu/kernels/vec_math.h"

#include "engine/cpu/kernels/vec_ints_avx2.h"

#define QUERY_MOST  127         /* codes are -127 to 127 */
#define LOG2_MOST   7.98868469f /* of 254: with half of a carried 1 still a u8 */
#define CARRY_STEP  0           /* as with AVX-512, for the same bits */
#define FOURS       4u
#define SIGNED_ONLY 0
#define GROUP_MOST  6u /* keys or queries at a time: 12 sums in 16 registers */

static inline __m256i add_products(__m256i sum, qr__fours u, size_t i, __m256i s) {
    return _mm256_dpbusd_avx_epi32(sum, qr__fours_spread(u, i), s);
}

#include "engine/cpu/kernels/attention_int8_256_body.h"

#include "engine/cpu/kernels/attention_int8_body.h"

void qr__attention_int8__avx2vnni(const qr__attention *a) {
    if (fits_int8(a))
        attend_int8(a);
    else
        qr__attention_f32__avx2(a);
}
