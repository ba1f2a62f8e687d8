/* server/api/tei/tei_embed.c: POST /embed.
 *
 *     {"inputs": "how tall is everest"}    ->    [[0.0123,-0.0456,...]]
 *
 * Always a list of vectors, for one input too. */
#include "server/api/call.h"

typedef struct embed_request {
    qr__decoded head;
    qr__cut cut;
    size_t dimensions; /* 0: all */
    bool normalize;
} embed_request;

static const qr__field fields[] = {
    QR__OTHER("inputs", QR__INPUTS_MUST, QR__S_INPUTS),
    QR__FLAG("normalize", embed_request, normalize, true),
    QR__NUMBER("dimensions", embed_request, dimensions, 0, 1, QR_LIMIT_HIDDEN),
    QR__CUT_FIELDS(embed_request, cut),
    QR__MODEL_FIELD,
};

static qr_status decode(qr__call *call) {
    const embed_request *request = (const embed_request *)call->request;
    qr_status status = qr__call_model(call, QR__UNKNOWN_REFUSED);
    if (status == QR_OK)
        status = qr__call_dimensions(call, request->dimensions);
    return status == QR_OK ? qr__call_inputs(call, "inputs", &request->cut) : status;
}

static void encode(const qr_api *api, qr_exchange *x) {
    (void)api;
    const embed_request *request = x->decoded;
    size_t hidden = qr_engine_model(qr_pipeline_engine(x->model->pipeline))->hidden;
    float *vector = qr__encode_floats(x, hidden);
    if (vector == NULL)
        return;
    for (size_t i = 0; i < x->ticket.jobs_len; i++) {
        size_t len = qr_embed_finish(x->ticket.jobs[i].result, hidden, request->dimensions,
                                     request->normalize, vector);
        qr_buf_byte(&x->out, i == 0 ? '[' : ',');
        qr_json_floats(&x->out, vector, len);
    }
    qr_buf_byte(&x->out, ']');
}

static const qr_route rows[] = {
    {
        .method = "POST",
        .pattern = "/embed",
        .summary = "Vectors of texts",
        .reply = QR__S_VECTORS,
        .flags = QR__ROUTE_MODEL | QR__ROUTE_COMPUTE,
        .kinds = QR_KIND_BIT(QR_KIND_EMBEDDING),
        .accepts = QR__JSON,
        .request_bytes = sizeof(embed_request),
        .fields = fields,
        .fields_len = QR__LENGTH(fields),
        .decode = decode,
        .encode = encode,
        .fail = qr__fail_tei,
    },
};

const qr__routes qr__tei_embed_routes = {rows, QR__LENGTH(rows)};
