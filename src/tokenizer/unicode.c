/* tokenizer/unicode.c: bisection in the generated tables, and Hangul by the formula. */
#include "tokenizer/unicode.h"

#define HANGUL_FIRST     0xAC00u
#define HANGUL_LEAD      0x1100u
#define HANGUL_VOWEL     0x1161u
#define HANGUL_TAIL      0x11A7u
#define HANGUL_PER_LEAD  588u
#define HANGUL_PER_VOWEL 28u

/* The only character whose lower case is two: I with a dot above. The generator checks that. */
#define DOTTED_CAPITAL_I 0x130u

size_t qr__unicode_to_lower(uint32_t code, uint32_t out[2]) {
    out[0] = code;
    if (code < 0x80) {
        out[0] = code - 'A' < 26u ? code | 0x20 : code;
        return 1;
    }
    if ((qr__unicode_flags(code) & QR__LOWER) == 0)
        return 1;
    if (code == DOTTED_CAPITAL_I) {
        out[0] = 'i';
        out[1] = 0x307;
        return 2;
    }
    size_t low = 0, high = qr__unicode_lowers_len;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (qr__unicode_lowers[middle].first <= code)
            low = middle;
        else
            high = middle;
    }
    out[0] = (uint32_t)((int32_t)code + qr__unicode_lowers[low].delta);
    return 1;
}

/* Unicode 15, 3.12: syllables are numbered by lead, vowel and tail. */
static size_t decompose_hangul(uint32_t syllable, uint32_t out[QR__DECOMPOSITION_MAX]) {
    out[0] = HANGUL_LEAD + syllable / HANGUL_PER_LEAD;
    out[1] = HANGUL_VOWEL + syllable % HANGUL_PER_LEAD / HANGUL_PER_VOWEL;
    uint32_t tail = syllable % HANGUL_PER_VOWEL;
    out[2] = HANGUL_TAIL + tail;
    return tail == 0 ? 2 : 3;
}

size_t qr__unicode_decompose(uint32_t code, uint32_t out[QR__DECOMPOSITION_MAX]) {
    if (qr__unicode_is_hangul(code))
        return decompose_hangul(code - HANGUL_FIRST, out);
    out[0] = code;
    if ((qr__unicode_flags(code) & QR__DECOMPOSES) == 0)
        return 1;
    size_t low = 0, high = qr__unicode_decompositions_len;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (qr__unicode_decompositions[middle].code <= code)
            low = middle;
        else
            high = middle;
    }
    const qr__unicode_decomposition *found = &qr__unicode_decompositions[low];
    for (size_t i = 0; i < found->len; i++)
        out[i] = qr__unicode_parts[found->at + i];
    return found->len;
}
