/* server/api/api_span.c: POST /span, extractive question answering in Hugging Face's shape.
 *
 *     {"inputs": {"question": "...", "context": "..."}, "parameters": {"top_k": 1}}
 *     {"question": "...", "context": "...", "top_k": 1}                               the same,
 * flat
 *     -> {"score":0.97,"start":11,"end":16,"answer":"Paris"}
 *
 * One answer is an object, several (or none) are a list. Offsets are in code points of the context.
 */
#include "server/api/call.h"
#include "server/api/dialects.h"

typedef struct span_request {
    qr__request head;
    qr_span_options options;
    qr_text context;
    qr_windows windows; /* in the arena: one job a window */
} span_request;

static qr_status read_options(qr__call *call, const qr__value *from, qr_span_options *options) {
    size_t ignored; /* transformers ignores max_question_len too, but a value must make sense */
    *options = QR_SPAN_OPTIONS_DEFAULT;
    if (qr__field_number(call, from, QR__NUMBER_TOP_K, &options->top_k) &&
        qr__field_number(call, from, QR__NUMBER_MAX_ANSWER_LEN, &options->max_answer_len) &&
        qr__field_number(call, from, QR__NUMBER_MAX_SEQ_LEN, &options->max_seq_len) &&
        qr__field_number(call, from, QR__NUMBER_DOC_STRIDE, &options->doc_stride) &&
        qr__field_number(call, from, QR__NUMBER_MAX_QUESTION_LEN, &ignored) &&
        qr__field_flag(call, from, "handle_impossible_answer", &options->handle_impossible) &&
        qr__field_flag(call, from, "align_to_words", &options->align_to_words))
        return QR_OK;
    return QR_BAD_REQUEST;
}

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
    qr_exchange *exchange = call->exchange;
    const qr_windows *made = &call->windows;
    qr_windows *kept = &request->windows;
    kept->items = qr_arena_array(&exchange->arena, made->len, sizeof *kept->items);
    exchange->ticket.jobs =
        qr_arena_array(&exchange->arena, made->len, sizeof *exchange->ticket.jobs);
    if (kept->items == NULL || exchange->ticket.jobs == NULL)
        return QR_NO_MEMORY;
    kept->capacity = made->len;
    for (; kept->len < made->len; kept->len++) {
        qr_encoding *window = &kept->items[kept->len];
        if (!keep_window(&exchange->arena, &made->items[kept->len], window))
            return QR_NO_MEMORY;
        qr_status status = qr__call_tokens(call, window->ids, window->types, window->len);
        if (status != QR_OK)
            return status;
    }
    return QR_OK;
}

static qr_status decode_body(qr__call *call) {
    span_request *request = (span_request *)call->request;
    const qr__value *inputs = qr__value_get(call->body, "inputs"),
                    *parameters = qr__value_get(call->body, "parameters");
    qr_text question, context;
    if (inputs != NULL && qr__value_kind_of(inputs) != QR__VALUE_OBJECT)
        return qr__call_bad_field(call, "inputs");
    if (parameters != NULL && qr__value_kind_of(parameters) != QR__VALUE_OBJECT)
        return qr__call_bad_field(call, "parameters");
    const qr__value *texts = inputs != NULL ? inputs : call->body;
    if (!qr__field_text(call, texts, "question", &question) ||
        !qr__field_text(call, texts, "context", &context) ||
        read_options(call, parameters != NULL ? parameters : call->body, &request->options) !=
            QR_OK)
        return QR_BAD_REQUEST;
    qr_status status = qr__call_model(call, QR_KIND_BIT(QR_KIND_SPAN), QR__UNKNOWN_REFUSED);
    if (status != QR_OK)
        return status;
    request->head.inputs_len = 1;
    request->context = qr_arena_text(&call->exchange->arena, context);
    if (request->context.data == NULL)
        return QR_NO_MEMORY;
    status = qr_span_encode(call->exchange->model->pipeline, question, context, &request->options,
                            &call->windows);
    return status == QR_OK ? make_jobs(call, request) : status;
}

qr_status qr__span_decode(const qr_api *api, qr_exchange *exchange) {
    return qr__call_run(api, exchange, sizeof(span_request), decode_body);
}

void qr__span_encode(const qr_api *api, qr_exchange *exchange) {
    (void)api;
    const span_request *request = exchange->decoded;
    const qr_ticket *ticket = &exchange->ticket;
    size_t count = 0;
    qr_span *spans = qr_arena_array(&exchange->arena, request->options.top_k, sizeof *spans);
    const float **logits = qr_arena_array(&exchange->arena, ticket->jobs_len, sizeof *logits);
    if (spans == NULL || logits == NULL) {
        exchange->status = QR_NO_MEMORY;
        return;
    }
    for (size_t i = 0; i < ticket->jobs_len; i++)
        logits[i] = ticket->jobs[i].result;
    exchange->status = qr_span_decode(&request->windows, logits, request->context,
                                      &request->options, spans, &count);
    if (exchange->status == QR_OK)
        qr_span_to_json(spans, count, request->context, &exchange->out);
}
