/* cli/svg_text.c: what XML reserves becomes an entity, what it forbids is left out. */
#include "cli/svg_text.h"

void qr__svg_text(qr_buf *out, qr_text text) {
    for (size_t at = 0, bytes; at < text.len; at += bytes) {
        char utf8[4];
        uint32_t code = qr_utf8_decode(text, at, &bytes);
        if (code == '&') {
            qr_buf_literal(out, "&amp;");
        } else if (code == '<') {
            qr_buf_literal(out, "&lt;");
        } else if (code == '>') {
            qr_buf_literal(out, "&gt;");
        } else if (code >= ' ' && code != 0xFFFE && code != 0xFFFF) {
            const size_t len = qr_utf8_encode(code, utf8);
            qr_buf_append(out, utf8, len);
        }
    }
}
