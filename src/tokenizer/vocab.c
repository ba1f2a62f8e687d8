/* tokenizer/vocab.c: a hash table that is filled once at load and then only read. */
#include "tokenizer/vocab.h"

#include <stdlib.h>

#define TAG(hash) ((uint32_t)(hash >> 8))

static uint64_t hash_of(uint64_t hash, const char *bytes, size_t len) {
    for (size_t i = 0; i < len; i++)
        hash = qr__hash_byte(hash, bytes[i]);
    return hash;
}

/* A power of two of slots, at most half of them taken: a miss, which is what most lookups of
 * prefixes are, then ends after one or two. */
static bool make_slots(qr__vocab *vocab, size_t entries) {
    size_t count = 1024;
    unsigned bits = 10;
    while (count < entries * 2) {
        count *= 2;
        bits++;
    }
    vocab->slots = malloc(count * sizeof *vocab->slots);
    if (vocab->slots == NULL)
        return false;
    for (size_t i = 0; i < count; i++)
        vocab->slots[i] = (qr__vocab_slot){0, QR__NO_ID};
    vocab->mask = count - 1;
    vocab->shift = 64 - bits;
    return true;
}

bool qr__vocab_init(qr__vocab *vocab, qr_text prefix, size_t entries) {
    *vocab = (qr__vocab){0};
    qr_buf_init(&vocab->pool, QR_LIMIT_JSON_FILE_BYTES);
    if (prefix.len > sizeof vocab->prefix)
        return false;
    if (prefix.len > 0)
        memcpy(vocab->prefix, prefix.data, prefix.len);
    vocab->prefix_len = prefix.len;
    vocab->prefix_hash = hash_of(QR__HASH_SEED, prefix.data, prefix.len);
    return make_slots(vocab, qr_min(entries, QR_LIMIT_VOCAB));
}

void qr__vocab_deinit(qr__vocab *vocab) {
    qr_buf_deinit(&vocab->pool);
    free(vocab->tokens);
    free(vocab->slots);
    *vocab = (qr__vocab){0};
}

/* The slot that holds the text, or the free one where it belongs. */
static qr__vocab_slot *slot_of(const qr__vocab *vocab, uint64_t hash, qr_text text) {
    for (size_t at = (size_t)(hash >> vocab->shift);; at = (at + 1) & vocab->mask) {
        qr__vocab_slot *slot = &vocab->slots[at];
        if (slot->id == QR__NO_ID ||
            (slot->tag == TAG(hash) && qr_text_equal(qr__vocab_text(vocab, slot->id), text)))
            return slot;
    }
}

static bool grow_slots(qr__vocab *vocab) {
    if (vocab->entries * 2 <= vocab->mask)
        return true;
    qr__vocab_slot *old = vocab->slots;
    size_t old_count = vocab->mask + 1;
    if (!make_slots(vocab, old_count)) {
        vocab->slots = old;
        return false;
    }
    for (size_t i = 0; i < old_count; i++) {
        if (old[i].id == QR__NO_ID)
            continue;
        qr_text text = qr__vocab_text(vocab, old[i].id);
        *slot_of(vocab, hash_of(QR__HASH_SEED, text.data, text.len), text) = old[i];
    }
    free(old);
    return true;
}

static bool grow_tokens(qr__vocab *vocab, size_t id) {
    if (id < vocab->capacity)
        return true;
    size_t capacity = qr_max(qr_max(vocab->capacity * 2, id + 1), 1024);
    qr__token *tokens = realloc(vocab->tokens, capacity * sizeof *tokens);
    if (tokens == NULL)
        return false;
    memset(tokens + vocab->capacity, 0, (capacity - vocab->capacity) * sizeof *tokens);
    vocab->tokens = tokens;
    vocab->capacity = capacity;
    return true;
}

/* Lengths by first byte bound how far WordPiece must look; ids that are given again only raise
 * them. */
static void note_length(qr__vocab *vocab, qr_text text, bool continues) {
    uint16_t *whole = &vocab->longest[0][(uint8_t)text.data[0]];
    *whole = (uint16_t)qr_max(*whole, text.len);
    if (!continues || text.len == vocab->prefix_len)
        return;
    uint16_t *rest = &vocab->longest[1][(uint8_t)text.data[vocab->prefix_len]];
    *rest = (uint16_t)qr_max(*rest, text.len - vocab->prefix_len);
}

qr_status qr__vocab_add(qr__vocab *vocab, qr_text text, size_t id) {
    if (id >= QR_LIMIT_VOCAB || text.len == 0 || text.len > QR__TOKEN_BYTES)
        return QR_BAD_MODEL;
    if (id < vocab->len && vocab->tokens[id].len > 0)
        return qr_text_equal(qr__vocab_text(vocab, (int32_t)id), text) ? QR_OK : QR_BAD_MODEL;
    if (!grow_slots(vocab) || !grow_tokens(vocab, id))
        return QR_NO_MEMORY;
    uint64_t hash = hash_of(QR__HASH_SEED, text.data, text.len);
    qr__vocab_slot *slot = slot_of(vocab, hash, text);
    size_t at = vocab->pool.len;
    bool continues =
        text.len >= vocab->prefix_len && memcmp(text.data, vocab->prefix, vocab->prefix_len) == 0;
    if (slot->id != QR__NO_ID) { /* the same text again: its place moves to the new id */
        at = vocab->tokens[slot->id].at;
        vocab->tokens[slot->id] = (qr__token){0};
    } else {
        qr_buf_text(&vocab->pool, text);
        if (qr_buf_failed(&vocab->pool))
            return QR_NO_MEMORY;
        vocab->entries++;
    }
    vocab->tokens[id] =
        (qr__token){.at = (uint32_t)at, .len = (uint16_t)text.len, .continues = continues};
    vocab->len = qr_max(vocab->len, id + 1);
    *slot = (qr__vocab_slot){TAG(hash), (int32_t)id};
    note_length(vocab, text, continues);
    return QR_OK;
}

int32_t qr__vocab_find_piece(const qr__vocab *vocab, uint64_t hash, const char *bytes, size_t len,
                             bool continues) {
    size_t skip = continues ? vocab->prefix_len : 0;
    for (size_t at = (size_t)(hash >> vocab->shift);; at = (at + 1) & vocab->mask) {
        qr__vocab_slot slot = vocab->slots[at];
        if (slot.id == QR__NO_ID)
            return QR__NO_ID;
        if (slot.tag != TAG(hash))
            continue;
        const qr__token *token = &vocab->tokens[slot.id];
        if (token->len == len + skip && (token->continues || !continues) && !token->added &&
            memcmp(vocab->pool.data + token->at + skip, bytes, len) == 0)
            return slot.id;
    }
}

int32_t qr__vocab_find(const qr__vocab *vocab, qr_text text) {
    if (text.len == 0 || text.len > QR__TOKEN_BYTES)
        return QR__NO_ID;
    return slot_of(vocab, hash_of(QR__HASH_SEED, text.data, text.len), text)->id;
}
