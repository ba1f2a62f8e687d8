/* cli/svg_text.h: text inside an SVG picture.
 *
 *     qr_buf_literal(&out, "<title>");
 *     qr__svg_text(&out, qr_text_of(name));
 *     qr_buf_literal(&out, "</title>\n");
 *
 * Threads: pure but for the buffer.
 */
#ifndef QR_CLI_SVG_TEXT_H
#define QR_CLI_SVG_TEXT_H

#include "base/base.h"

/** Appends what XML allows of `text`, with what it reserves escaped; for contents, not for
 * attributes. */
void qr__svg_text(qr_buf *out, qr_text text);

#endif
