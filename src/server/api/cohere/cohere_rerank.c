/* server/api/cohere/cohere_rerank.c: POST /v1/rerank and the other paths at which Cohere's, Jina's,
 * infinity's, vLLM's, llama.cpp's and OVMS's clients look for it.
 *
 *     {"query": "q", "documents": ["a", {"text": "b"}], "top_n": 1}
 *     -> {"object":"list","id":"...","model":"reranker",
 *         "results":[{"index":1,"relevance_score":0.9}],"usage":{...},"meta":{...}}
 *
 * A body with `texts` is text-embeddings-inference's on all of these paths, as one with `documents`
 * is this one on its path /rerank. The answer has what each of the clients reads; `document` is
 * there only when it is asked for, since some cannot bear a null. */
#include "server/api/call.h"

typedef struct cohere_request {
    qr__decoded head;
    qr__cut cut;
    qr_text query;
    size_t top_n; /* 0: all */
    bool return_documents, raw_scores, use_activation;
    qr_text *documents; /* with return_documents */
} cohere_request;

#define DOCUMENT QR__S_EITHER(QR__S_TEXT, QR__S_OBJECT(QR__S_MEMBER("text", QR__S_TEXT)))

static const qr__field fields[] = {
    QR__TEXT("query", cohere_request, query, true),
    QR__OTHER("documents", "a list of texts, or of objects with a `text`", QR__S_LIST(DOCUMENT)),
    QR__NUMBER("top_n", cohere_request, top_n, 0, 0, UINT32_MAX),
    QR__FLAG("return_documents", cohere_request, return_documents, false),
    QR__FLAG("raw_scores", cohere_request, raw_scores, false),
    QR__FLAG("use_activation", cohere_request, use_activation, true),
    QR__MODEL_FIELD,
};

static qr_status add_document(qr__call *call, const qr__value *value, size_t index) {
    cohere_request *request = (cohere_request *)call->request;
    const qr_place place = {.field = "documents", .index = {index}, .depth = 1};
    bool object = qr__value_kind_of(value) == QR__VALUE_OBJECT;
    qr_text text = qr__value_text(object ? qr__value_get(value, "text") : value);
    if (text.data == NULL)
        return qr__call_must(call, &place, "a text, or an object with a `text`");
    qr_status status =
        qr__call_at(call, qr__call_text(call, request->query, &text, &request->cut), &place);
    if (status == QR_OK && request->return_documents) {
        request->documents[index] = qr_arena_text(&call->exchange->arena, text);
        if (request->documents[index].data == NULL)
            return QR_NO_MEMORY;
    }
    return status;
}

static qr_status decode(qr__call *call) {
    cohere_request *request = (cohere_request *)call->request;
    const qr__value *documents = qr__value_get(call->body, "documents");
    const qr_place place = {.field = "documents"};
    request->cut = (qr__cut){.truncate = true};
    if (qr__value_kind_of(documents) != QR__VALUE_ARRAY)
        return qr__call_must(call, &place, fields[1].must);
    qr_status status = qr__call_model(call, QR__UNKNOWN_SERVED);
    if (status == QR_OK)
        status = qr__call_at(call, qr__call_jobs(call, qr__value_len(documents)), &place);
    if (status != QR_OK)
        return status;
    size_t len = request->head.inputs_len;
    request->documents = qr_arena_array(&call->exchange->arena, len, sizeof *request->documents);
    if (request->documents == NULL)
        return QR_NO_MEMORY;
    for (size_t i = 0; status == QR_OK && i < len; i++)
        status = add_document(call, qr__value_at(documents, i), i);
    return status;
}

static void put_results(qr_exchange *x, const qr__ranked *ranked, size_t len) {
    const cohere_request *request = x->decoded;
    qr_buf *out = &x->out;
    for (size_t i = 0; i < len; i++) {
        qr_buf_text(out, qr_text_of(i == 0 ? "{\"index\":" : ",{\"index\":"));
        qr_buf_u64(out, ranked[i].index);
        qr_buf_literal(out, ",\"relevance_score\":");
        qr_json_float(out, ranked[i].score);
        if (request->return_documents) {
            qr_buf_literal(out, ",\"document\":{\"text\":");
            qr_json_text(out, request->documents[ranked[i].index]);
            qr_buf_byte(out, '}');
        }
        qr_buf_byte(out, '}');
    }
}

static void encode(const qr_api *api, qr_exchange *x) {
    (void)api;
    const cohere_request *request = x->decoded;
    const qr_model_info *about = qr_engine_model(qr_pipeline_engine(x->model->pipeline));
    bool raw = request->raw_scores || !request->use_activation ||
               about->cross_encoder == QR_SCORES_NONE; /* it says that its logits are its scores */
    size_t count = x->jobs_len;
    qr__ranked *ranked = qr__rank_scores(x, raw, QR__TIES_RISE);
    if (ranked == NULL)
        return;
    if (request->top_n > 0)
        count = qr_min(count, request->top_n);
    qr_buf_printf(&x->out, "{\"object\":\"list\",\"id\":\"%s\",\"model\":", x->trace.text);
    qr_json_text(&x->out, qr_text_of(qr_pipeline_name(x->model->pipeline)));
    qr_buf_literal(&x->out, ",\"results\":[");
    put_results(x, ranked, count);
    qr_buf_printf(&x->out,
                  "],\"usage\":{\"prompt_tokens\":%zu,\"total_tokens\":%zu},\"meta\":{"
                  "\"api_version\":{\"version\":\"2\"},\"billed_units\":{\"search_units\":1},"
                  "\"tokens\":{\"input_tokens\":%zu}}}",
                  x->tokens, x->tokens, x->tokens);
}

static const qr_route cohere_row;

/* The shape of the body tells whose client it is. */
static const qr_route *by_shape(const qr_exchange *x, const qr__value *body) {
    bool texts =
        qr__value_kind_of(body) == QR__VALUE_OBJECT && qr__value_get(body, "texts") != NULL;
    (void)x;
    return texts ? qr__tei_rerank_row() : &cohere_row;
}

const qr_route *qr__cohere_rerank_row(void) {
    return &cohere_row;
}

static const char *const aliases[] = {
    "/v2/rerank",       "/v3/rerank",       "/v1/v1/rerank",    "/v1/v2/rerank",    "/v3/v1/rerank",
    "/v3/v2/rerank",    "/reranking",       "/v1/reranking",    "/v2/reranking",    "/v3/reranking",
    "/v1/v1/reranking", "/v1/v2/reranking", "/v3/v1/reranking", "/v3/v2/reranking", NULL};

#define ROW                                                                                        \
    .method = "POST", .pattern = "/v1/rerank", .aliases = aliases,                                 \
    .summary =                                                                                     \
        "Documents in the order in which they fit a query, for Cohere's and Jina's clients",       \
    .reply = QR__S_EITHER(QR__S_RERANKED, QR__S_LIST(QR__S_ANY_OBJECT)),                           \
    .example = "{\"query\":\"how tall is mount everest\",\"documents\":[\"It is 8,849 metres "     \
               "tall.\",\"The river is long.\"]}",                                                 \
    .flags = QR__ROUTE_MODEL, .kinds = QR_KIND_BIT(QR_KIND_RERANKER), .accepts = QR__JSON,         \
    .request_bytes = sizeof(cohere_request), .fields = fields, .fields_len = QR__LENGTH(fields),   \
    .decode = decode, .encode = encode, .fail = qr__fail_cohere, .loop_bytes = QR__LOOP_PAIRS

static const qr_route cohere_row = {ROW};

static const qr_route rows[] = {{ROW, .resolve = by_shape, .other = qr__tei_rerank_row}};

const qr__routes qr__cohere_rerank_routes = {rows, QR__LENGTH(rows)};
