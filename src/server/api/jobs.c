/* server/api/jobs.c: texts, pairs and ids of a request become jobs in the exchange's arena. */
#include "server/api/call.h"

qr_status qr__call_jobs(qr__call *call, size_t inputs) {
    qr_exchange *exchange = call->exchange;
    if (inputs == 0)
        return QR_EMPTY_INPUT;
    if (inputs > call->api->max_inputs) {
        call->request->fault_limit = call->api->max_inputs;
        call->request->fault_given = inputs;
        return QR_TOO_MANY;
    }
    exchange->ticket.jobs = qr_arena_array(&exchange->arena, inputs, sizeof *exchange->ticket.jobs);
    call->request->inputs_len = inputs;
    return exchange->ticket.jobs == NULL ? QR_NO_MEMORY : QR_OK;
}

qr_status qr__call_tokens(qr__call *call, const int32_t *ids, const uint8_t *types, size_t tokens) {
    qr_exchange *exchange = call->exchange;
    size_t floats = qr_pipeline_output_floats(exchange->model->pipeline, tokens);
    float *room = qr_arena_array(&exchange->arena, floats, sizeof *room);
    if (room == NULL)
        return QR_NO_MEMORY;
    exchange->ticket.jobs[exchange->ticket.jobs_len++] =
        (qr_job){.ids = ids, .types = types, .tokens = tokens, .room = room};
    call->request->tokens += tokens;
    return QR_OK;
}

static qr_status too_long(qr__call *call, size_t limit, size_t given) {
    call->request->fault_limit = limit;
    call->request->fault_given = given;
    return QR_TOO_LONG;
}

qr_status qr__call_text(qr__call *call, qr_text text, const qr_text *pair,
                        const qr_encode_options *options, bool truncate) {
    qr_exchange *exchange = call->exchange;
    qr_encoding *encoding = &call->scratch;
    size_t longest = qr_pipeline_max_tokens(exchange->model->pipeline);
    qr_encode_options settings = *options;
    if (text.len == 0 && (pair == NULL || pair->len == 0))
        return QR_EMPTY_INPUT;
    settings.max_tokens = truncate ? longest : 0;
    qr_status status = qr_tokenizer_encode(qr_pipeline_tokenizer(exchange->model->pipeline), text,
                                           pair, &settings, encoding);
    if (status != QR_OK)
        return status;
    if (encoding->len > longest)
        return too_long(call, longest, encoding->len);
    if (encoding->len == 0) /* specials left out, and nothing left by the normalizer */
        return QR_EMPTY_INPUT;
    int32_t *ids = qr_arena_array(&exchange->arena, encoding->len, sizeof *ids);
    uint8_t *types = pair == NULL ? NULL : qr_arena_alloc(&exchange->arena, encoding->len);
    if (ids == NULL || (pair != NULL && types == NULL))
        return QR_NO_MEMORY;
    memcpy(ids, encoding->ids, encoding->len * sizeof *ids);
    if (types != NULL)
        memcpy(types, encoding->types, encoding->len);
    return qr__call_tokens(call, ids, types, encoding->len);
}

/* Cuts ids[0..len) to `longest`, in place, as the tokenizer would have cut the text that they stand
 * for. */
static size_t cut_ids(int32_t *ids, size_t len, size_t longest, bool left,
                      const qr_tokenizer_info *about) {
    size_t head = ids[0] == about->cls_id, tail = ids[len - 1] == about->sep_id;
    if (len <= longest)
        return len;
    if (head + tail >= longest) /* a maximum of one or two tokens has no room for rules */
        head = tail = 0;
    size_t kept = longest - head - tail;
    size_t from = left ? len - tail - kept : head;
    memmove(ids + head, ids + from, kept * sizeof *ids);
    if (tail == 1)
        ids[longest - 1] = about->sep_id;
    return longest;
}

qr_status qr__call_ids(qr__call *call, const qr__value *array, const char *field,
                       const qr_encode_options *options, bool truncate) {
    const qr_pipeline *model = call->exchange->model->pipeline;
    const qr_tokenizer_info *about = qr_tokenizer_get_info(qr_pipeline_tokenizer(model));
    size_t vocab = qr_min(qr_engine_model(qr_pipeline_engine(model))->vocab, QR_LIMIT_VOCAB);
    size_t len = qr__value_len(array), longest = qr_pipeline_max_tokens(model);
    if (len == 0)
        return QR_EMPTY_INPUT;
    if (len > longest && !truncate)
        return too_long(call, longest, len);
    int32_t *ids = qr_arena_array(&call->exchange->arena, len, sizeof *ids);
    if (ids == NULL)
        return QR_NO_MEMORY;
    for (size_t i = 0; i < len; i++) {
        size_t id;
        if (!qr__value_number(qr__value_at(array, i), QR__NUMBER_TOKEN_ID, &id) || id >= vocab)
            return qr__call_bad_field(call, field);
        ids[i] = (int32_t)id;
    }
    return qr__call_tokens(call, ids, NULL,
                           cut_ids(ids, len, longest, options->truncate_left, about));
}

static qr_status one_input(qr__call *call, const qr__value *input, const char *field,
                           const qr_encode_options *options, bool truncate) {
    switch (qr__value_kind_of(input)) {
    case QR__VALUE_TEXT:
        return qr__call_text(call, qr__value_text(input), NULL, options, truncate);
    case QR__VALUE_ARRAY:
        return qr__call_ids(call, input, field, options, truncate);
    default:
        return qr__call_bad_field(call, field);
    }
}

qr_status qr__call_inputs(qr__call *call, const qr__value *inputs, const char *field,
                          const qr_encode_options *options, bool truncate) {
    qr__value_kind kind = qr__value_kind_of(inputs);
    if (kind == QR__VALUE_NULL)
        return qr__call_bad_field(call, field);
    call->request->single =
        kind != QR__VALUE_ARRAY || qr__value_kind_of(qr__value_at(inputs, 0)) == QR__VALUE_INTEGER;
    size_t count = call->request->single ? 1 : qr__value_len(inputs);
    qr_status status = qr__call_jobs(call, count);
    for (size_t i = 0; status == QR_OK && i < count; i++)
        status = one_input(call, call->request->single ? inputs : qr__value_at(inputs, i), field,
                           options, truncate);
    return status;
}
