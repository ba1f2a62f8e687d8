/* server/api/jobs.c: texts, pairs and ids of a request become jobs in the exchange's arena. */
#include "server/api/call.h"

qr_status qr__call_count(qr__call *call, size_t inputs) {
    size_t most = call->api->options.max_inputs;
    if (inputs == 0)
        return QR_EMPTY_INPUT;
    if (inputs > most) {
        call->exchange->fault = (qr_fault){.limit = most, .given = inputs};
        return QR_TOO_MANY;
    }
    call->request->inputs_len = inputs;
    return QR_OK;
}

qr_status qr__call_jobs(qr__call *call, size_t inputs) {
    qr_exchange *x = call->exchange;
    qr_status status = qr__call_count(call, inputs);
    if (status != QR_OK)
        return status;
    x->ticket.jobs = qr_arena_array(&x->arena, inputs, sizeof *x->ticket.jobs);
    return x->ticket.jobs == NULL ? QR_NO_MEMORY : QR_OK;
}

qr_status qr__call_more_jobs(qr__call *call, size_t more) {
    qr_exchange *x = call->exchange;
    size_t len = x->ticket.jobs_len;
    if (call->jobs_room - len >= more)
        return QR_OK;
    size_t room = qr_max(2 * call->jobs_room, len + more);
    qr_job *jobs = qr_arena_array(&x->arena, room, sizeof *jobs);
    if (jobs == NULL)
        return QR_NO_MEMORY;
    if (len > 0)
        memcpy(jobs, x->ticket.jobs, len * sizeof *jobs);
    x->ticket.jobs = jobs;
    call->jobs_room = room;
    return QR_OK;
}

/* Floats of a request whose answer holds the hidden states of all tokens: as JSON they are three
 * times as many bytes, or a little more; and both must find room at a time. */
#define HIDDEN_FLOATS_MAX  (QR_LIMIT_RESPONSE_BYTES / 16)
#define HIDDEN_FLOAT_BYTES (sizeof(float) + 14)

static size_t hidden_floats_max(const qr_exchange *x) {
    return qr_min(HIDDEN_FLOATS_MAX, qr_quota_max(x->arena.quota) / 2 / HIDDEN_FLOAT_BYTES);
}

/* A worker that decodes looks this often whether it still has to. */
#define JOBS_A_LOOK 16

static size_t output_floats(const qr__call *call, size_t tokens) {
    const qr_pipeline *model = call->exchange->model->pipeline;
    return call->hidden ? tokens * qr_engine_model(qr_pipeline_engine(model))->hidden
                        : qr_pipeline_output_floats(model, tokens);
}

qr_status qr__call_tokens(qr__call *call, const int32_t *ids, const uint8_t *types, size_t tokens) {
    qr_exchange *x = call->exchange;
    if (x->ticket.jobs_len % JOBS_A_LOOK == 0 && qr__call_is_late(call))
        return QR_LATE;
    if (call->hidden && output_floats(call, x->tokens + tokens) > hidden_floats_max(x)) {
        x->fault = (qr_fault){.limit = hidden_floats_max(x)};
        return QR_TOO_MANY;
    }
    float *room = qr_arena_array(&x->arena, output_floats(call, tokens), sizeof *room);
    if (room == NULL)
        return QR_NO_MEMORY;
    x->ticket.jobs[x->ticket.jobs_len++] =
        (qr_job){.ids = ids, .types = types, .tokens = tokens, .room = room};
    x->tokens += tokens;
    return QR_OK;
}

qr_status qr__call_tokenized(qr__call *call, const char *field, size_t tokens) {
    qr_exchange *x = call->exchange;
    if (tokens > QR_LIMIT_TOKENIZED - x->tokens) {
        x->fault = (qr_fault){
            .place = {.field = field}, .limit = QR_LIMIT_TOKENIZED, .given = x->tokens + tokens};
        return QR_TOO_LONG;
    }
    x->tokens += tokens;
    return qr__call_is_late(call) ? QR_LATE : QR_OK;
}

qr_status qr__call_prompt(qr__call *call, qr__cut *cut) {
    const qr_place place = qr__call_place(call, "parameters", "prompt_name");
    if (cut->prompt_name.data == NULL)
        return QR_OK;
    cut->prompt = qr_pipeline_prompt(call->exchange->model->pipeline, cut->prompt_name);
    return cut->prompt != NULL
               ? QR_OK
               : qr__call_must(call, &place, "one of the model's prompts, which /info lists");
}

qr_status qr__call_prompted(qr__call *call, qr_text text, const qr__cut *cut, qr_text *out,
                            const qr_prompt **prompt) {
    const qr_prompt *found = cut->prompt;
    if (found == NULL)
        found = qr_pipeline_default_prompt(call->exchange->model->pipeline);
    *prompt = found;
    *out = text;
    if (found == NULL || found->text.len == 0)
        return QR_OK;
    char *whole = qr_arena_alloc(&call->exchange->arena, found->text.len + text.len + 1);
    if (whole == NULL)
        return QR_NO_MEMORY;
    memcpy(whole, found->text.data, found->text.len);
    memcpy(whole + found->text.len, text.data, text.len);
    *out = (qr_text){whole, found->text.len + text.len};
    return QR_OK;
}

static qr_status too_long(qr__call *call, size_t limit, size_t given) {
    call->exchange->fault = (qr_fault){.limit = limit, .given = given};
    return QR_TOO_LONG;
}

/* A text, or a pair whose first text is mostly the last pair's, into tokens. */
static qr_status encode(qr__call *call, qr_text text, const qr_text *pair,
                        const qr_encode_options *options) {
    qr_exchange *x = call->exchange;
    const qr_tokenizer *tokenizer = qr_pipeline_tokenizer(x->model->pipeline);
    if (pair == NULL) {
        x->characters += qr__count_characters(text);
        return qr_tokenizer_encode(tokenizer, text, NULL, options, &call->scratch);
    }
    qr_status status =
        qr__shared_first_encode(&call->first, tokenizer, text, *pair, options, &call->scratch);
    if (status == QR_OK)
        x->characters += call->first.characters + qr__count_characters(*pair);
    return status;
}

qr_status qr__call_text(qr__call *call, qr_text text, const qr_text *pair, const qr__cut *cut) {
    qr_exchange *x = call->exchange;
    const qr_pipeline *model = x->model->pipeline;
    qr_encoding *encoding = &call->scratch;
    size_t longest = qr_pipeline_max_tokens(model);
    const qr_encode_options options = {.special = true,
                                       .truncate_left = QR__CUT_IS_LEFT(cut),
                                       .max_tokens = cut->truncate ? longest : 0};
    const qr_prompt *prompt = NULL;
    qr_status status = QR_OK;
    if (text.len == 0 && (pair == NULL || pair->len == 0))
        return QR_EMPTY_INPUT;
    if (pair == NULL && qr_pipeline_kind(model) == QR_KIND_EMBEDDING)
        status = qr__call_prompted(call, text, cut, &text, &prompt);
    if (status != QR_OK)
        return status;
    status = encode(call, text, pair, &options);
    if (status != QR_OK)
        return status;
    if (encoding->len > longest)
        return too_long(call, longest, encoding->len);
    if (encoding->len == 0) /* specials left out, and nothing left by the normalizer */
        return QR_EMPTY_INPUT;
    int32_t *ids = qr_arena_array(&x->arena, encoding->len, sizeof *ids);
    uint8_t *types = pair == NULL ? NULL : qr_arena_alloc(&x->arena, encoding->len);
    if (ids == NULL || (pair != NULL && types == NULL))
        return QR_NO_MEMORY;
    memcpy(ids, encoding->ids, encoding->len * sizeof *ids);
    if (types != NULL)
        memcpy(types, encoding->types, encoding->len);
    status = qr__call_tokens(call, ids, types, encoding->len);
    if (status == QR_OK)
        x->ticket.jobs[x->ticket.jobs_len - 1].skip =
            qr_prompt_skip(prompt, encoding, QR__CUT_IS_LEFT(cut));
    return status;
}

/* Cuts ids[0..len) to `longest`, in place, as the tokenizer would have cut the text that they stand
 * for: a leading [CLS] and a closing [SEP] are kept, so that the ids of a text give what the text
 * gives. */
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

/* Some of OpenAI's clients tokenize by themselves, for a model of OpenAI's. */
static const char foreign_ids[] =
    "ids must be this model's own, as /tokenize gives them: if your client makes other ones, have "
    "it send texts";

static qr_status add_ids(qr__call *call, const qr__value *array, const qr_place *place,
                         const qr__cut *cut) {
    const qr_pipeline *model = call->exchange->model->pipeline;
    const qr_tokenizer_info *about = qr_tokenizer_get_info(qr_pipeline_tokenizer(model));
    size_t last = qr_engine_model(qr_pipeline_engine(model))->vocab - 1;
    size_t len = qr__value_len(array), longest = qr_pipeline_max_tokens(model);
    if (len == 0)
        return QR_EMPTY_INPUT;
    if (len > longest && !cut->truncate)
        return too_long(call, longest, len);
    call->exchange->characters += len;
    int32_t *ids = qr_arena_array(&call->exchange->arena, len, sizeof *ids);
    if (ids == NULL)
        return QR_NO_MEMORY;
    for (size_t i = 0; i < len; i++) {
        const qr_place item = qr__place_item(place, i);
        size_t id;
        if (!qr__value_number(qr__value_at(array, i), 0, last, &id)) {
            qr_status status = qr__call_must_within(call, &item, "a token id", 0, last);
            call->exchange->fault.why = foreign_ids;
            return status;
        }
        ids[i] = (int32_t)id;
    }
    return qr__call_tokens(call, ids, NULL,
                           cut_ids(ids, len, longest, QR__CUT_IS_LEFT(cut), about));
}

static qr_status add_input(qr__call *call, const qr__value *input, const qr_place *place,
                           const qr__cut *cut) {
    switch (qr__value_kind_of(input)) {
    case QR__VALUE_TEXT:
        return qr__call_text(call, qr__value_text(input), NULL, cut);
    case QR__VALUE_ARRAY:
        return add_ids(call, input, place, cut);
    default:
        return qr__call_must(call, place,
                             place->depth == 0 ? QR__INPUTS_MUST : "a text or a list of token ids");
    }
}

qr_status qr__call_inputs(qr__call *call, const char *field, const qr__cut *cut) {
    const qr__value *inputs = qr__value_get(call->body, field);
    const qr_place place = {.field = field};
    bool list = qr__value_kind_of(inputs) == QR__VALUE_ARRAY &&
                qr__value_kind_of(qr__value_at(inputs, 0)) != QR__VALUE_INTEGER;
    call->request->single = !list;
    qr_status status = qr__call_jobs(call, list ? qr__value_len(inputs) : 1);
    if (status == QR_OK && !list)
        return add_input(call, inputs, &place, cut);
    for (size_t i = 0; status == QR_OK && i < call->request->inputs_len; i++) {
        const qr_place item = qr__place_item(&place, i);
        status = add_input(call, qr__value_at(inputs, i), &item, cut);
    }
    return status;
}
