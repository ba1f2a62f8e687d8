/* server/api/tei/tei_decode.c: POST /decode: texts of token ids.
 *
 *     {"ids": [101, 4206, 102]}         ->    ["tall"]
 *     {"ids": [[101, 4206, 102], ...]}  ->    ["tall", ...]
 *
 * There is no forward pass. */
#include "server/api/call.h"

typedef struct id_list {
    int32_t *ids;
    size_t len;
} id_list;

typedef struct decode_request {
    qr__decoded head;
    bool skip_special;
    id_list *items;
} decode_request;

static const qr__field fields[] = {
    QR__OTHER("ids", "a list of token ids, or a list of such lists",
              QR__S_EITHER(QR__S_IDS, QR__S_LIST(QR__S_IDS))),
    QR__FLAG("skip_special_tokens", decode_request, skip_special, true),
    QR__MODEL_FIELD,
};

static qr_status read_ids(qr__call *call, const qr__value *array, const qr_place *place,
                          id_list *item) {
    const qr_pipeline *model = call->exchange->model->pipeline;
    size_t last = qr_tokenizer_get_info(qr_pipeline_tokenizer(model))->vocab - 1, id;
    if (qr__value_kind_of(array) != QR__VALUE_ARRAY)
        return qr__call_must(call, place, "a list of token ids");
    item->len = qr__value_len(array);
    qr_status status = qr__call_tokenized(call, "ids", item->len);
    if (status != QR_OK)
        return status;
    item->ids = qr_arena_array(&call->exchange->arena, item->len, sizeof *item->ids);
    if (item->ids == NULL)
        return QR_NO_MEMORY;
    for (size_t i = 0; i < item->len; i++) {
        const qr_place at = qr__place_item(place, i);
        if (!qr__value_number(qr__value_at(array, i), 0, last, &id))
            return qr__call_must_within(call, &at, "a token id", 0, last);
        item->ids[i] = (int32_t)id;
    }
    return QR_OK;
}

static qr_status decode(qr__call *call) {
    decode_request *request = (decode_request *)call->request;
    const qr__value *ids = qr__value_get(call->body, "ids");
    const qr_place place = {.field = "ids"};
    if (qr__value_kind_of(ids) != QR__VALUE_ARRAY)
        return qr__call_must(call, &place, fields[0].must);
    bool many = qr__value_kind_of(qr__value_at(ids, 0)) == QR__VALUE_ARRAY;
    if (qr__value_len(ids) == 0)
        return qr__call_at(call, QR_EMPTY_INPUT, &place);
    qr_status status = qr__call_model(call, QR__UNKNOWN_REFUSED);
    if (status == QR_OK)
        status = qr__call_count(call, many ? qr__value_len(ids) : 1);
    if (status != QR_OK)
        return status;
    size_t len = request->head.inputs_len;
    request->items = qr_arena_array(&call->exchange->arena, len, sizeof *request->items);
    if (request->items == NULL)
        return QR_NO_MEMORY;
    for (size_t i = 0; status == QR_OK && i < len; i++) {
        const qr_place at = qr__place_item(&place, i);
        status = many ? read_ids(call, qr__value_at(ids, i), &at, &request->items[i])
                      : read_ids(call, ids, &place, &request->items[i]);
    }
    return status;
}

static void encode(const qr_api *api, qr_exchange *x) {
    (void)api;
    const decode_request *request = x->decoded;
    const qr_tokenizer *tokenizer = qr_pipeline_tokenizer(x->model->pipeline);
    qr_buf text;
    qr_buf_init(&text, QR_LIMIT_RESPONSE_BYTES);
    text.quota = x->out.quota;
    for (size_t i = 0; i < request->head.inputs_len && !qr_buf_failed(&x->out); i++) {
        const id_list *item = &request->items[i];
        qr_buf_reset(&text);
        qr_tokenizer_decode(tokenizer, item->ids, item->len, request->skip_special, &text);
        x->out.failed |= qr_buf_failed(&text);
        qr_buf_byte(&x->out, i == 0 ? '[' : ',');
        qr_json_text(&x->out, qr_buf_contents(&text));
    }
    qr_buf_deinit(&text);
    qr_buf_byte(&x->out, ']');
}

static const qr_route rows[] = {
    {
        .method = "POST",
        .pattern = "/decode",
        .example = "{\"ids\":[5,6]}",
        .summary = "Texts of token ids",
        .reply = QR__S_LIST(QR__S_TEXT),
        .flags = QR__ROUTE_MODEL,
        .kinds = QR_ANY_KIND,
        .accepts = QR__JSON,
        .request_bytes = sizeof(decode_request),
        .fields = fields,
        .fields_len = QR__LENGTH(fields),
        .decode = decode,
        .encode = encode,
        .fail = qr__fail_tei,
    },
};

const qr__routes qr__tei_decode_routes = {rows, QR__LENGTH(rows)};
