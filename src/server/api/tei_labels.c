/* server/api/tei_labels.c: POST /predict and POST /rerank, for models with a classification head.
 *
 *     /predict {"inputs": "great film"}                     ->
 * [{"score":0.98,"label":"positive"},...] /predict {"inputs": [["a"], ["a", "b"]]}              ->
 * [[...],[...]] /rerank  {"query": "q", "texts": ["a", "b"]}          ->
 * [{"index":1,"score":0.9},...]
 */
#include "server/api/call.h"
#include "server/api/dialects.h"

typedef struct predict_request {
    qr__request head;
    bool raw_scores;
} predict_request;

typedef struct rerank_request {
    qr__request head;
    bool raw_scores, return_text;
    qr_text *texts; /* with return_text */
} rerank_request;

/* A text or a list of one or two texts; two are a pair. */
static qr_status one_prediction(qr__call *call, const qr__value *input,
                                const qr_encode_options *options, bool truncate) {
    size_t parts = qr__value_len(input);
    if (qr__value_kind_of(input) == QR__VALUE_TEXT)
        return qr__call_text(call, qr__value_text(input), NULL, options, truncate);
    for (size_t i = 0; i < parts; i++)
        if (qr__value_kind_of(qr__value_at(input, i)) != QR__VALUE_TEXT)
            return qr__call_bad_field(call, "inputs");
    if (parts == 0 && qr__value_kind_of(input) == QR__VALUE_ARRAY)
        return QR_EMPTY_INPUT;
    if (parts != 1 && parts != 2)
        return qr__call_bad_field(call, "inputs");
    qr_text pair = qr__value_text(qr__value_at(input, parts - 1));
    return qr__call_text(call, qr__value_text(qr__value_at(input, 0)), parts == 2 ? &pair : NULL,
                         options, truncate);
}

static qr_status decode_predict(qr__call *call) {
    predict_request *request = (predict_request *)call->request;
    const qr__value *inputs = qr__value_get(call->body, "inputs");
    qr_encode_options options = {.special = true};
    bool truncate;
    if (inputs == NULL)
        return qr__call_bad_field(call, "inputs");
    if (!qr__field_truncation(call, call->body, &options, &truncate) ||
        !qr__field_flag(call, call->body, "raw_scores", &request->raw_scores))
        return QR_BAD_REQUEST;
    qr_status status = qr__call_model(
        call, QR_KIND_BIT(QR_KIND_CLASSIFIER) | QR_KIND_BIT(QR_KIND_RERANKER), QR__UNKNOWN_REFUSED);
    if (status != QR_OK)
        return status;
    request->head.single = qr__value_kind_of(qr__value_at(inputs, 0)) != QR__VALUE_ARRAY;
    size_t count = request->head.single ? 1 : qr__value_len(inputs);
    status = qr__call_jobs(call, count);
    for (size_t i = 0; status == QR_OK && i < count; i++) {
        const qr__value *input = request->head.single ? inputs : qr__value_at(inputs, i);
        if (!request->head.single && qr__value_kind_of(input) != QR__VALUE_ARRAY)
            return qr__call_bad_field(call, "inputs");
        status = one_prediction(call, input, &options, truncate);
    }
    return status;
}

qr_status qr__predict_decode(const qr_api *api, qr_exchange *exchange) {
    return qr__call_run(api, exchange, sizeof(predict_request), decode_predict);
}

static void put_prediction(qr_exchange *exchange, const float *logits, float *scores,
                           qr__ranked *ranked, bool raw_scores) {
    const qr_model_info *about = qr_engine_model(qr_pipeline_engine(exchange->model->pipeline));
    qr_buf *out = &exchange->out;
    if (!raw_scores)
        qr_labels_finish(logits, about->labels, scores);
    for (size_t k = 0; k < about->labels; k++)
        ranked[k] = (qr__ranked){raw_scores ? logits[k] : scores[k], (uint32_t)k};
    qr__rank(ranked, about->labels);
    for (size_t k = 0; k < about->labels; k++) {
        qr_buf_text(out, qr_text_of(k == 0 ? "[{\"score\":" : ",{\"score\":"));
        qr_json_float(out, ranked[k].score);
        qr_buf_literal(out, ",\"label\":");
        qr_json_text(out, qr_text_of(about->label_names[ranked[k].index]));
        qr_buf_byte(out, '}');
    }
    qr_buf_byte(out, ']');
}

void qr__predict_encode(const qr_api *api, qr_exchange *exchange) {
    (void)api;
    const predict_request *request = exchange->decoded;
    size_t labels = qr_engine_model(qr_pipeline_engine(exchange->model->pipeline))->labels;
    qr__ranked *ranked = qr_arena_array(&exchange->arena, labels, sizeof *ranked);
    float *scores = qr_arena_array(&exchange->arena, labels, sizeof *scores);
    if (ranked == NULL || scores == NULL) {
        exchange->status = QR_NO_MEMORY;
        return;
    }
    for (size_t i = 0; i < exchange->ticket.jobs_len; i++) {
        if (!request->head.single)
            qr_buf_byte(&exchange->out, i == 0 ? '[' : ',');
        put_prediction(exchange, exchange->ticket.jobs[i].result, scores, ranked,
                       request->raw_scores);
    }
    if (!request->head.single)
        qr_buf_byte(&exchange->out, ']');
}

static qr_status decode_rerank(qr__call *call) {
    rerank_request *request = (rerank_request *)call->request;
    const qr__value *texts = qr__value_get(call->body, "texts");
    qr_arena *arena = &call->exchange->arena;
    qr_encode_options options = {.special = true};
    qr_text query;
    bool truncate;
    if (!qr__field_truncation(call, call->body, &options, &truncate) ||
        !qr__field_text(call, call->body, "query", &query) ||
        !qr__field_flag(call, call->body, "raw_scores", &request->raw_scores) ||
        !qr__field_flag(call, call->body, "return_text", &request->return_text))
        return QR_BAD_REQUEST;
    if (qr__value_kind_of(texts) != QR__VALUE_ARRAY)
        return qr__call_bad_field(call, "texts");
    qr_status status = qr__call_model(call, QR_KIND_BIT(QR_KIND_RERANKER), QR__UNKNOWN_REFUSED);
    if (status == QR_OK)
        status = qr__call_jobs(call, qr__value_len(texts));
    if (status != QR_OK)
        return status;
    request->texts = qr_arena_array(arena, request->head.inputs_len, sizeof *request->texts);
    if (request->texts == NULL)
        return QR_NO_MEMORY;
    for (size_t i = 0; status == QR_OK && i < request->head.inputs_len; i++) {
        qr_text text = qr__value_text(qr__value_at(texts, i));
        if (qr__value_kind_of(qr__value_at(texts, i)) != QR__VALUE_TEXT)
            return qr__call_bad_field(call, "texts");
        status = qr__call_text(call, query, &text, &options, truncate);
        if (status == QR_OK && request->return_text) {
            request->texts[i] = qr_arena_text(arena, text);
            if (request->texts[i].data == NULL)
                return QR_NO_MEMORY;
        }
    }
    return status;
}

qr_status qr__rerank_decode(const qr_api *api, qr_exchange *exchange) {
    return qr__call_run(api, exchange, sizeof(rerank_request), decode_rerank);
}

void qr__rerank_encode(const qr_api *api, qr_exchange *exchange) {
    (void)api;
    const rerank_request *request = exchange->decoded;
    qr_buf *out = &exchange->out;
    size_t count = exchange->ticket.jobs_len;
    qr__ranked *ranked = qr_arena_array(&exchange->arena, count, sizeof *ranked);
    if (ranked == NULL) {
        exchange->status = QR_NO_MEMORY;
        return;
    }
    for (size_t i = 0; i < count; i++) {
        float score = exchange->ticket.jobs[i].result[0];
        if (!request->raw_scores)
            qr_labels_finish(exchange->ticket.jobs[i].result, 1, &score);
        ranked[i] = (qr__ranked){score, (uint32_t)i};
    }
    qr__rank(ranked, count);
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
