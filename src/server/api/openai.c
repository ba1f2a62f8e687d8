/* server/api/openai.c: POST /v1/embeddings.
 *
 *     {"input": ["a", "b"], "model": "minilm"}
 *     ->
 * {"object":"list","data":[{"object":"embedding","index":0,"embedding":[...]},...],"model":"minilm","usage":{...}}
 *
 * Always normalised, always cut at the right. openai-python asks for base64 unless told otherwise,
 * so that is the hot path. */
#include "server/api/base64.h"
#include "server/api/call.h"
#include "server/api/dialects.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "base64 embeddings are little-endian floats");

typedef struct openai_request {
    qr__request head;
    size_t dimensions; /* 0: all */
    bool base64;
} openai_request;

static qr_status decode_body(qr__call *call) {
    openai_request *request = (openai_request *)call->request;
    const qr__value *format = qr__value_get(call->body, "encoding_format");
    qr_encode_options options = {.special = true};
    request->base64 = qr_text_is(qr__value_text(format), "base64");
    if (format != NULL && !request->base64 && !qr_text_is(qr__value_text(format), "float"))
        return qr__call_bad_field(call, "encoding_format");
    if (!qr__field_number(call, call->body, QR__NUMBER_DIMENSIONS, &request->dimensions))
        return QR_BAD_REQUEST;
    qr_status status = qr__call_model(call, QR_KIND_BIT(QR_KIND_EMBEDDING), QR__UNKNOWN_SERVED);
    if (status != QR_OK)
        return status;
    if (request->dimensions >
        qr_engine_model(qr_pipeline_engine(call->exchange->model->pipeline))->hidden)
        return qr__call_bad_field(call, qr__number_name(QR__NUMBER_DIMENSIONS));
    return qr__call_inputs(call, qr__value_get(call->body, "input"), "input", &options, true);
}

qr_status qr__openai_decode(const qr_api *api, qr_exchange *exchange) {
    return qr__call_run(api, exchange, sizeof(openai_request), decode_body);
}

void qr__openai_encode(const qr_api *api, qr_exchange *exchange) {
    (void)api;
    const openai_request *request = exchange->decoded;
    qr_buf *out = &exchange->out;
    size_t hidden = qr_engine_model(qr_pipeline_engine(exchange->model->pipeline))->hidden;
    float *vector = qr_arena_array(&exchange->arena, hidden, sizeof *vector);
    if (vector == NULL) {
        exchange->status = QR_NO_MEMORY;
        return;
    }
    qr_buf_literal(out, "{\"object\":\"list\",\"data\":[");
    for (size_t i = 0; i < exchange->ticket.jobs_len; i++) {
        size_t len = qr_embed_finish(exchange->ticket.jobs[i].result, hidden, request->dimensions,
                                     true, vector);
        if (i > 0)
            qr_buf_byte(out, ',');
        qr_buf_literal(out, "{\"object\":\"embedding\",\"index\":");
        qr_buf_u64(out, i);
        qr_buf_literal(out, ",\"embedding\":");
        if (request->base64) {
            qr_buf_byte(out, '"');
            qr__base64_put(out, vector, len * sizeof *vector);
            qr_buf_byte(out, '"');
        } else {
            qr_json_floats(out, vector, len);
        }
        qr_buf_byte(out, '}');
    }
    qr_buf_literal(out, "],\"model\":");
    qr_json_text(out, qr_text_of(qr_pipeline_name(exchange->model->pipeline)));
    qr_buf_printf(out, ",\"usage\":{\"prompt_tokens\":%zu,\"total_tokens\":%zu}}",
                  request->head.tokens, request->head.tokens);
}
