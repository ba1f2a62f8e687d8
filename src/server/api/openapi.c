/* server/api/openapi.c: GET /openapi.json, made of the rows when the api is created.
 *
 * A row is one operation, under its first pattern. Its aliases are a note (x-aliases): as paths of
 * their own they would be as many methods in a generated client, all for one thing. */
#include "server/api/openapi.h"

#include <ctype.h>

#include "server/api/call.h"

void qr__openapi_comma(bool *first, qr_buf *out) {
    if (!*first)
        qr_buf_byte(out, ',');
    *first = false;
}

/* Paths */

/* What a client can ask for: of rows with one method and path the first is found. */
static bool is_listed(size_t index, unsigned listeners) {
    const qr_route *row = qr__route_at(index);
    if (!qr__route_is_on(row, listeners))
        return false;
    for (size_t i = 0; i < index; i++) {
        const qr_route *other = qr__route_at(i);
        if (qr__route_is_on(other, listeners) && strcmp(other->pattern, row->pattern) == 0 &&
            strcmp(other->method, row->method) == 0)
            return false;
    }
    return true;
}

/* "post_v1_embeddings" of POST /v1/embeddings. */
static void put_id(const qr_route *row, qr_buf *out) {
    bool gap = true;
    qr_buf_literal(out, "\"operationId\":\"");
    for (const char *at = row->method; *at != '\0'; at++)
        qr_buf_byte(out, (char)tolower((unsigned char)*at));
    for (const char *at = row->pattern; *at != '\0'; at++) {
        bool word = isalnum((unsigned char)*at) != 0;
        if (word && gap)
            qr_buf_byte(out, '_');
        if (word)
            qr_buf_byte(out, *at);
        gap = !word;
    }
    qr_buf_byte(out, '"');
}

static void put_aliases(const qr_route *row, qr_buf *out) {
    bool first = true;
    if (row->aliases == NULL || row->aliases[0] == NULL)
        return;
    qr_buf_literal(out, ",\"description\":\"The same under ");
    for (const char *const *alias = row->aliases; *alias != NULL; alias++)
        qr_buf_printf(out, "%s`%s`", alias == row->aliases ? "" : ", ", *alias);
    qr_buf_literal(out, ".\",\"x-aliases\":[");
    for (const char *const *alias = row->aliases; *alias != NULL; alias++) {
        qr__openapi_comma(&first, out);
        qr_json_text(out, qr_text_of(*alias));
    }
    qr_buf_byte(out, ']');
}

/* One for each "{name}" of the path, and the fields that say how long an answer may take. */
static void put_parameters(const qr_route *row, qr_buf *out) {
    bool first = true;
    qr_buf_literal(out, ",\"parameters\":[");
    for (const char *at = strchr(row->pattern, '{'); at != NULL; at = strchr(at + 1, '{')) {
        qr__openapi_comma(&first, out);
        qr_buf_literal(out, "{\"name\":");
        qr_json_text(out, (qr_text){at + 1, strcspn(at + 1, "}")});
        qr_buf_literal(out, ",\"in\":\"path\",\"required\":true,\"schema\":" QR__S_TEXT "}");
    }
    if (qr_api_needs_model(row)) {
        qr__openapi_comma(&first, out);
        qr_buf_literal(out, "{\"$ref\":\"#/components/parameters/Budget\"},"
                            "{\"$ref\":\"#/components/parameters/Priority\"}");
    }
    qr_buf_byte(out, ']');
}

static void put_operation(const qr_route *row, bool keyed, qr_buf *out) {
    qr_buf_byte(out, '"');
    for (const char *at = row->method; *at != '\0'; at++)
        qr_buf_byte(out, (char)tolower((unsigned char)*at));
    qr_buf_literal(out, "\":{\"summary\":");
    qr_json_text(out, qr_text_of(row->summary));
    qr_buf_byte(out, ',');
    put_id(row, out);
    put_aliases(row, out);
    put_parameters(row, out);
    if (row->accepts != NULL) {
        qr_buf_literal(out, ",\"requestBody\":");
        qr__openapi_body(row, out);
    }
    qr_buf_literal(out, ",\"responses\":");
    qr__openapi_replies(row, keyed, out);
    if (keyed && !qr_api_is_open(row))
        qr_buf_literal(out, ",\"security\":[{\"bearer\":[]}]");
    qr_buf_byte(out, '}');
}

/* Of the row and of later ones that have its path; an earlier one has taken it along. */
static void put_path(size_t index, unsigned listeners, bool keyed, bool *first, qr_buf *out) {
    const char *pattern = qr__route_at(index)->pattern;
    bool first_method = true;
    for (size_t i = 0; i < index; i++)
        if (strcmp(qr__route_at(i)->pattern, pattern) == 0 && is_listed(i, listeners))
            return;
    qr__openapi_comma(first, out);
    qr_json_text(out, qr_text_of(pattern));
    qr_buf_literal(out, ":{");
    for (const qr_route *row; (row = qr__route_at(index)) != NULL; index++) {
        if (strcmp(row->pattern, pattern) != 0 || !is_listed(index, listeners))
            continue;
        qr__openapi_comma(&first_method, out);
        put_operation(row, keyed, out);
    }
    qr_buf_byte(out, '}');
}

/* The document */

static const char head[] =
    "{\"openapi\":\"3.1.0\",\"info\":{\"title\":\"querent\",\"version\":\"" QR_VERSION "\","
    "\"summary\":\"A query-understanding inference server\",\"description\":"
    "\"Embeddings, ranks, labels and answer spans of BERT models within a latency budget, in the "
    "dialects that search backends already speak. In requests null means the same as leaving a "
    "field out, and unknown fields are ignored. Models are named by the field `model`; without it "
    "the first one of the right kind answers.\","
    "\"license\":{\"name\":\"Apache License 2.0\",\"identifier\":\"Apache-2.0\"}},"
    "\"servers\":[{\"url\":\"/\"}],\"paths\":{";

static const char parameters[] =
    "\"parameters\":{"
    "\"Budget\":{\"name\":\"X-Request-Budget-Ms\",\"in\":\"header\",\"description\":"
    "\"Milliseconds within which the answer is there, or 504 is; a decimal number.\","
    "\"schema\":{\"type\":\"number\",\"minimum\":0},\"example\":250},"
    "\"Priority\":{\"name\":\"X-Request-Priority\",\"in\":\"header\",\"description\":"
    "\"`batch` lets others go first, within the budget.\",\"schema\":{\"type\":\"string\","
    "\"enum\":[\"interactive\",\"batch\"],\"default\":\"interactive\"}}}";

void qr__openapi_write(unsigned listeners, bool keyed, qr_buf *out) {
    bool first = true;
    qr_buf_literal(out, head);
    for (size_t i = 0; qr__route_at(i) != NULL; i++)
        if (is_listed(i, listeners))
            put_path(i, listeners, keyed, &first, out);
    qr_buf_literal(out, "},\"components\":{");
    qr__openapi_shared(listeners, keyed, out);
    qr_buf_byte(out, ',');
    qr_buf_literal(out, parameters);
    if (keyed)
        qr_buf_literal(out, ",\"securitySchemes\":{\"bearer\":{\"type\":\"http\",\"scheme\":"
                            "\"bearer\",\"description\":\"A key of --api-key-file.\"}}");
    qr_buf_literal(out, "}}");
}

static void encode(const qr_api *api, qr_exchange *x) {
    qr_buf_text(&x->out, qr_buf_contents(&api->documents[x->listeners]));
}

static const qr_route rows[] = {
    {
        .method = "GET",
        .pattern = "/openapi.json",
        .aliases = (const char *const[]){"/api-doc/openapi.json", NULL},
        .summary = "This document",
        .reply = QR__S_SHAPE(
            "\"openapi\",\"info\",\"paths\"", QR__S_MEMBER("openapi", QR__S_CONST("3.1.0")),
            QR__S_MEMBER("info", QR__S_ANY_OBJECT), QR__S_MEMBER("paths", QR__S_ANY_OBJECT)),
        .flags = QR__ROUTE_OPEN | QR__ROUTE_BOTH,
        .encode = encode,
        .fail = qr__fail_tei,
    },
};

const qr__routes qr__openapi_routes = {rows, QR__LENGTH(rows)};
