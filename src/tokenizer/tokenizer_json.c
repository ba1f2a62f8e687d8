/* tokenizer/tokenizer_json.c: reads tokenizer.json. What it cannot honour it refuses: a tokenizer
 * that is nearly right is worse than none. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "tokenizer/loaders.h"

#define MAX_WORD_CHARS   65536u
#define MAX_ADDED_TOKENS 65536u

static bool type_is(const json_t *object, const char *type) {
    const char *found = json_string_value(json_object_get(object, "type"));
    return found != NULL && strcmp(found, type) == 0;
}

/* "expected X, found Y" for a section of another kind. */
static qr_status wrong_type(const qr__json_reader *reader, const char *where, const json_t *object,
                            const char *wanted) {
    const char *found = json_string_value(json_object_get(object, "type"));
    char reason[160];
    snprintf(reason, sizeof reason, "type is %.64s, only %s is supported",
             found == NULL ? "missing" : found, wanted);
    return qr__json_fault(reader, where, reason,
                          "querent serves BERT models with a WordPiece tokenizer");
}

/* A file in memory, and where its vocabulary lies. */
typedef struct document {
    qr_text text;
    size_t vocab_from, vocab_to; /* alike: none was seen */
    json_t *root;                /* the rest of it */
} document;

/* The vocabulary was cut out of the text that jansson parsed: a second one in the rest would be a
 * second answer to the same question. */
static qr_status read_vocab(const qr__json_reader *reader, const document *file, qr__vocab *vocab,
                            qr_text prefix) {
    if (file->vocab_from == file->vocab_to)
        return qr__json_fault(reader, "model.vocab", "missing or no object",
                              "expected {\"token\": id, ...}");
    if (json_object_size(json_object_get(json_object_get(file->root, "model"), "vocab")) > 0)
        return qr__json_fault(reader, "model.vocab", "given twice", "which one is meant?");
    if (prefix.len > sizeof vocab->prefix)
        return qr__json_fault(reader, "model.continuing_subword_prefix", "too long",
                              "usually \"##\"");
    /* A member of a vocabulary takes about 15 bytes of JSON. */
    if (!qr__vocab_init(vocab, prefix, (file->vocab_to - file->vocab_from) / 15))
        return qr_error_set(reader->error, QR_NO_MEMORY, "%s: no memory for the vocabulary",
                            reader->path);
    return qr__vocab_json_read(reader, file->text, file->vocab_from, vocab);
}

static qr_status read_model(const qr__json_reader *reader, const document *file,
                            qr_tokenizer *tokenizer) {
    const json_t *model = json_object_get(file->root, "model");
    qr_text unknown = {0}, prefix = {0};
    if (!json_is_object(model))
        return qr__json_fault(reader, "model", "missing or no object",
                              "expected a WordPiece model");
    if (json_object_get(model, "type") != NULL && !type_is(model, "WordPiece"))
        return wrong_type(reader, "model", model, "WordPiece");
    qr_status status = qr__json_get_text(reader, model, "model", "unk_token", &unknown);
    if (status == QR_OK)
        status = qr__json_get_text(reader, model, "model", "continuing_subword_prefix", &prefix);
    if (status == QR_OK)
        status = qr__json_get_size(reader, model, "model", "max_input_chars_per_word",
                                   MAX_WORD_CHARS, &tokenizer->max_word_chars);
    if (status == QR_OK)
        status = read_vocab(reader, file, &tokenizer->vocab, prefix);
    if (status != QR_OK)
        return status;
    tokenizer->info.unk_id = qr__vocab_find(&tokenizer->vocab, unknown);
    if (tokenizer->info.unk_id == QR__NO_ID)
        return qr__json_fault(reader, "model.unk_token", "not in the vocabulary",
                              "usually \"[UNK]\"");
    return QR_OK;
}

static qr_status read_normalizer(const qr__json_reader *reader, const json_t *root,
                                 qr__normalizer_options *options) {
    const json_t *normalizer = json_object_get(root, "normalizer");
    if (normalizer == NULL || json_is_null(normalizer))
        return QR_OK; /* nothing is normalized */
    if (!type_is(normalizer, "BertNormalizer"))
        return wrong_type(reader, "normalizer", normalizer, "BertNormalizer");
    qr_status status =
        qr__json_get_bool(reader, normalizer, "normalizer", "clean_text", &options->clean_text);
    if (status == QR_OK)
        status = qr__json_get_bool(reader, normalizer, "normalizer", "handle_chinese_chars",
                                   &options->handle_chinese_chars);
    if (status == QR_OK)
        status =
            qr__json_get_bool(reader, normalizer, "normalizer", "lowercase", &options->lowercase);
    const json_t *strip = json_object_get(normalizer, "strip_accents");
    options->strip_accents = options->lowercase;
    if (status == QR_OK && strip != NULL && !json_is_null(strip))
        status = qr__json_get_bool(reader, normalizer, "normalizer", "strip_accents",
                                   &options->strip_accents);
    return status;
}

static qr_status read_pre_tokenizer(const qr__json_reader *reader, const json_t *root) {
    const json_t *pre_tokenizer = json_object_get(root, "pre_tokenizer");
    if (type_is(pre_tokenizer, "BertPreTokenizer"))
        return QR_OK;
    return wrong_type(reader, "pre_tokenizer", pre_tokenizer, "BertPreTokenizer");
}

static qr_status read_decoder(const qr__json_reader *reader, const json_t *root,
                              qr_tokenizer *tokenizer) {
    const json_t *decoder = json_object_get(root, "decoder");
    qr_text prefix;
    if (decoder == NULL || json_is_null(decoder))
        return QR_OK; /* tokens are joined with spaces */
    if (!type_is(decoder, "WordPiece"))
        return wrong_type(reader, "decoder", decoder, "WordPiece");
    qr_status status = qr__json_get_text(reader, decoder, "decoder", "prefix", &prefix);
    if (status == QR_OK)
        status =
            qr__json_get_bool(reader, decoder, "decoder", "cleanup", &tokenizer->decoder_cleans);
    if (status != QR_OK)
        return status;
    if (prefix.len > sizeof tokenizer->decoder_prefix)
        return qr__json_fault(reader, "decoder.prefix", "too long", "usually \"##\"");
    memcpy(tokenizer->decoder_prefix, prefix.data, prefix.len);
    tokenizer->decoder_prefix_len = prefix.len;
    tokenizer->decoder_joins = true;
    return QR_OK;
}

static qr_status put_piece(const qr__json_reader *reader, const char *where, qr__template *layout,
                           int32_t what, size_t type) {
    if (qr__template_put(layout, what, (uint8_t)type))
        return QR_OK;
    return qr__json_fault(reader, where, "more than 32 pieces",
                          "expected [CLS] A [SEP] or the like");
}

/* The ids that a special token of the template stands for. */
static qr_status put_special(const qr__json_reader *reader, const char *where,
                             const json_t *specials, qr_text name, size_t type,
                             qr_tokenizer *tokenizer, qr__template *layout) {
    const json_t *ids = json_object_get(json_object_get(specials, name.data), "ids"), *id;
    size_t i;
    if (!json_is_array(ids))
        return qr__json_fault(reader, where, "a special token is not among special_tokens",
                              "special_tokens gives the ids of each");
    json_array_foreach(ids, i, id) {
        json_int_t number = json_is_integer(id) ? json_integer_value(id) : -1;
        if (number < 0 || number >= (json_int_t)QR_LIMIT_VOCAB ||
            qr__vocab_text(&tokenizer->vocab, (int32_t)number).len == 0)
            return qr__json_fault(reader, where, "a special token's id is not in the vocabulary",
                                  "do tokenizer.json's parts belong together?");
        qr_status status = put_piece(reader, where, layout, (int32_t)number, type);
        if (status != QR_OK)
            return status;
    }
    return QR_OK;
}

static qr_status read_piece(const qr__json_reader *reader, const char *where, const json_t *piece,
                            const json_t *specials, qr_tokenizer *tokenizer, qr__template *layout) {
    const json_t *sequence = json_object_get(piece, "Sequence");
    const json_t *special = json_object_get(piece, "SpecialToken");
    const json_t *body = sequence != NULL ? sequence : special;
    qr_text id;
    size_t type;
    if (!json_is_object(body))
        return qr__json_fault(reader, where, "a piece is neither Sequence nor SpecialToken",
                              "expected [CLS] A [SEP] or the like");
    qr_status status = qr__json_get_text(reader, body, where, "id", &id);
    if (status == QR_OK)
        status = qr__json_get_size(reader, body, where, "type_id", UINT8_MAX, &type);
    if (status != QR_OK)
        return status;
    if (sequence == NULL)
        return put_special(reader, where, specials, id, type, tokenizer, layout);
    bool second = qr_text_is(id, "B");
    if (!second && !qr_text_is(id, "A"))
        return qr__json_fault(reader, where, "a Sequence is neither A nor B",
                              "A is the first text");
    return put_piece(reader, where, layout, second ? QR__PIECE_SECOND : QR__PIECE_FIRST, type);
}

/* Each text must come once, the first one first. */
static bool is_complete(const qr__template *layout, bool pair) {
    size_t first = 0, second = 0;
    for (size_t i = 0; i < layout->len; i++) {
        first += layout->pieces[i].what == QR__PIECE_FIRST;
        second += layout->pieces[i].what == QR__PIECE_SECOND;
        if (second > first)
            return false;
    }
    return first == 1 && second == (pair ? 1 : 0);
}

static qr_status read_template(const qr__json_reader *reader, const json_t *post, const char *key,
                               bool pair, qr_tokenizer *tokenizer, qr__template *layout) {
    char where[64];
    snprintf(where, sizeof where, "post_processor.%s", key);
    const json_t *pieces = json_object_get(post, key), *piece;
    const json_t *specials = json_object_get(post, "special_tokens");
    size_t i;
    json_array_foreach(pieces, i, piece) {
        qr_status status = read_piece(reader, where, piece, specials, tokenizer, layout);
        if (status != QR_OK)
            return status;
    }
    if (!is_complete(layout, pair))
        return qr__json_fault(reader, where, "the texts are missing, repeated or out of order",
                              pair ? "expected A, then B" : "expected A");
    return QR_OK;
}

/* ["[SEP]", 102] of BertProcessing. */
static qr_status read_bert_special(const qr__json_reader *reader, const json_t *post,
                                   const char *key, const qr_tokenizer *tokenizer, int32_t *out) {
    const json_t *id = json_array_get(json_object_get(post, key), 1);
    json_int_t number = json_is_integer(id) ? json_integer_value(id) : -1;
    if (number < 0 || number >= (json_int_t)QR_LIMIT_VOCAB ||
        qr__vocab_text(&tokenizer->vocab, (int32_t)number).len == 0)
        return qr__json_fault(reader, "post_processor",
                              "\"cls\" or \"sep\" has no id of the vocabulary",
                              "expected [\"[SEP]\", 102]");
    *out = (int32_t)number;
    return QR_OK;
}

static qr_status read_post_processor(const qr__json_reader *reader, const json_t *root,
                                     qr_tokenizer *tokenizer) {
    const json_t *post = json_object_get(root, "post_processor");
    if (post == NULL || json_is_null(post)) {
        qr_log(QR_LOG_WARN, "%s: no post_processor: [CLS] and [SEP] are not added to texts",
               reader->path);
        qr__template_bert(tokenizer, QR__NO_ID, QR__NO_ID);
        return QR_OK;
    }
    if (type_is(post, "BertProcessing")) {
        int32_t cls = QR__NO_ID, sep = QR__NO_ID;
        qr_status status = read_bert_special(reader, post, "cls", tokenizer, &cls);
        if (status == QR_OK)
            status = read_bert_special(reader, post, "sep", tokenizer, &sep);
        if (status == QR_OK)
            qr__template_bert(tokenizer, cls, sep);
        return status;
    }
    if (!type_is(post, "TemplateProcessing"))
        return wrong_type(reader, "post_processor", post, "TemplateProcessing or BertProcessing");
    qr_status status = read_template(reader, post, "single", false, tokenizer, &tokenizer->single);
    if (status == QR_OK)
        status = read_template(reader, post, "pair", true, tokenizer, &tokenizer->pair);
    return status;
}

static qr_status read_added_tokens(const qr__json_reader *reader, const json_t *root,
                                   qr_tokenizer *tokenizer) {
    const json_t *list = json_object_get(root, "added_tokens"), *row;
    size_t count = json_array_size(list), i;
    if (list != NULL && !json_is_null(list) && !json_is_array(list))
        return qr__json_fault(reader, "added_tokens", "not a list", "expected [...]");
    if (count > MAX_ADDED_TOKENS)
        return qr__json_fault(reader, "added_tokens", "more than 65536 tokens",
                              "is this the right file?");
    if (count == 0)
        return QR_OK;
    qr_status status = QR_OK;
    qr__added_token *tokens = calloc(count, sizeof *tokens);
    size_t *ids = calloc(count, sizeof *ids);
    if (tokens == NULL || ids == NULL)
        status = qr_error_set(reader->error, QR_NO_MEMORY, "%s: no memory for added tokens",
                              reader->path);
    for (i = 0; i < count && status == QR_OK; i++) {
        char where[48];
        snprintf(where, sizeof where, "added_tokens[%zu]", i);
        row = json_array_get(list, i);
        status = qr__json_added_token(reader, row, where, &tokens[i]);
        if (status == QR_OK)
            status = qr__json_get_size(reader, row, where, "id", QR_LIMIT_VOCAB - 1, &ids[i]);
    }
    if (status == QR_OK)
        status = qr__load_added(tokenizer, reader->path, tokens, ids, count, reader->error);
    free(tokens);
    free(ids);
    return status;
}

/* In this order: added tokens need the vocabulary and the normalizer, templates need the added
 * tokens' ids. */
static qr_status read_sections(const qr__json_reader *reader, const document *file,
                               qr_tokenizer *tokenizer) {
    qr_status status = read_model(reader, file, tokenizer);
    if (status == QR_OK)
        status = read_normalizer(reader, file->root, &tokenizer->normalizer);
    if (status == QR_OK)
        status = read_pre_tokenizer(reader, file->root);
    if (status == QR_OK)
        status = read_decoder(reader, file->root, tokenizer);
    if (status == QR_OK)
        status = read_added_tokens(reader, file->root, tokenizer);
    if (status == QR_OK)
        status = read_post_processor(reader, file->root, tokenizer);
    return status;
}

qr_status qr__load_tokenizer_json(qr_tokenizer *tokenizer, const char *dir, qr_error *error) {
    char path[QR_PATH_BYTES], *data = NULL;
    document file = {0};
    size_t len;
    if (!qr_file_join(dir, "tokenizer.json", path, sizeof path))
        return qr_error_set(error, QR_BAD_MODEL, "%s: the path is too long", dir);
    const qr__json_reader reader = {path, error};
    snprintf(tokenizer->info.source, sizeof tokenizer->info.source, "tokenizer.json");
    qr_status status = qr_file_read(path, QR_LIMIT_JSON_FILE_BYTES, &data, &len, error);
    if (status != QR_OK)
        return status;
    file.text = (qr_text){data, len};
    size_t from = 0, to = 0; /* between the braces, which stay */
    if (qr__vocab_json_find(file.text, &file.vocab_from, &file.vocab_to)) {
        from = file.vocab_from + 1;
        to = file.vocab_to - 1;
    }
    status = qr__json_parse(&reader, file.text, from, to, false, &file.root);
    if (status == QR_OK)
        status = read_sections(&reader, &file, tokenizer);
    json_decref(file.root);
    free(data);
    return status;
}
