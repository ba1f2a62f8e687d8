/* server/api/cohere/cohere_embed.c: POST /v1/embed and /v2/embed, as Cohere's clients send them.
 *
 *     {"texts": ["a"], "input_type": "search_query", "embedding_types": ["float", "int8"]}
 *     -> {"id":"...","embeddings":{"float":[[...]],"int8":[[...]]},"texts":["a"],
 *         "response_type":"embeddings_by_type","meta":{...}}
 *
 * /v1/embed without `embedding_types` answers with a plain list of vectors. Vectors are
 * normalised. `input_type` changes nothing here. */
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

static const qr__field fields[] = {
    QR__OTHER("texts", "a list of texts", QR__S_LIST(QR__S_TEXT)),
    {.name = "embedding_types",
     .kind = QR__FIELD_OTHER,
     .must = "a list of \"float\", \"int8\", \"uint8\", \"binary\", \"ubinary\" or \"base64\"",
     .schema = QR__S_LIST(QR__S_TEXT)},
    QR__DIMENSIONS("output_dimension", cohere_embed_request, dimensions),
    QR__CHOICE("truncate", cohere_embed_request, truncate, "END|START|NONE",
               "\"END\", \"START\" or \"NONE\""),
    QR__MODEL_FIELD,
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
        return qr__call_must(call, &place, fields[1].must);
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

static qr_status add_text(qr__call *call, const qr__value *value, size_t index) {
    cohere_embed_request *request = (cohere_embed_request *)call->request;
    const qr__cut cut = {.truncate = request->truncate != CUT_NONE,
                         .direction = request->truncate == CUT_START ? QR__CUT_LEFT : 0};
    const qr_place place = {.field = "texts", .index = {index}, .depth = 1};
    qr_text text = qr__value_text(value);
    if (text.data == NULL)
        return qr__call_must(call, &place, "a text");
    request->texts[index] = qr_arena_text(&call->exchange->arena, text);
    if (request->texts[index].data == NULL)
        return QR_NO_MEMORY;
    return qr__call_at(call, qr__call_text(call, text, NULL, &cut), &place);
}

static qr_status decode(qr__call *call) {
    cohere_embed_request *request = (cohere_embed_request *)call->request;
    const qr__value *texts = qr__value_get(call->body, "texts");
    const qr_place place = {.field = "texts"};
    if (qr__value_kind_of(texts) != QR__VALUE_ARRAY)
        return qr__call_must(call, &place, fields[0].must);
    qr_status status = qr__call_model(call, QR__UNKNOWN_SERVED);
    if (status == QR_OK)
        status = read_types(call, request);
    if (status == QR_OK)
        status = qr__call_at(call, qr__call_jobs(call, qr__value_len(texts)), &place);
    if (status != QR_OK)
        return status;
    size_t len = request->head.inputs_len;
    request->texts = qr_arena_array(&call->exchange->arena, len, sizeof *request->texts);
    if (request->texts == NULL)
        return QR_NO_MEMORY;
    for (size_t i = 0; status == QR_OK && i < len; i++)
        status = add_text(call, qr__value_at(texts, i), i);
    return status;
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
#define ROW(pattern_, aliases_, encode_)                                                           \
    {.method = "POST",                                                                             \
     .pattern = (pattern_),                                                                        \
     .aliases = (aliases_),                                                                        \
     .summary = "Vectors of texts, for Cohere's clients",                                          \
     .reply = REPLY,                                                                               \
     .example = "{\"texts\":[\"how tall is mount everest\"]}",                                     \
     .flags = QR__ROUTE_MODEL,                                                                     \
     .kinds = QR_KIND_BIT(QR_KIND_EMBEDDING),                                                      \
     .accepts = QR__JSON,                                                                          \
     .request_bytes = sizeof(cohere_embed_request),                                                \
     .fields = fields,                                                                             \
     .fields_len = QR__LENGTH(fields),                                                             \
     .decode = decode,                                                                             \
     .encode = (encode_),                                                                          \
     .fail = qr__fail_cohere}

static const char *const v1_aliases[] = {"/v1/v1/embed", "/v3/v1/embed", NULL};
static const char *const v2_aliases[] = {"/v1/v2/embed", "/v3/v2/embed", NULL};

static const qr_route rows[] = {
    ROW("/v1/embed", v1_aliases, encode_v1),
    ROW("/v2/embed", v2_aliases, encode_v2),
};

const qr__routes qr__cohere_embed_routes = {rows, QR__LENGTH(rows)};
