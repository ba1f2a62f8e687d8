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
    QR__PROMPT_FIELD(embed_request, cut),
    QR__MODEL_FIELD,
};

static qr_status decode(qr__call *call) {
    embed_request *request = (embed_request *)call->request;
    qr_status status = qr__call_model(call, QR__UNKNOWN_REFUSED);
    if (status == QR_OK)
        status = qr__vectors_check(call, &request->form, NULL);
    if (status == QR_OK)
        status = qr__call_prompt(call, &request->cut);
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
    qr__vectors_put_list(&vectors, QR__VECTORS_JSON, &x->out);
}

/* The hidden states of all tokens, of a queue of their own. */
static qr_status decode_all(qr__call *call) {
    embed_request *request = (embed_request *)call->request;
    call->hidden = true;
    qr_status status = qr__call_model(call, QR__UNKNOWN_REFUSED);
    if (status == QR_OK)
        status = qr__call_prompt(call, &request->cut);
    if (status == QR_OK)
        status = qr__call_inputs(call, "inputs", &request->cut);
    call->exchange->hidden = status == QR_OK;
    return status;
}

static void encode_all(const qr_api *api, qr_exchange *x) {
    (void)api;
    size_t hidden = qr_engine_model(qr_pipeline_engine(x->model->pipeline))->hidden;
    for (size_t i = 0; i < x->jobs_len && !qr_buf_failed(&x->out); i++) {
        const qr_job *job = &x->jobs[i];
        qr_buf_text(&x->out, qr_text_of(i == 0 ? "[[" : ",["));
        for (size_t t = 0; t < job->tokens; t++) {
            if (t > 0)
                qr_buf_byte(&x->out, ',');
            qr_json_floats(&x->out, job->result + t * hidden, hidden);
        }
        qr_buf_byte(&x->out, ']');
    }
    qr_buf_byte(&x->out, ']');
}

static const qr__field all_fields[] = {
    QR__OTHER("inputs", QR__INPUTS_MUST, QR__S_INPUTS),
    QR__CUT_FIELDS(embed_request, cut),
    QR__PROMPT_FIELD(embed_request, cut),
    QR__MODEL_FIELD,
};

/* No model here gives sparse vectors: text-embeddings-inference answers a dense one so. */
static qr_status refuse_sparse(qr__call *call) {
    (void)call;
    return QR_WRONG_KIND;
}

static const qr_route rows[] = {
    {
        .method = "POST",
        .pattern = "/embed",
        .summary = "Vectors of texts",
        .reply = QR__S_VECTORS,
        .reply_type = "application/octet-stream",
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
    {
        .method = "POST",
        .pattern = "/embed_all",
        .summary = "Hidden states of all tokens of texts",
        .reply = QR__S_LIST(QR__S_VECTORS),
        .example = "{\"inputs\":\"how tall is mount everest\"}",
        .flags = QR__ROUTE_MODEL | QR__ROUTE_COMPUTE,
        .kinds = QR_KIND_BIT(QR_KIND_EMBEDDING),
        .accepts = QR__JSON,
        .request_bytes = sizeof(embed_request),
        .fields = all_fields,
        .fields_len = QR__LENGTH(all_fields),
        .decode = decode_all,
        .encode = encode_all,
        .fail = qr__fail_tei,
    },
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
};

const qr__routes qr__tei_embed_routes = {rows, QR__LENGTH(rows)};
