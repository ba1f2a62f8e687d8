/* base/float_text.h: the shortest decimal that reads back as the same float.
 *
 *     char text[QR_FLOAT_TEXT_BYTES];
 *     size_t len = qr_float_to_text(0.1f, text);      // "0.1"
 *
 * The text is a JSON number: "-0.0234567", "1.0", "3.4028235e38". Of the shortest decimals that lie
 * in the float's rounding interval it is the one nearest to it, as Python's and Rust's printers
 * choose. Threads: pure.
 */
#ifndef QR_BASE_FLOAT_TEXT_H
#define QR_BASE_FLOAT_TEXT_H

#include <stddef.h>

#define QR_FLOAT_TEXT_BYTES 32

/** Writes at most 17 characters, no NUL, and returns how many. The bytes behind them may be
 * overwritten. NaN and infinities are the caller's bug; JSON has no word for them and they become
 * "null". */
size_t qr_float_to_text(float value, char out[QR_FLOAT_TEXT_BYTES]);

#endif
