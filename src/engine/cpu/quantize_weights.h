/* engine/cpu/quantize_weights.h: one column's weights to int8 codes.
 *
 *     scale = qr__quantize_weights(w, K, kernel->group, codes);     // w[k] ~ scale * codes[k]
 *
 * Symmetric, one scale a column. A kernel with VNNI adds four products in 32 bits and takes any
 * code from -127 to 127. One without (group 4) adds four products of u8 and s8 in 16 bits, which
 * hold 255 * 128 and no more: of the codes of a group, the positive ones may add up to 128 and the
 * negative ones to -128. (A product's other factor is never negative, so the two cannot help each
 * other out or add up.) Then no sum saturates, whatever the activations are, and int8 without VNNI
 * is exact.
 */
#ifndef QR_ENGINE_CPU_QUANTIZE_WEIGHTS_H
#define QR_ENGINE_CPU_QUANTIZE_WEIGHTS_H

#include "base/base.h"

/** What the positive codes of a group may add up to, and the negative ones: 255 * 128 < 2^15. */
#define QR__GROUP_MAX 128

/** The members of a group of 4 stand at k, k + 1, k + 4, k + 5 (k = 0 or 2 mod 8): VPMADDUBSW adds
 * neighbours, and two of its results, 4 bytes apart, are added. */
#define QR__GROUP_SPAN 8u

/** Codes [K] of w [K], finite, and their scale; 0 (and codes of 0) where all of w is next to
 * nothing. `group`: 1 or 4; with 4, `codes` has room for K rounded up to QR__GROUP_SPAN, and gets
 * zeros there. */
float qr__quantize_weights(const float *w, size_t K, size_t group, int8_t *codes);

#endif
