/* engine/cpu/kernels/attention_int8__avx2.c: attention in int8 without VNNI, beside attention in
 * f32.
 *
 * VPMADDUBSW adds two products in 16 bits, which hold 255 * 63 or 127 * 127 twice: the codes of
 * queries and the powers give up one bit of eight. (Adding four there, as the matrix products do,
 * would take two bits.) Three operations make four products of eight sums, where f32's
 * multiply-adds take four. */
#include "engine/cpu/kernels/vec_math.h"

#include "engine/cpu/kernels/vec_ints_avx2.h"

#define QUERY_MOST  63          /* codes are -63 to 63 */
#define LOG2_MOST   6.97727992f /* of 126: with half of a carried 1 still 127 at most */
#define CARRY_STEP  0.25f       /* 0: equal powers lose alike at all four places, and it adds up */
#define FOURS       1u
#define SIGNED_ONLY 0
#define GROUP_MOST  4u /* keys or queries at a time: 8 sums in 16 registers */

static inline __m256i add_products(__m256i sum, qr__fours u, size_t i, __m256i s) {
    const __m256i pairs = _mm256_maddubs_epi16(qr__fours_spread(u, i), s);
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

#include "engine/cpu/kernels/attention_int8_256_body.h"

#include "engine/cpu/kernels/attention_int8_body.h"

void qr__attention_int8__avx2(const qr__attention *a) {
    if (fits_int8(a))
        attend_int8(a);
    else
        qr__attention_f32__avx2(a);
}
