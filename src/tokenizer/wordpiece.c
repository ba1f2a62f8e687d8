/* tokenizer/wordpiece.c: a word into pieces, the longest first.
 *
 * Most words of a query are tokens themselves and cost one lookup, with the hash that the scan
 * already has. Otherwise the hashes of all prefixes come from one pass over at most the longest
 * token that begins with that byte, and are tried from the longest down.
 */
#include "tokenizer/tokenizer_internal.h"

/* Pieces end where characters do, not within their bytes. */
static bool is_boundary(const qr__word *word, size_t at) {
    return at == word->len || ((uint8_t)word->bytes[at] & 0xC0) != 0x80;
}

/* The longest token that the word has at `from`; its length in *len. */
static int32_t longest_piece(const qr__vocab *vocab, const qr__word *word, size_t from,
                             size_t *len) {
    bool continues = from > 0;
    uint64_t hashes[QR__TOKEN_BYTES];
    uint16_t lengths[QR__TOKEN_BYTES];
    size_t candidates = 0;
    size_t most = qr_min(word->len - from, vocab->longest[continues][(uint8_t)word->bytes[from]]);
    uint64_t hash = continues ? vocab->prefix_hash : QR__HASH_SEED;
    for (size_t i = 0; i < most; i++) {
        hash = qr__hash_byte(hash, word->bytes[from + i]);
        if (!is_boundary(word, from + i + 1))
            continue;
        hashes[candidates] = hash;
        lengths[candidates++] = (uint16_t)(i + 1);
    }
    while (candidates-- > 0) {
        int32_t id = qr__vocab_find_piece(vocab, hashes[candidates], word->bytes + from,
                                          lengths[candidates], continues);
        if (id != QR__NO_ID) {
            *len = lengths[candidates];
            return id;
        }
    }
    return QR__NO_ID;
}

qr_status qr__wordpiece(const qr_tokenizer *tokenizer, const qr__word *word, qr_encoding *out) {
    const qr__vocab *vocab = &tokenizer->vocab;
    qr_status status = qr__encoding_fit(out, 1);
    if (status != QR_OK)
        return status;
    bool known = word->chars <= tokenizer->max_word_chars;
    if (known && word->len <= vocab->longest[0][(uint8_t)word->bytes[0]]) {
        int32_t id = qr__vocab_find_piece(vocab, word->hash, word->bytes, word->len, false);
        if (id != QR__NO_ID) {
            qr__encoding_push(out, id, word->first, word->last, word->index);
            return QR_OK;
        }
    }
    size_t before = out->len;
    for (size_t from = 0, len; known && from < word->len; from += len) {
        int32_t id = longest_piece(vocab, word, from, &len);
        if (id == QR__NO_ID) {
            known = false;
            break;
        }
        status = qr__encoding_fit(out, 1);
        if (status != QR_OK)
            return status;
        uint32_t begin = word->begin == NULL ? word->first + (uint32_t)from : word->begin[from];
        uint32_t end = word->begin == NULL ? begin + (uint32_t)len : word->end[from + len - 1];
        qr__encoding_push(out, id, begin, end, word->index);
    }
    if (!known) {
        out->len = before;
        qr__encoding_push(out, tokenizer->info.unk_id, word->first, word->last, word->index);
    }
    return QR_OK;
}
