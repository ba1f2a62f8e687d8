/* server/api/tei/tei_embed.c: POST /embed.
 *
 *     {"inputs": "how tall is everest"}    ->    [[0.0123,-0.0456,...]]
 *
 * Always a list of vectors, for one input too; with Accept: application/octet-stream their bytes.
 * */
#include "server/api/vectors.h"

typedef struct embed_request {
    qr__decoded head;
    qr__cut cut;
    qr__vector_form form;
} embed_request;

static const qr__field fields[] = {
    QR__OTHER("inputs", QR__INPUTS_MUST, QR__S_INPUTS),
    QR__FLAG("normalize", embed_request, form.normalize, true),
    QR__VECTOR_FIELDS(embed_request, form),
    QR__CUT_FIELDS(embed_request, cut),
    QR__MODEL_FIELD,
};

static qr_status decode(qr__call *call) {
    const embed_request *request = (const embed_request *)call->request;
    qr_status status = qr__call_model(call, QR__UNKNOWN_REFUSED);
    if (status == QR_OK)
        status = qr__vectors_check(call, &request->form);
    return status == QR_OK ? qr__call_inputs(call, "inputs", &request->cut) : status;
}

static void encode(const qr_api *api, qr_exchange *x) {
    (void)api;
    const embed_request *request = x->decoded;
    qr__vectors vectors;
    if (!qr__vectors_init(&vectors, x, &request->form))
        return;
    if (x->wants_octets) {
        qr__vectors_answer(&vectors, x);
        return;
    }
    for (size_t i = 0; i < vectors.len; i++) {
        qr_buf_byte(&x->out, i == 0 ? '[' : ',');
        qr__vectors_put(&vectors, i, QR__VECTORS_JSON, &x->out);
    }
    qr_buf_byte(&x->out, ']');
}

/* No model here gives sparse vectors: text-embeddings-inference answers a dense one so. */
static qr_status refuse_sparse(qr__call *call) {
    (void)call;
    return QR_WRONG_KIND;
}

static const qr_route rows[] = {
    {
        .method = "POST",
        .pattern = "/embed_sparse",
        .summary = "Sparse vectors, which no model here gives: always 424",
        .reply = QR__S_LIST(QR__S_LIST(QR__S_ANY_OBJECT)),
        .flags = QR__ROUTE_MODEL,
        .accepts = QR__JSON,
        .decode = refuse_sparse,
        .fail = qr__fail_tei,
    },
    {
        .method = "POST",
        .pattern = "/embed",
        .summary = "Vectors of texts",
        .reply = QR__S_VECTORS,
        .example = "{\"inputs\":\"how tall is mount everest\"}",
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
