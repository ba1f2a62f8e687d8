/* server/api/openapi_body.c: a row's table of fields as the JSON Schema of a body. */
#include "server/api/openapi.h"

#include "server/api/schema.h"

_Static_assert(QR_LIMIT_VOCAB == 1000000, "the largest token id of QR__S_ID");

static void put_key(const char *key, qr_buf *out) {
    qr_buf_printf(out, ",\"%s\":", key);
}

/* Null means the same as nothing, where nothing will do. */
static void put_type(const char *type, const qr__field *field, qr_buf *out) {
    if (field->required)
        qr_buf_printf(out, "\"type\":\"%s\"", type);
    else
        qr_buf_printf(out, "\"type\":[\"%s\",\"null\"]", type);
}

/* A fallback that no client may send stands for "as the model has it", and is no default. */
static void put_number(const qr__field *field, qr_buf *out) {
    put_type("integer", field, out);
    qr_buf_printf(out, ",\"minimum\":%zu,\"maximum\":%zu", field->least, field->most);
    if (field->fallback >= field->least && field->fallback <= field->most)
        qr_buf_printf(out, ",\"default\":%zu", field->fallback);
}

static void put_choices(const qr__field *field, qr_buf *out) {
    size_t place = 0, fallback_len = 0;
    const char *fallback = field->choices;
    put_type("string", field, out);
    qr_buf_literal(out, ",\"enum\":[");
    for (const char *at = field->choices;; place++) {
        size_t len = strcspn(at, "|");
        if (place == field->fallback) {
            fallback = at;
            fallback_len = len;
        }
        qr_json_text(out, (qr_text){at, len});
        if (at[len] == '\0')
            break;
        qr_buf_byte(out, ',');
        at += len + 1;
    }
    qr_buf_text(out, qr_text_of(field->required ? "]" : ",null]"));
    if (!field->required) {
        put_key("default", out);
        qr_json_text(out, (qr_text){fallback, fallback_len});
    }
}

static void put_members(const qr__field *fields, size_t len, bool *first, qr_buf *out);

/* Who sends the object sends what must be in it. */
static void put_required(const qr__field *fields, size_t len, qr_buf *out) {
    bool first = true;
    qr_buf_literal(out, "\"required\":[");
    for (size_t i = 0; i < len; i++) {
        if (!fields[i].required)
            continue;
        qr__openapi_comma(&first, out);
        qr_json_text(out, qr_text_of(fields[i].name));
    }
    qr_buf_byte(out, ']');
}

static void put_object(const qr__field *field, qr_buf *out) {
    bool first = true;
    put_type("object", field, out);
    qr_buf_literal(out, ",\"properties\":{");
    put_members(field->members, field->members_len, &first, out);
    qr_buf_literal(out, "},");
    put_required(field->members, field->members_len, out);
}

/* A schema's text without the brace that opens it, behind a comma where something follows. */
static void put_rest(const char *schema, qr_buf *out) {
    size_t brace = schema[0] == '{' ? 1 : 0;
    if (schema[brace] != '}')
        qr_buf_byte(out, ',');
    qr_buf_text(out, qr_text_of(schema + brace));
}

static void put_other(const qr__field *field, qr_buf *out) {
    qr_buf_literal(out, "\"description\":");
    qr_json_text(out, qr_text_of(field->must));
    const char *schema = field->schema == NULL ? "{}" : field->schema;
    if (field->required)
        put_rest(schema, out);
    else
        qr_buf_printf(out, ",\"anyOf\":[%s,{\"type\":\"null\"}]}", schema);
}

static void put_field(const qr__field *field, qr_buf *out) {
    qr_json_text(out, qr_text_of(field->name));
    qr_buf_literal(out, ":{");
    switch (field->kind) {
    case QR__FIELD_FLAG:
        put_type("boolean", field, out);
        if (!field->required)
            qr_buf_printf(out, ",\"default\":%s", field->fallback != 0 ? "true" : "false");
        break;
    case QR__FIELD_NUMBER:
        put_number(field, out);
        break;
    case QR__FIELD_TEXT:
        put_type("string", field, out);
        break;
    case QR__FIELD_CHOICE:
        put_choices(field, out);
        break;
    case QR__FIELD_OBJECT:
        put_object(field, out);
        break;
    case QR__FIELD_OTHER:
        put_other(field, out);
        return; /* its schema has the closing brace */
    }
    if (field->kind == QR__FIELD_OBJECT) {
        put_key("description", out);
        qr_json_text(out, qr_text_of(field->must));
    }
    qr_buf_byte(out, '}');
}

static void put_members(const qr__field *fields, size_t len, bool *first, qr_buf *out) {
    for (size_t i = 0; i < len; i++) {
        qr__openapi_comma(first, out);
        put_field(&fields[i], out);
    }
}

static bool has_required(const qr__field *fields, size_t len) {
    for (size_t i = 0; i < len; i++)
        if (fields[i].required)
            return true;
    return false;
}

/* What an object must hold may stand beside it as well, when the object is not there. */
static void put_either(const qr__field *field, qr_buf *out) {
    qr_buf_printf(out, "{\"anyOf\":[{\"required\":[\"%s\"]},{", field->name);
    put_required(field->members, field->members_len, out);
    qr_buf_literal(out, "}]}");
}

static void put_schema(const qr_route *row, qr_buf *out) {
    bool first = true;
    qr_buf_literal(out, "{\"type\":\"object\",\"properties\":{");
    put_members(row->fields, row->fields_len, &first, out);
    for (size_t i = 0; i < row->fields_len; i++)
        put_members(row->fields[i].members, row->fields[i].members_len, &first, out);
    qr_buf_literal(out, "},");
    put_required(row->fields, row->fields_len, out);
    first = true;
    for (size_t i = 0; i < row->fields_len; i++) {
        const qr__field *field = &row->fields[i];
        if (field->kind != QR__FIELD_OBJECT || field->required ||
            !has_required(field->members, field->members_len))
            continue;
        qr_buf_text(out, qr_text_of(first ? ",\"allOf\":[" : ","));
        first = false;
        put_either(field, out);
    }
    qr_buf_text(out, qr_text_of(first ? "}" : "]}"));
}

void qr__openapi_body(const qr_route *row, qr_buf *out) {
    qr_buf_literal(out, "{\"required\":true,\"content\":{");
    qr_json_text(out, qr_text_of(row->accepts));
    qr_buf_literal(out, ":{\"schema\":");
    if (row->other == NULL) {
        put_schema(row, out);
    } else { /* the body's shape says which */
        qr_buf_literal(out, "{\"anyOf\":[");
        put_schema(row, out);
        qr_buf_byte(out, ',');
        put_schema(row->other(), out);
        qr_buf_literal(out, "]}");
    }
    if (row->example != NULL)
        qr_buf_printf(out, ",\"example\":%s", row->example);
    qr_buf_literal(out, "}}}");
}
