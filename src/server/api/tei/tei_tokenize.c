/* server/api/tei/tei_tokenize.c: POST /tokenize.
 *
 *     {"inputs": "tall"} -> [[{"id":101,"text":"[CLS]","special":true,"start":null,"stop":null},
 *                             {"id":4206,"text":"tall","special":false,"start":0,"stop":4},...]]
 *
 * `text` is the piece of the input, `start` and `stop` are byte offsets into it. Nothing is cut:
 * there is no forward pass. So the tokens of all texts have a maximum: a token takes 70 bytes of
 * answer, and no text is tokenized further than that. */
#include "server/api/call.h"

#define TOKEN_BYTES 72u /* of a usual one in the answer */

typedef struct token {
    int32_t id;
    uint32_t begin, end;
    bool special;
} token;

typedef struct tokenized {
    qr_text text;
    token *tokens;
    size_t len;
} tokenized;

typedef struct tokenize_request {
    qr__decoded head;
    qr__cut cut;  /* its prompt alone */
    bool special; /* with [CLS] and [SEP] */
    tokenized *items;
} tokenize_request;

static const qr__field fields[] = {
    QR__OTHER("inputs", "a text or a list of texts", QR__S_TEXTS),
    QR__FLAG("add_special_tokens", tokenize_request, special, true),
    QR__PROMPT_FIELD(tokenize_request, cut),
    QR__MODEL_FIELD,
};

static qr_status one_text(qr__call *call, qr_text text, tokenized *item) {
    const tokenize_request *request = (const tokenize_request *)call->request;
    qr_arena *arena = &call->exchange->arena;
    qr_encoding *encoding = &call->scratch;
    const qr_encode_options options = {.special = request->special,
                                       .max_tokens = QR_LIMIT_TOKENIZED + 1};
    const qr_prompt *prompt;
    qr_status status = qr__call_prompted(call, text, &request->cut, &text, &prompt);
    if (status == QR_OK)
        status = qr_tokenizer_encode(qr_pipeline_tokenizer(call->exchange->model->pipeline), text,
                                     NULL, &options, encoding);
    if (status != QR_OK)
        return status;
    status = qr__call_tokenized(call, "inputs", encoding->len);
    if (status != QR_OK)
        return status;
    *item = (tokenized){qr_arena_text(arena, text),
                        qr_arena_array(arena, encoding->len, sizeof *item->tokens), encoding->len};
    if (item->text.data == NULL || item->tokens == NULL)
        return QR_NO_MEMORY;
    for (size_t t = 0; t < encoding->len; t++)
        item->tokens[t] = (token){encoding->ids[t], encoding->begin[t], encoding->end[t],
                                  encoding->special[t] != 0};
    return QR_OK;
}

static qr_status decode(qr__call *call) {
    tokenize_request *request = (tokenize_request *)call->request;
    const qr__value *inputs = qr__value_get(call->body, "inputs");
    const qr_place place = {.field = "inputs"};
    bool list = qr__value_kind_of(inputs) == QR__VALUE_ARRAY;
    if (!list && qr__value_kind_of(inputs) != QR__VALUE_TEXT)
        return qr__call_must(call, &place, fields[0].must);
    qr_status status = qr__call_model(call, QR__UNKNOWN_REFUSED);
    if (status == QR_OK)
        status = qr__call_prompt(call, &request->cut);
    if (status == QR_OK)
        status = qr__call_count(call, list ? qr__value_len(inputs) : 1);
    if (status != QR_OK)
        return status;
    size_t len = request->head.inputs_len;
    request->items = qr_arena_array(&call->exchange->arena, len, sizeof *request->items);
    if (request->items == NULL)
        return QR_NO_MEMORY;
    for (size_t i = 0; status == QR_OK && i < len; i++) {
        const qr_place item = qr__place_item(&place, i);
        const qr__value *input = list ? qr__value_at(inputs, i) : inputs;
        if (qr__value_kind_of(input) != QR__VALUE_TEXT)
            return qr__call_must(call, &item, "a text");
        status = one_text(call, qr__value_text(input), &request->items[i]);
    }
    return status;
}

static void put_token(qr_buf *out, const qr_tokenizer *tokenizer, qr_text input, const token *t) {
    qr_text text = t->special ? qr_tokenizer_token(tokenizer, t->id)
                              : (qr_text){input.data + t->begin, t->end - t->begin};
    qr_buf_literal(out, "{\"id\":");
    qr_buf_u64(out, (uint64_t)t->id);
    qr_buf_literal(out, ",\"text\":");
    qr_json_text(out, text);
    if (t->special) {
        qr_buf_literal(out, ",\"special\":true,\"start\":null,\"stop\":null}");
        return;
    }
    qr_buf_literal(out, ",\"special\":false,\"start\":");
    qr_buf_u64(out, t->begin);
    qr_buf_literal(out, ",\"stop\":");
    qr_buf_u64(out, t->end);
    qr_buf_byte(out, '}');
}

static void encode(const qr_api *api, qr_exchange *x) {
    (void)api;
    const tokenize_request *request = x->decoded;
    const qr_tokenizer *tokenizer = qr_pipeline_tokenizer(x->model->pipeline);
    qr_buf *out = &x->out;
    (void)qr_buf_reserve(out, x->tokens * TOKEN_BYTES); /* if there is no room, it shows at once */
    for (size_t i = 0; i < request->head.inputs_len; i++) {
        const tokenized *item = &request->items[i];
        qr_buf_text(out, qr_text_of(i == 0 ? "[[" : ",["));
        for (size_t t = 0; t < item->len && !qr_buf_failed(out); t++) {
            if (t > 0)
                qr_buf_byte(out, ',');
            put_token(out, tokenizer, item->text, &item->tokens[t]);
        }
        qr_buf_byte(out, ']');
    }
    qr_buf_byte(out, ']');
}

#define TOKEN                                                                                      \
    QR__S_SHAPE("\"id\",\"text\",\"special\",\"start\",\"stop\"", QR__S_MEMBER("id", QR__S_COUNT), \
                QR__S_MEMBER("text", QR__S_TEXT), QR__S_MEMBER("special", QR__S_FLAG),             \
                QR__S_MEMBER("start", QR__S_OR_NULL(QR__S_COUNT)),                                 \
                QR__S_MEMBER("stop", QR__S_OR_NULL(QR__S_COUNT)))

static const qr_route rows[] = {
    {
        .method = "POST",
        .pattern = "/tokenize",
        .summary = "Token ids, pieces and places of texts",
        .reply = QR__S_LIST(QR__S_LIST(TOKEN)),
        .example = "{\"inputs\":\"how tall is mount everest\"}",
        .flags = QR__ROUTE_MODEL,
        .kinds = QR_ANY_KIND,
        .accepts = QR__JSON,
        .request_bytes = sizeof(tokenize_request),
        .fields = fields,
        .fields_len = QR__LENGTH(fields),
        .decode = decode,
        .encode = encode,
        .fail = qr__fail_tei,
    },
};

const qr__routes qr__tei_tokenize_routes = {rows, QR__LENGTH(rows)};
