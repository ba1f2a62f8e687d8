/* engine/model/model_json.c: loading a JSON file and reading typed members of its root. */
#include "engine/model/model_json.h"

#include <stdlib.h>

qr_status qr__json_load(const char *dir, const char *name, qr__model_json *out, qr_error *error) {
    char *data = NULL;
    size_t len = 0;
    out->root = NULL;
    if (!qr_file_join(dir, name, out->path, sizeof out->path))
        return qr_error_set(error, QR_BAD_MODEL, "%.200s...: the path is too long", dir);
    qr_status status = qr_file_read(out->path, QR_LIMIT_JSON_FILE_BYTES, &data, &len, error);
    if (status != QR_OK)
        return status;
    json_error_t at;
    status = qr_json_parse((qr_text){data, len}, JSON_REJECT_DUPLICATES, &out->root, &at);
    free(data);
    if (status == QR_NO_MEMORY)
        return qr_error_set(error, status, "%s: no memory to parse it", out->path);
    if (status != QR_OK)
        return qr_error_set(error, QR_BAD_MODEL, "%s: not valid JSON: %s (line %d, byte %d)",
                            out->path, at.text, at.line, at.position);
    return QR_OK;
}

void qr__json_deinit(qr__model_json *file) {
    json_decref(file->root);
    file->root = NULL;
}

qr_status qr__json_size(const qr__model_json *file, const char *key, size_t min, size_t max,
                        const size_t *fallback, size_t *out, qr_error *error) {
    const json_t *value = json_object_get(file->root, key);
    if (value == NULL || json_is_null(value)) {
        if (fallback == NULL)
            return qr_error_set(error, QR_BAD_MODEL, "%s: `%s` is missing", file->path, key);
        *out = *fallback;
        return QR_OK;
    }
    json_int_t number = json_integer_value(value);
    if (!json_is_integer(value) || number < 0 || (size_t)number < min || (size_t)number > max)
        return qr_error_set(error, QR_BAD_MODEL, "%s: `%s` is not an integer from %zu to %zu",
                            file->path, key, min, max);
    *out = (size_t)number;
    return QR_OK;
}

qr_status qr__json_text(const qr__model_json *file, const char *key, const char *fallback,
                        const char **out, qr_error *error) {
    const json_t *value = json_object_get(file->root, key);
    *out = fallback;
    if (value == NULL || json_is_null(value))
        return QR_OK;
    if (!json_is_string(value))
        return qr_error_set(error, QR_BAD_MODEL, "%s: `%s` is not a text", file->path, key);
    *out = json_string_value(value);
    return QR_OK;
}

qr_status qr__json_bool(const qr__model_json *file, const char *key, bool *out, qr_error *error) {
    const json_t *value = json_object_get(file->root, key);
    *out = json_is_true(value);
    if (value == NULL || json_is_null(value) || json_is_boolean(value))
        return QR_OK;
    return qr_error_set(error, QR_BAD_MODEL, "%s: `%s` is neither true nor false", file->path, key);
}
