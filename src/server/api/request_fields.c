/* server/api/request_fields.c: the fields of a body, read as their table says. */
#include "server/api/call.h"

/* The place of a choice in "a|b|c"; false: it is none of them. */
static bool find_choice(qr_text given, const char *choices, size_t *out) {
    if (given.data == NULL)
        return false;
    *out = 0;
    for (const char *at = choices;; (*out)++) {
        size_t len = strcspn(at, "|");
        if (qr_text_equal(given, (qr_text){at, len}))
            return true;
        if (at[len] == '\0')
            return false;
        at += len + 1;
    }
}

static void set_fallback(const qr__field *field, void *to) {
    if (field->kind == QR__FIELD_FLAG)
        *(bool *)to = field->fallback != 0;
    else if (field->kind == QR__FIELD_NUMBER || field->kind == QR__FIELD_CHOICE)
        *(size_t *)to = field->fallback;
}

static bool set_value(const qr__field *field, const qr__value *value, void *to) {
    switch (field->kind) {
    case QR__FIELD_FLAG:
        return qr__value_flag(value, to);
    case QR__FIELD_NUMBER:
        return qr__value_number(value, field->least, field->most, to);
    case QR__FIELD_TEXT:
        *(qr_text *)to = qr__value_text(value);
        return ((qr_text *)to)->data != NULL;
    case QR__FIELD_CHOICE:
        return find_choice(qr__value_text(value), field->choices, to);
    case QR__FIELD_OBJECT:
        return qr__value_kind_of(value) == QR__VALUE_OBJECT;
    case QR__FIELD_OTHER:
        return true;
    }
    return false;
}

static qr_status read_field(qr__call *call, const qr__value *object, const char *parent,
                            const qr__field *field) {
    const qr_place place = {.parent = parent, .field = field->name};
    const qr__value *value = qr__value_get(object, field->name);
    void *to = (char *)call->request + field->at;
    set_fallback(field, to);
    if (value == NULL)
        return field->required ? qr__call_must(call, &place, NULL) : QR_OK;
    if (set_value(field, value, to))
        return QR_OK;
    if (field->by_model) {
        *(size_t *)to = SIZE_MAX;
        return QR_OK;
    }
    if (field->kind == QR__FIELD_NUMBER)
        return qr__call_must_within(call, &place, field->must, field->least, field->most);
    return qr__call_must(call, &place, field->must);
}

/* An object's members stand in it, or, when it is not there, where it would stand. */
static qr_status read_members(qr__call *call, const qr__field *field) {
    const qr__value *object = qr__value_get(call->body, field->name);
    qr_status status = QR_OK;
    for (size_t i = 0; status == QR_OK && i < field->members_len; i++)
        status = read_field(call, object == NULL ? call->body : object,
                            object == NULL ? NULL : field->name, &field->members[i]);
    return status;
}

qr_status qr__call_fields(qr__call *call, const qr__field *fields, size_t len) {
    qr_status status = QR_OK;
    for (size_t i = 0; status == QR_OK && i < len; i++) {
        status = read_field(call, call->body, NULL, &fields[i]);
        if (status == QR_OK && fields[i].kind == QR__FIELD_OBJECT)
            status = read_members(call, &fields[i]);
    }
    return status;
}
