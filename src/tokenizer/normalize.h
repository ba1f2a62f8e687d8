/* tokenizer/normalize.h: BertNormalizer as a stream: one normalized character at a time, each with
 * the bytes of the original text that it stands for.
 *
 *     qr__normalizer stream;
 *     qr__char c;
 *     qr__normalizer_init(&stream, &options, text, from, to);
 *     while (qr__normalizer_next(&stream, &c)) ...
 *
 * clean_text, then spaces around Chinese characters, then NFD without nonspacing marks, then lower
 * case; needs no memory of its own, however long a run of combining marks is.
 */
#ifndef QR_TOKENIZER_NORMALIZE_H
#define QR_TOKENIZER_NORMALIZE_H

#include "base/base.h"
#include "tokenizer/unicode.h"

typedef struct qr__normalizer_options {
    bool clean_text;
    bool handle_chinese_chars;
    bool strip_accents;
    bool lowercase;
} qr__normalizer_options;

typedef struct qr__char {
    uint32_t code;
    uint32_t begin, end; /* bytes of the original text */
} qr__char;

/* A place in the text between two characters that clean_text keeps. */
typedef struct qr__cursor {
    size_t at;
    uint8_t chinese; /* 1: the character at `at` is still to come, 2: the space behind it */
} qr__cursor;

/* The decomposed marks behind a starter, in the order of the text. */
typedef struct qr__run {
    qr__cursor cursor; /* behind the character whose parts are below */
    uint32_t parts[QR__DECOMPOSITION_MAX];
    uint8_t at, len;
} qr__run;

typedef struct qr__normalizer {
    qr_text text; /* borrowed; ends where the stream ends */
    qr__normalizer_options options;
    qr__cursor cursor;
    qr__char queue[2 * QR__DECOMPOSITION_MAX]; /* ready to be handed out */
    uint8_t queue_at, queue_len;
    qr__char lead;       /* the last character with a starter in it; end is 0 before the first */
    qr__cursor run_from; /* behind it */
    /* Set while a run of marks is handed out in canonical order, one combining class after the
     * other. */
    bool sorting;
    unsigned combining_class;
    qr__run run;
    qr__cursor replaced_cursor; /* behind `replaced` */
    qr__char replaced;
} qr__normalizer;

/** A stream over bytes [from, to) of `text` (borrowed; offsets count from its begin). `from` must
 * lie at a character's begin. */
void qr__normalizer_init(qr__normalizer *stream, const qr__normalizer_options *options,
                         qr_text text, size_t from, size_t to);

/** The next normalized character; false at the end. */
bool qr__normalizer_next(qr__normalizer *stream, qr__char *out);

#endif
