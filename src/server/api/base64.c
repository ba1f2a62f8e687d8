/* server/api/base64.c: three bytes to four letters. */
#include "server/api/base64.h"

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void qr__base64_put(qr_buf *out, const void *bytes, size_t len) {
    const uint8_t *from = bytes;
    size_t need;
    char *to = qr_checked_mul(len / 3 + 1, 4, &need) ? qr_buf_reserve(out, need) : NULL;
    if (to == NULL) {
        out->failed = true;
        return;
    }
    char *start = to;
    for (; len >= 3; len -= 3, from += 3, to += 4) {
        uint32_t group = (uint32_t)from[0] << 16 | (uint32_t)from[1] << 8 | from[2];
        to[0] = letters[group >> 18];
        to[1] = letters[group >> 12 & 63];
        to[2] = letters[group >> 6 & 63];
        to[3] = letters[group & 63];
    }
    if (len > 0) {
        uint32_t group = (uint32_t)from[0] << 16 | (len == 2 ? (uint32_t)from[1] << 8 : 0);
        to[0] = letters[group >> 18];
        to[1] = letters[group >> 12 & 63];
        to[2] = len == 2 ? letters[group >> 6 & 63] : '=';
        to[3] = '=';
        to += 4;
    }
    out->len += (size_t)(to - start);
}
