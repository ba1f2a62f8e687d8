/* pipeline/prompts_json.c: `prompts` of config_sentence_transformers.json.
 *
 * Its default_prompt_name is not read: text-embeddings-inference ignores it, and a server that puts
 * a prompt in front of every text without being asked gives other vectors than that. */
#include <jansson.h>
#include <stdlib.h>

#include "pipeline/prompts.h"

#define FILE_NAME "config_sentence_transformers.json"

/* A copy with a NUL behind it. */
static bool copy_text(const char *data, size_t len, qr_text *out) {
    char *copy = malloc(len + 1);
    if (copy == NULL)
        return false;
    memcpy(copy, data, len);
    copy[len] = '\0';
    out->data = copy;
    out->len = len;
    return true;
}

/* null is what a class fills in later and nobody did: no prompt. */
static qr_status add(const char *path, const char *name, const json_t *value, qr__prompts *out,
                     qr_error *error) {
    const char *text = json_is_null(value) ? "" : json_string_value(value);
    const size_t len = json_is_null(value) ? 0 : json_string_length(value);
    if (text == NULL || len > QR_LIMIT_PROMPT_BYTES)
        return qr_error_set(error, QR_BAD_MODEL,
                            "%s: the prompt `%.100s` is not a text of at most %u bytes", path, name,
                            QR_LIMIT_PROMPT_BYTES);
    qr_prompt *prompt = &out->items[out->len];
    if (copy_text(name, strlen(name), &prompt->name)) {
        out->len++;
        if (copy_text(text, len, &prompt->text))
            return QR_OK;
    }
    return qr_error_set(error, QR_NO_MEMORY, "%s: no memory for the prompts", path);
}

static qr_status read_prompts(const char *path, const json_t *root, qr__prompts *out,
                              qr_error *error) {
    json_t *prompts = json_object_get(root, "prompts");
    qr_status status = QR_OK;
    if (json_is_object(root) && (prompts == NULL || json_is_null(prompts)))
        return QR_OK;
    if (!json_is_object(prompts) || json_object_size(prompts) > QR_LIMIT_PROMPTS)
        return qr_error_set(error, QR_BAD_MODEL,
                            "%s: `prompts` is not an object of at most %u texts", path,
                            QR_LIMIT_PROMPTS);
    out->items = calloc(json_object_size(prompts) + 1, sizeof *out->items);
    if (out->items == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "%s: no memory for the prompts", path);
    for (void *at = json_object_iter(prompts); at != NULL && status == QR_OK;
         at = json_object_iter_next(prompts, at))
        status = add(path, json_object_iter_key(at), json_object_iter_value(at), out, error);
    return status;
}

qr_status qr__prompts_load(const char *dir, qr__prompts *out, qr_error *error) {
    char path[QR_PATH_BYTES], *data = NULL;
    size_t len = 0;
    json_error_t at;
    *out = (qr__prompts){0};
    if (!qr_file_exists(dir, FILE_NAME))
        return QR_OK;
    if (!qr_file_join(dir, FILE_NAME, path, sizeof path))
        return qr_error_set(error, QR_BAD_MODEL, "%.200s...: the path is too long", dir);
    qr_status status = qr_file_read(path, QR_LIMIT_JSON_FILE_BYTES, &data, &len, error);
    if (status != QR_OK)
        return status;
    json_t *root;
    status = qr_json_parse((qr_text){data, len}, JSON_REJECT_DUPLICATES, &root, &at);
    free(data);
    if (status == QR_NO_MEMORY)
        return qr_error_set(error, status, "%s: no memory for the prompts", path);
    if (status != QR_OK)
        return qr_error_set(error, QR_BAD_MODEL, "%s: not valid JSON: %s (line %d, byte %d)", path,
                            at.text, at.line, at.position);
    status = read_prompts(path, root, out, error);
    json_decref(root);
    return status;
}
