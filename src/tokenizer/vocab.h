/* tokenizer/vocab.h: token text <-> id, and the lookup that WordPiece lives on.
 *
 * An open-addressing table over a hash that grows byte by byte, so that the hashes of all prefixes
 * of a word cost one pass. A continuing piece ("##ing") is looked up without building its text: the
 * hash starts from that of the prefix. Longest tokens by first byte bound how far a search must
 * try.
 */
#ifndef QR_TOKENIZER_VOCAB_H
#define QR_TOKENIZER_VOCAB_H

#include "base/base.h"

#define QR__NO_ID       (-1)
#define QR__TOKEN_BYTES 1024u /* longest token that is taken */

typedef struct qr__token {
    uint32_t at;    /* into the pool */
    uint16_t len;   /* 0: no such id */
    bool continues; /* begins with the continuing prefix */
    bool special;   /* decode may skip it */
    bool added;     /* no piece of words: an added token that the model's vocabulary lacks */
} qr__token;

typedef struct qr__vocab_slot {
    uint32_t tag; /* of the hash, so that most misses need no look at the text */
    int32_t id;
} qr__vocab_slot;

typedef struct qr__vocab {
    qr_buf pool;       /* all texts, one behind the other */
    qr__token *tokens; /* by id; owned */
    size_t len;        /* highest id + 1 */
    size_t capacity;
    qr__vocab_slot *slots; /* owned */
    size_t mask;
    unsigned shift;
    size_t entries; /* texts in the table */
    size_t blanks;  /* 1: the file also has the empty text, which counts but is never matched */
    char prefix[64];
    size_t prefix_len;
    uint64_t prefix_hash;
    /* [continues][first byte]: bytes of the longest such token, less the prefix. */
    uint16_t longest[2][256];
} qr__vocab;

#define QR__HASH_SEED 0x243F6A8885A308D3ull

/** One byte more into a hash (FNV-1a's form with a 64-bit golden ratio as factor): one
 * multiplication a byte. The high bits are the well mixed ones. */
static inline uint64_t qr__hash_byte(uint64_t hash, char byte) {
    return (hash ^ (uint8_t)byte) * 0x9E3779B97F4A7C15ull;
}

/** An empty vocabulary with room for `entries` texts; it grows beyond that. False: no memory, or a
 * prefix that is too long. Deinit it also then. */
bool qr__vocab_init(qr__vocab *vocab, qr_text prefix, size_t entries);

/** Frees all; of a zeroed vocabulary too. */
void qr__vocab_deinit(qr__vocab *vocab);

/** Gives `text` the id `id` (an earlier id of the same text is forgotten, as in a map).
 * QR_BAD_MODEL: the id has another text, or is above QR_LIMIT_VOCAB, or the text is empty or too
 * long; QR_NO_MEMORY. */
QR_MUST_USE qr_status qr__vocab_add(qr__vocab *vocab, qr_text text, size_t id);

/** The id of the piece `prefix` (when `continues`) + bytes[0..len), whose hash is `hash`; QR__NO_ID
 * when there is none. Added tokens are not found. */
int32_t qr__vocab_find_piece(const qr__vocab *vocab, uint64_t hash, const char *bytes, size_t len,
                             bool continues);

/** The id of a token, added ones included. */
int32_t qr__vocab_find(const qr__vocab *vocab, qr_text text);

/** The text of an id; empty when there is none. */
static inline qr_text qr__vocab_text(const qr__vocab *vocab, int32_t id) {
    if (id < 0 || (size_t)id >= vocab->len)
        return (qr_text){NULL, 0};
    return (qr_text){vocab->pool.data + vocab->tokens[id].at, vocab->tokens[id].len};
}

#endif
