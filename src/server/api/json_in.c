/* server/api/json_in.c: jansson behind json_in.h. A qr__json is a json_t. */
#include "server/api/json_in.h"

#include <jansson.h>

static const json_t *of(const qr__json *value) { return (const json_t *)value; }

void qr__json_seed(void) { json_object_seed(0); }

qr_status qr__json_parse(qr_text text, qr__json **out, size_t *fault_byte) {
    json_error_t error;
    *out = NULL;
    *fault_byte = 0;
    if (!qr__json_scan(text, fault_byte))
        return QR_BAD_JSON;
    /* DECODE_ANY: a bare number is JSON; that it is no request is for the routes to say. */
    json_t *root = json_loadb(text.data == NULL ? "" : text.data, text.len,
                              JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_ANY, &error);
    if (root == NULL) {
        *fault_byte = error.position < 0 ? 0 : (size_t)error.position;
        return json_error_code(&error) == json_error_out_of_memory ? QR_NO_MEMORY : QR_BAD_JSON;
    }
    *out = (qr__json *)root;
    return QR_OK;
}

void qr__json_free(qr__json *value) { json_decref((json_t *)value); }

qr__json_kind qr__json_kind_of(const qr__json *value) {
    if (value == NULL)
        return QR__JSON_NULL;
    switch (json_typeof(of(value))) {
    case JSON_OBJECT:
        return QR__JSON_OBJECT;
    case JSON_ARRAY:
        return QR__JSON_ARRAY;
    case JSON_STRING:
        return QR__JSON_TEXT;
    case JSON_INTEGER:
        return QR__JSON_INTEGER;
    case JSON_REAL:
        return QR__JSON_REAL;
    case JSON_TRUE:
    case JSON_FALSE:
        return QR__JSON_BOOL;
    case JSON_NULL:
    default:
        return QR__JSON_NULL;
    }
}

const qr__json *qr__json_get(const qr__json *object, const char *key) {
    const json_t *value = json_object_get(of(object), key);
    return value == NULL || json_is_null(value) ? NULL : (const qr__json *)value;
}

size_t qr__json_len(const qr__json *array) { return json_array_size(of(array)); }

const qr__json *qr__json_at(const qr__json *array, size_t index) {
    return (const qr__json *)json_array_get(of(array), index);
}

qr_text qr__json_text(const qr__json *value) {
    const char *data = json_string_value(of(value));
    return (qr_text){data, data == NULL ? 0 : json_string_length(of(value))};
}

typedef struct number_row {
    const char *name;
    json_int_t least, most;
} number_row;

static const number_row numbers[] = {
#define QR_X(id, name, least, most) {name, least, most},
    QR__NUMBER_LIST(QR_X)
#undef QR_X
};

const char *qr__number_name(qr__number number) { return numbers[number].name; }

bool qr__json_number(const qr__json *value, qr__number number, size_t *out) {
    if (!json_is_integer(of(value)))
        return false;
    json_int_t integer = json_integer_value(of(value));
    if (integer < numbers[number].least || integer > numbers[number].most)
        return false;
    *out = (size_t)integer;
    return true;
}

bool qr__json_flag(const qr__json *value, bool *out) {
    if (!json_is_boolean(of(value)))
        return false;
    *out = json_is_true(of(value));
    return true;
}
