/* server/api/tei_embed.c: POST /embed.
 *
 *     {"inputs": "how tall is everest"}    ->    [[0.0123,-0.0456,...]]
 *
 * Always a list of vectors, for one input too. */
#include "server/api/call.h"
#include "server/api/dialects.h"

typedef struct embed_request {
    qr__request head;
    size_t dimensions; /* 0: all */
    bool normalize;
} embed_request;

static qr_status decode_body(qr__call *call) {
    embed_request *request = (embed_request *)call->request;
    qr_encode_options options = {.special = true};
    bool truncate;
    request->normalize = true;
    if (!qr__field_truncation(call, call->body, &options, &truncate) ||
        !qr__field_flag(call, call->body, "normalize", &request->normalize) ||
        !qr__field_number(call, call->body, QR__NUMBER_DIMENSIONS, &request->dimensions))
        return QR_BAD_REQUEST;
    qr_status status = qr__call_model(call, QR_KIND_BIT(QR_KIND_EMBEDDING), QR__UNKNOWN_REFUSED);
    if (status != QR_OK)
        return status;
    if (request->dimensions >
        qr_engine_model(qr_pipeline_engine(call->exchange->model->pipeline))->hidden)
        return qr__call_bad_field(call, qr__number_name(QR__NUMBER_DIMENSIONS));
    return qr__call_inputs(call, qr__value_get(call->body, "inputs"), "inputs", &options, truncate);
}

qr_status qr__embed_decode(const qr_api *api, qr_exchange *exchange) {
    return qr__call_run(api, exchange, sizeof(embed_request), decode_body);
}

void qr__embed_encode(const qr_api *api, qr_exchange *exchange) {
    (void)api;
    const embed_request *request = exchange->decoded;
    size_t hidden = qr_engine_model(qr_pipeline_engine(exchange->model->pipeline))->hidden;
    float *vector = qr_arena_array(&exchange->arena, hidden, sizeof *vector);
    if (vector == NULL) {
        exchange->status = QR_NO_MEMORY;
        return;
    }
    for (size_t i = 0; i < exchange->ticket.jobs_len; i++) {
        size_t len = qr_embed_finish(exchange->ticket.jobs[i].result, hidden, request->dimensions,
                                     request->normalize, vector);
        qr_buf_byte(&exchange->out, i == 0 ? '[' : ',');
        qr_json_floats(&exchange->out, vector, len);
    }
    qr_buf_byte(&exchange->out, ']');
}
