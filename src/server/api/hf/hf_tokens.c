/* server/api/hf/hf_tokens.c: POST /token_classification, labels of tokens in Hugging Face's shape.
 *
 *     {"inputs": "Ada Byron lives in Paris", "parameters": {"aggregation_strategy": "simple"}}
 *     -> [{"entity_group":"PER","score":0.99,"word":"Ada Byron","start":0,"end":9},...]
 *     {"inputs": ["...", "..."]}                                  -> a list of such lists
 *
 * As transformers' token-classification pipeline: without aggregation every token has its `entity`
 * and `index`. Offsets are in code points. */
#include "server/api/spans.h"

typedef struct tokens_request {
    qr__decoded head;
    size_t aggregation, stride;
    qr_tokens_options options;
    qr__span_item *items;
} tokens_request;

enum { AGGREGATION_UNSAID, AGGREGATION_NONE, AGGREGATION_SIMPLE };
#define AGGREGATIONS "|none|simple"
#define NO_STRIDE    SIZE_MAX
_Static_assert(QR_LIMIT_IGNORED == 1024, "ignore_labels' sentence says it");

static const qr__field parameters[] = {
    QR__CHOICE("aggregation_strategy", tokens_request, aggregation, AGGREGATIONS,
               "\"none\" or \"simple\""),
    {.name = "ignore_labels",
     .kind = QR__FIELD_OTHER,
     .must = "a list of at most 1024 texts",
     .schema = QR__S_LIST(QR__S_TEXT)},
    QR__NUMBER("stride", tokens_request, stride, NO_STRIDE, 0, QR_LIMIT_POSITIONS),
};

static const qr__field fields[] = {
    QR__OTHER("inputs", "a text or a list of texts", QR__S_TEXTS),
    QR__OBJECT("parameters", parameters, "an object"),
    QR__MODEL_FIELD,
};

/* The labels outlive the body: they are looked at when the logits are there. */
static qr_status read_ignored(qr__call *call, qr_tokens_options *options) {
    const qr__value *object = qr__value_get(call->body, "parameters");
    const qr__value *list = qr__value_get(object == NULL ? call->body : object, "ignore_labels");
    const qr_place place = qr__call_place(call, "parameters", "ignore_labels");
    qr_arena *arena = &call->exchange->arena;
    if (list == NULL)
        return QR_OK;
    if (qr__value_kind_of(list) != QR__VALUE_ARRAY || qr__value_len(list) > QR_LIMIT_IGNORED)
        return qr__call_must(call, &place, parameters[1].must);
    size_t len = qr__value_len(list);
    qr_text *texts =
        qr_arena_array(arena, len + 1, sizeof *texts); /* not NULL when there is none */
    for (size_t i = 0; texts != NULL && i < len; i++) {
        const qr_place item = qr__place_item(&place, i);
        qr_text text = qr__value_text(qr__value_at(list, i));
        if (text.data == NULL)
            return qr__call_must(call, &item, "a text");
        texts[i] = qr_arena_text(arena, text);
        if (texts[i].data == NULL)
            return QR_NO_MEMORY;
    }
    options->ignored = texts;
    options->ignored_len = len;
    return texts == NULL ? QR_NO_MEMORY : QR_OK;
}

/* Windows only with a stride, and only where neighbours are grouped: as transformers has it. */
static qr_status read_options(qr__call *call) {
    static const char stride_must[] =
        "less than the longest input without its special tokens, and without "
        "`aggregation_strategy` \"none\"";
    tokens_request *request = (tokens_request *)call->request;
    const qr_place place = qr__call_place(call, "parameters", "stride");
    size_t longest = qr_pipeline_max_tokens(call->exchange->model->pipeline);
    request->options.aggregation =
        request->aggregation == AGGREGATION_SIMPLE ? QR_AGGREGATION_SIMPLE : QR_AGGREGATION_NONE;
    if (request->stride != NO_STRIDE) {
        if (request->aggregation == AGGREGATION_NONE || request->stride + 2 >= longest)
            return qr__call_must(call, &place, stride_must);
        request->options.windows = true;
        request->options.stride = request->stride;
    }
    return read_ignored(call, &request->options);
}

static qr_status add_text(qr__call *call, const qr__value *value, const qr_place *place,
                          qr__span_item *item) {
    const tokens_request *request = (const tokens_request *)call->request;
    qr_exchange *x = call->exchange;
    qr_text text = qr__value_text(value);
    if (text.data == NULL)
        return qr__call_must(call, place, "a text");
    if (text.len == 0)
        return QR_EMPTY_INPUT;
    item->context = qr_arena_text(&x->arena, text);
    if (item->context.data == NULL)
        return QR_NO_MEMORY;
    qr_status status =
        qr_tokens_encode(x->model->pipeline, item->context, &request->options, &call->windows);
    return status == QR_OK ? qr__span_keep(call, item) : status;
}

static qr_status decode(qr__call *call) {
    tokens_request *request = (tokens_request *)call->request;
    const qr__value *inputs = qr__value_get(call->body, "inputs");
    const qr_place place = {.field = "inputs"};
    bool list = qr__value_kind_of(inputs) == QR__VALUE_ARRAY;
    request->head.single = !list;
    if (!list && qr__value_kind_of(inputs) != QR__VALUE_TEXT)
        return qr__call_must(call, &place, fields[0].must);
    qr_status status = qr__call_model(call, QR__UNKNOWN_REFUSED);
    if (status == QR_OK)
        status = read_options(call);
    if (status == QR_OK)
        status = qr__call_count(call, list ? qr__value_len(inputs) : 1);
    if (status != QR_OK)
        return status;
    size_t len = request->head.inputs_len;
    request->items = qr_arena_array(&call->exchange->arena, len, sizeof *request->items);
    if (request->items == NULL)
        return QR_NO_MEMORY;
    if (!list)
        return add_text(call, inputs, &place, &request->items[0]);
    for (size_t i = 0; status == QR_OK && i < len; i++) {
        const qr_place item = qr__place_item(&place, i);
        status = add_text(call, qr__value_at(inputs, i), &item, &request->items[i]);
    }
    return status;
}

static void put_item(qr_exchange *x, const qr__span_item *item) {
    const tokens_request *request = x->decoded;
    const qr_pipeline *model = x->model->pipeline;
    size_t most = qr_tokens_most(&item->windows), count = 0;
    qr_entity *entities = qr_arena_array(&x->arena, most, sizeof *entities);
    const float **logits = qr__span_logits(x, item);
    if (entities == NULL || logits == NULL) {
        x->status = QR_NO_MEMORY;
        return;
    }
    x->status = qr_tokens_decode(qr_engine_model(qr_pipeline_engine(model)), &item->windows, logits,
                                 item->context, &request->options, entities, &count);
    if (x->status == QR_OK)
        qr_tokens_to_json(qr_pipeline_tokenizer(model), &item->windows, item->context,
                          request->options.aggregation, entities, count, &x->out);
}

static void encode(const qr_api *api, qr_exchange *x) {
    (void)api;
    const tokens_request *request = x->decoded;
    bool list = !request->head.single;
    for (size_t i = 0; x->status == QR_OK && i < request->head.inputs_len; i++) {
        if (list)
            qr_buf_byte(&x->out, i == 0 ? '[' : ',');
        put_item(x, &request->items[i]);
    }
    if (list)
        qr_buf_byte(&x->out, ']');
}

#define ENTITIES                                                                                   \
    QR__S_LIST(                                                                                    \
        QR__S_SHAPE("\"score\",\"word\",\"start\",\"end\"", QR__S_MEMBER("entity", QR__S_TEXT),    \
                    QR__S_MEMBER("entity_group", QR__S_TEXT), QR__S_MEMBER("score", QR__S_FLOAT),  \
                    QR__S_MEMBER("index", QR__S_COUNT), QR__S_MEMBER("word", QR__S_TEXT),          \
                    QR__S_MEMBER("start", QR__S_COUNT), QR__S_MEMBER("end", QR__S_COUNT)))

static const qr_route rows[] = {
    {
        .method = "POST",
        .pattern = "/token_classification",
        .summary = "Labels of a text's tokens, or of groups of them",
        .reply = QR__S_EITHER(ENTITIES, QR__S_SOME_LIST(ENTITIES)),
        .example = "{\"inputs\":\"Ada Byron lives in Paris\",\"parameters\":{"
                   "\"aggregation_strategy\":\"simple\"}}",
        .flags = QR__ROUTE_MODEL,
        .loop_bytes = QR__LOOP_WINDOWS,
        .kinds = QR_KIND_BIT(QR_KIND_TOKENS),
        .accepts = QR__JSON,
        .request_bytes = sizeof(tokens_request),
        .fields = fields,
        .fields_len = QR__LENGTH(fields),
        .decode = decode,
        .encode = encode,
        .fail = qr__fail_tei,
    },
};

const qr__routes qr__hf_tokens_routes = {rows, QR__LENGTH(rows)};
