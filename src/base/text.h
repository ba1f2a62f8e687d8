/* base/text.h: text is a pointer and a length; NUL ends it only at a library's border. */
#ifndef QR_BASE_TEXT_H
#define QR_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

/** A borrowed span of bytes, usually UTF-8. `data` may be NULL when `len` is 0. */
typedef struct qr_text {
    const char *data;
    size_t len;
} qr_text;

/** The text of a C string, borrowed; empty for NULL. */
static inline qr_text qr_text_of(const char *cstring) {
    return (qr_text){cstring, cstring == NULL ? 0 : strlen(cstring)};
}

/** Byte by byte; all empty texts are alike. */
static inline bool qr_text_equal(qr_text a, qr_text b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/** As qr_text_equal with a C string. */
static inline bool qr_text_is(qr_text a, const char *cstring) {
    return qr_text_equal(a, qr_text_of(cstring));
}

/** The same whatever the case of ASCII's letters. */
static inline bool qr_text_is_caseless(qr_text a, const char *cstring) {
    return a.len == strlen(cstring) && (a.len == 0 || strncasecmp(a.data, cstring, a.len) == 0);
}

/** The text without the blanks and tabs around it. */
static inline qr_text qr_text_trim(qr_text text) {
    while (text.len > 0 && (text.data[0] == ' ' || text.data[0] == '\t'))
        text = (qr_text){text.data + 1, text.len - 1};
    while (text.len > 0 && (text.data[text.len - 1] == ' ' || text.data[text.len - 1] == '\t'))
        text.len--;
    return text;
}

/** The value of a hexadecimal digit in either case; -1: it is none. */
static inline int qr_hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/** Decodes one code point at `text.data[at]` (at < text.len) and stores how many bytes it took.
 * Never reads past the text's end.
 *
 * Invalid UTF-8 follows one rule everywhere in querent: each maximal ill-formed subpart (Unicode
 * 15, 3.9, "U+FFFD substitution of maximal subparts"; what Rust's from_utf8_lossy and Python's
 * errors="replace" do) counts as one U+FFFD. */
uint32_t qr_utf8_decode(qr_text text, size_t at, size_t *bytes);

/** Writes `code` (a scalar value) as UTF-8 into out[0..3]; returns the bytes written. */
size_t qr_utf8_encode(uint32_t code, char out[4]);

/** True when the whole text is well-formed UTF-8. */
bool qr_utf8_valid(qr_text text);

/** Parses a decimal unsigned number that fills the whole text ("17"; no sign, no blanks). False,
 * with *out as it was, when it is not one or is above `max`. */
bool qr_text_to_u64(qr_text text, uint64_t max, uint64_t *out);

#endif
