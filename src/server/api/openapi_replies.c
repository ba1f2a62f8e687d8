/* server/api/openapi_replies.c: what may answer a request: the row's good answer, and the errors in
 * its dialect's shape. */
#include "server/api/health.h"
#include "server/api/openapi.h"

/* Shapes */

#define TEXT_MEMBER(name) QR__S_MEMBER(name, QR__S_TEXT)
#define OPENAI_INNER                                                                               \
    QR__S_SHAPE("\"message\",\"type\",\"param\",\"code\"", TEXT_MEMBER("message"),                 \
                TEXT_MEMBER("type"), QR__S_MEMBER("param", QR__S_OR_NULL(QR__S_TEXT)),             \
                TEXT_MEMBER("code"))
#define TEI_RERANK                                                                                 \
    QR__S_SHAPE("\"error\",\"error_type\",\"message\",\"detail\"", TEXT_MEMBER("error"),           \
                TEXT_MEMBER("error_type"), TEXT_MEMBER("message"), TEXT_MEMBER("detail"))
#define COHERE                                                                                     \
    QR__S_SHAPE("\"message\",\"detail\",\"error\"", TEXT_MEMBER("message"), TEXT_MEMBER("detail"), \
                QR__S_MEMBER("error", OPENAI_INNER))

/* A new dialect's fail function gets its row here. */
static const qr__fault_shape shapes[] = {
    {qr__fail_tei, "TeiError",
     QR__S_SHAPE("\"error\",\"error_type\"", TEXT_MEMBER("error"), TEXT_MEMBER("error_type"))},
    {qr__fail_health, "TeiError", NULL},
    {qr__fail_openai, "OpenAiError",
     QR__S_SHAPE("\"message\",\"code\",\"type\",\"detail\",\"error\"", TEXT_MEMBER("message"),
                 QR__S_MEMBER("code", QR__S_WHOLE), TEXT_MEMBER("type"), TEXT_MEMBER("detail"),
                 QR__S_MEMBER("error", OPENAI_INNER))},
    {qr__fail_rerank, "RerankError", QR__S_EITHER(TEI_RERANK, COHERE)},
    {qr__fail_cohere, "RerankError", NULL},
    {qr__fail_oip, "OipError", QR__S_SHAPE("\"error\"", TEXT_MEMBER("error"))},
    {qr__fail_live, "NotLive", QR__S_SHAPE("\"live\"", QR__S_MEMBER("live", "{\"const\":false}"))},
    {qr__fail_ready, "NotReady",
     QR__S_SHAPE("\"ready\"", QR__S_MEMBER("ready", "{\"const\":false}"))},
};

const qr__fault_shape *qr__fault_shape_of(const qr_route *row) {
    const qr__fault_shape *found = NULL;
    for (size_t i = 0; found == NULL && i < QR__LENGTH(shapes); i++)
        if (shapes[i].fail == row->fail)
            found = &shapes[i];
    for (size_t i = 0; found != NULL && found->schema == NULL && i < QR__LENGTH(shapes); i++)
        if (strcmp(shapes[i].name, found->name) == 0 && shapes[i].schema != NULL)
            found = &shapes[i];
    return found;
}

/* Errors */

#define ALWAYS 0u
#define BODY   1u /* of routes that take a body */
#define MODEL  2u /* of routes that a model answers */
#define KEY    4u /* of routes that ask for an API key */
#define NAMED  8u /* of routes whose path or body names a model */

/* By code. What a path or a method alone is refused for belongs to no route. */
static const struct {
    qr_status status;
    unsigned when;
} faults[] = {
    {QR_BAD_HEADER, ALWAYS}, {QR_BAD_JSON, BODY},   {QR_EMPTY_INPUT, MODEL}, {QR_UNAUTHORIZED, KEY},
    {QR_NO_MODEL, NAMED},    {QR_TOO_LARGE, BODY},  {QR_BAD_TYPE, BODY},     {QR_BAD_REQUEST, BODY},
    {QR_TOO_LONG, MODEL},    {QR_TOO_MANY, MODEL},  {QR_WRONG_KIND, MODEL},  {QR_OVERLOADED, MODEL},
    {QR_IMPOSSIBLE, MODEL},  {QR_INTERNAL, ALWAYS}, {QR_NOT_READY, ALWAYS},  {QR_DRAINING, ALWAYS},
    {QR_NO_MEMORY, ALWAYS},  {QR_LATE, MODEL},
};

static unsigned traits_of(const qr_route *row, bool keyed) {
    bool model = qr_api_needs_model(row);
    return (row->accepts != NULL ? BODY : 0) | (model ? MODEL : 0) |
           (model || strstr(row->pattern, "{model}") != NULL ? NAMED : 0) |
           (keyed && !qr_api_is_open(row) ? KEY : 0);
}

/* The first fault behind `index` that has another code. */
static size_t next_code(size_t index) {
    int code = qr_status_http(faults[index].status);
    while (index < QR__LENGTH(faults) && qr_status_http(faults[index].status) == code)
        index++;
    return index;
}

/* Whether one of the faults that share this one's code can befall the row. */
static bool can_befall(const qr_route *row, bool keyed, size_t index) {
    unsigned traits = traits_of(row, keyed);
    for (size_t i = index, end = next_code(index); i < end; i++)
        if ((faults[i].when & traits) == faults[i].when)
            return true;
    return false;
}

/* A body that is too large is refused before anyone looks at its route. */
static const char *shape_name(const qr_route *row, qr_status status) {
    const qr__fault_shape *shape = qr__fault_shape_of(row);
    return (shape == NULL || status == QR_TOO_LARGE ? &shapes[0] : shape)->name;
}

void qr__openapi_replies(const qr_route *row, bool keyed, qr_buf *out) {
    bool first = true;
    qr_buf_literal(out, "{\"200\":{\"description\":");
    qr_json_text(out, qr_text_of(row->summary));
    if (row->reply != NULL || row->reply_type != NULL)
        qr_buf_literal(out, ",\"content\":{");
    if (row->reply != NULL) {
        qr__openapi_comma(&first, out);
        qr_buf_printf(out, "\"" QR__JSON "\":{\"schema\":%s}", row->reply);
    }
    if (row->reply_type != NULL) {
        qr__openapi_comma(&first, out);
        qr_json_text(out, qr_text_of(row->reply_type));
        qr_buf_literal(out, ":{}");
    }
    qr_buf_text(out, qr_text_of(first ? "}" : "}}"));
    for (size_t i = 0; i < QR__LENGTH(faults); i = next_code(i)) {
        int code = qr_status_http(faults[i].status);
        if (can_befall(row, keyed, i))
            qr_buf_printf(out, ",\"%d\":{\"$ref\":\"#/components/responses/%s%d\"}", code,
                          shape_name(row, faults[i].status), code);
    }
    qr_buf_byte(out, '}');
}

/* Components */

static bool is_used(const char *name, size_t fault, unsigned listeners, bool keyed) {
    const qr_route *row;
    for (size_t i = 0; (row = qr__route_at(i)) != NULL; i++)
        if (qr__route_is_on(row, listeners) && can_befall(row, keyed, fault) &&
            strcmp(shape_name(row, faults[fault].status), name) == 0)
            return true;
    return false;
}

/* What clients look at before they try again. */
static void put_fields(int code, qr_buf *out) {
    if (code == 401)
        qr_buf_literal(out, ",\"headers\":{\"WWW-Authenticate\":{\"schema\":" QR__S_TEXT "}}");
    if (code == 429 || code == 503)
        qr_buf_literal(out, ",\"headers\":{\"Retry-After\":{\"schema\":" QR__S_WHOLE "}}");
}

static void put_response(const char *name, size_t fault, qr_buf *out) {
    int code = qr_status_http(faults[fault].status);
    qr_buf sentences;
    qr_buf_init(&sentences, 1024);
    for (size_t i = fault, end = next_code(fault); i < end; i++)
        qr_buf_printf(&sentences, "%s%s", i == fault ? "" : "; ",
                      qr_status_sentence(faults[i].status));
    qr_buf_printf(out, "\"%s%d\":{\"description\":", name, code);
    qr_json_text(out, qr_buf_contents(&sentences));
    out->failed |= qr_buf_failed(&sentences);
    put_fields(code, out);
    qr_buf_printf(out,
                  ",\"content\":{\"" QR__JSON "\":{\"schema\":{\"$ref\":"
                  "\"#/components/schemas/%s\"}}}}",
                  name);
    qr_buf_deinit(&sentences);
}

/* Of each shape once: the rows of `shapes` that have a schema. */
void qr__openapi_shared(unsigned listeners, bool keyed, qr_buf *out) {
    bool first = true;
    qr_buf_literal(out, "\"schemas\":{");
    for (const qr__fault_shape *shape = shapes; shape < shapes + QR__LENGTH(shapes); shape++) {
        if (shape->schema == NULL)
            continue;
        qr__openapi_comma(&first, out);
        qr_buf_printf(out, "\"%s\":%s", shape->name, shape->schema);
    }
    qr_buf_literal(out, "},\"responses\":{");
    first = true;
    for (const qr__fault_shape *shape = shapes; shape < shapes + QR__LENGTH(shapes); shape++) {
        for (size_t i = 0; shape->schema != NULL && i < QR__LENGTH(faults); i = next_code(i)) {
            if (!is_used(shape->name, i, listeners, keyed))
                continue;
            qr__openapi_comma(&first, out);
            put_response(shape->name, i, out);
        }
    }
    qr_buf_byte(out, '}');
}
