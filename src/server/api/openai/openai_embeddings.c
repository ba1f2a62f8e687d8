/* server/api/openai/openai_embeddings.c: POST /v1/embeddings.
 *
 *     {"input": ["a", "b"], "model": "minilm"}
 *     -> {"object":"list","data":[{"object":"embedding","index":0,"embedding":[...]},...],
 *         "model":"minilm","usage":{...}}
 *
 * Always normalised, always cut at the right. openai-python asks for base64 unless told otherwise,
 * so that is the hot path. Jina's clients have one field for what encoding_format and
 * embedding_dtype say: `embedding_type`, or `encoding_type` (LlamaIndex's). */
#include "server/api/vectors.h"

typedef struct openai_request {
    qr__decoded head;
    qr__vector_form form;
    size_t format;  /* FORMAT_BASE64, or 0 for floats */
    size_t jina[2]; /* a jina_type, under either name */
} openai_request;

#define FORMAT_BASE64 1u

/* In the order of JINA_TYPES. */
enum jina_type { JINA_FLOAT, JINA_BASE64, JINA_BINARY, JINA_UBINARY };
#define JINA_TYPES "float|base64|binary|ubinary"
#define JINA_MUST  "\"float\", \"base64\", \"binary\" or \"ubinary\""

static const qr__field fields[] = {
    QR__OTHER("input", QR__INPUTS_MUST, QR__S_INPUTS),
    QR__CHOICE("encoding_format", openai_request, format, "float|base64",
               "\"float\" or \"base64\""),
    QR__VECTOR_FIELDS(openai_request, form),
    QR__CHOICE("embedding_type", openai_request, jina[0], JINA_TYPES, JINA_MUST),
    QR__CHOICE("encoding_type", openai_request, jina[1], JINA_TYPES, JINA_MUST),
    QR__MODEL_FIELD,
};

static void take_jina(openai_request *request, size_t type) {
    if (type == JINA_BASE64)
        request->format = FORMAT_BASE64;
    else if (type == JINA_BINARY || type == JINA_UBINARY)
        request->form.type = type == JINA_BINARY ? QR__VECTOR_BINARY : QR__VECTOR_UBINARY;
}

static qr_status decode(qr__call *call) {
    static const qr__cut cut = {.truncate = true};
    openai_request *request = (openai_request *)call->request;
    request->form.normalize = true;
    take_jina(request, request->jina[0]);
    take_jina(request, request->jina[1]);
    qr_status status = qr__call_model(call, QR__UNKNOWN_SERVED);
    if (status == QR_OK)
        status = qr__vectors_check(call, &request->form, NULL);
    return status == QR_OK ? qr__call_inputs(call, "input", &cut) : status;
}

static void encode(const qr_api *api, qr_exchange *x) {
    (void)api;
    const openai_request *request = x->decoded;
    qr__vectors_as as = request->format == FORMAT_BASE64 ? QR__VECTORS_BASE64 : QR__VECTORS_JSON;
    qr_buf *out = &x->out;
    qr__vectors vectors;
    if (!qr__vectors_init(&vectors, x, &request->form))
        return;
    if (x->wants_octets) {
        qr__vectors_answer(&vectors, x);
        return;
    }
    qr_buf_literal(out, "{\"object\":\"list\",\"data\":[");
    for (size_t i = 0; i < vectors.len; i++) {
        if (i > 0)
            qr_buf_byte(out, ',');
        qr_buf_literal(out, "{\"object\":\"embedding\",\"index\":");
        qr_buf_u64(out, i);
        qr_buf_literal(out, ",\"embedding\":");
        qr__vectors_put(&vectors, i, as, out);
        qr_buf_byte(out, '}');
    }
    qr_buf_literal(out, "],\"model\":");
    qr_json_text(out, qr_text_of(qr_pipeline_name(x->model->pipeline)));
    qr_buf_printf(out, ",\"usage\":{\"prompt_tokens\":%zu,\"total_tokens\":%zu}}", x->tokens,
                  x->tokens);
}

#define EMBEDDING                                                                                  \
    QR__S_SHAPE("\"object\",\"index\",\"embedding\"",                                              \
                QR__S_MEMBER("object", QR__S_CONST("embedding")),                                  \
                QR__S_MEMBER("index", QR__S_COUNT),                                                \
                QR__S_MEMBER("embedding", QR__S_EITHER(QR__S_LIST(QR__S_FLOAT), QR__S_TEXT)))
#define EMBEDDINGS                                                                                 \
    QR__S_SHAPE("\"object\",\"data\",\"model\",\"usage\"",                                         \
                QR__S_MEMBER("object", QR__S_CONST("list")),                                       \
                QR__S_MEMBER("data", QR__S_LIST(EMBEDDING)), QR__S_MEMBER("model", QR__S_TEXT),    \
                QR__S_MEMBER("usage", QR__S_USAGE))

static const qr_route rows[] = {
    {
        .method = "POST",
        .pattern = "/v1/embeddings",
        .aliases = (const char *const[]){"/embeddings", NULL},
        .summary = "Vectors of texts, for OpenAI's clients",
        .reply = EMBEDDINGS,
        .reply_type = "application/octet-stream",
        .example = "{\"input\":[\"how tall is mount everest\"],\"model\":\"any\"}",
        .flags = QR__ROUTE_MODEL | QR__ROUTE_COMPUTE,
        .kinds = QR_KIND_BIT(QR_KIND_EMBEDDING),
        .accepts = QR__JSON,
        .request_bytes = sizeof(openai_request),
        .fields = fields,
        .fields_len = QR__LENGTH(fields),
        .decode = decode,
        .encode = encode,
        .fail = qr__fail_openai,
    },
};

const qr__routes qr__openai_embeddings_routes = {rows, QR__LENGTH(rows)};
