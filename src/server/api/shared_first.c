/* server/api/shared_first.c: a first text is tokenized when it is not the last pair's. */
#include "server/api/shared_first.h"

/* Each character has one byte that does not go on with another. */
size_t qr__count_characters(qr_text text) {
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++)
        count += ((unsigned char)text.data[i] & 0xC0u) != 0x80;
    return count;
}

static bool is_shared(const qr__shared_first *shared, const qr_tokenizer *tokenizer, qr_text text,
                      const qr_encode_options *options) {
    return shared->tokenizer == tokenizer && shared->text.data == text.data &&
           shared->text.len == text.len && shared->options.max_tokens == options->max_tokens &&
           shared->options.truncate_left == options->truncate_left &&
           shared->options.special == options->special;
}

qr_status qr__shared_first_encode(qr__shared_first *shared, const qr_tokenizer *tokenizer,
                                  qr_text first, qr_text second, const qr_encode_options *options,
                                  qr_encoding *out) {
    if (!is_shared(shared, tokenizer, first, options)) {
        shared->tokenizer = NULL;
        qr_status status = qr_tokenizer_encode_first(tokenizer, first, options, &shared->tokens);
        if (status != QR_OK)
            return status;
        shared->text = first;
        shared->tokenizer = tokenizer;
        shared->options = *options;
        shared->characters = qr__count_characters(first);
    }
    return qr_tokenizer_encode_pair(tokenizer, &shared->tokens, second, options, out);
}
