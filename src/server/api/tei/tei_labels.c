/* server/api/tei/tei_labels.c: POST /predict and POST /rerank, for models with a classification
 * head.
 *
 *     /predict {"inputs": "great film"}              -> [{"score":0.98,"label":"positive"},...]
 *     /predict {"inputs": [["a"], ["a", "b"]]}       -> [[...],[...]]
 *     /rerank  {"query": "q", "texts": ["a", "b"]}   -> [{"index":1,"score":0.9},...]
 */
#include "server/api/call.h"

typedef struct predict_request {
    qr__decoded head;
    qr__cut cut;
    bool raw_scores;
} predict_request;

typedef struct rerank_request {
    qr__decoded head;
    qr__cut cut;
    bool raw_scores, return_text;
    qr_text query;
    qr_text *texts; /* with return_text */
} rerank_request;

#define ONE_OR_TWO "a list of one or two texts"
#define PAIR       QR__S_ROW(QR__S_TEXT, "2")
#define SCORES                                                                                     \
    QR__S_LIST(QR__S_SHAPE("\"score\",\"label\"", QR__S_MEMBER("score", QR__S_FLOAT),              \
                           QR__S_MEMBER("label", QR__S_TEXT)))
#define RANKED                                                                                     \
    QR__S_SHAPE("\"index\",\"score\"", QR__S_MEMBER("index", QR__S_COUNT),                         \
                QR__S_MEMBER("score", QR__S_FLOAT), QR__S_MEMBER("text", QR__S_TEXT))

static const qr__field predict_fields[] = {
    QR__OTHER("inputs", "a text, " ONE_OR_TWO ", or a list of such lists",
              QR__S_EITHER(QR__S_SOME_TEXT, QR__S_EITHER(PAIR, QR__S_SOME_LIST(PAIR)))),
    QR__FLAG("raw_scores", predict_request, raw_scores, false),
    QR__CUT_FIELDS(predict_request, cut),
    QR__MODEL_FIELD,
};

static const qr__field rerank_fields[] = {
    QR__TEXT("query", rerank_request, query, true),
    QR__OTHER("texts", "a list of texts", QR__S_SOME_LIST(QR__S_TEXT)),
    QR__FLAG("raw_scores", rerank_request, raw_scores, false),
    QR__FLAG("return_text", rerank_request, return_text, false),
    QR__CUT_FIELDS(rerank_request, cut),
    QR__MODEL_FIELD,
};

/* A text, or a list of one or two texts; two are a pair. */
static qr_status one_prediction(qr__call *call, const qr__value *input, const qr_place *place) {
    const qr__cut *cut = &((predict_request *)call->request)->cut;
    size_t parts = qr__value_len(input);
    if (qr__value_kind_of(input) == QR__VALUE_TEXT)
        return qr__call_text(call, qr__value_text(input), NULL, cut);
    if (qr__value_kind_of(input) != QR__VALUE_ARRAY)
        return qr__call_must(call, place, predict_fields[0].must);
    for (size_t i = 0; i < parts; i++) {
        const qr_place part = qr__place_item(place, i);
        if (qr__value_kind_of(qr__value_at(input, i)) != QR__VALUE_TEXT)
            return qr__call_must(call, &part, "a text");
    }
    if (parts == 0)
        return QR_EMPTY_INPUT;
    if (parts > 2)
        return qr__call_must(call, place, ONE_OR_TWO);
    qr_text pair = qr__value_text(qr__value_at(input, parts - 1));
    return qr__call_text(call, qr__value_text(qr__value_at(input, 0)), parts == 2 ? &pair : NULL,
                         cut);
}

static qr_status decode_predict(qr__call *call) {
    const qr__value *inputs = qr__value_get(call->body, "inputs");
    const qr_place place = {.field = "inputs"};
    qr_status status = qr__call_model(call, QR__UNKNOWN_REFUSED);
    if (status != QR_OK)
        return status;
    bool list = qr__value_kind_of(qr__value_at(inputs, 0)) == QR__VALUE_ARRAY;
    call->request->single = !list;
    status = qr__call_jobs(call, list ? qr__value_len(inputs) : 1);
    if (status == QR_OK && !list)
        return one_prediction(call, inputs, &place);
    for (size_t i = 0; status == QR_OK && i < call->request->inputs_len; i++) {
        const qr_place item = qr__place_item(&place, i);
        const qr__value *input = qr__value_at(inputs, i);
        if (qr__value_kind_of(input) != QR__VALUE_ARRAY)
            return qr__call_must(call, &item, ONE_OR_TWO);
        status = one_prediction(call, input, &item);
    }
    return status;
}

static void put_prediction(qr_exchange *x, const float *logits, float *scores, qr__ranked *ranked) {
    const qr_model_info *about = qr_engine_model(qr_pipeline_engine(x->model->pipeline));
    bool raw = ((const predict_request *)x->decoded)->raw_scores;
    qr_buf *out = &x->out;
    if (!raw)
        qr_labels_finish(about, logits, scores);
    for (size_t k = 0; k < about->labels; k++)
        ranked[k] = (qr__ranked){raw ? logits[k] : scores[k], (uint32_t)k};
    qr__rank(ranked, about->labels, QR__TIES_FALL);
    for (size_t k = 0; k < about->labels; k++) {
        qr_buf_text(out, qr_text_of(k == 0 ? "[{\"score\":" : ",{\"score\":"));
        qr_json_float(out, ranked[k].score);
        qr_buf_literal(out, ",\"label\":");
        qr_json_text(out, qr_text_of(about->label_names[ranked[k].index]));
        qr_buf_byte(out, '}');
    }
    qr_buf_byte(out, ']');
}

static void encode_predict(const qr_api *api, qr_exchange *x) {
    (void)api;
    bool single = ((const predict_request *)x->decoded)->head.single;
    size_t labels = qr_engine_model(qr_pipeline_engine(x->model->pipeline))->labels;
    qr__ranked *ranked = qr_arena_array(&x->arena, labels, sizeof *ranked);
    float *scores = qr_arena_array(&x->arena, labels, sizeof *scores);
    if (ranked == NULL || scores == NULL) {
        x->status = QR_NO_MEMORY;
        return;
    }
    for (size_t i = 0; i < x->jobs_len; i++) {
        if (!single)
            qr_buf_byte(&x->out, i == 0 ? '[' : ',');
        put_prediction(x, x->jobs[i].result, scores, ranked);
    }
    if (!single)
        qr_buf_byte(&x->out, ']');
}

static qr_status add_passage(qr__call *call, const qr__value *value, size_t index) {
    rerank_request *request = (rerank_request *)call->request;
    qr_arena *arena = &call->exchange->arena;
    const qr_place place = {.field = "texts", .index = {index}, .depth = 1};
    qr_text text = qr__value_text(value);
    if (text.data == NULL)
        return qr__call_must(call, &place, "a text");
    qr_status status = qr__call_text(call, request->query, &text, &request->cut);
    if (status == QR_OK && request->return_text) {
        request->texts[index] = qr_arena_text(arena, text);
        if (request->texts[index].data == NULL)
            return QR_NO_MEMORY;
    }
    return status;
}

static qr_status decode_rerank(qr__call *call) {
    rerank_request *request = (rerank_request *)call->request;
    const qr__value *texts = qr__value_get(call->body, "texts");
    const qr_place place = {.field = "texts"};
    if (qr__value_kind_of(texts) != QR__VALUE_ARRAY)
        return qr__call_must(call, &place, rerank_fields[1].must);
    qr_status status = qr__call_model(call, QR__UNKNOWN_REFUSED);
    if (status == QR_OK)
        status = qr__call_jobs(call, qr__value_len(texts));
    if (status != QR_OK)
        return status;
    size_t len = request->head.inputs_len;
    request->texts = qr_arena_array(&call->exchange->arena, len, sizeof *request->texts);
    if (request->texts == NULL)
        return QR_NO_MEMORY;
    for (size_t i = 0; status == QR_OK && i < len; i++)
        status = add_passage(call, qr__value_at(texts, i), i);
    return status;
}

static void encode_rerank(const qr_api *api, qr_exchange *x) {
    (void)api;
    const rerank_request *request = x->decoded;
    qr_buf *out = &x->out;
    size_t count = x->jobs_len;
    qr__ranked *ranked = qr__rank_scores(x, request->raw_scores, QR__TIES_FALL);
    if (ranked == NULL)
        return;
    for (size_t i = 0; i < count; i++) {
        qr_buf_text(out, qr_text_of(i == 0 ? "[{\"index\":" : ",{\"index\":"));
        qr_buf_u64(out, ranked[i].index);
        if (request->return_text) {
            qr_buf_literal(out, ",\"text\":");
            qr_json_text(out, request->texts[ranked[i].index]);
        }
        qr_buf_literal(out, ",\"score\":");
        qr_json_float(out, ranked[i].score);
        qr_buf_byte(out, '}');
    }
    qr_buf_byte(out, ']');
}

static const qr_route rerank_row;

const qr_route *qr__tei_rerank_row(void) {
    return &rerank_row;
}

/* Cohere's and Jina's clients post `documents`. */
static const qr_route *by_shape(const qr_exchange *x, const qr__value *body) {
    bool documents = qr__value_kind_of(body) == QR__VALUE_OBJECT &&
                     qr__value_get(body, "texts") == NULL &&
                     qr__value_get(body, "documents") != NULL;
    (void)x;
    return documents ? qr__cohere_rerank_row() : &rerank_row;
}

#define RERANK_ROW                                                                                 \
    .method = "POST", .pattern = "/rerank",                                                        \
    .summary = "Texts in the order in which they fit a query",                                     \
    .reply = QR__S_EITHER(QR__S_LIST(RANKED), QR__S_RERANKED),                                     \
    .example = "{\"query\":\"how tall is mount everest\",\"texts\":[\"It is 8,849 metres tall.\"," \
               "\"The river is long.\"]}",                                                         \
    .flags = QR__ROUTE_MODEL | QR__ROUTE_COMPUTE, .kinds = QR_KIND_BIT(QR_KIND_RERANKER),          \
    .accepts = QR__JSON, .request_bytes = sizeof(rerank_request), .fields = rerank_fields,         \
    .fields_len = QR__LENGTH(rerank_fields), .decode = decode_rerank, .encode = encode_rerank,     \
    .fail = qr__fail_rerank, .loop_bytes = QR__LOOP_PAIRS

static const qr_route rerank_row = {RERANK_ROW};

#define PREDICT_ROW                                                                                \
    .method = "POST", .pattern = "/predict", .summary = "Labels of texts or pairs of texts",       \
    .reply = QR__S_EITHER(SCORES, QR__S_SOME_LIST(SCORES)),                                        \
    .example = "{\"inputs\":\"what a great film\"}", .flags = QR__ROUTE_MODEL | QR__ROUTE_COMPUTE, \
    .kinds = QR_KIND_BIT(QR_KIND_CLASSIFIER) | QR_KIND_BIT(QR_KIND_RERANKER), .accepts = QR__JSON, \
    .request_bytes = sizeof(predict_request), .fields = predict_fields,                            \
    .fields_len = QR__LENGTH(predict_fields), .decode = decode_predict, .encode = encode_predict,  \
    .fail = qr__fail_tei, .loop_bytes = QR__LOOP_PAIRS

static const qr_route predict_row = {PREDICT_ROW};

/* Hugging Face's clients always send `parameters`. */
static const qr_route *by_parameters(const qr_exchange *x, const qr__value *body) {
    bool parameters = qr__value_kind_of(body) == QR__VALUE_OBJECT &&
                      qr__value_kind_of(qr__value_get(body, "parameters")) == QR__VALUE_OBJECT;
    (void)x;
    return parameters ? qr__hf_labels_row() : &predict_row;
}

static const qr_route rows[] = {
    {PREDICT_ROW, .resolve = by_parameters, .other = qr__hf_labels_row},
    {RERANK_ROW, .resolve = by_shape, .other = qr__cohere_rerank_row},
};

const qr__routes qr__tei_labels_routes = {rows, QR__LENGTH(rows)};
