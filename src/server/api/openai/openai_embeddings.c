/* server/api/openai/openai_embeddings.c: POST /v1/embeddings.
 *
 *     {"input": ["a", "b"], "model": "minilm"}
 *     -> {"object":"list","data":[{"object":"embedding","index":0,"embedding":[...]},...],
 *         "model":"minilm","usage":{...}}
 *
 * Always normalised, always cut at the right. openai-python asks for base64 unless told otherwise,
 * so that is the hot path. */
#include "server/api/base64.h"
#include "server/api/call.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "base64 embeddings are little-endian floats");

typedef struct openai_request {
    qr__decoded head;
    size_t dimensions; /* 0: all */
    size_t format;     /* FORMAT_BASE64, or 0 for floats */
} openai_request;

#define FORMAT_BASE64 1u

static const qr__field fields[] = {
    QR__OTHER("input", QR__INPUTS_MUST, QR__S_INPUTS),
    QR__CHOICE("encoding_format", openai_request, format, "float|base64",
               "\"float\" or \"base64\""),
    QR__NUMBER("dimensions", openai_request, dimensions, 0, 1, QR_LIMIT_HIDDEN),
    QR__MODEL_FIELD,
};

static qr_status decode(qr__call *call) {
    static const qr__cut cut = {.truncate = true};
    const openai_request *request = (const openai_request *)call->request;
    qr_status status = qr__call_model(call, QR__UNKNOWN_SERVED);
    if (status == QR_OK)
        status = qr__call_dimensions(call, request->dimensions);
    return status == QR_OK ? qr__call_inputs(call, "input", &cut) : status;
}

static void put_vector(qr_buf *out, const float *vector, size_t len, bool base64) {
    if (!base64) {
        qr_json_floats(out, vector, len);
        return;
    }
    qr_buf_byte(out, '"');
    qr__base64_put(out, vector, len * sizeof *vector);
    qr_buf_byte(out, '"');
}

static void encode(const qr_api *api, qr_exchange *x) {
    (void)api;
    const openai_request *request = x->decoded;
    qr_buf *out = &x->out;
    size_t hidden = qr_engine_model(qr_pipeline_engine(x->model->pipeline))->hidden;
    float *vector = qr__encode_floats(x, hidden);
    if (vector == NULL)
        return;
    qr_buf_literal(out, "{\"object\":\"list\",\"data\":[");
    for (size_t i = 0; i < x->ticket.jobs_len; i++) {
        size_t len =
            qr_embed_finish(x->ticket.jobs[i].result, hidden, request->dimensions, true, vector);
        if (i > 0)
            qr_buf_byte(out, ',');
        qr_buf_literal(out, "{\"object\":\"embedding\",\"index\":");
        qr_buf_u64(out, i);
        qr_buf_literal(out, ",\"embedding\":");
        put_vector(out, vector, len, request->format == FORMAT_BASE64);
        qr_buf_byte(out, '}');
    }
    qr_buf_literal(out, "],\"model\":");
    qr_json_text(out, qr_text_of(qr_pipeline_name(x->model->pipeline)));
    qr_buf_printf(out, ",\"usage\":{\"prompt_tokens\":%zu,\"total_tokens\":%zu}}", x->tokens,
                  x->tokens);
}

static const qr_route rows[] = {
    {
        .method = "POST",
        .pattern = "/v1/embeddings",
        .summary = "Vectors of texts, for OpenAI's clients",
        .reply = QR__S_OBJECT(QR__S_MEMBER("object", QR__S_TEXT) "," QR__S_MEMBER(
            "data",
            QR__S_LIST(
                QR__S_ANY_OBJECT)) "," QR__S_MEMBER("model",
                                                    QR__S_TEXT) "," QR__S_MEMBER("usage",
                                                                                 QR__S_ANY_OBJECT)),
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
