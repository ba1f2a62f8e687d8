/* server/api/ollama/ollama_embed.c: POST /api/embed and /api/embeddings, as Ollama's clients send
 * them.
 *
 *     {"model": "minilm", "input": ["a", "b"]}
 *     -> {"model":"minilm","embeddings":[[...],[...]],"total_duration":1520000,
 *         "load_duration":0,"prompt_eval_count":6}
 *
 *     {"model": "minilm", "prompt": "a"}    ->    {"embedding":[...]}
 *
 * Durations are in nanoseconds. `options` and `keep_alive` change nothing here. The older route
 * does not normalise, as Ollama's does not. Without a text, which is its clients' default, a
 * request only sees to it that the model is there, and no vectors is the answer. */
#include "server/api/vectors.h"

typedef struct ollama_request {
    qr__decoded head;
    qr_text called; /* the model, as the request writes it, in the arena; data NULL: it does not */
    qr__cut cut;
    qr__vector_form form;
} ollama_request;

#define S_NOTHING QR__S_EITHER(QR__S_CONST(""), "{\"type\":\"array\",\"maxItems\":0}")

static const qr__field fields[] = {
    {.name = "input",
     .kind = QR__FIELD_OTHER,
     .must = QR__INPUTS_MUST,
     .schema = QR__S_EITHER(QR__S_INPUTS, S_NOTHING)},
    QR__FLAG("truncate", ollama_request, cut.truncate, true),
    QR__DIMENSIONS("dimensions", ollama_request, form.dimensions),
    QR__MODEL_FIELD,
};

static const qr__field prompt_fields[] = {
    {.name = "prompt", .kind = QR__FIELD_OTHER, .must = "a text", .schema = QR__S_TEXT},
    QR__MODEL_FIELD,
};

/* Who names no tag means this one. A model that has the whole name comes first. */
static void leave_tag(qr_serving *serving, qr_text *name) {
    static const char tag[] = ":latest";
    const size_t len = sizeof tag - 1;
    if (name->len > len && memcmp(name->data + name->len - len, tag, len) == 0 &&
        qr_serving_named(serving, *name) == NULL && !qr_serving_named_is_out(serving, *name))
        name->len -= len;
}

static bool is_nothing(const qr__value *input) {
    switch (qr__value_kind_of(input)) {
    case QR__VALUE_NULL:
        return true;
    case QR__VALUE_TEXT:
        return qr__value_text(input).len == 0;
    case QR__VALUE_ARRAY:
        return qr__value_len(input) == 0;
    default:
        return false;
    }
}

static qr_status decode_inputs(qr__call *call, const char *field) {
    ollama_request *request = (ollama_request *)call->request;
    qr_exchange *x = call->exchange;
    qr_text *name = &request->head.model;
    if (name->data != NULL) {
        request->called = qr_arena_text(&x->arena, *name);
        if (request->called.data == NULL)
            return QR_NO_MEMORY;
        leave_tag(x->serving, name);
    }
    qr_status status = qr__call_model(call, QR__UNKNOWN_SERVED);
    if (status == QR_OK)
        status = qr__vectors_check(call, &request->form, NULL);
    if (status != QR_OK || is_nothing(qr__value_get(call->body, field)))
        return status;
    return qr__call_inputs(call, field, &request->cut);
}

static qr_status decode(qr__call *call) {
    ((ollama_request *)call->request)->form.normalize = true;
    return decode_inputs(call, "input");
}

static void encode(const qr_api *api, qr_exchange *x) {
    (void)api;
    const ollama_request *request = x->decoded;
    const qr_stages *took = &x->stages;
    qr_buf *out = &x->out;
    qr__vectors vectors;
    if (!qr__vectors_init(&vectors, x, &request->form))
        return;
    qr_buf_literal(out, "{\"model\":");
    qr_json_text(out, request->called.data != NULL
                          ? request->called
                          : qr_text_of(qr_pipeline_name(x->model->pipeline)));
    qr_buf_literal(out, ",\"embeddings\":");
    qr__vectors_put_list(&vectors, QR__VECTORS_JSON, out);
    qr_buf_literal(out, ",\"total_duration\":");
    qr_buf_u64(out, took->tokenize_ns + took->queue_ns + took->compute_ns);
    qr_buf_literal(out, ",\"load_duration\":0,\"prompt_eval_count\":");
    qr_buf_u64(out, x->tokens);
    qr_buf_byte(out, '}');
}

static qr_status decode_prompt(qr__call *call) {
    const qr_place place = {.field = "prompt"};
    const qr__value *prompt = qr__value_get(call->body, "prompt");
    ((ollama_request *)call->request)->cut.truncate = true;
    if (prompt != NULL && qr__value_text(prompt).data == NULL)
        return qr__call_must(call, &place, prompt_fields[0].must);
    return decode_inputs(call, "prompt");
}

static void encode_prompt(const qr_api *api, qr_exchange *x) {
    (void)api;
    const ollama_request *request = x->decoded;
    qr__vectors vectors;
    if (!qr__vectors_init(&vectors, x, &request->form))
        return;
    qr_buf_literal(&x->out, "{\"embedding\":");
    if (vectors.len > 0)
        qr__vectors_put(&vectors, 0, QR__VECTORS_JSON, &x->out);
    else
        qr_buf_literal(&x->out, "[]");
    qr_buf_byte(&x->out, '}');
}

#define EMBEDDINGS                                                                                 \
    QR__S_SHAPE("\"model\",\"embeddings\",\"total_duration\",\"prompt_eval_count\"",               \
                QR__S_MEMBER("model", QR__S_TEXT), QR__S_MEMBER("embeddings", QR__S_VECTORS),      \
                QR__S_MEMBER("total_duration", QR__S_COUNT),                                       \
                QR__S_MEMBER("load_duration", QR__S_COUNT),                                        \
                QR__S_MEMBER("prompt_eval_count", QR__S_COUNT))

static const qr_route rows[] = {
    {
        .method = "POST",
        .pattern = "/api/embed",
        .summary = "Vectors of texts, for Ollama's clients",
        .reply = EMBEDDINGS,
        .example = "{\"model\":\"any\",\"input\":\"how tall is mount everest\"}",
        .flags = QR__ROUTE_MODEL | QR__ROUTE_ANY,
        .kinds = QR_KIND_BIT(QR_KIND_EMBEDDING),
        .accepts = QR__JSON,
        .request_bytes = sizeof(ollama_request),
        .fields = fields,
        .fields_len = QR__LENGTH(fields),
        .decode = decode,
        .encode = encode,
        .fail = qr__fail_tei,
    },
    {
        .method = "POST",
        .pattern = "/api/embeddings",
        .summary = "The vector of one text, for Ollama's older clients",
        .reply = QR__S_SHAPE("\"embedding\"", QR__S_MEMBER("embedding", QR__S_LIST(QR__S_FLOAT))),
        .example = "{\"model\":\"any\",\"prompt\":\"how tall is mount everest\"}",
        .flags = QR__ROUTE_MODEL | QR__ROUTE_ANY,
        .kinds = QR_KIND_BIT(QR_KIND_EMBEDDING),
        .accepts = QR__JSON,
        .request_bytes = sizeof(ollama_request),
        .fields = prompt_fields,
        .fields_len = QR__LENGTH(prompt_fields),
        .decode = decode_prompt,
        .encode = encode_prompt,
        .fail = qr__fail_tei,
    },
};

const qr__routes qr__ollama_embed_routes = {rows, QR__LENGTH(rows)};
