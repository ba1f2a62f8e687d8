/* tokenizer/json_members.c: jansson behind json_members.h. */
#include "tokenizer/json_members.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "tokenizer/vocab.h"

_Static_assert(QR__TOKEN_BYTES == 1024, "the limit's number stands in a sentence below");

qr_status qr__json_fault(const qr__json_reader *reader, const char *where, const char *reason,
                         const char *hint) {
    return qr_error_set(reader->error, QR_BAD_MODEL, "%s: %s: %s (%s)", reader->path, where, reason,
                        hint);
}

void qr__text_line(qr_text text, size_t at, size_t *line, size_t *column) {
    size_t begin = 0;
    *line = 1;
    for (size_t i = 0; i < qr_min(at, text.len); i++)
        if (text.data[i] == '\n') {
            ++*line;
            begin = i + 1;
        }
    *column = qr_min(at, text.len) - begin + 1;
}

qr_status qr__json_parse(const qr__json_reader *reader, qr_text text, size_t from, size_t to,
                         bool reals, json_t **out) {
    json_error_t fault;
    qr_buf rest;
    qr_buf_init(&rest, QR_LIMIT_JSON_FILE_BYTES);
    qr_buf_append(&rest, text.data, from);
    qr_buf_append(&rest, text.data + to, text.len - to);
    *out = NULL;
    qr_status status = qr_buf_failed(&rest)
                           ? QR_NO_MEMORY
                           : qr_json_parse(qr_buf_contents(&rest),
                                           reals ? JSON_DECODE_INT_AS_REAL : 0, out, &fault);
    qr_buf_deinit(&rest);
    if (status == QR_NO_MEMORY)
        return qr_error_set(reader->error, QR_NO_MEMORY, "%s: no memory to parse it", reader->path);
    if (json_is_object(*out))
        return QR_OK;
    if (*out != NULL) {
        json_decref(*out);
        *out = NULL;
        return qr__json_fault(reader, "top level", "not a JSON object", "expected {...}");
    }
    size_t at = fault.position < 0 ? 0 : (size_t)fault.position, line, column;
    qr__text_line(text, at <= from ? at : at + (to - from), &line, &column);
    return qr_error_set(reader->error, QR_BAD_MODEL,
                        "%s: line %zu column %zu: %s (is the file whole, and JSON?)", reader->path,
                        line, column, fault.text);
}

qr_status qr__json_read(const qr__json_reader *reader, bool reals, json_t **out) {
    char *data;
    size_t len;
    *out = NULL;
    qr_status status =
        qr_file_read(reader->path, QR_LIMIT_JSON_FILE_BYTES, &data, &len, reader->error);
    if (status == QR_OK)
        status = qr__json_parse(reader, (qr_text){data, len}, 0, 0, reals, out);
    free(data);
    return status;
}

static qr_status member_fault(const qr__json_reader *reader, const char *where, const char *key,
                              const json_t *value, const char *wanted) {
    char reason[128];
    snprintf(reason, sizeof reason, "\"%s\" is %s", key,
             value == NULL ? "missing" : "of the wrong type or range");
    char hint[96];
    snprintf(hint, sizeof hint, "expected %s", wanted);
    return qr__json_fault(reader, where, reason, hint);
}

qr_status qr__json_get_bool(const qr__json_reader *reader, const json_t *object, const char *where,
                            const char *key, bool *out) {
    const json_t *value = json_object_get(object, key);
    if (!json_is_boolean(value))
        return member_fault(reader, where, key, value, "true or false");
    *out = json_is_true(value);
    return QR_OK;
}

qr_status qr__json_get_size(const qr__json_reader *reader, const json_t *object, const char *where,
                            const char *key, size_t max, size_t *out) {
    const json_t *value = json_object_get(object, key);
    char wanted[64];
    snprintf(wanted, sizeof wanted, "an integer from 0 to %zu", max);
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        (uintmax_t)json_integer_value(value) > max)
        return member_fault(reader, where, key, value, wanted);
    *out = (size_t)json_integer_value(value);
    return QR_OK;
}

qr_status qr__json_get_text(const qr__json_reader *reader, const json_t *object, const char *where,
                            const char *key, qr_text *out) {
    const json_t *value = json_object_get(object, key);
    if (!json_is_string(value))
        return member_fault(reader, where, key, value, "a string");
    *out = (qr_text){json_string_value(value), json_string_length(value)};
    return QR_OK;
}

qr_status qr__json_added_token(const qr__json_reader *reader, const json_t *object,
                               const char *where, qr__added_token *out) {
    if (!json_is_object(object))
        return qr__json_fault(reader, where, "not an object", "expected {\"content\": ..., ...}");
    qr_status status = qr__json_get_text(reader, object, where, "content", &out->content);
    const struct {
        const char *key;
        bool *flag;
    } flags[] = {{"single_word", &out->single_word},
                 {"lstrip", &out->lstrip},
                 {"rstrip", &out->rstrip},
                 {"normalized", &out->normalized},
                 {"special", &out->special}};
    for (size_t i = 0; i < sizeof flags / sizeof *flags && status == QR_OK; i++)
        status = qr__json_get_bool(reader, object, where, flags[i].key, flags[i].flag);
    if (status == QR_OK && (out->content.len == 0 || out->content.len > QR__TOKEN_BYTES))
        return qr__json_fault(reader, where, "the content is empty or too long",
                              "at most 1024 bytes");
    return status;
}
