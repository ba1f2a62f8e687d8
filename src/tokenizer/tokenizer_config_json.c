/* tokenizer/tokenizer_config_json.c: reads tokenizer_config.json and special_tokens_map.json, which
 * name the special tokens and, beside a vocab.txt, say how to normalize. Members that are missing
 * have BERT's defaults. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "tokenizer/loaders.h"

#define ARENA_BYTES      ((size_t)64 << 20)
#define MAX_ADDED_TOKENS 65536u
/* transformers writes 1e30 for "no limit". */
#define MAX_MAX_LENGTH 1e9

_Static_assert(MAX_ADDED_TOKENS == 65536 && QR_LIMIT_VOCAB == 1000000,
               "the limits' numbers stand in sentences below");

static const struct {
    const char *key, *value;
} special_defaults[QR__SPECIAL_COUNT] = {
    [QR__SPECIAL_UNK] = {"unk_token", "[UNK]"},    [QR__SPECIAL_SEP] = {"sep_token", "[SEP]"},
    [QR__SPECIAL_PAD] = {"pad_token", "[PAD]"},    [QR__SPECIAL_CLS] = {"cls_token", "[CLS]"},
    [QR__SPECIAL_MASK] = {"mask_token", "[MASK]"},
};

static qr_status no_memory(const qr__json_reader *reader) {
    return qr_error_set(reader->error, QR_NO_MEMORY, "%s: no memory", reader->path);
}

/* The JSON tree goes before the config does, so texts are copied. */
static qr_status keep(const qr__json_reader *reader, qr_arena *arena, qr_text text, qr_text *out) {
    *out = qr_arena_text(arena, text);
    return out->data == NULL ? no_memory(reader) : QR_OK;
}

/* A token is a string, or an object with "content". */
static qr_status read_specials(const qr__json_reader *reader, const json_t *root,
                               qr__tokenizer_config *config) {
    for (size_t i = 0; i < QR__SPECIAL_COUNT; i++) {
        const char *key = special_defaults[i].key;
        const json_t *value = json_object_get(root, key);
        if (value == NULL || json_is_null(value))
            continue;
        qr_text text;
        qr_status status = json_is_object(value)
                               ? qr__json_get_text(reader, value, key, "content", &text)
                               : qr__json_get_text(reader, root, "top level", key, &text);
        if (status == QR_OK)
            status = keep(reader, &config->arena, text, &config->special[i]);
        if (status != QR_OK)
            return status;
    }
    return QR_OK;
}

/* A flag that is missing or null keeps its default. */
static qr_status read_flag(const qr__json_reader *reader, const json_t *root, const char *key,
                           bool *out, bool *said) {
    const json_t *value = json_object_get(root, key);
    *said = value != NULL && !json_is_null(value);
    if (!*said)
        return QR_OK;
    return qr__json_get_bool(reader, root, "top level", key, out);
}

static qr_status read_max_length(const qr__json_reader *reader, const json_t *root, size_t *out) {
    const json_t *value = json_object_get(root, "model_max_length");
    if (value == NULL || json_is_null(value))
        return QR_OK;
    double number = json_number_value(value);
    if (!json_is_number(value) || number < 1)
        return qr__json_fault(reader, "model_max_length", "not a positive number", "usually 512");
    *out = number <= MAX_MAX_LENGTH ? (size_t)number : 0;
    return QR_OK;
}

typedef struct added_row {
    uint64_t id;
    const json_t *token;
} added_row;

static int by_id(const void *a, const void *b) {
    const added_row *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

static qr_status keep_added(const qr__json_reader *reader, qr__tokenizer_config *config,
                            const added_row *rows, size_t count) {
    config->added = qr_arena_array(&config->arena, count, sizeof *config->added);
    config->added_ids = qr_arena_array(&config->arena, count, sizeof *config->added_ids);
    if (config->added == NULL || config->added_ids == NULL)
        return no_memory(reader);
    for (size_t i = 0; i < count; i++) {
        char where[48];
        snprintf(where, sizeof where, "added_tokens_decoder[\"%llu\"]",
                 (unsigned long long)rows[i].id);
        qr__added_token *token = &config->added[i];
        qr_status status = qr__json_added_token(reader, rows[i].token, where, token);
        if (status == QR_OK)
            status = keep(reader, &config->arena, token->content, &token->content);
        if (status != QR_OK)
            return status;
        config->added_ids[i] = (size_t)rows[i].id;
        config->added_len = i + 1;
    }
    return QR_OK;
}

/* added_tokens_decoder is an object with ids as keys, which JSON does not order: tokens get their
 * ids in the order of these numbers. */
static qr_status read_added(const qr__json_reader *reader, json_t *root,
                            qr__tokenizer_config *config) {
    json_t *map = json_object_get(root, "added_tokens_decoder"), *token;
    size_t count = json_object_size(map), at = 0;
    const char *key;
    if (count == 0)
        return QR_OK;
    if (count > MAX_ADDED_TOKENS)
        return qr__json_fault(reader, "added_tokens_decoder", "more than 65536 tokens",
                              "is this the right file?");
    added_row *rows = calloc(count, sizeof *rows);
    if (rows == NULL)
        return no_memory(reader);
    qr_status status = QR_OK;
    json_object_foreach(map, key, token) {
        if (!qr_text_to_u64(qr_text_of(key), QR_LIMIT_VOCAB - 1, &rows[at].id)) {
            status = qr__json_fault(reader, "added_tokens_decoder", "a key is no id",
                                    "keys are numbers below 1000000");
            break;
        }
        rows[at++].token = token;
    }
    if (status == QR_OK) {
        qsort(rows, count, sizeof *rows, by_id);
        status = keep_added(reader, config, rows, count);
    }
    free(rows);
    return status;
}

/* strip_accents follows do_lower_case unless the file says more, as in the package. */
static qr_status read_config(const qr__json_reader *reader, json_t *root,
                             qr__tokenizer_config *config) {
    qr_status status =
        read_flag(reader, root, "do_lower_case", &config->lowercase, &config->says_lowercase);
    config->strip_accents = config->lowercase;
    if (status == QR_OK)
        status = read_flag(reader, root, "strip_accents", &config->strip_accents,
                           &config->says_strip_accents);
    if (status == QR_OK)
        status = read_flag(reader, root, "tokenize_chinese_chars", &config->handle_chinese_chars,
                           &config->says_chinese_chars);
    if (status == QR_OK)
        status = read_max_length(reader, root, &config->model_max_length);
    if (status == QR_OK)
        status = read_specials(reader, root, config);
    if (status == QR_OK)
        status = read_added(reader, root, config);
    const json_t *class = json_object_get(root, "tokenizer_class");
    if (status == QR_OK && json_is_string(class))
        status = keep(reader, &config->arena, qr_text_of(json_string_value(class)),
                      &config->tokenizer_class);
    return status;
}

qr_status qr__load_tokenizer_config(qr__tokenizer_config *config, const char *dir,
                                    qr_error *error) {
    *config = (qr__tokenizer_config){
        .lowercase = true, .strip_accents = true, .handle_chinese_chars = true};
    qr_arena_init(&config->arena, ARENA_BYTES);
    for (size_t i = 0; i < QR__SPECIAL_COUNT; i++)
        config->special[i] = qr_text_of(special_defaults[i].value);
    static const char *const names[] = {"special_tokens_map.json", "tokenizer_config.json"};
    qr_status status = QR_OK;
    for (size_t i = 0; i < 2 && status == QR_OK; i++) {
        if (!qr_file_exists(dir, names[i]))
            continue;
        if (!qr_file_join(dir, names[i], config->path, sizeof config->path))
            return qr_error_set(error, QR_BAD_MODEL, "%s: the path is too long", dir);
        const qr__json_reader reader = {config->path, error};
        json_t *root = NULL;
        status = qr__json_read(&reader, true, &root);
        if (status == QR_OK)
            status =
                i == 0 ? read_specials(&reader, root, config) : read_config(&reader, root, config);
        json_decref(root);
    }
    return status;
}

void qr__tokenizer_config_compare(const qr__tokenizer_config *config, const char *dir,
                                  const qr__normalizer_options *normalizer) {
    const struct {
        const char *key;
        bool said, says, has;
    } rows[] = {
        {"do_lower_case", config->says_lowercase, config->lowercase, normalizer->lowercase},
        {"strip_accents", config->says_strip_accents, config->strip_accents,
         normalizer->strip_accents},
        {"tokenize_chinese_chars", config->says_chinese_chars, config->handle_chinese_chars,
         normalizer->handle_chinese_chars},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].said && rows[i].says != rows[i].has)
            qr_log(QR_LOG_WARN,
                   "%s/tokenizer_config.json: `%s` is %s, but the normalizer of tokenizer.json has "
                   "%s, which is taken (transformers takes the other: its tokens will differ)",
                   dir, rows[i].key, rows[i].says ? "true" : "false",
                   rows[i].has ? "true" : "false");
}

void qr__tokenizer_config_deinit(qr__tokenizer_config *config) {
    qr_arena_deinit(&config->arena);
    *config = (qr__tokenizer_config){0};
}
