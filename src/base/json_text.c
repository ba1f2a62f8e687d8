/* base/json_text.c: strings by spans that need no change, floats by qr_float_to_text, a block at a
 * time. */
#include "base/json_text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/checked.h"
#include "base/float_text.h"

/* Floats a reservation: bounds what a short array asks for, and costs one check for many floats. */
#define BLOCK_FLOATS 64u

/* One of the bytes that JSON must escape, in its short form where there is one. */
static void put_escape(qr_buf *out, unsigned char byte) {
    static const char short_forms[] = "btn\0fr"; /* of 8..13; 11 has none */
    static const char hex[] = "0123456789abcdef";
    if (byte == '"' || byte == '\\') {
        qr_buf_append(out, (const char[]){'\\', (char)byte}, 2);
    } else if (byte >= 8 && byte <= 13 && short_forms[byte - 8] != '\0') {
        qr_buf_append(out, (const char[]){'\\', short_forms[byte - 8]}, 2);
    } else {
        qr_buf_append(out, (const char[]){'\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 15]}, 6);
    }
}

/* The bytes at `at` that may be copied as they are; 0 when the next one may not. */
static size_t plain_bytes(qr_text text, size_t at) {
    size_t end = at;
    while (end < text.len) {
        unsigned char byte = (unsigned char)text.data[end];
        if (byte < 0x20 || byte == '"' || byte == '\\' || byte >= 0x80)
            break;
        end++;
    }
    return end - at;
}

void qr_json_text(qr_buf *out, qr_text text) {
    qr_buf_byte(out, '"');
    for (size_t at = 0; at < text.len;) {
        size_t bytes = plain_bytes(text, at);
        if (bytes > 0) {
            qr_buf_append(out, text.data + at, bytes);
        } else if ((unsigned char)text.data[at] < 0x80) {
            put_escape(out, (unsigned char)text.data[at]);
            bytes = 1;
        } else {
            char utf8[4];
            const size_t len = qr_utf8_encode(qr_utf8_decode(text, at, &bytes), utf8);
            qr_buf_append(out, utf8, len);
        }
        at += bytes;
    }
    qr_buf_byte(out, '"');
}

void qr_json_float(qr_buf *out, float number) {
    char *to = qr_buf_reserve(out, QR_FLOAT_TEXT_BYTES);
    if (to != NULL)
        out->len += qr_float_to_text(number, to);
}

void qr_json_double(qr_buf *out, double number) {
    char digits[32];
    if (!isfinite(number)) {
        qr_buf_literal(out, "null");
        return;
    }
    for (int precision = 15; precision <= 17; precision++) { /* 17 digits always read back */
        snprintf(digits, sizeof digits, "%.*g", precision, number);
        if (strtod(digits, NULL) == number)
            break;
    }
    qr_buf_text(out, qr_text_of(digits));
    if (strpbrk(digits, ".e") == NULL)
        qr_buf_literal(out, ".0");
}

void qr_json_floats(qr_buf *out, const float *numbers, size_t len) {
    qr_buf_byte(out, '[');
    for (size_t at = 0; at < len; at += BLOCK_FLOATS) {
        size_t end = qr_min(len, at + BLOCK_FLOATS);
        char *to = qr_buf_reserve(out, BLOCK_FLOATS * (QR_FLOAT_TEXT_BYTES + 1));
        if (to == NULL)
            return;
        char *start = to;
        for (size_t i = at; i < end; i++) {
            to += qr_float_to_text(numbers[i], to);
            *to++ = ',';
        }
        out->len += (size_t)(to - start) - (end == len ? 1 : 0);
    }
    qr_buf_byte(out, ']');
}
