/* base/trace_id.c: version-traceid-parentid-flags, in lower-case hex. */
#include "base/trace_id.h"

#define TRACEPARENT_BYTES 55 /* of version 00; later versions may go on behind another "-" */

static bool is_hex(qr_text text) {
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
    }
    return true;
}

bool qr_trace_id_parse(qr_text given, qr_trace_id *out) {
    static const char zeros[] = "00000000000000000000000000000000";
    if (given.len < TRACEPARENT_BYTES || given.data[2] != '-' || given.data[35] != '-' ||
        given.data[52] != '-')
        return false;
    qr_text version = {given.data, 2}, id = {given.data + 3, 32};
    if (!is_hex(version) || qr_text_is(version, "ff") || !is_hex(id) || qr_text_is(id, zeros))
        return false;
    bool longer = given.len > TRACEPARENT_BYTES;
    if (longer && (qr_text_is(version, "00") || given.data[TRACEPARENT_BYTES] != '-'))
        return false;
    memcpy(out->text, id.data, id.len);
    out->text[id.len] = '\0';
    return true;
}

void qr_trace_id_draw(qr_random *random, qr_trace_id *out) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < 32; i += 16) {
        uint64_t bits = qr_random_next(random);
        for (size_t d = 0; d < 16; d++, bits >>= 4)
            out->text[i + d] = digits[bits & 15];
    }
    out->text[32] = '\0';
}
