/* server/api/hf/hf_span.c: POST /span, extractive question answering in Hugging Face's shape.
 *
 *     {"inputs": {"question": "...", "context": "..."}, "parameters": {"top_k": 1}}
 *     {"question": "...", "context": "...", "top_k": 1}            the same, flat
 *     -> {"score":0.97,"start":11,"end":16,"answer":"Paris"}
 *     {"inputs": [{"question": "...", "context": "..."}, ...]}     -> a list of such answers
 *
 * One answer is an object, several (or none) are a list. Offsets are in code points of the
 * context. */
#include "server/api/spans.h"

typedef struct span_request {
    qr__decoded head;
    qr_text question, context; /* of a single one; borrowed from the body, for the call */
    qr__span_parameters parameters;
    qr__span_item *items;
} span_request;

static const qr__field texts[] = {
    QR__TEXT("question", span_request, question, true),
    QR__TEXT("context", span_request, context, true),
};

static const qr__field parameters[] = {
    QR__SPAN_FIELDS(span_request, parameters),
};

#define INPUTS_MUST "an object with `question` and `context`"
#define PAIR                                                                                       \
    QR__S_OBJECT(QR__S_MEMBER("question", QR__S_TEXT) "," QR__S_MEMBER("context", QR__S_TEXT))

static const qr__field fields[] = {
    QR__OBJECT("inputs", texts, INPUTS_MUST),
    QR__OBJECT("parameters", parameters, "an object"),
    QR__MODEL_FIELD,
};

static const qr__field batch_fields[] = {
    QR__OTHER("inputs", "a list of objects", QR__S_LIST(PAIR)),
    QR__OBJECT("parameters", parameters, "an object"),
    QR__MODEL_FIELD,
};

static qr_status begin(qr__call *call, size_t items) {
    span_request *request = (span_request *)call->request;
    qr_exchange *x = call->exchange;
    qr_status status = qr__call_model(call, QR__UNKNOWN_REFUSED);
    if (status == QR_OK)
        status = qr__span_check(call, &request->parameters.options);
    if (status == QR_OK)
        status = qr__call_count(call, items);
    if (status == QR_OK)
        status = qr__span_check_answers(call, items, request->parameters.options.top_k);
    if (status != QR_OK)
        return status;
    request->items = qr_arena_array(&x->arena, items, sizeof *request->items);
    return request->items == NULL ? QR_NO_MEMORY : QR_OK;
}

static qr_status decode(qr__call *call) {
    span_request *request = (span_request *)call->request;
    const qr_place empty =
        qr__call_place(call, "inputs", request->question.len == 0 ? "question" : "context");
    request->head.single = true;
    qr_status status = begin(call, 1);
    if (status == QR_OK)
        status = qr__span_add(call, request->question, request->context,
                              &request->parameters.options, &request->items[0]);
    return qr__call_at(call, status, &empty);
}

static qr_status decode_batch(qr__call *call) {
    span_request *request = (span_request *)call->request;
    const qr__value *inputs = qr__value_get(call->body, "inputs");
    const qr_place place = {.field = "inputs"};
    qr_status status = begin(call, qr__value_len(inputs));
    for (size_t i = 0; status == QR_OK && i < request->head.inputs_len; i++) {
        const qr_place item = qr__place_item(&place, i);
        const qr__value *input = qr__value_at(inputs, i);
        qr_text question = qr__value_text(qr__value_get(input, "question"));
        qr_text context = qr__value_text(qr__value_get(input, "context"));
        if (question.data == NULL || context.data == NULL)
            return qr__call_must(call, &item, INPUTS_MUST);
        status =
            qr__span_add(call, question, context, &request->parameters.options, &request->items[i]);
        status = qr__call_at(call, status, &item);
    }
    return status;
}

static void put_item(qr_exchange *x, const qr__span_item *item, qr_span *spans) {
    const span_request *request = x->decoded;
    const float **logits = qr__span_logits(x, item);
    size_t count = 0;
    if (logits == NULL)
        return;
    x->status = qr_span_decode(&item->windows, logits, item->context, &request->parameters.options,
                               spans, &count);
    if (x->status == QR_OK)
        qr_span_to_json(spans, count, item->context, request->parameters.bytes, &x->out);
}

static void encode(const qr_api *api, qr_exchange *x) {
    (void)api;
    const span_request *request = x->decoded;
    bool list = !request->head.single;
    qr_span *spans = qr_arena_array(&x->arena, request->parameters.options.top_k, sizeof *spans);
    if (spans == NULL)
        x->status = QR_NO_MEMORY;
    for (size_t i = 0; x->status == QR_OK && i < request->head.inputs_len; i++) {
        if (list)
            qr_buf_byte(&x->out, i == 0 ? '[' : ',');
        put_item(x, &request->items[i], spans);
    }
    if (list)
        qr_buf_byte(&x->out, ']');
}

#define SPANS QR__S_EITHER(QR__S_SPAN, QR__S_LIST(QR__S_SPAN))
#define REPLY QR__S_EITHER(QR__S_SPAN, QR__S_LIST(SPANS))
#define ROW(fields_, decode_)                                                                      \
    .method = "POST", .pattern = "/span", .summary = "The passage's words that answer a question", \
    .reply = REPLY,                                                                                \
    .example = "{\"question\":\"How tall is Mount Everest?\",\"context\":\"Mount Everest is "      \
               "8,849 metres tall. It lies in the Himalayas.\"}",                                  \
    .flags = QR__ROUTE_MODEL, .kinds = QR_KIND_BIT(QR_KIND_SPAN), .accepts = QR__JSON,             \
    .request_bytes = sizeof(span_request), .fields = (fields_), .fields_len = QR__LENGTH(fields_), \
    .decode = (decode_), .encode = encode, .fail = qr__fail_tei, .loop_bytes = QR__LOOP_WINDOWS

static const qr_route single_row = {ROW(fields, decode)};
static const qr_route batch_row = {ROW(batch_fields, decode_batch)};

static const qr_route *by_inputs(const qr_exchange *x, const qr__value *body) {
    const qr__value *inputs =
        qr__value_kind_of(body) == QR__VALUE_OBJECT ? qr__value_get(body, "inputs") : NULL;
    (void)x;
    return qr__value_kind_of(inputs) == QR__VALUE_ARRAY ? &batch_row : &single_row;
}

static const qr_route *batch(void) {
    return &batch_row;
}

static const qr_route rows[] = {{ROW(fields, decode), .resolve = by_inputs, .other = batch}};

const qr__routes qr__hf_span_routes = {rows, QR__LENGTH(rows)};
