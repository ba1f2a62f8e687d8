/* tokenizer/tokenizer_internal.h: private to tokenizer/: a loaded tokenizer inside, and the scratch
 * memory of an encoding. */
#ifndef QR_TOKENIZER_INTERNAL_H
#define QR_TOKENIZER_INTERNAL_H

#include "tokenizer/added.h"
#include "tokenizer/normalize.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/vocab.h"

#define QR__TEMPLATE_PIECES 32
#define QR__PIECE_FIRST     (-2) /* the first text */
#define QR__PIECE_SECOND    (-3)

/** What the post-processor lays out: special tokens and the two texts, in order. */
typedef struct qr__template {
    struct {
        int32_t what; /* a special token's id, or QR__PIECE_* */
        uint8_t type; /* segment of its tokens */
    } pieces[QR__TEMPLATE_PIECES];
    size_t len;
    size_t specials; /* pieces that are special tokens */
} qr__template;

/** Appends a piece; false when the template is full. */
bool qr__template_put(qr__template *layout, int32_t what, uint8_t type);

/** Sets both templates to BERT's: [CLS] A [SEP] and [CLS] A [SEP] B [SEP]. QR__NO_ID in place of an
 * id: without that special token. */
void qr__template_bert(qr_tokenizer *tokenizer, int32_t cls, int32_t sep);

/** The first special token in front of the first text, or behind it; QR__NO_ID: there is none. */
int32_t qr__template_special(const qr__template *layout, bool behind_text);

/** How the ASCII path treats a byte. */
enum { QR__ASCII_LETTER, QR__ASCII_SPACE, QR__ASCII_PUNCTUATION, QR__ASCII_SLOW };

struct qr_tokenizer {
    qr_tokenizer_info info;
    qr__normalizer_options normalizer;
    qr__vocab vocab;
    size_t max_word_chars;
    qr__patterns raw;        /* added tokens matched in the text as it came */
    qr__patterns normalized; /* ... and after normalization */
    qr__template single, pair;
    bool decoder_joins;  /* "##" joins tokens; otherwise there is a space before each */
    bool decoder_cleans; /* spaces before punctuation go */
    char decoder_prefix[64];
    size_t decoder_prefix_len;
    uint8_t ascii_class[256]; /* QR__ASCII_*; bytes from 0x80 on are SLOW */
    char ascii_letter[256];   /* what the byte is normalized to */
};

/** Memory that an encoding keeps from call to call: one word, and a normalized text where the model
 * has added tokens that are matched there. Each byte of both has the original bytes [begin, end)
 * that it stands for. */
struct qr__scratch {
    char *word;
    uint32_t *begin, *end; /* [word_capacity] */
    size_t word_capacity;
    char *text;
    uint32_t *text_begin, *text_end; /* [text_capacity] */
    size_t text_len, text_capacity;
    qr_quota *quota; /* its encoding's */
};

/** Makes room for a word of `bytes` bytes. What the room held is lost. QR_NO_MEMORY. */
QR_MUST_USE qr_status qr__scratch_fit_word(struct qr__scratch *scratch, size_t bytes);

/** Makes room for a normalized text of `bytes` bytes; its first text_len bytes stay. QR_NO_MEMORY;
 * QR_TOO_LONG above 64 MiB. */
QR_MUST_USE qr_status qr__scratch_fit_text(struct qr__scratch *scratch, size_t bytes);

/** Makes room for `more` tokens. QR_NO_MEMORY; QR_TOO_LONG above QR_LIMIT_TEXT_TOKENS. */
QR_MUST_USE qr_status qr__encoding_fit(qr_encoding *encoding, size_t more);

/** Appends one token; the caller has made room. Type and special flag are set later, by
 * qr__encoding_mark. */
static inline void qr__encoding_push(qr_encoding *encoding, int32_t id, uint32_t begin,
                                     uint32_t end, uint32_t word) {
    size_t at = encoding->len++;
    encoding->ids[at] = id;
    encoding->begin[at] = begin;
    encoding->end[at] = end;
    encoding->word[at] = word;
}

/** Appends tokens [from, to) of `source`, less type and special flag. As qr__encoding_fit. */
QR_MUST_USE qr_status qr__encoding_copy(qr_encoding *encoding, const qr_encoding *source,
                                        size_t from, size_t to);

/** Sets type and special flag of the tokens from `from` on. */
void qr__encoding_mark(qr_encoding *encoding, size_t from, uint8_t type, uint8_t special);

/** Takes tokens [from, to) out. */
void qr__encoding_drop(qr_encoding *encoding, size_t from, size_t to);

/** A normalized word, and where its bytes come from: byte i stands for the original bytes
 * [begin[i], end[i]), or, where these are NULL, for the original byte first + i. */
typedef struct qr__word {
    const char *bytes;
    size_t len;
    size_t chars;  /* code points; above max_word_chars the word is unknown, whatever its bytes */
    uint64_t hash; /* of all bytes */
    const uint32_t *begin, *end;
    uint32_t first, last; /* original bytes of the whole word: [first, last) */
    uint32_t index;       /* among the text's words */
} qr__word;

/** Appends the word's pieces, or the unknown token. As qr__encoding_fit. */
QR_MUST_USE qr_status qr__wordpiece(const qr_tokenizer *tokenizer, const qr__word *word,
                                    qr_encoding *out);

/** Appends the tokens of one text, added tokens inside it included, with word ids from 0; type and
 * special flag are left to the caller. Stops once more than `enough` were appended (SIZE_MAX:
 * never). QR_TOO_LONG: 4 GiB of text or more than QR_LIMIT_TEXT_TOKENS; QR_NO_MEMORY. */
QR_MUST_USE qr_status qr__encode_text(const qr_tokenizer *tokenizer, qr_text text, size_t enough,
                                      qr_encoding *out);

#endif
