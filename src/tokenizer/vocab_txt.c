/* tokenizer/vocab_txt.c: builds the tokenizer that BERT's own files describe: vocab.txt (a token a
 * line, the line's number its id) with tokenizer_config.json and special_tokens_map.json. */
#include <stdio.h>
#include <stdlib.h>

#include "tokenizer/loaders.h"

#define MAX_WORD_CHARS 100
#define PREFIX         "##"

/* Tokenizers that read vocab.txt as BERT does. */
static bool is_bert_class(qr_text name) {
    static const char *const classes[] = {
        "Bert",      "DistilBert", "MobileBert", "SqueezeBert",        "ConvBert",
        "RetriBert", "Electra",    "LayoutLM",   "DPRQuestionEncoder", "DPRContextEncoder"};
    if (name.len == 0)
        return true;
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        qr_text stem = qr_text_of(classes[i]);
        if (name.len < stem.len || memcmp(name.data, stem.data, stem.len) != 0)
            continue;
        qr_text rest = {name.data + stem.len, name.len - stem.len};
        if (qr_text_is(rest, "Tokenizer") || qr_text_is(rest, "TokenizerFast"))
            return true;
    }
    return false;
}

/* White space at the end of a line goes, as in the package. */
static size_t trimmed(qr_text line) {
    for (;;) {
        size_t begin = line.len;
        while (begin > 0 && line.len - begin < 4 && ((uint8_t)line.data[--begin] & 0xC0) == 0x80)
            continue;
        size_t bytes;
        if (line.len == 0 ||
            (qr__unicode_flags(qr_utf8_decode(line, begin, &bytes)) & QR__SPACE) == 0)
            return line.len;
        line.len = begin;
    }
}

static qr_status line_fault(qr_error *error, const char *path, size_t line, const char *reason,
                            const char *hint) {
    return qr_error_set(error, QR_BAD_MODEL, "%s: line %zu: %s (%s)", path, line + 1, reason, hint);
}

static qr_status read_lines(qr__vocab *vocab, const char *path, qr_text text, qr_error *error) {
    size_t line = 0;
    for (size_t at = 0; at < text.len; line++) {
        const char *newline = memchr(text.data + at, '\n', text.len - at);
        size_t end = newline == NULL ? text.len : (size_t)(newline - text.data);
        qr_text token = {text.data + at, end - at};
        token.len = trimmed(token);
        at = end + 1;
        if (!qr_utf8_valid(token))
            return line_fault(error, path, line, "not UTF-8", "is the file whole?");
        if (token.len == 0) {
            vocab->blanks = 1;
            continue;
        }
        qr_status status = qr__vocab_add(vocab, token, line);
        if (status == QR_NO_MEMORY)
            return qr_error_set(error, status, "%s: no memory for the vocabulary", path);
        if (status != QR_OK)
            return line_fault(error, path, line, "over 1024 bytes, or more than 1000000 lines",
                              "a vocabulary has one token a line");
    }
    return QR_OK;
}

static qr_status read_vocab(qr_tokenizer *tokenizer, const char *path, qr_error *error) {
    char *data;
    size_t len;
    qr_status status = qr_file_read(path, QR_LIMIT_VOCAB_FILE_BYTES, &data, &len, error);
    if (status != QR_OK)
        return status;
    if (!qr__vocab_init(&tokenizer->vocab, qr_text_of(PREFIX), len / 8))
        status = qr_error_set(error, QR_NO_MEMORY, "%s: no memory for the vocabulary", path);
    else
        status = read_lines(&tokenizer->vocab, path, (qr_text){data, len}, error);
    free(data);
    return status;
}

/* The special tokens that the vocabulary has, then those of added_tokens_decoder. */
static qr_status add_tokens(qr_tokenizer *tokenizer, const char *path,
                            const qr__tokenizer_config *config, qr_error *error) {
    qr__added_token specials[QR__SPECIAL_COUNT];
    size_t count = 0;
    for (size_t i = 0; i < QR__SPECIAL_COUNT; i++)
        if (qr__vocab_find(&tokenizer->vocab, config->special[i]) != QR__NO_ID)
            specials[count++] = (qr__added_token){.content = config->special[i], .special = true};
    qr_status status = QR_OK;
    if (config->added_len == 0)
        status = qr__load_added(tokenizer, path, specials, NULL, count, error);
    else
        status = qr__load_added(tokenizer, config->path, config->added, config->added_ids,
                                config->added_len, error);
    return status;
}

/* BERT cannot do without [UNK], [CLS] and [SEP]. */
static qr_status find_special(const qr_tokenizer *tokenizer, const char *path,
                              const qr__tokenizer_config *config, size_t which, int32_t *out,
                              qr_error *error) {
    qr_text name = config->special[which];
    *out = qr__vocab_find(&tokenizer->vocab, name);
    if (*out != QR__NO_ID)
        return QR_OK;
    return qr_error_set(error, QR_BAD_MODEL,
                        "%s: the special token \"%.*s\" is not in it (does it belong to this "
                        "tokenizer_config.json?)",
                        path, (int)qr_min(name.len, 100), name.data);
}

qr_status qr__load_vocab_txt(qr_tokenizer *tokenizer, const char *dir,
                             const qr__tokenizer_config *config, qr_error *error) {
    char path[QR_PATH_BYTES];
    int32_t cls, sep;
    if (!qr_file_join(dir, "vocab.txt", path, sizeof path))
        return qr_error_set(error, QR_BAD_MODEL, "%s: the path is too long", dir);
    if (!is_bert_class(config->tokenizer_class))
        return qr_error_set(
            error, QR_BAD_MODEL,
            "%s: tokenizer_class: %.64s is not BERT's (querent serves BERT models with a "
            "WordPiece tokenizer; a tokenizer.json would settle it)",
            config->path, config->tokenizer_class.data);
    snprintf(tokenizer->info.source, sizeof tokenizer->info.source, "vocab.txt");
    qr_status status = read_vocab(tokenizer, path, error);
    if (status == QR_OK)
        status =
            find_special(tokenizer, path, config, QR__SPECIAL_UNK, &tokenizer->info.unk_id, error);
    if (status == QR_OK)
        status = find_special(tokenizer, path, config, QR__SPECIAL_CLS, &cls, error);
    if (status == QR_OK)
        status = find_special(tokenizer, path, config, QR__SPECIAL_SEP, &sep, error);
    if (status != QR_OK)
        return status;
    tokenizer->max_word_chars = MAX_WORD_CHARS;
    tokenizer->normalizer =
        (qr__normalizer_options){.clean_text = true,
                                 .handle_chinese_chars = config->handle_chinese_chars,
                                 .strip_accents = config->strip_accents,
                                 .lowercase = config->lowercase};
    qr__template_bert(tokenizer, cls, sep);
    memcpy(tokenizer->decoder_prefix, PREFIX, sizeof PREFIX - 1);
    tokenizer->decoder_prefix_len = sizeof PREFIX - 1;
    tokenizer->decoder_joins = tokenizer->decoder_cleans = true;
    return add_tokens(tokenizer, path, config, error);
}
