/* tokenizer/lower.c: whole texts in lower case, for comparing answers. (The normalizer lowers
 * character by character, as `tokenizers` does; a text as a whole also has the final sigma.) */
#include "tokenizer/tokenizer.h"
#include "tokenizer/unicode.h"

#define CAPITAL_SIGMA 0x3A3u
#define SMALL_SIGMA   0x3C3u
#define FINAL_SIGMA   0x3C2u

/* A letter of a script with case. Digits and marks have none; above U+2000 no script is written
 * beside sigma. */
static bool has_case(uint32_t code) {
    unsigned flags = qr__unicode_flags(code);
    return (flags & QR__WORD) != 0 && (flags & QR__MARK) == 0 && code < 0x2000 &&
           !(code >= '0' && code <= '9') && code != '_';
}

static bool is_mark(uint32_t code) {
    return (qr__unicode_flags(code) & QR__MARK) != 0;
}

/* Sigma is final behind a letter (marks between them do not count) and not before one. */
static bool is_final(qr_text text, size_t next, bool behind_letter) {
    size_t bytes;
    for (; next < text.len; next += bytes) {
        uint32_t code = qr_utf8_decode(text, next, &bytes);
        if (!is_mark(code))
            return behind_letter && !has_case(code);
    }
    return behind_letter;
}

void qr_unicode_lower(qr_text text, qr_buf *out) {
    bool behind_letter = false;
    for (size_t at = 0, bytes; at < text.len; at += bytes) {
        uint32_t lower[2], code = qr_utf8_decode(text, at, &bytes);
        size_t len = qr__unicode_to_lower(code, lower);
        if (code == CAPITAL_SIGMA)
            lower[0] = is_final(text, at + bytes, behind_letter) ? FINAL_SIGMA : SMALL_SIGMA;
        for (size_t i = 0; i < len; i++) {
            char utf8[4];
            const size_t bytes_len = qr_utf8_encode(lower[i], utf8);
            qr_buf_append(out, utf8, bytes_len);
        }
        if (!is_mark(code))
            behind_letter = has_case(code);
    }
}
