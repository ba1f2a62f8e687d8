/* tokenizer/decode.c: ids back to text, as the WordPiece decoder writes it. */
#include "tokenizer/tokenizer_internal.h"

/* The package's clean-up, in its order; each row makes a token shorter, so it is done in place. */
static const struct {
    const char *from, *to;
} clean_ups[] = {
    {" .", "."},   {" ?", "?"},     {" !", "!"},     {" ,", ","},
    {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},   {" do not", " don't"},
    {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
};

static void replace_all(qr_buf *out, size_t from, qr_text what, qr_text with) {
    size_t to = from;
    while (from < out->len) {
        if (out->len - from >= what.len && memcmp(out->data + from, what.data, what.len) == 0) {
            memcpy(out->data + to, with.data, with.len);
            to += with.len;
            from += what.len;
        } else {
            out->data[to++] = out->data[from++];
        }
    }
    out->len = to;
}

/* Only what this token brought: the package cleans each token by itself, not the whole text. */
static void clean_up(qr_buf *out, size_t from) {
    for (size_t i = 0; i < sizeof clean_ups / sizeof *clean_ups; i++) {
        if (memchr(out->data + from, ' ', out->len - from) == NULL)
            return; /* every row begins with a space */
        replace_all(out, from, qr_text_of(clean_ups[i].from), qr_text_of(clean_ups[i].to));
    }
}

void qr_tokenizer_decode_token(const qr_tokenizer *tokenizer, qr_text token, bool first,
                               qr_buf *out) {
    qr_text prefix = {tokenizer->decoder_prefix, tokenizer->decoder_prefix_len};
    size_t from = out->len;
    bool joins = tokenizer->decoder_joins && !first && token.len >= prefix.len &&
                 memcmp(token.data, prefix.data, prefix.len) == 0;
    if (joins)
        token = (qr_text){token.data + prefix.len, token.len - prefix.len};
    else if (!first)
        qr_buf_byte(out, ' ');
    qr_buf_text(out, token);
    if (!qr_buf_failed(out) && tokenizer->decoder_joins && tokenizer->decoder_cleans)
        clean_up(out, from);
}

void qr_tokenizer_decode(const qr_tokenizer *tokenizer, const int32_t *ids, size_t len,
                         bool skip_special, qr_buf *out) {
    bool first = true;
    for (size_t i = 0; i < len; i++) {
        qr_text text = qr__vocab_text(&tokenizer->vocab, ids[i]);
        if (text.len == 0 || (skip_special && tokenizer->vocab.tokens[ids[i]].special))
            continue;
        qr_tokenizer_decode_token(tokenizer, text, first, out);
        if (qr_buf_failed(out))
            return;
        first = false;
    }
}
