/* tokenizer/added_load.c: the added tokens of a model's files get ids and become patterns. */
#include <stdlib.h>

#include "tokenizer/loaders.h"

/* An added token with the id that it got. */
typedef struct resolved {
    const qr__added_token *token;
    int32_t id;
    uint32_t latest; /* index of the last token of this id: its flags hold */
    bool leads;      /* the first special row of its id: the one that is matched */
} resolved;

static qr_status added_fault(qr_error *error, const char *path, size_t index, const char *reason,
                             const char *hint) {
    return qr_error_set(error, QR_BAD_MODEL, "%s: added_tokens[%zu]: %s (%s)", path, index, reason,
                        hint);
}

/* Ids: that of the vocabulary, else the next free one behind it; the id in the file is not asked,
 * as in the package. */
static qr_status resolve_ids(qr_tokenizer *tokenizer, const char *path,
                             const qr__added_token *tokens, const size_t *expected_ids,
                             size_t count, resolved *out, qr_error *error) {
    qr__vocab *vocab = &tokenizer->vocab;
    size_t next = vocab->entries + vocab->blanks;
    for (size_t i = 0; i < count; i++) {
        int32_t id = qr__vocab_find(vocab, tokens[i].content);
        if (id == QR__NO_ID) {
            id = (int32_t)next++;
            qr_status status = qr__vocab_add(vocab, tokens[i].content, (size_t)id);
            if (status == QR_NO_MEMORY)
                return qr_error_set(error, status, "%s: no memory for added tokens", path);
            if (status != QR_OK)
                return added_fault(error, path, i, "is empty or too long, or its id is taken",
                                   "ids of the vocabulary must go from 0 without a gap");
            vocab->tokens[id].added = true;
        }
        if (expected_ids != NULL && expected_ids[i] != (size_t)id)
            qr_log(QR_LOG_WARN,
                   "%s: added_tokens[%zu]: the file says id %zu, the vocabulary makes it %d", path,
                   i, expected_ids[i], (int)id);
        bool leads = tokens[i].special && !vocab->tokens[id].special;
        if (leads)
            vocab->tokens[id].special = true;
        out[i] = (resolved){&tokens[i], id, (uint32_t)i, leads};
    }
    return QR_OK;
}

static int by_id(const void *a, const void *b) {
    const resolved *x = a, *y = b;
    if (x->id != y->id)
        return x->id < y->id ? -1 : 1;
    return x->latest < y->latest ? -1 : 1;
}

static int by_place(const void *a, const void *b) {
    const resolved *x = a, *y = b;
    return (x->token > y->token) - (x->token < y->token);
}

/* A token that is given twice is matched by the flags of its last row. */
static void resolve_flags(resolved *rows, size_t count) {
    qsort(rows, count, sizeof *rows, by_id);
    for (size_t i = count; i-- > 0;)
        if (i + 1 < count && rows[i].id == rows[i + 1].id)
            rows[i].latest = rows[i + 1].latest;
    qsort(rows, count, sizeof *rows, by_place);
}

/* QR_BAD_MODEL: normalization leaves nothing of the token. */
static qr_status add_pattern(qr_tokenizer *tokenizer, const qr__added_token *tokens,
                             const resolved *row, qr_buf *buf) {
    qr_text text = row->token->content;
    const qr__added_token *flags = &tokens[row->latest];
    if (!row->token->normalized)
        return qr__patterns_add(&tokenizer->raw, text, row->id, flags) ? QR_OK : QR_NO_MEMORY;
    qr__normalizer stream;
    qr__char c;
    qr_buf_reset(buf);
    qr__normalizer_init(&stream, &tokenizer->normalizer, text, 0, text.len);
    while (qr__normalizer_next(&stream, &c)) {
        char utf8[4];
        const size_t len = qr_utf8_encode(c.code, utf8);
        qr_buf_append(buf, utf8, len);
    }
    if (qr_buf_failed(buf))
        return QR_NO_MEMORY;
    if (buf->len == 0)
        return QR_BAD_MODEL;
    text = (qr_text){buf->data, buf->len};
    bool added = qr__patterns_add(&tokenizer->normalized, text, row->id, flags);
    return added ? QR_OK : QR_NO_MEMORY;
}

/* Special tokens first: of two that become the same text, the first is the one that is found. */
static qr_status add_patterns(qr_tokenizer *tokenizer, const char *path,
                              const qr__added_token *tokens, const resolved *rows, size_t count,
                              qr_error *error) {
    qr_buf buf;
    qr_buf_init(&buf, 16 * QR__TOKEN_BYTES);
    qr_status status = QR_OK;
    for (int pass = 0; pass < 2 && status == QR_OK; pass++)
        for (size_t i = 0; i < count && status == QR_OK; i++) {
            bool special = tokenizer->vocab.tokens[rows[i].id].special;
            if (pass == 0 ? !rows[i].leads : special)
                continue;
            status = add_pattern(tokenizer, tokens, &rows[i], &buf);
            if (status == QR_BAD_MODEL)
                added_fault(error, path, i, "nothing is left of it after normalization",
                            "set its \"normalized\" to false");
            else if (status != QR_OK)
                qr_error_set(error, status, "%s: no memory for added tokens", path);
        }
    qr_buf_deinit(&buf);
    return status;
}

qr_status qr__load_added(qr_tokenizer *tokenizer, const char *path, const qr__added_token *tokens,
                         const size_t *expected_ids, size_t count, qr_error *error) {
    if (count == 0)
        return QR_OK;
    resolved *rows = malloc(count * sizeof *rows);
    if (rows == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "%s: no memory for added tokens", path);
    qr_status status = resolve_ids(tokenizer, path, tokens, expected_ids, count, rows, error);
    if (status == QR_OK) {
        resolve_flags(rows, count);
        status = add_patterns(tokenizer, path, tokens, rows, count, error);
    }
    free(rows);
    return status;
}
