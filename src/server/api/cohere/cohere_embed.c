/* server/api/cohere/cohere_embed.c: POST /v1/embed and /v2/embed, as Cohere's clients send them.
 *
 *     {"texts": ["a"], "input_type": "search_query", "embedding_types": ["float", "int8"]}
 *     -> {"id":"...","embeddings":{"float":[[...]],"int8":[[...]]},"texts":["a"],
 *         "response_type":"embeddings_by_type","meta":{...}}
 *
 *     {"inputs": [{"content": [{"type": "text", "text": "a"}]}]}      the same, of /v2/embed
 *
 * /v1/embed without `embedding_types` answers with a plain list of vectors. Vectors are
 * normalised. `input_type` changes nothing here. An input is one text: what several parts, or
 * images, make together is a matter of models that are not here. */
#include "server/api/vectors.h"

/* Cohere's name for a type of ours; base64 is of float32. */
typedef struct type_name {
    const char *name;
    qr__vector_type type;
    qr__vectors_as as;
} type_name;

static const type_name type_names[] = {
    {"float", QR__VECTOR_F32, QR__VECTORS_JSON},
    {"int8", QR__VECTOR_INT8, QR__VECTORS_JSON},
    {"uint8", QR__VECTOR_UINT8, QR__VECTORS_JSON},
    {"binary", QR__VECTOR_BINARY, QR__VECTORS_JSON},
    {"ubinary", QR__VECTOR_UBINARY, QR__VECTORS_JSON},
    {"base64", QR__VECTOR_F32, QR__VECTORS_BASE64},
};

#define TYPES QR__LENGTH(type_names)

typedef struct cohere_embed_request {
    qr__decoded head;
    qr_text *texts;
    size_t dimensions;
    size_t truncate; /* in the order of "END|START|NONE" */
    const type_name *types[TYPES];
    size_t types_len;
    bool listed; /* the request has embedding_types */
} cohere_embed_request;

enum { CUT_END, CUT_START, CUT_NONE };

#define TYPES_MUST "a list of \"float\", \"int8\", \"uint8\", \"binary\", \"ubinary\" or \"base64\""
#define OTHER_FIELDS                                                                               \
    {.name = "embedding_types",                                                                    \
     .kind = QR__FIELD_OTHER,                                                                      \
     .must = TYPES_MUST,                                                                           \
     .schema = QR__S_LIST(QR__S_TEXT)},                                                            \
        QR__DIMENSIONS("output_dimension", cohere_embed_request, dimensions),                      \
        QR__CHOICE("truncate", cohere_embed_request, truncate, "END|START|NONE",                   \
                   "\"END\", \"START\" or \"NONE\""),                                              \
        QR__MODEL_FIELD

#define INPUT_MUST                                                                                 \
    "an object whose `content` is a list of one text: {\"type\":\"text\",\"text\":...}"
#define PART                                                                                       \
    QR__S_SHAPE("\"type\",\"text\"", QR__S_MEMBER("type", QR__S_CONST("text")),                    \
                QR__S_MEMBER("text", QR__S_TEXT))
#define INPUT QR__S_SHAPE("\"content\"", QR__S_MEMBER("content", QR__S_ROW(PART, "1")))

static const qr__field text_fields[] = {
    QR__OTHER("texts", "a list of texts", QR__S_LIST(QR__S_TEXT)),
    OTHER_FIELDS,
};

static const qr__field input_fields[] = {
    QR__OTHER("inputs", "a list of objects with a `content`", QR__S_LIST(INPUT)),
    OTHER_FIELDS,
};

static const type_name *find_type(qr_text name) {
    for (size_t i = 0; i < TYPES; i++)
        if (qr_text_is(name, type_names[i].name))
            return &type_names[i];
    return NULL;
}

static bool has_type(const cohere_embed_request *request, const type_name *type) {
    for (size_t i = 0; i < request->types_len; i++)
        if (request->types[i] == type)
            return true;
    return false;
}

static qr__vector_form form_of(const cohere_embed_request *request, const type_name *type) {
    return (qr__vector_form){
        .dimensions = request->dimensions, .type = type->type, .normalize = true};
}

/* `place`: of the name in the list. */
static qr_status add_type(qr__call *call, cohere_embed_request *request, const type_name *type,
                          const qr_place *place) {
    const qr__vector_places places = {{.field = "output_dimension"}, *place};
    const qr__vector_form form = form_of(request, type);
    if (has_type(request, type))
        return QR_OK;
    request->types[request->types_len++] = type;
    return qr__vectors_check(call, &form, &places);
}

static qr_status read_types(qr__call *call, cohere_embed_request *request) {
    qr_status status = QR_OK;
    const qr__value *list = qr__value_get(call->body, "embedding_types");
    const qr_place place = {.field = "embedding_types"};
    request->listed = list != NULL;
    if (list != NULL && qr__value_kind_of(list) != QR__VALUE_ARRAY)
        return qr__call_must(call, &place, TYPES_MUST);
    for (size_t i = 0; status == QR_OK && i < qr__value_len(list); i++) {
        const qr_place item = qr__place_item(&place, i);
        const type_name *type = find_type(qr__value_text(qr__value_at(list, i)));
        if (type == NULL)
            return qr__call_must(call, &item, "one of the types that embeddings can have");
        status = add_type(call, request, type, &item);
    }
    return status == QR_OK && request->types_len == 0
               ? add_type(call, request, &type_names[0], &place)
               : status;
}

/* data is NULL when it is no input of one text. */
static qr_text text_of_input(const qr__value *input) {
    const qr__value *content = qr__value_get(input, "content");
    const qr__value *part = qr__value_at(content, 0);
    bool one = qr__value_len(content) == 1 &&
               qr_text_is(qr__value_text(qr__value_get(part, "type")), "text");
    return one ? qr__value_text(qr__value_get(part, "text")) : (qr_text){NULL, 0};
}

static qr_status add_text(qr__call *call, qr_text text, size_t index, const qr_place *place) {
    cohere_embed_request *request = (cohere_embed_request *)call->request;
    const qr__cut cut = {.truncate = request->truncate != CUT_NONE,
                         .direction = request->truncate == CUT_START ? QR__CUT_LEFT : 0};
    request->texts[index] = qr_arena_text(&call->exchange->arena, text);
    if (request->texts[index].data == NULL)
        return QR_NO_MEMORY;
    return qr__call_at(call, qr__call_text(call, text, NULL, &cut), place);
}

/* The list `field`, whose items are texts by `read`. */
static qr_status decode_list(qr__call *call, const qr__field *field,
                             qr_text (*read)(const qr__value *item), const char *item_must) {
    cohere_embed_request *request = (cohere_embed_request *)call->request;
    const qr__value *list = qr__value_get(call->body, field->name);
    const qr_place place = {.field = field->name};
    if (qr__value_kind_of(list) != QR__VALUE_ARRAY)
        return qr__call_must(call, &place, field->must);
    qr_status status = qr__call_model(call, QR__UNKNOWN_SERVED);
    if (status == QR_OK)
        status = read_types(call, request);
    if (status == QR_OK)
        status = qr__call_at(call, qr__call_jobs(call, qr__value_len(list)), &place);
    if (status != QR_OK)
        return status;
    size_t len = request->head.inputs_len;
    request->texts = qr_arena_array(&call->exchange->arena, len, sizeof *request->texts);
    if (request->texts == NULL)
        return QR_NO_MEMORY;
    for (size_t i = 0; status == QR_OK && i < len; i++) {
        const qr_place item = qr__place_item(&place, i);
        qr_text text = read(qr__value_at(list, i));
        status = text.data == NULL ? qr__call_must(call, &item, item_must)
                                   : add_text(call, text, i, &item);
    }
    return status;
}

static qr_status decode_texts(qr__call *call) {
    return decode_list(call, &text_fields[0], qr__value_text, "a text");
}

static qr_status decode_inputs(qr__call *call) {
    static const qr_place texts = {.field = "texts"};
    if (qr__value_get(call->body, "texts") != NULL)
        return qr__call_must(call, &texts, "left out beside `inputs`");
    return decode_list(call, &input_fields[0], text_of_input, INPUT_MUST);
}

static void put_vectors(qr_exchange *x, const type_name *type) {
    const qr__vector_form form = form_of(x->decoded, type);
    qr__vectors vectors;
    if (qr__vectors_init(&vectors, x, &form))
        qr__vectors_put_list(&vectors, type->as, &x->out);
}

static void put_rest(qr_exchange *x, const char *version) {
    const cohere_embed_request *request = x->decoded;
    qr_buf_literal(&x->out, ",\"texts\":[");
    for (size_t i = 0; i < x->jobs_len; i++) {
        if (i > 0)
            qr_buf_byte(&x->out, ',');
        qr_json_text(&x->out, request->texts[i]);
    }
    qr_buf_printf(&x->out,
                  "],\"meta\":{\"api_version\":{\"version\":\"%s\"},"
                  "\"billed_units\":{\"input_tokens\":%zu}}}",
                  version, x->tokens);
}

static void put_by_type(qr_exchange *x, const char *version) {
    const cohere_embed_request *request = x->decoded;
    qr_buf_printf(&x->out,
                  "{\"id\":\"%s\",\"response_type\":\"embeddings_by_type\",\"embeddings\":{",
                  x->trace.text);
    for (size_t i = 0; i < request->types_len; i++) {
        qr_buf_printf(&x->out, "%s\"%s\":", i == 0 ? "" : ",", request->types[i]->name);
        put_vectors(x, request->types[i]);
    }
    qr_buf_byte(&x->out, '}');
    put_rest(x, version);
}

static void encode_v1(const qr_api *api, qr_exchange *x) {
    (void)api;
    const cohere_embed_request *request = x->decoded;
    if (request->listed) {
        put_by_type(x, "1");
        return;
    }
    qr_buf_printf(&x->out, "{\"id\":\"%s\",\"response_type\":\"embeddings_floats\",\"embeddings\":",
                  x->trace.text);
    put_vectors(x, &type_names[0]);
    put_rest(x, "1");
}

static void encode_v2(const qr_api *api, qr_exchange *x) {
    (void)api;
    put_by_type(x, "2");
}

#define REPLY                                                                                      \
    QR__S_OBJECT(QR__S_MEMBER("id", QR__S_TEXT) "," QR__S_MEMBER(                                  \
        "embeddings",                                                                              \
        QR__S_EITHER(QR__S_ANY_OBJECT, QR__S_VECTORS)) "," QR__S_MEMBER("texts",                   \
                                                                        QR__S_LIST(QR__S_TEXT)))
#define ROW(pattern_, aliases_, fields_, decode_, encode_)                                         \
    .method = "POST", .pattern = (pattern_), .aliases = (aliases_),                                \
    .summary = "Vectors of texts, for Cohere's clients", .reply = REPLY,                           \
    .example = "{\"texts\":[\"how tall is mount everest\"]}", .flags = QR__ROUTE_MODEL,            \
    .kinds = QR_KIND_BIT(QR_KIND_EMBEDDING), .accepts = QR__JSON,                                  \
    .request_bytes = sizeof(cohere_embed_request), .fields = (fields_),                            \
    .fields_len = QR__LENGTH(fields_), .decode = (decode_), .encode = (encode_),                   \
    .fail = qr__fail_cohere

static const char *const v1_aliases[] = {"/v1/v1/embed", "/v3/v1/embed", NULL};
static const char *const v2_aliases[] = {"/v1/v2/embed", "/v3/v2/embed", NULL};

#define V2(fields_, decode_) ROW("/v2/embed", v2_aliases, fields_, decode_, encode_v2)

static const qr_route texts_row = {V2(text_fields, decode_texts)};
static const qr_route inputs_row = {V2(input_fields, decode_inputs)};

static const qr_route *by_field(const qr_exchange *x, const qr__value *body) {
    (void)x;
    return qr__value_get(body, "inputs") != NULL ? &inputs_row : &texts_row;
}

static const qr_route *of_inputs(void) {
    return &inputs_row;
}

static const qr_route rows[] = {
    {ROW("/v1/embed", v1_aliases, text_fields, decode_texts, encode_v1)},
    {V2(text_fields, decode_texts), .resolve = by_field, .other = of_inputs},
};

const qr__routes qr__cohere_embed_routes = {rows, QR__LENGTH(rows)};
