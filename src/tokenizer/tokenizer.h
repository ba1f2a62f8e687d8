/* tokenizer/tokenizer.h: text to token ids, token for token what Hugging Face's `tokenizers` gives
 * for BERT.
 *
 *     qr_tokenizer *tokenizer;
 *     qr_encoding encoding = {0};
 *     qr_tokenizer_load("models/minilm", &tokenizer, &error);
 *     qr_tokenizer_encode(tokenizer, qr_text_of("how tall is everest"), NULL,
 *                         &(qr_encode_options){.special = true, .max_tokens = 256}, &encoding);
 *     // encoding.ids[0 .. encoding.len)
 *     qr_encoding_deinit(&encoding);
 *     qr_tokenizer_destroy(tokenizer);
 *
 * Threads: a loaded tokenizer is const and may be shared; an encoding belongs to one thread at a
 * time.
 */
#ifndef QR_TOKENIZER_H
#define QR_TOKENIZER_H

#include "base/base.h"

typedef struct qr_tokenizer qr_tokenizer;

/** What the tokenizer's files said. */
typedef struct qr_tokenizer_info {
    size_t vocab; /* ids, added tokens included: highest id + 1 */
    bool lowercase;
    bool strip_accents; /* resolved: as lowercase when the file leaves it open */
    bool clean_text;
    bool handle_chinese_chars;
    int32_t cls_id, sep_id, pad_id, unk_id;
    size_t model_max_length; /* of tokenizer_config.json; 0 when absent or "very large" */
    char source[32];         /* "tokenizer.json" or "vocab.txt" */
} qr_tokenizer_info;

/** Loads `dir`/tokenizer.json, or vocab.txt with tokenizer_config.json and special_tokens_map.json.
 * Padding and truncation stored in tokenizer.json are ignored. QR_BAD_MODEL names file, place and
 * hint; QR_IO, QR_TOO_LARGE, QR_NO_MEMORY. *out: returns owned. */
QR_MUST_USE qr_status qr_tokenizer_load(const char *dir, qr_tokenizer **out, qr_error *error);

/** Nobody may be encoding with it any more. NULL is allowed. */
void qr_tokenizer_destroy(qr_tokenizer *tokenizer);

/** What was loaded; lives as long as the tokenizer. */
const qr_tokenizer_info *qr_tokenizer_get_info(const qr_tokenizer *tokenizer);

/** The token's text in the vocabulary ("##ing"), or an empty text for an unknown id. Borrowed. */
qr_text qr_tokenizer_token(const qr_tokenizer *tokenizer, int32_t id);

#define QR_NO_WORD UINT32_MAX

/** Tokens of one text or one pair; parallel arrays of `len`. Zero-initialise; arrays are owned,
 * grow and are reused by the next encode. */
typedef struct qr_encoding {
    int32_t *ids;
    uint8_t *types;   /* 0: first text and its specials, 1: second text and the last [SEP] */
    uint8_t *special; /* 1: [CLS] or [SEP] put there by the post-processor */
    uint32_t *begin;  /* byte offsets into the original text (of the first or second text); */
    uint32_t *end;    /*   both 0 for specials */
    uint32_t *word;   /* the pre-tokenizer's word within its text; QR_NO_WORD for specials */
    size_t len, capacity;
    bool truncated;
    qr_quota *quota; /* from which its memory is taken (borrowed); set before it has any, or NULL */
    struct qr__scratch *scratch; /* the encoder's own; owned */
} qr_encoding;

typedef enum qr_truncation {
    QR_TRUNCATE_LONGEST_FIRST,
    QR_TRUNCATE_ONLY_FIRST,
    QR_TRUNCATE_ONLY_SECOND
} qr_truncation;

typedef struct qr_encode_options {
    bool special;      /* add [CLS] and [SEP] */
    size_t max_tokens; /* longest encoding, specials included; 0: no limit */
    qr_truncation truncation;
    bool truncate_left; /* drop from the beginning instead of the end */
} qr_encode_options;

/** Encodes `text` (and `pair`, when not NULL). Bytes may be anything: invalid UTF-8 follows
 * qr_utf8_decode's rule. QR_TOO_LONG: above QR_LIMIT_TEXT_TOKENS, or max_tokens leaves no room for
 * the specials or (ONLY_*) the other text; QR_NO_MEMORY. On failure `out->len` is 0. */
QR_MUST_USE qr_status qr_tokenizer_encode(const qr_tokenizer *tokenizer, qr_text text,
                                          const qr_text *pair, const qr_encode_options *options,
                                          qr_encoding *out);

/** The first text of many pairs, tokenized once. Zero-initialise; its memory is reused. */
typedef struct qr_first_text {
    qr_encoding kept; /* the encoder's own: the tokens that a pair may hold */
    size_t len;       /* of all its tokens, as far as it matters */
} qr_first_text;

/** Tokenizes the first text of pairs that are all encoded with these options. QR_TOO_LONG: as
 * qr_tokenizer_encode; QR_NO_MEMORY. */
QR_MUST_USE qr_status qr_tokenizer_encode_first(const qr_tokenizer *tokenizer, qr_text text,
                                                const qr_encode_options *options,
                                                qr_first_text *out);

/** Encodes a pair to what qr_tokenizer_encode gives for both texts; `options` are those that its
 * `first` was made with. Errors as there. */
QR_MUST_USE qr_status qr_tokenizer_encode_pair(const qr_tokenizer *tokenizer,
                                               const qr_first_text *first, qr_text second,
                                               const qr_encode_options *options, qr_encoding *out);

/** Frees the tokens and zeroes the struct; NULL is allowed. */
void qr_first_text_deinit(qr_first_text *first);

/** Frees the arrays and zeroes the encoding; NULL is allowed. */
void qr_encoding_deinit(qr_encoding *encoding);

/** A passage cut into overlapping windows beside its question: [CLS] question [SEP] part [SEP]. */
typedef struct qr_windows {
    qr_encoding *items;
    size_t len;
    size_t capacity;
    qr_encoding question, context; /* the encoder's own: both texts before they are cut */
    bool same_question;            /* set: the next question is the last one, for windows as long */
} qr_windows;

/** Encodes (question, context) with truncation only_second, `max_tokens` a window and `stride`
 * tokens of overlap, as `tokenizers` does with return_overflowing_tokens. QR_TOO_LONG: the question
 * leaves no room for more than `stride` tokens, or above QR_LIMIT_WINDOWS or _WINDOW_TOKENS.
 * Zero-initialise `out`; its memory is reused. */
QR_MUST_USE qr_status qr_tokenizer_encode_windows(const qr_tokenizer *tokenizer, qr_text question,
                                                  qr_text context, size_t max_tokens, size_t stride,
                                                  qr_windows *out);

/** Encodes one text as windows of `max_tokens` that share `stride` tokens, specials in each, at
 * most `most` of them: with 1 the text is truncated. They hold it as their context. QR_TOO_LONG: no
 * room for more than `stride` tokens, or above QR_LIMIT_WINDOWS or _WINDOW_TOKENS. */
QR_MUST_USE qr_status qr_tokenizer_encode_parts(const qr_tokenizer *tokenizer, qr_text text,
                                                size_t max_tokens, size_t stride, size_t most,
                                                qr_windows *out);

/** Frees all windows and zeroes the struct; NULL is allowed. */
void qr_windows_deinit(qr_windows *windows);

/** Appends the text that the ids stand for, as `tokenizers`' WordPiece decoder with clean-up: "##"
 * joins, spaces before punctuation go. Unknown ids are skipped. */
void qr_tokenizer_decode(const qr_tokenizer *tokenizer, const int32_t *ids, size_t len,
                         bool skip_special, qr_buf *out);

/** Appends one token's text as that decoder does, behind others unless it is the `first`. */
void qr_tokenizer_decode_token(const qr_tokenizer *tokenizer, qr_text token, bool first,
                               qr_buf *out);

/** Appends `text` in lower case by Unicode's full mappings and with the final sigma, as Python's
 * str.lower(). */
void qr_unicode_lower(qr_text text, qr_buf *out);

#endif
