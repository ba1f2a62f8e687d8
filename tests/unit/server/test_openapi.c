/* /openapi.json against the table that it is made of: what a row says stands in the document, and
 * nothing else does. Whether it is valid OpenAPI, and whether answers are what it says, is asked in
 * tests/server. */
#include <criterion/criterion.h>
#include <ctype.h>
#include <jansson.h>
#include <stdio.h>

#include "server/api/call.h"
#include "server/api/openapi.h"

#define MAIN QR_LISTENER_MAIN
#define OPS  QR_LISTENER_OPS

TestSuite(openapi, .timeout = 60);

static json_t *document(unsigned listeners, bool keyed) {
    json_error_t error;
    qr_buf out;
    qr_buf_init(&out, QR_LIMIT_RESPONSE_BYTES);
    qr__openapi_write(listeners, keyed, &out);
    cr_assert(!qr_buf_failed(&out));
    json_t *doc = json_loadb(out.data, out.len, JSON_REJECT_DUPLICATES, &error);
    cr_assert(doc != NULL, "%s at byte %d", error.text, error.position);
    qr_buf_deinit(&out);
    return doc;
}

/* Each check counts its faults, so that a wrong document can show that it has some. */

static json_t *operation_of(const json_t *doc, const qr_route *row) {
    char method[16] = "";
    for (size_t i = 0; row->method[i] != '\0'; i++)
        method[i] = (char)tolower(row->method[i]);
    return json_object_get(json_object_get(json_object_get(doc, "paths"), row->pattern), method);
}

static json_t *schema_of(const json_t *operation, const qr_route *row) {
    json_t *content = json_object_get(json_object_get(operation, "requestBody"), "content");
    return json_object_get(json_object_get(content, row->accepts), "schema");
}

static bool names(const json_t *schema, const char *list, const char *name) {
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(schema, list), i, item) {
        if (strcmp(json_string_value(item), name) == 0)
            return true;
    }
    return false;
}

/* Of a row that may resolve to another one there are two schemas, its own first. */
static const json_t *shape_of(const json_t *schema, const qr_route *row, size_t index) {
    return row->other == NULL ? schema : json_array_get(json_object_get(schema, "anyOf"), index);
}

static size_t field_faults(const json_t *schema, const qr__field *field, bool beside) {
    const json_t *found = json_object_get(json_object_get(schema, "properties"), field->name);
    size_t faults =
        found == NULL || (!beside && names(schema, "required", field->name) != field->required);
    for (size_t i = 0; i < field->members_len; i++)
        faults += field_faults(found, &field->members[i], false) +
                  field_faults(schema, &field->members[i], true);
    if (field->kind == QR__FIELD_NUMBER)
        faults += (size_t)json_integer_value(json_object_get(found, "maximum")) != field->most ||
                  (size_t)json_integer_value(json_object_get(found, "minimum")) != field->least;
    return faults;
}

static size_t row_faults(const json_t *doc, const qr_route *row, bool keyed) {
    const json_t *operation = operation_of(doc, row),
                 *replies = json_object_get(operation, "responses");
    const json_t *schema = row->accepts == NULL ? NULL : schema_of(operation, row);
    bool asks = keyed && !qr_api_is_open(row);
    size_t faults = operation == NULL || json_object_get(replies, "200") == NULL;
    const char *summary = json_string_value(json_object_get(operation, "summary"));
    faults += summary == NULL || strcmp(summary, row->summary) != 0;
    faults += (row->accepts != NULL) != (schema != NULL);
    for (size_t i = 0; i < row->fields_len; i++)
        faults += field_faults(shape_of(schema, row, 0), &row->fields[i], false);
    const qr_route *other = row->other == NULL ? NULL : row->other();
    for (size_t i = 0; other != NULL && i < other->fields_len; i++)
        faults += field_faults(shape_of(schema, row, 1), &other->fields[i], false);
    faults += (json_object_get(replies, "401") != NULL) != asks;
    faults += (json_object_get(operation, "security") != NULL) != asks;
    for (size_t i = 0; row->aliases != NULL && row->aliases[i] != NULL; i++)
        faults += !names(operation, "x-aliases", row->aliases[i]);
    return faults;
}

/* "#/components/responses/TeiError400": whether that is there. */
static bool resolves(const json_t *doc, const char *reference) {
    char part[128];
    if (strncmp(reference, "#/", 2) != 0)
        return false;
    for (const char *at = reference + 2; doc != NULL; at += strlen(part) + 1) {
        snprintf(part, sizeof part, "%.*s", (int)strcspn(at, "/"), at);
        doc = json_object_get(doc, part);
        if (at[strlen(part)] == '\0')
            return doc != NULL;
    }
    return false;
}

static size_t reference_faults(const json_t *doc, json_t *part) {
    size_t faults = 0, i;
    const char *key;
    json_t *item;
    json_array_foreach(part, i, item) {
        faults += reference_faults(doc, item);
    }
    json_object_foreach(part, key, item) {
        if (strcmp(key, "$ref") == 0)
            faults += !json_is_string(item) || !resolves(doc, json_string_value(item));
        else
            faults += reference_faults(doc, item);
    }
    return faults;
}

/* Operations, parameters of paths, and names that must not come twice. */
static size_t path_faults(const json_t *doc, size_t *operations) {
    size_t faults = 0, i;
    const char *path, *method;
    json_t *methods, *operation, *parameter, *ids = json_object();
    *operations = 0;
    json_object_foreach(json_object_get(doc, "paths"), path, methods) {
        json_object_foreach(methods, method, operation) {
            size_t holes = 0;
            const char *id = json_string_value(json_object_get(operation, "operationId"));
            faults += id == NULL || json_object_get(ids, id) != NULL;
            json_object_set_new(ids, id == NULL ? "" : id, json_true());
            for (const char *at = path; (at = strchr(at, '{')) != NULL; at++)
                holes++;
            json_array_foreach(json_object_get(operation, "parameters"), i, parameter) {
                const char *in = json_string_value(json_object_get(parameter, "in"));
                holes -= in != NULL && strcmp(in, "path") == 0;
            }
            faults += holes != 0;
            ++*operations;
        }
    }
    json_decref(ids);
    return faults;
}

static bool is_found(const qr_route *row, unsigned listeners) {
    qr_text model;
    qr_status status;
    return qr_api_route(listeners, qr_text_of(row->method), qr_text_of(row->pattern), &model,
                        &status) == row;
}

static size_t all_faults(json_t *doc, unsigned listeners, bool keyed) {
    size_t operations, wanted = 0,
                       faults = path_faults(doc, &operations) + reference_faults(doc, doc);
    const qr_route *row;
    for (size_t i = 0; (row = qr__route_at(i)) != NULL; i++) {
        if (!is_found(row, listeners))
            continue;
        size_t of_row = row_faults(doc, row, keyed);
        faults += of_row;
        wanted++;
    }
    bool scheme =
        json_object_get(json_object_get(json_object_get(doc, "components"), "securitySchemes"),
                        "bearer") != NULL;
    return faults + (operations != wanted) + (scheme != keyed);
}

Test(openapi, the_document_is_the_table) {
    static const unsigned listeners[] = {MAIN, OPS, MAIN | OPS};
    for (size_t i = 0; i < sizeof listeners / sizeof listeners[0]; i++)
        for (int keyed = 0; keyed < 2; keyed++) {
            json_t *doc = document(listeners[i], keyed != 0);
            cr_assert_eq(all_faults(doc, listeners[i], keyed != 0), 0, "listeners %u, keys %d",
                         listeners[i], keyed);
            json_decref(doc);
        }
}

Test(openapi, each_listener_tells_of_its_own_routes) {
    json_t *main_doc = document(MAIN, false), *ops_doc = document(OPS, false);
    json_t *main_paths = json_object_get(main_doc, "paths");
    json_t *ops_paths = json_object_get(ops_doc, "paths");
    cr_assert(json_object_get(main_paths, "/embed") != NULL);
    cr_assert(json_object_get(main_paths, "/metrics") == NULL);
    cr_assert(json_object_get(ops_paths, "/embed") == NULL);
    cr_assert(json_object_get(ops_paths, "/metrics") != NULL);
    cr_assert(json_object_get(ops_paths, "/openapi.json") != NULL);
    json_decref(main_doc);
    json_decref(ops_doc);
}

/* The checks above, on documents that are wrong by one thing. */
Test(openapi, a_wrong_document_has_faults) {
    static const char *const wrongs[][4] = {
        {"paths", "/embed", NULL},
        {"paths", "/embed", "post", "requestBody"},
        {"paths", "/embed", "post", "operationId"},
        {"paths", "/embed", "post", "summary"},
        {"paths", "/embed", "post", "responses"},
        {"paths", "/openapi.json", "get", "x-aliases"},
        {"components", "responses", "TeiError400", NULL},
        {"components", "parameters", "Budget", NULL},
    };
    for (size_t i = 0; i < sizeof wrongs / sizeof wrongs[0]; i++) {
        json_t *doc = document(MAIN | OPS, false), *at = doc;
        size_t last = 0;
        while (last < 3 && wrongs[i][last + 1] != NULL)
            at = json_object_get(at, wrongs[i][last++]);
        cr_assert_eq(json_object_del(at, wrongs[i][last]), 0, "%s is not there", wrongs[i][last]);
        cr_assert(all_faults(doc, MAIN | OPS, false) > 0, "nobody misses %s", wrongs[i][last]);
        json_decref(doc);
    }
    json_t *doc = document(MAIN | OPS, false);
    json_t *span = json_object_get(
        json_object_get(json_object_get(json_object_get(doc, "paths"), "/span"), "post"),
        "requestBody");
    span = json_object_get(json_object_get(json_object_get(span, "content"), QR__JSON), "schema");
    span = json_array_get(json_object_get(span, "anyOf"), 0);
    json_t *inputs = json_object_get(json_object_get(span, "properties"), "inputs");
    cr_assert_eq(json_object_del(json_object_get(inputs, "properties"), "context"), 0);
    cr_assert(all_faults(doc, MAIN | OPS, false) > 0, "nobody misses a member of an object");
    cr_assert(all_faults(doc, MAIN, false) > all_faults(doc, MAIN | OPS, false) ||
                  all_faults(doc, MAIN, false) > 0,
              "rows of another listener");
    json_decref(doc);
}

/* Errors */

/* Whether the value has the members that the schema requires, no others, and of its types. */
static bool fits(const json_t *schema, const json_t *value) {
    const char *key, *type = json_string_value(json_object_get(schema, "type"));
    json_t *member, *properties = json_object_get(schema, "properties");
    size_t i;
    if (json_object_get(schema, "const") != NULL)
        return json_equal(json_object_get(schema, "const"), value);
    json_array_foreach(json_object_get(schema, "anyOf"), i, member) {
        if (fits(member, value))
            return true;
    }
    if (type == NULL)
        return false;
    if (strcmp(type, "object") != 0)
        return strcmp(type, "string") == 0    ? json_is_string(value)
               : strcmp(type, "integer") == 0 ? json_is_integer(value)
                                              : strcmp(type, "null") == 0 && json_is_null(value);
    if (!json_is_object(value) ||
        json_object_size(value) != json_array_size(json_object_get(schema, "required")))
        return false;
    json_object_foreach((json_t *)value, key, member) {
        if (!fits(json_object_get(properties, key), member))
            return false;
    }
    return true;
}

Test(openapi, errors_have_the_shape_that_the_document_says) {
    static const qr_status statuses[] = {QR_BAD_JSON, QR_BAD_REQUEST, QR_NO_MODEL, QR_OVERLOADED,
                                         QR_LATE,     QR_NOT_READY,   QR_INTERNAL};
    const qr_route *row;
    for (size_t i = 0; (row = qr__route_at(i)) != NULL; i++) {
        const qr__fault_shape *shape = qr__fault_shape_of(row);
        cr_assert(shape != NULL, "%s %s: its fail function has no shape in openapi_replies.c",
                  row->method, row->pattern);
        json_t *schema = json_loads(shape->schema, 0, NULL);
        for (size_t s = 0; s < sizeof statuses / sizeof statuses[0]; s++) {
            const qr_fault fault = {.place = {.field = "inputs"}, .must = "a text"};
            qr_buf out;
            qr_buf_init(&out, 4096);
            row->fail(statuses[s], &fault, &out);
            json_t *body = json_loadb(out.data, out.len, 0, NULL);
            cr_assert(body != NULL && fits(schema, body), "%s: %.*s is no %s", row->pattern,
                      (int)out.len, out.data, shape->name);
            json_decref(body);
            qr_buf_deinit(&out);
        }
        json_decref(schema);
    }
}

/* Rows */

static bool has_field(const qr__field *fields, size_t len, const char *name) {
    for (size_t i = 0; i < len; i++)
        if (strcmp(fields[i].name, name) == 0 ||
            has_field(fields[i].members, fields[i].members_len, name))
            return true;
    return false;
}

Test(openapi, rows_say_what_the_document_needs) {
    const qr_route *row;
    for (size_t i = 0; (row = qr__route_at(i)) != NULL; i++) {
        const char *key;
        json_t *value;
        cr_assert(row->summary != NULL && row->summary[0] != '\0', "%s: no summary", row->pattern);
        if (row->reply != NULL) {
            json_t *reply = json_loads(row->reply, JSON_REJECT_DUPLICATES, NULL);
            cr_assert(json_is_object(reply), "%s: its reply is no schema", row->pattern);
            json_decref(reply);
        }
        if (row->example == NULL)
            continue;
        json_t *example = json_loads(row->example, JSON_REJECT_DUPLICATES, NULL);
        cr_assert(json_is_object(example), "%s: its example is no object", row->pattern);
        json_object_foreach(example, key, value) {
            cr_assert(row->resolve != NULL || has_field(row->fields, row->fields_len, key),
                      "%s: its example has a member `%s`, which it does not know", row->pattern,
                      key);
        }
        json_decref(example);
    }
}
