/* engine/cpu/quantize_weights.c: codes and scale of a column.
 *
 * Without groups: scale = max |w| / 127, code = round(w / scale) to nearest even. In groups the
 * scale is what the fullest group needs, if that is more; rounding may still lift a group above its
 * bound by one or two, which is taken back where it costs least. A finer scale, with more groups
 * cut to fit, is worse: their weights are off by many steps. */
#include "engine/cpu/quantize_weights.h"

#include <math.h>

#include "engine/cpu/kernels/gemm.h"

#define CODE_MAX 127

/* Rounds |x| < 2^22 to the nearest even integer, leaving it in the low bits. */
#define MAGIC 12582912.0f

static uint32_t bits_of(float f) {
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

static float greatest(const float *w, size_t K) {
    float most = 0;
    for (size_t k = 0; k < K; k++)
        most = fabsf(w[k]) > most ? fabsf(w[k]) : most;
    return most;
}

/* Member i of 4 of the group that begins at k. */
static size_t member(size_t k, size_t i) {
    return k + i + (i & 2);
}

static float positive(float w) {
    return w > 0 ? w : 0;
}

/* The greatest sum of one sign's weights in a group. Of a whole block both groups are summed at
 * once, member by member, in four lanes: their upward and their downward sums. */
static float greatest_group(const float *w, size_t K) {
    float most[4] = {0}, last[QR__GROUP_SPAN] = {0};
    const size_t whole = K / QR__GROUP_SPAN * QR__GROUP_SPAN;
    memcpy(last, w + whole, (K - whole) * sizeof *w);
    for (size_t k = 0; k < qr_round_up(K, QR__GROUP_SPAN); k += QR__GROUP_SPAN) {
        const float *b = k == whole ? last : w + k;
        const float sums[4] = {
            positive(b[0]) + positive(b[1]) + positive(b[4]) + positive(b[5]),
            positive(b[2]) + positive(b[3]) + positive(b[6]) + positive(b[7]),
            positive(-b[0]) + positive(-b[1]) + positive(-b[4]) + positive(-b[5]),
            positive(-b[2]) + positive(-b[3]) + positive(-b[6]) + positive(-b[7]),
        };
        for (size_t i = 0; i < 4; i++)
            most[i] = sums[i] > most[i] ? sums[i] : most[i];
    }
    return fmaxf(fmaxf(most[0], most[1]), fmaxf(most[2], most[3]));
}

/* |w * inverse| must stay below 2^22. */
static void round_all(const float *w, size_t K, float inverse, int8_t *codes) {
    for (size_t k = 0; k < K; k++)
        codes[k] = (int8_t)(bits_of(w[k] * inverse + MAGIC) - bits_of(MAGIC));
}

/* Brings the codes of one sign (1 or -1) in a group down to the bound, each time at the code that
 * stands furthest beyond its weight. */
static void cut_group(const float *w, size_t K, float inverse, size_t k, int sign, int sum,
                      int8_t *codes) {
    for (; sum > QR__GROUP_MAX; sum--) {
        size_t best = 0;
        float furthest = -INFINITY;
        for (size_t i = 0; i < 4; i++) {
            const size_t at = member(k, i);
            const int code = sign * codes[at];
            const float wanted = at < K ? (float)sign * w[at] * inverse : 0;
            if (code > 0 && (float)code - wanted > furthest) {
                furthest = (float)code - wanted;
                best = at;
            }
        }
        codes[best] = (int8_t)(codes[best] - sign);
    }
}

static void cut_groups(const float *w, size_t K, float inverse, int8_t *codes) {
    for (size_t block = 0; block < K; block += QR__GROUP_SPAN)
        for (size_t k = block; k < block + 4; k += 2) {
            int sum = 0, size = 0;
            for (size_t i = 0; i < 4; i++) {
                const int code = codes[member(k, i)];
                sum += code;
                size += code < 0 ? -code : code;
            }
            if (size <= QR__GROUP_MAX)
                continue;
            if ((size + sum) / 2 > QR__GROUP_MAX)
                cut_group(w, K, inverse, k, 1, (size + sum) / 2, codes);
            if ((size - sum) / 2 > QR__GROUP_MAX)
                cut_group(w, K, inverse, k, -1, (size - sum) / 2, codes);
        }
}

float qr__quantize_weights(const float *w, size_t K, size_t group, int8_t *codes) {
    float scale = greatest(w, K) / CODE_MAX;
    memset(codes, 0, group == 1 ? K : qr_round_up(K, QR__GROUP_SPAN));
    if (group != 1)
        scale = fmaxf(scale, greatest_group(w, K) / QR__GROUP_MAX);
    if (!(scale > QR__SCALE_TINY))
        return 0;
    round_all(w, K, 1.0f / scale, codes);
    if (group != 1)
        cut_groups(w, K, 1.0f / scale, codes);
    return scale;
}
