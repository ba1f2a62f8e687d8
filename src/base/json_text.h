/* base/json_text.h: JSON values written into a buffer, for answers and for commands' output.
 *
 *     qr_buf_literal(&out, "{\"answer\":");
 *     qr_json_text(&out, answer);
 *     qr_buf_literal(&out, ",\"score\":");
 *     qr_json_double(&out, score);
 *     qr_buf_byte(&out, '}');
 *
 * Failures stay in the buffer's flag. Threads: pure but for the buffer.
 */
#ifndef QR_BASE_JSON_TEXT_H
#define QR_BASE_JSON_TEXT_H

#include "base/buf.h"

/** A JSON string with its quotes. What JSON must escape is escaped, everything else stays UTF-8;
 * invalid UTF-8 becomes U+FFFD by qr_utf8_decode's rule. */
void qr_json_text(qr_buf *out, qr_text text);

/** The shortest decimal that reads back as the same float, with a point or an exponent ("1.0");
 * null when not finite. */
void qr_json_float(qr_buf *out, float number);

/** As qr_json_float for a double; those below 1e-307 may get a few digits more than needed. */
void qr_json_double(qr_buf *out, double number);

/** An array of floats: [0.1,-0.25,...]. */
void qr_json_floats(qr_buf *out, const float *numbers, size_t len);

#endif
