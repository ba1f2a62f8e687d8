/* tokenizer/unicode.h: what the tokenizer must know of a code point.
 *
 * The tables behind it are generated (unicode_tables.c) by asking the pinned `tokenizers` package
 * at every code point; tools/make_unicode_tables.py says how. Three array reads a code point; lower
 * case and decompositions, which few characters have, are found by bisection.
 */
#ifndef QR_TOKENIZER_UNICODE_H
#define QR_TOKENIZER_UNICODE_H

#include "base/base.h"

/* Bits of a record; tools/make_unicode_tables.py has the same list. */
#define QR__REMOVED     0x001u /* clean_text drops it */
#define QR__BLANK       0x002u /* clean_text turns it into a space */
#define QR__SPACE       0x004u /* the pre-tokenizer splits at it and drops it */
#define QR__PUNCTUATION 0x008u /* the pre-tokenizer makes it a word of its own */
#define QR__CHINESE     0x010u /* handle_chinese_chars puts spaces around it */
#define QR__MARK        0x020u /* strip_accents drops it */
#define QR__WORD        0x040u /* \w of a regular expression: matters to single_word added tokens */
#define QR__LOWER       0x080u /* has another lower case */
#define QR__DECOMPOSES  0x100u /* has a canonical decomposition (Hangul apart) */

typedef struct qr__unicode_record {
    uint16_t flags;
    uint8_t combining_class; /* canonical; 0: a starter */
} qr__unicode_record;

/** Code points with QR__LOWER from `first` on, up to the next row, have their lower case `delta`
 * away. */
typedef struct qr__unicode_lower {
    uint32_t first;
    int32_t delta;
} qr__unicode_lower;

typedef struct qr__unicode_decomposition {
    uint32_t code;
    uint16_t at; /* into qr__unicode_parts */
    uint16_t len;
} qr__unicode_decomposition;

extern const qr__unicode_record qr__unicode_records[];
extern const uint8_t qr__unicode_page_of[];
extern const uint8_t qr__unicode_record_of[];
extern const qr__unicode_lower qr__unicode_lowers[];
extern const size_t qr__unicode_lowers_len;
extern const qr__unicode_decomposition qr__unicode_decompositions[];
extern const size_t qr__unicode_decompositions_len;
extern const uint32_t qr__unicode_parts[];

/** `code` must be a scalar value, as qr_utf8_decode returns them. */
static inline qr__unicode_record qr__unicode_of(uint32_t code) {
    return qr__unicode_records[qr__unicode_record_of[(size_t)qr__unicode_page_of[code >> 7] << 7 |
                                                     (code & 127)]];
}

/** The QR__* bits of a code point. */
static inline unsigned qr__unicode_flags(uint32_t code) {
    return qr__unicode_of(code).flags;
}

/** Hangul syllables decompose by a formula and have no flag. */
static inline bool qr__unicode_is_hangul(uint32_t code) {
    return code - 0xAC00u < 11172u;
}

#define QR__DECOMPOSITION_MAX 4

/** qr_utf8_decode, with ASCII in line: most characters of most texts. */
static inline uint32_t qr__utf8_decode(qr_text text, size_t at, size_t *bytes) {
    uint8_t byte = (uint8_t)text.data[at];
    *bytes = 1;
    return byte < 0x80 ? byte : qr_utf8_decode(text, at, bytes);
}

/** Writes the lower case of `code` into out[0..1]; returns how many code points it is. */
size_t qr__unicode_to_lower(uint32_t code, uint32_t out[2]);

/** Writes the full canonical decomposition of `code` (itself when it has none); returns its length.
 */
size_t qr__unicode_decompose(uint32_t code, uint32_t out[QR__DECOMPOSITION_MAX]);

#endif
