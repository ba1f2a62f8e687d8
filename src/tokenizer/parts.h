/* tokenizer/parts.h: a loaded tokenizer inside, and the scratch memory of an encoding. */
#ifndef QR_TOKENIZER_PARTS_H
#define QR_TOKENIZER_PARTS_H

#include "tokenizer/added.h"
#include "tokenizer/normalize.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/vocab.h"

/* What the post-processor lays out: special tokens and the two texts, in order. */
#define QR__TEMPLATE_PIECES 32
#define QR__NO_PIECE        QR__NO_ID
#define QR__PIECE_FIRST     (-2) /* the first text; an id otherwise */
#define QR__PIECE_SECOND    (-3)

typedef struct qr__template {
    struct {
        int32_t what;
        uint8_t type;
    } pieces[QR__TEMPLATE_PIECES];
    size_t len;
    size_t specials;
} qr__template;

/* How the ASCII path treats a byte. */
enum { QR__ASCII_LETTER, QR__ASCII_SPACE, QR__ASCII_PUNCTUATION, QR__ASCII_SLOW };

struct qr_tokenizer {
    qr_tokenizer_info info;
    qr__normalizer_options normalizer;
    qr__vocab vocab;
    size_t max_word_chars;
    qr__patterns raw;        /* added tokens matched in the text as it came */
    qr__patterns normalized; /* ... and after normalization */
    qr__template single, pair;
    bool decoder_joins; /* the WordPiece decoder; otherwise tokens are put together with spaces */
    bool decoder_cleans;
    char decoder_prefix[64];
    size_t decoder_prefix_len;
    uint8_t ascii_class[256]; /* QR__ASCII_*; bytes from 0x80 on are SLOW */
    char ascii_letter[256];   /* what the byte is normalized to */
};

/* Memory that an encoding keeps from call to call: one word, and a normalized text where the model
 * has added tokens that are matched there. */
struct qr__scratch {
    char *word;
    uint32_t *begin, *end; /* [word_capacity], original bytes of each byte of the word */
    size_t word_capacity;
    char *text;
    uint32_t *text_begin, *text_end;
    size_t text_len, text_capacity;
};

/** Makes `bytes` of room for a word, or for the normalized text. QR_NO_MEMORY, QR_TOO_LONG. */
QR_MUST_USE qr_status qr__scratch_fit_word(struct qr__scratch *scratch, size_t bytes);
QR_MUST_USE qr_status qr__scratch_fit_text(struct qr__scratch *scratch, size_t bytes);

/** Room for `more` tokens. QR_TOO_LONG above QR_LIMIT_TEXT_TOKENS. */
QR_MUST_USE qr_status qr__encoding_fit(qr_encoding *encoding, size_t more);

/** Appends one token; the caller has made room. Type and special flag are the template's business.
 */
static inline void qr__encoding_push(qr_encoding *encoding, int32_t id, uint32_t begin,
                                     uint32_t end, uint32_t word) {
    size_t at = encoding->len++;
    encoding->ids[at] = id;
    encoding->begin[at] = begin;
    encoding->end[at] = end;
    encoding->word[at] = word;
}

/** Appends tokens [from, to) of `source`. */
QR_MUST_USE qr_status qr__encoding_copy(qr_encoding *encoding, const qr_encoding *source,
                                        size_t from, size_t to);

/** Sets type and special flag of the tokens from `from` on. */
void qr__encoding_mark(qr_encoding *encoding, size_t from, uint8_t type, uint8_t special);

/** Takes tokens [from, to) out. */
void qr__encoding_drop(qr_encoding *encoding, size_t from, size_t to);

/* A normalized word, and where its bytes come from. */
typedef struct qr__word {
    const char *bytes;
    size_t len;
    size_t chars;
    uint64_t hash; /* of all bytes */
    const uint32_t *begin,
        *end;             /* original bytes, by byte; NULL: byte i is original byte first + i */
    uint32_t first, last; /* original bytes of the whole word: [first, last) */
    uint32_t index;
} qr__word;

/** Appends the word's pieces, or the unknown token. */
QR_MUST_USE qr_status qr__wordpiece(const qr_tokenizer *tokenizer, const qr__word *word,
                                    qr_encoding *out);

/** Appends the tokens of one text, specials and added tokens inside it included, with word ids from
 * 0; types and special are left to the caller. Stops once more than `enough` were appended
 * (SIZE_MAX: never). */
QR_MUST_USE qr_status qr__encode_text(const qr_tokenizer *tokenizer, qr_text text, size_t enough,
                                      qr_encoding *out);

#endif
