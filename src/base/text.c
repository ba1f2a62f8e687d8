/* base/text.c: UTF-8 in and out, and numbers in text. */
#include "base/text.h"

#define REPLACEMENT 0xFFFDu

/* The bounds of a second byte depend on the first (Unicode 15, table 3-7); all later bytes
 * are 80..BF. */
typedef struct lead {
    uint8_t length;
    uint8_t low, high;
} lead;

static lead lead_of(uint8_t byte) {
    if (byte >= 0xC2 && byte <= 0xDF)
        return (lead){2, 0x80, 0xBF};
    if (byte == 0xE0)
        return (lead){3, 0xA0, 0xBF};
    if (byte == 0xED)
        return (lead){3, 0x80, 0x9F};
    if (byte >= 0xE1 && byte <= 0xEF)
        return (lead){3, 0x80, 0xBF};
    if (byte == 0xF0)
        return (lead){4, 0x90, 0xBF};
    if (byte >= 0xF1 && byte <= 0xF3)
        return (lead){4, 0x80, 0xBF};
    if (byte == 0xF4)
        return (lead){4, 0x80, 0x8F};
    return (lead){0, 0, 0};
}

/* As qr_utf8_decode, and says whether the bytes were well-formed. */
static uint32_t decode(qr_text text, size_t at, size_t *bytes, bool *valid) {
    const uint8_t *p = (const uint8_t *)text.data + at;
    size_t left = text.len - at;
    *valid = true;
    if (p[0] < 0x80) {
        *bytes = 1;
        return p[0];
    }
    lead first = lead_of(p[0]);
    if (first.length == 0) {
        *bytes = 1;
        *valid = false;
        return REPLACEMENT;
    }
    uint32_t code = p[0] & (0x7Fu >> first.length);
    for (size_t i = 1; i < first.length; i++) {
        uint8_t low = i == 1 ? first.low : 0x80, high = i == 1 ? first.high : 0xBF;
        if (i >= left || p[i] < low || p[i] > high) {
            *bytes = i; /* the maximal subpart ends before the byte that does not fit */
            *valid = false;
            return REPLACEMENT;
        }
        code = code << 6 | (p[i] & 0x3Fu);
    }
    *bytes = first.length;
    return code;
}

uint32_t qr_utf8_decode(qr_text text, size_t at, size_t *bytes) {
    bool valid;
    return decode(text, at, bytes, &valid);
}

size_t qr_utf8_encode(uint32_t code, char out[4]) {
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xC0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3F));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xE0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3F));
        out[2] = (char)(0x80 | (code & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3F));
    out[2] = (char)(0x80 | (code >> 6 & 0x3F));
    out[3] = (char)(0x80 | (code & 0x3F));
    return 4;
}

bool qr_utf8_valid(qr_text text) {
    for (size_t at = 0, bytes; at < text.len; at += bytes) {
        bool valid;
        decode(text, at, &bytes, &valid);
        if (!valid)
            return false;
    }
    return true;
}

bool qr_text_to_u64(qr_text text, uint64_t max, uint64_t *out) {
    if (text.len == 0 || text.len > 20)
        return false;
    uint64_t number = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        if (__builtin_mul_overflow(number, 10u, &number) ||
            __builtin_add_overflow(number, (uint64_t)(text.data[i] - '0'), &number))
            return false;
    }
    if (number > max)
        return false;
    *out = number;
    return true;
}
