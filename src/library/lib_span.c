/* library/lib_span.c: question and context to answers. */
#include <stdlib.h>

#include "library/library_internal.h"

typedef struct job {
    float *logits;        /* [sum of S][2] of all windows */
    size_t used;          /* floats */
    const float **starts; /* [windows], into `logits` */
    qr_span *spans;       /* [top_k] */
    size_t count;
} job;

static void take(void *state, size_t index, const float *floats, size_t tokens) {
    job *j = state;
    j->starts[index] = memcpy(j->logits + j->used, floats, 2 * tokens * sizeof *floats);
    j->used += 2 * tokens;
}

static qr_lib_status run_windows(qr_lib_model *model, qr__seat *seat, job *j, qr_lib_error *error) {
    const qr_windows *windows = &seat->windows;
    size_t tokens = 0;
    qr__batches run;
    for (size_t w = 0; w < windows->len; w++)
        tokens += windows->items[w].len;
    j->logits = calloc(tokens, 2 * sizeof *j->logits);
    j->starts = calloc(windows->len, sizeof *j->starts);
    if (j->logits == NULL || j->starts == NULL)
        return qr__lib_fault(error, QR_LIB_NO_MEMORY, "out of memory");
    qr_lib_status status = qr__batches_init(&run, model, seat, take, j, error);
    for (size_t w = 0; status == QR_LIB_OK && w < windows->len; w++) {
        const qr_encoding *window = &windows->items[w];
        status = qr__batches_add(&run, window->ids, window->types, window->len, error);
    }
    return status == QR_LIB_OK ? qr__batches_finish(&run, error) : status;
}

static qr_lib_status tell(qr_status status, qr_lib_error *error) {
    const char *why = qr_status_name(status);
    if (status == QR_TOO_LONG)
        why = "the question leaves no room for the context beside doc_stride, or the context has "
              "too many windows";
    return qr__lib_fault(error, qr__lib_status_of(status), "%s", why);
}

static qr_lib_status answer(qr_lib_model *model, qr__seat *seat, job *j, qr_text question,
                            qr_text context, const qr_span_options *options, qr_lib_error *error) {
    qr_status status = qr_span_encode(model->pipeline, question, context, options, &seat->windows);
    if (status != QR_OK)
        return tell(status, error);
    qr_lib_status ran = run_windows(model, seat, j, error);
    if (ran != QR_LIB_OK)
        return ran;
    status = qr_span_decode(&seat->windows, j->starts, context, options, j->spans, &j->count);
    return status == QR_OK ? QR_LIB_OK : tell(status, error);
}

static qr_lib_status check_texts(qr_lib_text question, qr_lib_text context, qr_lib_error *error) {
    qr_lib_status status = qr__lib_text_check("question", question, error);
    if (status == QR_LIB_OK)
        status = qr__lib_text_check("context", context, error);
    if (status == QR_LIB_OK && (question.size == 0 || context.size == 0))
        status = qr__lib_fault(error, QR_LIB_EMPTY_INPUT, "%s is empty",
                               question.size == 0 ? "question" : "context");
    return status;
}

/* Every 0 becomes what it stands for; the two that the model's size decides stay 0. */
static qr_lib_status read_options(const qr_lib_model *model, const qr_lib_span_options *given,
                                  qr_span_options *out, qr_lib_error *error) {
    qr_lib_span_options own;
    size_t longest = qr_pipeline_max_tokens(model->pipeline);
    qr_lib_status status = qr__lib_options_read(given, &own, sizeof own, QR__LIB_FIRST_SPAN_OPTIONS,
                                                "qr_lib_span_options", error);
    if (status == QR_LIB_OK)
        status = qr__lib_number_check("top_k", own.top_k, QR_LIMIT_TOP_K, error);
    if (status == QR_LIB_OK)
        status =
            qr__lib_number_check("max_answer_len", own.max_answer_len, QR_LIMIT_POSITIONS, error);
    if (status == QR_LIB_OK)
        status = qr__lib_number_check("max_seq_len", own.max_seq_len, longest, error);
    size_t window =
        own.max_seq_len > 0 ? own.max_seq_len : qr_min(longest, QR_SPAN_DEFAULT_SEQ_LEN);
    if (status == QR_LIB_OK)
        status = qr__lib_number_check("doc_stride", own.doc_stride, window, error);
    if (status == QR_LIB_OK)
        status = qr__lib_choice_check("handle_impossible", own.handle_impossible, 1, error);
    if (status == QR_LIB_OK)
        status = qr__lib_choice_check("keep_word_parts", own.keep_word_parts, 1, error);
    *out = QR_SPAN_OPTIONS_DEFAULT;
    out->top_k = own.top_k > 0 ? own.top_k : out->top_k;
    out->max_answer_len = own.max_answer_len > 0 ? own.max_answer_len : out->max_answer_len;
    out->max_seq_len = own.max_seq_len;
    out->doc_stride = own.doc_stride;
    out->handle_impossible = own.handle_impossible == 1;
    out->align_to_words = own.keep_word_parts == 0;
    return status;
}

/* Answers of one call, from the spans of the job. */
static void give(const job *j, qr_lib_answer *answers, size_t *count) {
    for (size_t i = 0; i < j->count; i++)
        answers[i] = (qr_lib_answer){.score = j->spans[i].score,
                                     .begin_byte = j->spans[i].begin_byte,
                                     .end_byte = j->spans[i].end_byte,
                                     .begin = j->spans[i].begin,
                                     .end = j->spans[i].end};
    *count = j->count;
}

qr_lib_status qr_lib_span(qr_lib_model *model, qr_lib_text question, qr_lib_text context,
                          const qr_lib_span_options *options, qr_lib_answer *answers, size_t room,
                          size_t *count, qr_lib_error *error) {
    qr_span_options own;
    qr__seat *seat = NULL;
    qr_lib_status status = qr__lib_begin(model, "model", error);
    if (status == QR_LIB_OK)
        status = qr__lib_begin(count, "count", error);
    if (status == QR_LIB_OK)
        status = qr__lib_kind_check(model, QR_KIND_SPAN, QR_KIND_SPAN, "qr_lib_span", error);
    if (status == QR_LIB_OK)
        status = read_options(model, options, &own, error);
    if (status == QR_LIB_OK)
        status = check_texts(question, context, error);
    if (status == QR_LIB_OK)
        status = qr__lib_room_check("answers", answers, room, own.top_k, 1, error);
    if (status != QR_LIB_OK)
        return status;
    *count = 0;
    job j = {.spans = calloc(own.top_k, sizeof *j.spans)};
    if (j.spans == NULL)
        return qr__lib_fault(error, QR_LIB_NO_MEMORY, "out of memory");
    status = qr__seat_take(model, &seat, error);
    if (status == QR_LIB_OK)
        status =
            answer(model, seat, &j, qr__lib_text(question), qr__lib_text(context), &own, error);
    if (status == QR_LIB_OK)
        give(&j, answers, count);
    qr__seat_give(model, seat);
    free(j.logits);
    free(j.starts);
    free(j.spans);
    return status;
}
