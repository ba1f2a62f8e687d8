/* tokenizer/load.c: from a model's directory to a tokenizer that is ready and never changes again.
 */
#include "tokenizer/tokenizer.h"

#include <stdlib.h>

#include "tokenizer/loaders.h"

/* What the ASCII path of word_scan.c does with each byte, asked of the general way's tables once,
 * so that the two ways cannot differ. */
static void fill_byte_classes(qr_tokenizer *tokenizer) {
    const qr__normalizer_options *options = &tokenizer->normalizer;
    memset(tokenizer->ascii_class, QR__ASCII_SLOW, sizeof tokenizer->ascii_class);
    for (uint32_t byte = 0; byte < 0x80; byte++) {
        unsigned flags = qr__unicode_flags(byte);
        uint32_t lower[2] = {byte, 0};
        if (options->lowercase)
            qr__unicode_to_lower(byte, lower);
        tokenizer->ascii_letter[byte] = (char)lower[0];
        if (options->clean_text && (flags & QR__REMOVED) != 0)
            continue;
        tokenizer->ascii_class[byte] = (flags & QR__SPACE) != 0         ? QR__ASCII_SPACE
                                       : (flags & QR__PUNCTUATION) != 0 ? QR__ASCII_PUNCTUATION
                                                                        : QR__ASCII_LETTER;
    }
}

/* Resolves what depends on everything else. */
static void finish(qr_tokenizer *tokenizer, const qr__tokenizer_config *config) {
    qr_tokenizer_info *info = &tokenizer->info;
    const qr__vocab *vocab = &tokenizer->vocab;
    qr__patterns_seal(&tokenizer->raw);
    qr__patterns_seal(&tokenizer->normalized);
    fill_byte_classes(tokenizer);
    info->vocab = vocab->len;
    info->lowercase = tokenizer->normalizer.lowercase;
    info->strip_accents = tokenizer->normalizer.strip_accents;
    info->clean_text = tokenizer->normalizer.clean_text;
    info->handle_chinese_chars = tokenizer->normalizer.handle_chinese_chars;
    info->model_max_length = config->model_max_length;
    info->cls_id = qr__template_special(&tokenizer->single, false);
    info->sep_id = qr__template_special(&tokenizer->single, true);
    if (info->cls_id == QR__NO_ID)
        info->cls_id = qr__vocab_find(vocab, config->special[QR__SPECIAL_CLS]);
    if (info->sep_id == QR__NO_ID)
        info->sep_id = qr__vocab_find(vocab, config->special[QR__SPECIAL_SEP]);
    info->pad_id = qr__vocab_find(vocab, config->special[QR__SPECIAL_PAD]);
}

qr_status qr_tokenizer_load(const char *dir, qr_tokenizer **out, qr_error *error) {
    *out = NULL;
    qr__tokenizer_config config = {0};
    qr_status status = QR_OK;
    qr_tokenizer *tokenizer = calloc(1, sizeof *tokenizer);
    if (tokenizer == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "%s: no memory for a tokenizer", dir);
    status = qr__load_tokenizer_config(&config, dir, error);
    if (status != QR_OK)
        goto done;
    if (qr_file_exists(dir, "tokenizer.json")) {
        status = qr__load_tokenizer_json(tokenizer, dir, error);
        if (status == QR_OK)
            qr__tokenizer_config_compare(&config, dir, &tokenizer->normalizer);
    } else if (qr_file_exists(dir, "vocab.txt"))
        status = qr__load_vocab_txt(tokenizer, dir, &config, error);
    else
        status = qr_error_set(
            error, QR_BAD_MODEL,
            "%s: neither tokenizer.json nor vocab.txt is there (a model needs one; was the "
            "directory copied whole?)",
            dir);
    if (status != QR_OK)
        goto done;
    finish(tokenizer, &config);
    *out = tokenizer;
    tokenizer = NULL;
done:
    qr__tokenizer_config_deinit(&config);
    qr_tokenizer_destroy(tokenizer);
    return status;
}

void qr_tokenizer_destroy(qr_tokenizer *tokenizer) {
    if (tokenizer == NULL)
        return;
    qr__vocab_deinit(&tokenizer->vocab);
    qr__patterns_deinit(&tokenizer->raw);
    qr__patterns_deinit(&tokenizer->normalized);
    free(tokenizer);
}

const qr_tokenizer_info *qr_tokenizer_get_info(const qr_tokenizer *tokenizer) {
    return &tokenizer->info;
}

qr_text qr_tokenizer_token(const qr_tokenizer *tokenizer, int32_t id) {
    return qr__vocab_text(&tokenizer->vocab, id);
}
