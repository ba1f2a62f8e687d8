/* server/api/hf/hf_labels.c: text classification in Hugging Face's shape: what /predict answers
 * when the body has `parameters`, which its clients always send and text-embeddings-inference's
 * never.
 *
 *     {"inputs": "great film", "parameters": {"top_k": 2}}
 *     -> [[{"label":"positive","score":0.98},{"label":"neutral","score":0.01}]]
 *
 * Always a list a text, as the clients of hosted models read it. All labels, best first, unless
 * top_k says fewer; equal scores in rising order, as transformers sorts them. */
#include "server/api/call.h"

typedef struct hf_labels_request {
    qr__decoded head;
    qr__cut cut;
    size_t top_k;    /* 0: all */
    size_t function; /* a qr_scores, in the order of FUNCTIONS */
} hf_labels_request;

#define FUNCTIONS "default|softmax|sigmoid|none"
_Static_assert(QR_SCORES_DEFAULT == 0 && QR_SCORES_SOFTMAX == 1 && QR_SCORES_SIGMOID == 2 &&
                   QR_SCORES_NONE == 3,
               "FUNCTIONS has their order");

#define PAIR                                                                                       \
    QR__S_OBJECT(QR__S_MEMBER("text", QR__S_TEXT) "," QR__S_MEMBER("text_pair", QR__S_TEXT))
#define ONE    QR__S_EITHER(QR__S_TEXT, PAIR)
#define INPUTS QR__S_EITHER(ONE, QR__S_LIST(ONE))

static const qr__field parameters[] = {
    QR__NUMBER("top_k", hf_labels_request, top_k, 0, 1, UINT32_MAX),
    QR__CHOICE("function_to_apply", hf_labels_request, function, FUNCTIONS,
               "\"sigmoid\", \"softmax\" or \"none\""),
    QR__CUT_FIELDS(hf_labels_request, cut),
};

static const qr__field fields[] = {
    QR__OTHER("inputs", "a text, an object with `text`, or a list of these", INPUTS),
    QR__OBJECT("parameters", parameters, "an object"),
    QR__MODEL_FIELD,
};

static qr_status add_input(qr__call *call, const qr__value *input, const qr_place *place) {
    const qr__cut *cut = &((const hf_labels_request *)call->request)->cut;
    bool object = qr__value_kind_of(input) == QR__VALUE_OBJECT;
    const qr__value *second = object ? qr__value_get(input, "text_pair") : NULL;
    qr_text text = qr__value_text(object ? qr__value_get(input, "text") : input);
    qr_text pair = qr__value_text(second);
    if (text.data == NULL || (second != NULL && pair.data == NULL))
        return qr__call_must(call, place, "a text, or an object with `text` and `text_pair`");
    return qr__call_text(call, text, second == NULL ? NULL : &pair, cut);
}

static qr_status decode(qr__call *call) {
    const qr__value *inputs = qr__value_get(call->body, "inputs");
    const qr_place place = {.field = "inputs"};
    bool list = qr__value_kind_of(inputs) == QR__VALUE_ARRAY;
    qr_status status = qr__call_model(call, QR__UNKNOWN_REFUSED);
    if (status == QR_OK)
        status = qr__call_jobs(call, list ? qr__value_len(inputs) : 1);
    if (status == QR_OK && !list)
        return add_input(call, inputs, &place);
    for (size_t i = 0; status == QR_OK && i < call->request->inputs_len; i++) {
        const qr_place item = qr__place_item(&place, i);
        status = add_input(call, qr__value_at(inputs, i), &item);
    }
    return status;
}

static void encode(const qr_api *api, qr_exchange *x) {
    (void)api;
    const hf_labels_request *request = x->decoded;
    const qr_model_info *about = qr_engine_model(qr_pipeline_engine(x->model->pipeline));
    size_t labels = about->labels, shown = request->top_k == 0 ? labels : request->top_k;
    qr__ranked *ranked = qr_arena_array(&x->arena, labels, sizeof *ranked);
    float *scores = qr_arena_array(&x->arena, labels, sizeof *scores);
    qr_buf *out = &x->out;
    if (ranked == NULL || scores == NULL) {
        x->status = QR_NO_MEMORY;
        return;
    }
    for (size_t i = 0; i < x->jobs_len; i++) {
        qr_labels_score(about, x->jobs[i].result, (qr_scores)request->function, scores);
        for (size_t k = 0; k < labels; k++)
            ranked[k] = (qr__ranked){scores[k], (uint32_t)k};
        qr__rank(ranked, labels, QR__TIES_RISE);
        qr_buf_text(out, qr_text_of(i == 0 ? "[[" : ",["));
        for (size_t k = 0; k < qr_min(labels, shown); k++) {
            qr_buf_text(out, qr_text_of(k == 0 ? "{\"label\":" : ",{\"label\":"));
            qr_json_text(out, qr_text_of(about->label_names[ranked[k].index]));
            qr_buf_literal(out, ",\"score\":");
            qr_json_float(out, ranked[k].score);
            qr_buf_byte(out, '}');
        }
        qr_buf_byte(out, ']');
    }
    qr_buf_byte(out, ']');
}

static const qr_route row = {
    .method = "POST",
    .pattern = "/predict",
    .flags = QR__ROUTE_MODEL | QR__ROUTE_COMPUTE,
    .kinds = QR_KIND_BIT(QR_KIND_CLASSIFIER) | QR_KIND_BIT(QR_KIND_RERANKER),
    .accepts = QR__JSON,
    .request_bytes = sizeof(hf_labels_request),
    .fields = fields,
    .fields_len = QR__LENGTH(fields),
    .decode = decode,
    .encode = encode,
    .fail = qr__fail_tei,
};

const qr_route *qr__hf_labels_row(void) {
    return &row;
}
