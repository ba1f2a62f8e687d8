/* server/api/tei_tokenize.c: POST /tokenize.
 *
 *     {"inputs": "tall"} -> [[{"id":101,"text":"[CLS]","special":true,"start":null,"stop":null},
 *                             {"id":4206,"text":"tall","special":false,"start":0,"stop":4},...]]
 *
 * `text` is the piece of the input, `start` and `stop` are byte offsets into it. Nothing is cut:
 * there is no forward pass. */
#include "server/api/call.h"
#include "server/api/dialects.h"

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
    qr__request head;
    tokenized *items;
} tokenize_request;

static qr_status one_text(qr__call *call, qr_text text, const qr_encode_options *options,
                          tokenized *item) {
    qr_arena *arena = &call->exchange->arena;
    qr_encoding *encoding = &call->scratch;
    qr_status status = qr_tokenizer_encode(qr_pipeline_tokenizer(call->exchange->model->pipeline),
                                           text, NULL, options, encoding);
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

static qr_status decode_body(qr__call *call) {
    tokenize_request *request = (tokenize_request *)call->request;
    const qr__value *inputs = qr__value_get(call->body, "inputs");
    qr_encode_options options = {.special = true};
    if (!qr__field_flag(call, call->body, "add_special_tokens", &options.special))
        return QR_BAD_REQUEST;
    if (qr__value_get(call->body, "prompt_name") != NULL)
        return qr__call_bad_field(call, "prompt_name");
    bool single = qr__value_kind_of(inputs) == QR__VALUE_TEXT;
    if (!single && qr__value_kind_of(inputs) != QR__VALUE_ARRAY)
        return qr__call_bad_field(call, "inputs");
    qr_status status = qr__call_model(call, QR_ANY_KIND, QR__UNKNOWN_REFUSED);
    if (status == QR_OK)
        status = qr__call_jobs(call, single ? 1 : qr__value_len(inputs));
    if (status != QR_OK)
        return status;
    request->items =
        qr_arena_array(&call->exchange->arena, request->head.inputs_len, sizeof *request->items);
    if (request->items == NULL)
        return QR_NO_MEMORY;
    for (size_t i = 0; status == QR_OK && i < request->head.inputs_len; i++) {
        const qr__value *input = single ? inputs : qr__value_at(inputs, i);
        if (qr__value_kind_of(input) != QR__VALUE_TEXT)
            return qr__call_bad_field(call, "inputs");
        status = one_text(call, qr__value_text(input), &options, &request->items[i]);
    }
    return status;
}

qr_status qr__tokenize_decode(const qr_api *api, qr_exchange *exchange) {
    return qr__call_run(api, exchange, sizeof(tokenize_request), decode_body);
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

void qr__tokenize_encode(const qr_api *api, qr_exchange *exchange) {
    (void)api;
    const tokenize_request *request = exchange->decoded;
    const qr_tokenizer *tokenizer = qr_pipeline_tokenizer(exchange->model->pipeline);
    qr_buf *out = &exchange->out;
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
