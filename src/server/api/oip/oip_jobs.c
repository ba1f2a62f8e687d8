/* server/api/oip/oip_jobs.c: tensors of a request become jobs, an input a job; of spans, a window a
 * job. */
#include "server/api/oip/oip_infer.h"

#define SAME_LENGTH "as many texts as the other tensor, or one first text for all"

static qr_status must(qr__call *call, const char *name, const char *field, const char *what) {
    return qr__call_must(call, &(qr_place){.parent = name, .field = field}, what);
}

/* Of an empty input, or one that is too long: `text.data[2]`, as `text` has it. */
static qr_status at(qr__call *call, qr_status status, const qr__oip_tensor *tensor, size_t index) {
    const qr_place place = {.parent = tensor->name, .field = "data", .index = {index}, .depth = 1};
    return qr__call_at(call, status, &place);
}

/* The same of all of them: `text`. */
static qr_status at_all(qr__call *call, qr_status status, const qr__oip_tensor *tensor) {
    return qr__call_at(call, status, &(qr_place){.field = tensor->name});
}

/* Texts, and what stands beside them. */
typedef struct text_pairs {
    const qr__oip_tensor *first_tensor, *last; /* each input has one of the last of its own */
    const qr_text *first, *second;             /* second is NULL without a second tensor */
    size_t first_len, len;
} text_pairs;

/* A single query, or question, is everybody's. */
static qr_text first_of(const text_pairs *pairs, size_t index) {
    return pairs->first[pairs->first_len == 1 ? 0 : index];
}

static qr_status read_pairs(qr__call *call, const qr__oip_inputs *inputs, text_pairs *out) {
    const qr__oip_request *request = (const qr__oip_request *)call->request;
    const qr__oip_tensor *first = &inputs->of[QR__OIP_FIRST];
    const qr__oip_tensor *second = &inputs->of[QR__OIP_SECOND];
    bool paired = second->name != NULL;
    *out = (text_pairs){.first_tensor = first,
                        .last = paired ? second : first,
                        .first_len = first->len,
                        .len = paired ? second->len : first->len};
    if (first->len != out->len && !(request->signature->pairs && first->len == 1))
        return must(call, first->name, "shape", SAME_LENGTH);
    qr_status status = qr__oip_tensor_texts(call, first, &out->first);
    if (status == QR_OK && paired)
        status = qr__oip_tensor_texts(call, second, &out->second);
    return status;
}

static qr_status text_jobs(qr__call *call, const text_pairs *pairs) {
    const qr__oip_request *request = (const qr__oip_request *)call->request;
    qr_status status = at_all(call, qr__call_jobs(call, pairs->len), pairs->last);
    for (size_t i = 0; status == QR_OK && i < pairs->len; i++) {
        status = qr__call_text(call, first_of(pairs, i),
                               pairs->second == NULL ? NULL : &pairs->second[i], &request->cut);
        status = at(call, status, pairs->last, i);
    }
    return status;
}

static qr_status span_jobs(qr__call *call, const text_pairs *pairs) {
    qr__oip_request *request = (qr__oip_request *)call->request;
    const qr_span_options *options = &request->span.options;
    qr_status status = qr__span_check(call, options);
    if (status == QR_OK)
        status = qr__span_check_answers(call, pairs->len, options->top_k);
    if (status == QR_OK)
        status = at_all(call, qr__call_count(call, pairs->len), pairs->last);
    if (status != QR_OK)
        return status;
    request->passages =
        qr_arena_array(&call->exchange->arena, pairs->len, sizeof *request->passages);
    if (request->passages == NULL)
        return QR_NO_MEMORY;
    for (size_t i = 0; status == QR_OK && i < pairs->len; i++) {
        const qr_text question = first_of(pairs, i);
        status = qr__span_add(call, question, pairs->second[i], options, &request->passages[i]);
        if (question.len == 0)
            status = at(call, status, pairs->first_tensor, pairs->first_len == 1 ? 0 : i);
        else
            status = at(call, status, pairs->last, i);
    }
    return status;
}

/* Ids */

/* Segments beside ids: as many as there are, and no more kinds than the model knows. */
static qr_status read_types(qr__call *call, const qr__oip_tensor *types, const int32_t *mask,
                            const int32_t **out) {
    const qr_pipeline *model = call->exchange->model->pipeline;
    size_t kinds = qr_engine_model(qr_pipeline_engine(model))->types;
    return qr__oip_tensor_integers(call, types, mask, "a segment", kinds == 0 ? 0 : kinds - 1, out);
}

static bool same_shape(const qr__oip_tensor *a, const qr__oip_tensor *b) {
    return a->shape[0] == b->shape[0] && a->shape[1] == b->shape[1];
}

/* A row of the three tensors without what is masked out, in the arena. */
static qr_status add_row(qr__call *call, const int32_t *ids, const int32_t *mask,
                         const int32_t *types, size_t len) {
    qr_exchange *x = call->exchange;
    size_t longest = qr_pipeline_max_tokens(x->model->pipeline), tokens = 0;
    for (size_t i = 0; i < len; i++)
        tokens += mask == NULL || mask[i] != 0;
    if (tokens == 0)
        return QR_EMPTY_INPUT;
    if (tokens > longest) {
        x->fault = (qr_fault){.limit = longest, .given = tokens};
        return QR_TOO_LONG;
    }
    int32_t *row = qr_arena_array(&x->arena, tokens, sizeof *row);
    uint8_t *segments = types == NULL ? NULL : qr_arena_alloc(&x->arena, tokens);
    if (row == NULL || (types != NULL && segments == NULL))
        return QR_NO_MEMORY;
    for (size_t i = 0, to = 0; i < len; i++) {
        if (mask != NULL && mask[i] == 0)
            continue;
        row[to] = ids[i];
        if (types != NULL)
            segments[to] = (uint8_t)types[i];
        to++;
    }
    x->characters += tokens;
    return qr__call_tokens(call, row, segments, tokens);
}

static qr_status id_jobs(qr__call *call, const qr__oip_inputs *inputs) {
    const qr__oip_tensor *ids = &inputs->of[QR__OIP_IDS], *mask = &inputs->of[QR__OIP_MASK];
    const qr__oip_tensor *types = &inputs->of[QR__OIP_TYPES];
    const qr_pipeline *model = call->exchange->model->pipeline;
    size_t vocab = qr_engine_model(qr_pipeline_engine(model))->vocab, width = ids->shape[1];
    const int32_t *given = NULL, *kept = NULL, *segments = NULL;
    if (mask->name != NULL && !same_shape(mask, ids))
        return must(call, mask->name, "shape", "that of `" QR__OIP_IDS_NAME "`");
    if (types->name != NULL && !same_shape(types, ids))
        return must(call, types->name, "shape", "that of `" QR__OIP_IDS_NAME "`");
    qr_status status = at_all(call, qr__call_jobs(call, ids->shape[0]), ids);
    if (status == QR_OK && mask->name != NULL)
        status = qr__oip_tensor_integers(call, mask, NULL, QR__WHOLE_NUMBER, 1, &kept);
    if (status == QR_OK)
        status = qr__oip_tensor_integers(call, ids, kept, "a token id", vocab - 1, &given);
    if (status == QR_OK && types->name != NULL)
        status = read_types(call, types, kept, &segments);
    for (size_t i = 0; status == QR_OK && i < ids->shape[0]; i++) {
        status = add_row(call, given + i * width, kept == NULL ? NULL : kept + i * width,
                         segments == NULL ? NULL : segments + i * width, width);
        status = at(call, status, ids, i);
    }
    return status;
}

qr_status qr__oip_jobs(qr__call *call, const qr__oip_inputs *inputs) {
    text_pairs pairs;
    if (inputs->of[QR__OIP_IDS].name != NULL)
        return id_jobs(call, inputs);
    qr_status status = read_pairs(call, inputs, &pairs);
    if (status != QR_OK)
        return status;
    if (qr_pipeline_kind(call->exchange->model->pipeline) == QR_KIND_SPAN)
        return span_jobs(call, &pairs);
    return text_jobs(call, &pairs);
}
