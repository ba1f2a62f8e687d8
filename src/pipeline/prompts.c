/* pipeline/prompts.c: how many tokens a prompt is, and how many of a text's are its prompt's. */
#include "pipeline/prompts.h"

#include <stdlib.h>

/* The text alone, as sentence-transformers counts: [CLS] goes with the prompt, [SEP] does not. An
 * empty prompt is none. */
qr_status qr__prompts_count(qr__prompts *prompts, const qr_tokenizer *tokenizer,
                            size_t max_tokens) {
    const qr_encode_options options = {.special = true, .max_tokens = max_tokens};
    qr_encoding encoding = {0};
    qr_status status = QR_OK;
    for (size_t i = 0; status == QR_OK && i < prompts->len; i++) {
        qr_prompt *prompt = &prompts->items[i];
        if (prompt->text.len == 0)
            continue;
        status = qr_tokenizer_encode(tokenizer, prompt->text, NULL, &options, &encoding);
        if (status == QR_OK && encoding.len > 0)
            prompt->skip = encoding.len - encoding.special[encoding.len - 1];
    }
    qr_encoding_deinit(&encoding);
    return status;
}

/* A text that was cut from its left has lost tokens of its prompt; there the offsets tell. */
size_t qr_prompt_skip(const qr_prompt *prompt, const qr_encoding *encoding, bool truncate_left) {
    size_t skip = 0;
    if (prompt == NULL || prompt->skip == 0 || encoding->len == 0)
        return 0;
    if (encoding->truncated && truncate_left)
        while (skip < encoding->len &&
               (encoding->special[skip] || encoding->begin[skip] < prompt->text.len))
            skip++;
    else
        skip = prompt->skip;
    return qr_min(skip, encoding->len - 1);
}

void qr__prompts_deinit(qr__prompts *prompts) {
    for (size_t i = 0; i < prompts->len; i++) {
        free((void *)(uintptr_t)prompts->items[i].name.data);
        free((void *)(uintptr_t)prompts->items[i].text.data);
    }
    free(prompts->items);
    *prompts = (qr__prompts){0};
}
