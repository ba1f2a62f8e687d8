/* tokenizer/encoding.c: the memory of encodings. The six arrays share one block, so that growing is
 * one allocation. */
#include <stdlib.h>

#include "tokenizer/tokenizer_internal.h"

#define FIRST_TOKENS 64u
#define TOKEN_BYTES  (4 * sizeof(uint32_t) + 2)
#define BYTE_BYTES   (2 * sizeof(uint32_t) + 1) /* of a text beside its offsets */
/* A normalized text beside its offsets: only for models whose added tokens are matched after
 * normalization. */
#define NORMALIZED_MAX_BYTES ((size_t)64 << 20)

/* NULL: the quota or the system has no more. */
static void *take(qr_quota *quota, size_t bytes) {
    if (!qr_quota_take(quota, bytes, bytes))
        return NULL;
    void *block = malloc(bytes);
    if (block == NULL)
        qr_quota_give(quota, bytes);
    return block;
}

static void give(qr_quota *quota, void *block, size_t bytes) {
    free(block);
    qr_quota_give(quota, bytes);
}

/* Points the arrays into `block`. */
static void lay_out(qr_encoding *encoding, void *block, size_t capacity) {
    encoding->ids = block;
    encoding->begin = (uint32_t *)block + capacity;
    encoding->end = encoding->begin + capacity;
    encoding->word = encoding->end + capacity;
    encoding->types = (uint8_t *)(encoding->word + capacity);
    encoding->special = encoding->types + capacity;
    encoding->capacity = capacity;
}

qr_status qr__encoding_fit(qr_encoding *encoding, size_t more) {
    size_t need;
    if (!qr_checked_add(encoding->len, more, &need) || need > QR_LIMIT_TEXT_TOKENS)
        return QR_TOO_LONG;
    if (need <= encoding->capacity)
        return QR_OK;
    size_t capacity = qr_max(qr_max(need, encoding->capacity * 2), FIRST_TOKENS);
    capacity = qr_min(capacity, QR_LIMIT_TEXT_TOKENS);
    void *block = take(encoding->quota, capacity * TOKEN_BYTES);
    if (block == NULL)
        return QR_NO_MEMORY;
    qr_encoding old = *encoding;
    lay_out(encoding, block, capacity);
    if (old.len > 0) {
        memcpy(encoding->ids, old.ids, old.len * sizeof *old.ids);
        memcpy(encoding->begin, old.begin, old.len * sizeof *old.begin);
        memcpy(encoding->end, old.end, old.len * sizeof *old.end);
        memcpy(encoding->word, old.word, old.len * sizeof *old.word);
        memcpy(encoding->types, old.types, old.len);
        memcpy(encoding->special, old.special, old.len);
    }
    give(old.quota, old.ids, old.capacity * TOKEN_BYTES);
    return QR_OK;
}

qr_status qr__encoding_copy(qr_encoding *encoding, const qr_encoding *source, size_t from,
                            size_t to) {
    size_t n = to - from, at = encoding->len;
    qr_status status = qr__encoding_fit(encoding, n);
    if (status != QR_OK || n == 0)
        return status;
    memcpy(encoding->ids + at, source->ids + from, n * sizeof *source->ids);
    memcpy(encoding->begin + at, source->begin + from, n * sizeof *source->begin);
    memcpy(encoding->end + at, source->end + from, n * sizeof *source->end);
    memcpy(encoding->word + at, source->word + from, n * sizeof *source->word);
    encoding->len += n;
    return QR_OK;
}

void qr__encoding_mark(qr_encoding *encoding, size_t from, uint8_t type, uint8_t special) {
    size_t n = encoding->len - from;
    if (n == 0)
        return;
    memset(encoding->types + from, type, n);
    memset(encoding->special + from, special, n);
}

void qr__encoding_drop(qr_encoding *encoding, size_t from, size_t to) {
    size_t tail = encoding->len - to;
    if (from == to)
        return;
    memmove(encoding->ids + from, encoding->ids + to, tail * sizeof *encoding->ids);
    memmove(encoding->begin + from, encoding->begin + to, tail * sizeof *encoding->begin);
    memmove(encoding->end + from, encoding->end + to, tail * sizeof *encoding->end);
    memmove(encoding->word + from, encoding->word + to, tail * sizeof *encoding->word);
    memmove(encoding->types + from, encoding->types + to, tail);
    memmove(encoding->special + from, encoding->special + to, tail);
    encoding->len -= to - from;
}

/* Bytes and two offsets for each, in one block that begins with the offsets. */
static qr_status fit(qr_quota *quota, char **bytes, uint32_t **begin, uint32_t **end, size_t used,
                     size_t *capacity, size_t need) {
    if (need <= *capacity)
        return QR_OK;
    size_t bigger = qr_max(need, *capacity * 2);
    uint32_t *block = take(quota, bigger * BYTE_BYTES);
    if (block == NULL)
        return QR_NO_MEMORY;
    char *new_bytes = (char *)(block + 2 * bigger);
    if (used > 0) {
        memcpy(block, *begin, used * sizeof *block);
        memcpy(block + bigger, *end, used * sizeof *block);
        memcpy(new_bytes, *bytes, used);
    }
    give(quota, *begin, *capacity * BYTE_BYTES);
    *begin = block;
    *end = block + bigger;
    *bytes = new_bytes;
    *capacity = bigger;
    return QR_OK;
}

qr_status qr__scratch_fit_word(struct qr__scratch *scratch, size_t bytes) {
    return fit(scratch->quota, &scratch->word, &scratch->begin, &scratch->end, 0,
               &scratch->word_capacity, bytes);
}

qr_status qr__scratch_fit_text(struct qr__scratch *scratch, size_t bytes) {
    if (bytes > NORMALIZED_MAX_BYTES)
        return QR_TOO_LONG;
    return fit(scratch->quota, &scratch->text, &scratch->text_begin, &scratch->text_end,
               scratch->text_len, &scratch->text_capacity, bytes);
}

void qr_encoding_deinit(qr_encoding *encoding) {
    if (encoding == NULL)
        return;
    struct qr__scratch *scratch = encoding->scratch;
    give(encoding->quota, encoding->ids, encoding->capacity * TOKEN_BYTES);
    if (scratch != NULL) {
        give(scratch->quota, scratch->begin, scratch->word_capacity * BYTE_BYTES);
        give(scratch->quota, scratch->text_begin, scratch->text_capacity * BYTE_BYTES);
        free(scratch);
    }
    *encoding = (qr_encoding){0};
}
