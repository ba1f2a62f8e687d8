/* server/api/spans.c: windows become jobs, and stay for their answers. */
#include "server/api/spans.h"

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

qr_status qr__span_keep(qr__call *call, qr__span_item *item) {
    qr_exchange *x = call->exchange;
    const qr_windows *made = &call->windows;
    qr_windows *kept = &item->windows;
    size_t tokens = x->tokens;
    for (size_t w = 0; w < made->len; w++)
        tokens += made->items[w].len;
    if (x->ticket.jobs_len + made->len > QR_LIMIT_WINDOWS || tokens > QR_LIMIT_WINDOW_TOKENS)
        return QR_TOO_LONG;
    kept->items = qr_arena_array(&x->arena, made->len, sizeof *kept->items);
    qr_status status = qr__call_more_jobs(call, made->len);
    if (kept->items == NULL || status != QR_OK)
        return QR_NO_MEMORY;
    kept->capacity = made->len;
    item->first_job = x->ticket.jobs_len;
    for (; kept->len < made->len; kept->len++) {
        qr_encoding *window = &kept->items[kept->len];
        if (!keep_window(&x->arena, &made->items[kept->len], window))
            return QR_NO_MEMORY;
        status = qr__call_tokens(call, window->ids, window->types, window->len);
        if (status != QR_OK)
            return status;
    }
    return QR_OK;
}

qr_status qr__span_check(qr__call *call, const qr_span_options *given) {
    size_t longest = qr_pipeline_max_tokens(call->exchange->model->pipeline);
    const qr_place max_seq_len = qr__call_place(call, "parameters", "max_seq_len");
    const qr_place doc_stride = qr__call_place(call, "parameters", "doc_stride");
    size_t seq_len = given->max_seq_len;
    if (seq_len > longest)
        return qr__call_must_within(call, &max_seq_len, QR__WHOLE_NUMBER, 1, longest);
    if (seq_len == 0)
        seq_len = qr_min(longest, QR_SPAN_DEFAULT_SEQ_LEN);
    if (given->doc_stride > seq_len)
        return qr__call_must_within(call, &doc_stride, QR__WHOLE_NUMBER, 1, seq_len);
    return QR_OK;
}

qr_status qr__span_check_answers(qr__call *call, size_t inputs, size_t top_k) {
    const qr_place place = qr__call_place(call, "parameters", "top_k");
    size_t most = inputs == 0 ? QR_LIMIT_TOP_K : qr_min(QR_LIMIT_ANSWERS / inputs, QR_LIMIT_TOP_K);
    return top_k <= most ? QR_OK : qr__call_must_within(call, &place, QR__WHOLE_NUMBER, 1, most);
}

qr_status qr__span_add(qr__call *call, qr_text question, qr_text context,
                       const qr_span_options *options, qr__span_item *item) {
    qr_exchange *x = call->exchange;
    item->context = qr_arena_text(&x->arena, context);
    if (item->context.data == NULL)
        return QR_NO_MEMORY;
    /* A question beside many passages is tokenized once. */
    call->windows.same_question = call->question.data == question.data &&
                                  call->question.len == question.len &&
                                  call->question_max == options->max_seq_len;
    call->question = (qr_text){0};
    qr_status status =
        qr_span_encode(x->model->pipeline, question, item->context, options, &call->windows);
    if (status != QR_OK)
        return status;
    call->question = question;
    call->question_max = options->max_seq_len;
    return qr__span_keep(call, item);
}

const float **qr__span_logits(qr_exchange *x, const qr__span_item *item) {
    const float **logits = qr_arena_array(&x->arena, item->windows.len, sizeof *logits);
    if (logits == NULL) {
        x->status = QR_NO_MEMORY;
        return NULL;
    }
    for (size_t w = 0; w < item->windows.len; w++)
        logits[w] = x->jobs[item->first_job + w].result;
    return logits;
}
