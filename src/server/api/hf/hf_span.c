/* server/api/hf/hf_span.c: POST /span, extractive question answering in Hugging Face's shape.
 *
 *     {"inputs": {"question": "...", "context": "..."}, "parameters": {"top_k": 1}}
 *     {"question": "...", "context": "...", "top_k": 1}            the same, flat
 *     -> {"score":0.97,"start":11,"end":16,"answer":"Paris"}
 *
 * One answer is an object, several (or none) are a list. Offsets are in code points of the
 * context. */
#include "server/api/call.h"

typedef struct span_request {
    qr__decoded head;
    qr_text question; /* borrowed from the body, for the call */
    qr_text context;
    qr_span_options options;
    size_t max_question_len; /* transformers ignores it too, but a value must make sense */
    qr_windows windows;      /* in the arena: one job a window */
} span_request;

static const qr__field texts[] = {
    QR__TEXT("question", span_request, question, true),
    QR__TEXT("context", span_request, context, true),
};

#define NUMBER(name, member, fallback, most)                                                       \
    QR__NUMBER(name, span_request, member, fallback, 1, most)

/* The defaults are transformers'; 0 means by the model's size (qr_span_options). */
static const qr__field options[] = {
    NUMBER("top_k", options.top_k, 1, QR_LIMIT_TOP_K),
    NUMBER("max_answer_len", options.max_answer_len, 15, QR_LIMIT_POSITIONS),
    NUMBER("max_seq_len", options.max_seq_len, 0, QR_LIMIT_POSITIONS),
    NUMBER("doc_stride", options.doc_stride, 0, QR_LIMIT_POSITIONS),
    NUMBER("max_question_len", max_question_len, 0, QR_LIMIT_POSITIONS),
    QR__FLAG("handle_impossible_answer", span_request, options.handle_impossible, false),
    QR__FLAG("align_to_words", span_request, options.align_to_words, true),
};

static const qr__field fields[] = {
    QR__OBJECT("inputs", texts, "an object with `question` and `context`"),
    QR__OBJECT("parameters", options, "an object"),
    QR__MODEL_FIELD,
};

static void *keep(qr_arena *arena, const void *from, size_t count, size_t size) {
    void *copy = qr_arena_array(arena, count, size);
    if (copy != NULL && count > 0)
        memcpy(copy, from, count * size);
    return copy;
}

/* The windows outlive the call's scratch: answers are cut from them when the logits are there. */
static bool keep_window(qr_arena *arena, const qr_encoding *from, qr_encoding *to) {
    *to = (qr_encoding){.ids = keep(arena, from->ids, from->len, sizeof *from->ids),
                        .types = keep(arena, from->types, from->len, sizeof *from->types),
                        .special = keep(arena, from->special, from->len, sizeof *from->special),
                        .begin = keep(arena, from->begin, from->len, sizeof *from->begin),
                        .end = keep(arena, from->end, from->len, sizeof *from->end),
                        .word = keep(arena, from->word, from->len, sizeof *from->word),
                        .len = from->len,
                        .capacity = from->len,
                        .truncated = from->truncated};
    return to->ids != NULL && to->types != NULL && to->special != NULL && to->begin != NULL &&
           to->end != NULL && to->word != NULL;
}

static qr_status make_jobs(qr__call *call, span_request *request) {
    qr_exchange *x = call->exchange;
    const qr_windows *made = &call->windows;
    qr_windows *kept = &request->windows;
    kept->items = qr_arena_array(&x->arena, made->len, sizeof *kept->items);
    x->ticket.jobs = qr_arena_array(&x->arena, made->len, sizeof *x->ticket.jobs);
    if (kept->items == NULL || x->ticket.jobs == NULL)
        return QR_NO_MEMORY;
    kept->capacity = made->len;
    for (; kept->len < made->len; kept->len++) {
        qr_encoding *window = &kept->items[kept->len];
        if (!keep_window(&x->arena, &made->items[kept->len], window))
            return QR_NO_MEMORY;
        qr_status status = qr__call_tokens(call, window->ids, window->types, window->len);
        if (status != QR_OK)
            return status;
    }
    return QR_OK;
}

/* Two options that only the model can bound. */
static qr_status check_lengths(qr__call *call, const qr_span_options *given) {
    size_t longest = qr_pipeline_max_tokens(call->exchange->model->pipeline);
    const char *parent = qr__value_get(call->body, "parameters") == NULL ? NULL : "parameters";
    size_t seq_len = given->max_seq_len;
    if (seq_len > longest)
        return qr__call_must_within(call, &(qr_place){.parent = parent, .field = "max_seq_len"},
                                    QR__WHOLE_NUMBER, 1, longest);
    if (seq_len == 0)
        seq_len = qr_min(longest, QR_SPAN_DEFAULT_SEQ_LEN);
    if (given->doc_stride > seq_len)
        return qr__call_must_within(call, &(qr_place){.parent = parent, .field = "doc_stride"},
                                    QR__WHOLE_NUMBER, 1, seq_len);
    return QR_OK;
}

static qr_status decode(qr__call *call) {
    span_request *request = (span_request *)call->request;
    qr_exchange *x = call->exchange;
    qr_status status = qr__call_model(call, QR__UNKNOWN_REFUSED);
    if (status == QR_OK)
        status = check_lengths(call, &request->options);
    if (status != QR_OK)
        return status;
    request->head.inputs_len = 1;
    request->context = qr_arena_text(&x->arena, request->context);
    if (request->context.data == NULL)
        return QR_NO_MEMORY;
    status = qr_span_encode(x->model->pipeline, request->question, request->context,
                            &request->options, &call->windows);
    return status == QR_OK ? make_jobs(call, request) : status;
}

static void encode(const qr_api *api, qr_exchange *x) {
    (void)api;
    const span_request *request = x->decoded;
    const qr_ticket *ticket = &x->ticket;
    size_t count = 0;
    qr_span *spans = qr_arena_array(&x->arena, request->options.top_k, sizeof *spans);
    const float **logits = qr_arena_array(&x->arena, ticket->jobs_len, sizeof *logits);
    if (spans == NULL || logits == NULL) {
        x->status = QR_NO_MEMORY;
        return;
    }
    for (size_t i = 0; i < ticket->jobs_len; i++)
        logits[i] = ticket->jobs[i].result;
    x->status = qr_span_decode(&request->windows, logits, request->context, &request->options,
                               spans, &count);
    if (x->status == QR_OK)
        qr_span_to_json(spans, count, request->context, &x->out);
}

static const qr_route rows[] = {
    {
        .method = "POST",
        .pattern = "/span",
        .summary = "The passage's words that answer a question",
        .reply = QR__S_EITHER(QR__S_ANY_OBJECT, QR__S_LIST(QR__S_ANY_OBJECT)),
        .flags = QR__ROUTE_MODEL,
        .kinds = QR_KIND_BIT(QR_KIND_SPAN),
        .accepts = QR__JSON,
        .request_bytes = sizeof(span_request),
        .fields = fields,
        .fields_len = QR__LENGTH(fields),
        .decode = decode,
        .encode = encode,
        .fail = qr__fail_tei,
    },
};

const qr__routes qr__hf_span_routes = {rows, QR__LENGTH(rows)};
