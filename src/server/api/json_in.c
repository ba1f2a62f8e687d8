/* server/api/json_in.c: jansson behind json_in.h. A qr__value is a json_t. */
#include "server/api/json_in.h"

#include <jansson.h>

#include "server/api/json_fault.h"

static const json_t *of(const qr__value *value) {
    return (const json_t *)value;
}

void qr__value_seed(void) {
    json_object_seed(0);
}

/* Why the text was refused. The parser's own word is taken only for what the scanner does not look
 * for. */
static qr_status refuse(qr_text text, const json_error_t *error, qr_fault *out) {
    qr__json_fault fault;
    size_t stopped = error == NULL || error->position < 0 ? 0 : (size_t)error->position;
    if (error != NULL && json_error_code(error) == json_error_duplicate_key)
        qr__json_fault_duplicate(text, stopped, &fault);
    else if (!qr__json_fault_find(text, &fault)) /* they disagree: then at least roughly where */
        fault = (qr__json_fault){.line = error == NULL ? 1 : (size_t)error->line,
                                 .column = error == NULL ? 1 : (size_t)error->column,
                                 .expected = "expected JSON"};
    *out = (qr_fault){.line = fault.line, .column = fault.column, .expected = fault.expected};
    return QR_BAD_JSON;
}

static bool take_room(qr__value_room *room, size_t bytes) {
    bool taken = qr_quota_take(room->quota, bytes, bytes);
    room->held_bytes = taken ? bytes : 0;
    return taken;
}

static void give_room(qr__value_room *room) {
    qr_quota_give(room->quota, room->held_bytes);
    room->held_bytes = 0;
}

qr_status qr__value_parse(qr_text text, qr__value_room *room, qr__value **out, qr_fault *fault) {
    json_error_t error;
    size_t bytes;
    *out = NULL;
    if (text.data == NULL)
        text.data = "";
    /* No byte of JSON is 0, but jansson 2.14 takes "123\0" for 123. */
    if (!qr__value_scan(text, &bytes) || memchr(text.data, '\0', text.len) != NULL)
        return refuse(text, NULL, fault);
    if (text.len > QR_QUOTA_SMALL_BYTES && !take_room(room, bytes))
        return QR_NO_MEMORY;
    /* DECODE_ANY: a bare number is JSON; that it is no request is for the routes to say. */
    json_t *root;
    qr_status status = qr_json_parse(
        text, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_ANY, &root, &error);
    if (root == NULL)
        give_room(room);
    if (status == QR_BAD_JSON)
        return refuse(text, &error, fault);
    *out = (qr__value *)root;
    return status;
}

void qr__value_free(qr__value *value, qr__value_room *room) {
    json_decref((json_t *)value);
    give_room(room);
}

qr__value_kind qr__value_kind_of(const qr__value *value) {
    if (value == NULL)
        return QR__VALUE_NULL;
    switch (json_typeof(of(value))) {
    case JSON_OBJECT:
        return QR__VALUE_OBJECT;
    case JSON_ARRAY:
        return QR__VALUE_ARRAY;
    case JSON_STRING:
        return QR__VALUE_TEXT;
    case JSON_INTEGER:
        return QR__VALUE_INTEGER;
    case JSON_REAL:
        return QR__VALUE_REAL;
    case JSON_TRUE:
    case JSON_FALSE:
        return QR__VALUE_BOOL;
    case JSON_NULL:
    default:
        return QR__VALUE_NULL;
    }
}

const qr__value *qr__value_get(const qr__value *object, const char *key) {
    const json_t *value = json_object_get(of(object), key);
    return value == NULL || json_is_null(value) ? NULL : (const qr__value *)value;
}

size_t qr__value_len(const qr__value *array) {
    return json_array_size(of(array));
}

const qr__value *qr__value_at(const qr__value *array, size_t index) {
    return (const qr__value *)json_array_get(of(array), index);
}

qr_text qr__value_text(const qr__value *value) {
    const char *data = json_string_value(of(value));
    return (qr_text){data, data == NULL ? 0 : json_string_length(of(value))};
}

bool qr__value_number(const qr__value *value, size_t least, size_t most, size_t *out) {
    if (!json_is_integer(of(value)))
        return false;
    json_int_t integer = json_integer_value(of(value));
    if (integer < 0 || (size_t)integer < least || (size_t)integer > most)
        return false;
    *out = (size_t)integer;
    return true;
}

bool qr__value_flag(const qr__value *value, bool *out) {
    if (!json_is_boolean(of(value)))
        return false;
    *out = json_is_true(of(value));
    return true;
}
