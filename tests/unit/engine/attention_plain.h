/* Attention in int8 as plain C says it: what every kernel of whole codes must give, bit by bit
 * (attention_int8_codes_body.h has the formulas).
 *
 *     attention_plain_int8(&a);    // as a kernel; a.D at most 128, a.keys at most 256 */
#ifndef QR_ATTENTION_PLAIN_H
#define QR_ATTENTION_PLAIN_H

#include "engine/cpu/kernels/kernels.h"

enum { ATTENTION_PLAIN_KEYS = 256, ATTENTION_PLAIN_WIDTH = 128 };

/** Its numbers are finite, and no channel's range is next to nothing. */
void attention_plain_int8(const qr__attention *a);

#endif
