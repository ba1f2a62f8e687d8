/* server/api/tei/tei_similarity.c: POST /similarity: how close sentences are to one.
 *
 *     {"inputs": {"source_sentence": "a", "sentences": ["b", "c"]}}    ->    [0.71,0.28]
 *
 * Cosines of the vectors, summed in double. */
#include <math.h>

#include "server/api/call.h"

typedef struct similarity_request {
    qr__decoded head;
    qr__cut cut;
    qr_text source;
} similarity_request;

static const qr__field inputs[] = {
    QR__TEXT("source_sentence", similarity_request, source, true),
    QR__OTHER("sentences", "a list of texts", QR__S_LIST(QR__S_TEXT)),
};

static const qr__field parameters[] = {
    QR__CUT_FIELDS(similarity_request, cut),
    QR__PROMPT_FIELD(similarity_request, cut),
};

static const qr__field fields[] = {
    QR__OBJECT("inputs", inputs, "an object with `source_sentence` and `sentences`"),
    QR__OBJECT("parameters", parameters, "an object"),
    QR__MODEL_FIELD,
};

static qr_status decode(qr__call *call) {
    similarity_request *request = (similarity_request *)call->request;
    const qr__value *object = qr__value_get(call->body, "inputs");
    const qr_place place = qr__call_place(call, "inputs", "sentences");
    const qr__value *sentences = qr__value_get(object == NULL ? call->body : object, "sentences");
    if (qr__value_kind_of(sentences) != QR__VALUE_ARRAY)
        return qr__call_must(call, &place, inputs[1].must);
    size_t len = qr__value_len(sentences);
    if (len == 0)
        return qr__call_at(call, QR_EMPTY_INPUT, &place);
    qr_status status = qr__call_model(call, QR__UNKNOWN_REFUSED);
    if (status == QR_OK)
        status = qr__call_prompt(call, &request->cut);
    if (status == QR_OK)
        status = qr__call_jobs(call, len + 1);
    if (status == QR_OK)
        status = qr__call_text(call, request->source, NULL, &request->cut);
    for (size_t i = 0; status == QR_OK && i < len; i++) {
        const qr_place item = qr__place_item(&place, i);
        qr_text text = qr__value_text(qr__value_at(sentences, i));
        if (text.data == NULL)
            return qr__call_must(call, &item, "a text");
        status = qr__call_text(call, text, NULL, &request->cut);
    }
    return status;
}

static float cosine(const float *a, const float *b, size_t len) {
    double sum = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < len; i++) {
        sum += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    double norms = sqrt(aa) * sqrt(bb);
    return norms > 0 ? (float)(sum / norms) : 0;
}

static void encode(const qr_api *api, qr_exchange *x) {
    (void)api;
    const qr_job *jobs = x->jobs;
    size_t len = qr_engine_model(qr_pipeline_engine(x->model->pipeline))->embedding;
    for (size_t i = 1; i < x->jobs_len; i++) {
        qr_buf_byte(&x->out, i == 1 ? '[' : ',');
        qr_json_float(&x->out, cosine(jobs[0].result, jobs[i].result, len));
    }
    qr_buf_byte(&x->out, ']');
}

static const qr_route rows[] = {
    {
        .method = "POST",
        .pattern = "/similarity",
        .example = "{\"inputs\":{\"source_sentence\":\"cheap hotels\",\"sentences\":[\"low-cost "
                   "hotels\",\"bread\"]}}",
        .summary = "How close sentences are to one",
        .reply = QR__S_LIST(QR__S_FLOAT),
        .flags = QR__ROUTE_MODEL | QR__ROUTE_COMPUTE,
        .kinds = QR_KIND_BIT(QR_KIND_EMBEDDING),
        .accepts = QR__JSON,
        .request_bytes = sizeof(similarity_request),
        .fields = fields,
        .fields_len = QR__LENGTH(fields),
        .decode = decode,
        .encode = encode,
        .fail = qr__fail_tei,
    },
};

const qr__routes qr__tei_similarity_routes = {rows, QR__LENGTH(rows)};
