/* tokenizer/added.h: tokens that are found in the text before words are.
 *
 * Two sets: tokens matched in the raw text ("[MASK]"), and tokens whose normalized form is matched
 * in the normalized text. In each the leftmost, then the longest match wins, as in the package.
 */
#ifndef QR_TOKENIZER_ADDED_H
#define QR_TOKENIZER_ADDED_H

#include "base/base.h"

/** One added token as the model's files give it; the text is borrowed. */
typedef struct qr__added_token {
    qr_text content;
    bool single_word, lstrip, rstrip, normalized, special;
} qr__added_token;

typedef struct qr__pattern {
    char *text; /* owned */
    size_t len;
    int32_t id;
    uint32_t order; /* of its adding: of equal texts the first one stays */
    bool single_word, lstrip, rstrip;
} qr__pattern;

typedef struct qr__patterns {
    qr__pattern *items; /* sorted by text once sealed; owned */
    size_t len;
    size_t capacity;
    uint32_t first_at[257]; /* items that begin with byte b: [first_at[b], first_at[b + 1]) */
    int only_first;         /* the byte that they all begin with; -1 when there are several */
} qr__patterns;

/** Frees all; of a zeroed set too. */
void qr__patterns_deinit(qr__patterns *patterns);

/** Adds a copy of `text` (not empty), to be matched as `token`'s flags say. False: no memory. */
bool qr__patterns_add(qr__patterns *patterns, qr_text text, int32_t id,
                      const qr__added_token *token);

/** Sorts, and drops all but the first of equal texts; to be called once, after the last add. */
void qr__patterns_seal(qr__patterns *patterns);

typedef struct qr__match {
    size_t begin, end; /* white space taken in by lstrip and rstrip included */
    int32_t id;
} qr__match;

/** A search through one text: patterns and text are borrowed, the rest begins as 0. */
typedef struct qr__pattern_search {
    const qr__patterns *patterns;
    qr_text text;
    size_t at;   /* where the search goes on */
    size_t done; /* where the last match ended, white space that it took in included */
} qr__pattern_search;

/** The next match that counts; false when there is none. */
bool qr__pattern_search_next(qr__pattern_search *search, qr__match *out);

#endif
