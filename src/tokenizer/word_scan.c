/* tokenizer/word_scan.c: a text into words: added tokens, normalization and the pre-tokenizer in
 * one pass.
 *
 * Plain ASCII words are lower-cased and hashed as they are scanned. At the first byte that is not
 * so plain (a byte from 0x80 on, a control character) the word is begun again in the general way,
 * which goes on up to the next ASCII white space: white space is a starter, so nothing on one side
 * of it changes what the other side becomes.
 */
#include <stdlib.h>

#include "tokenizer/tokenizer_internal.h"

typedef struct scan {
    const qr_tokenizer *tokenizer;
    qr_text text;
    qr_encoding *out;
    struct qr__scratch *scratch;
    size_t stop_len; /* of `out`: enough tokens */
    uint32_t words;  /* so far */
    qr__word word;   /* being built the general way */
} scan;

static bool has_enough(const scan *s) {
    return s->out->len > s->stop_len;
}

static qr_status add_token(scan *s, int32_t id, uint32_t begin, uint32_t end) {
    qr_status status = qr__encoding_fit(s->out, 1);
    if (status == QR_OK)
        qr__encoding_push(s->out, id, begin, end, s->words++);
    return status;
}

/* An empty word in the scratch memory. */
static void word_reset(scan *s) {
    s->word = (qr__word){.bytes = s->scratch->word,
                         .hash = QR__HASH_SEED,
                         .begin = s->scratch->begin,
                         .end = s->scratch->end};
}

static void word_put(scan *s, const qr__char *c) {
    qr__word *word = &s->word;
    if (word->chars == 0)
        word->first = c->begin;
    word->last = c->end;
    if (++word->chars > s->tokenizer->max_word_chars)
        return; /* unknown whatever follows; only its end still matters */
    char utf8[4];
    size_t n = qr_utf8_encode(c->code, utf8);
    for (size_t i = 0; i < n; i++) {
        s->scratch->word[word->len] = utf8[i];
        s->scratch->begin[word->len] = c->begin;
        s->scratch->end[word->len++] = c->end;
        word->hash = qr__hash_byte(word->hash, utf8[i]);
    }
}

/* What is gathered becomes pieces, and a new word begins. */
static qr_status word_end(scan *s) {
    if (s->word.chars == 0)
        return QR_OK;
    s->word.index = s->words++;
    qr_status status = qr__wordpiece(s->tokenizer, &s->word, s->out);
    word_reset(s);
    return status;
}

/* The pre-tokenizer, for one normalized character. */
static qr_status put_char(scan *s, const qr__char *c) {
    unsigned flags = qr__unicode_flags(c->code);
    if ((flags & (QR__SPACE | QR__PUNCTUATION)) == 0) {
        word_put(s, c);
        return QR_OK;
    }
    qr_status status = word_end(s);
    if (status != QR_OK || (flags & QR__SPACE) != 0)
        return status;
    word_put(s, c);
    return word_end(s);
}

/* Bytes [from, to) in the general way. */
static qr_status scan_general(scan *s, size_t from, size_t to) {
    qr__normalizer stream;
    qr__char c;
    qr__normalizer_init(&stream, &s->tokenizer->normalizer, s->text, from, to);
    word_reset(s);
    while (!has_enough(s) && qr__normalizer_next(&stream, &c)) {
        qr_status status = put_char(s, &c);
        if (status != QR_OK)
            return status;
    }
    return has_enough(s) ? QR_OK : word_end(s);
}

/* The ASCII word at *at, which is moved behind it; or the general span that it turns out to begin.
 */
static qr_status scan_word(scan *s, size_t *at, size_t to) {
    const qr_tokenizer *t = s->tokenizer;
    const uint8_t *bytes = (const uint8_t *)s->text.data;
    size_t from = *at, end = from, room = t->max_word_chars;
    char *word = s->scratch->word;
    uint64_t hash = QR__HASH_SEED;
    if (t->ascii_class[bytes[end]] == QR__ASCII_PUNCTUATION) {
        word[0] = (char)bytes[end];
        hash = qr__hash_byte(hash, word[0]);
        end++;
    } else {
        for (; end < to && t->ascii_class[bytes[end]] == QR__ASCII_LETTER; end++) {
            char letter = t->ascii_letter[bytes[end]];
            if (end - from < room)
                word[end - from] = letter;
            hash = qr__hash_byte(hash, letter);
        }
        if (end < to && t->ascii_class[bytes[end]] == QR__ASCII_SLOW) {
            while (end < to && t->ascii_class[bytes[end]] != QR__ASCII_SPACE)
                end++;
            *at = end;
            return scan_general(s, from, end);
        }
    }
    *at = end;
    return qr__wordpiece(t,
                         &(qr__word){.bytes = word,
                                     .len = end - from,
                                     .chars = end - from,
                                     .hash = hash,
                                     .first = (uint32_t)from,
                                     .last = (uint32_t)end,
                                     .index = s->words++},
                         s->out);
}

static qr_status scan_plain(scan *s, size_t from, size_t to) {
    qr_status status = QR_OK;
    while (from < to && status == QR_OK && !has_enough(s)) {
        if (s->tokenizer->ascii_class[(uint8_t)s->text.data[from]] == QR__ASCII_SPACE)
            from++;
        else
            status = scan_word(s, &from, to);
    }
    return status;
}

/* The text's normalized form into the scratch memory, with the origin of every byte. */
static qr_status normalize_whole(scan *s, size_t from, size_t to) {
    struct qr__scratch *scratch = s->scratch;
    qr__normalizer stream;
    qr__char c;
    scratch->text_len = 0;
    qr__normalizer_init(&stream, &s->tokenizer->normalizer, s->text, from, to);
    while (qr__normalizer_next(&stream, &c)) {
        qr_status status = qr__scratch_fit_text(scratch, scratch->text_len + 4);
        if (status != QR_OK)
            return status;
        size_t n = qr_utf8_encode(c.code, scratch->text + scratch->text_len);
        for (size_t i = 0; i < n; i++) {
            scratch->text_begin[scratch->text_len] = c.begin;
            scratch->text_end[scratch->text_len++] = c.end;
        }
    }
    return QR_OK;
}

/* Words of the normalized text's bytes [from, to). */
static qr_status scan_normalized(scan *s, size_t from, size_t to) {
    const struct qr__scratch *scratch = s->scratch;
    word_reset(s);
    for (size_t at = from, bytes; at < to && !has_enough(s); at += bytes) {
        qr__char c;
        c.code = qr__utf8_decode((qr_text){scratch->text, to}, at, &bytes);
        c.begin = scratch->text_begin[at];
        c.end = scratch->text_end[at];
        qr_status status = put_char(s, &c);
        if (status != QR_OK)
            return status;
    }
    return has_enough(s) ? QR_OK : word_end(s);
}

/* As scan_plain, for models with added tokens that are matched in the normalized text. */
static qr_status scan_with_normalized_tokens(scan *s, size_t from, size_t to) {
    qr_status status = normalize_whole(s, from, to);
    const struct qr__scratch *scratch = s->scratch;
    qr__pattern_search search = {.patterns = &s->tokenizer->normalized,
                                 .text = {scratch->text, scratch->text_len}};
    qr__match match;
    size_t at = 0;
    while (status == QR_OK && !has_enough(s) && qr__pattern_search_next(&search, &match)) {
        if (at < match.begin)
            status = scan_normalized(s, at, match.begin);
        if (status == QR_OK)
            status = add_token(s, match.id, scratch->text_begin[match.begin],
                               scratch->text_end[match.end - 1]);
        at = match.end;
    }
    return status == QR_OK ? scan_normalized(s, at, scratch->text_len) : status;
}

static qr_status scan_segment(scan *s, size_t from, size_t to) {
    if (s->tokenizer->normalized.len > 0)
        return scan_with_normalized_tokens(s, from, to);
    return scan_plain(s, from, to);
}

qr_status qr__encode_text(const qr_tokenizer *tokenizer, qr_text text, size_t enough,
                          qr_encoding *out) {
    if (text.len > UINT32_MAX - 8)
        return QR_TOO_LONG;
    if (out->scratch == NULL) {
        out->scratch = calloc(1, sizeof *out->scratch);
        if (out->scratch == NULL)
            return QR_NO_MEMORY;
        out->scratch->quota = out->quota;
    }
    qr_status status = qr__scratch_fit_word(out->scratch, 4 * tokenizer->max_word_chars + 4);
    scan s = {.tokenizer = tokenizer, .text = text, .out = out, .scratch = out->scratch};
    if (!qr_checked_add(out->len, enough, &s.stop_len))
        s.stop_len = SIZE_MAX;
    qr__pattern_search search = {.patterns = &tokenizer->raw, .text = text};
    qr__match match;
    size_t at = 0;
    while (status == QR_OK && !has_enough(&s) && qr__pattern_search_next(&search, &match)) {
        if (at < match.begin)
            status = scan_segment(&s, at, match.begin);
        if (status == QR_OK && !has_enough(&s))
            status = add_token(&s, match.id, (uint32_t)match.begin, (uint32_t)match.end);
        at = match.end;
    }
    if (status == QR_OK && at < text.len && !has_enough(&s))
        status = scan_segment(&s, at, text.len);
    return status;
}
