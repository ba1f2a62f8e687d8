/* server/api/spans.h: questions and passages on their way to answers: what the forms of span
 * requests share.
 *
 *     qr__span_check(call, &options);                               // what the model bounds
 *     qr__span_add(call, question, passage, &options, &item);       // windows become jobs
 *     ...
 *     const float **logits = qr__span_logits(x, &item);             // when they have run
 *
 * Threads: one call's.
 */
#ifndef QR_SERVER_API_SPANS_H
#define QR_SERVER_API_SPANS_H

#include "server/api/call.h"

/** What all forms take as `parameters`. */
typedef struct qr__span_parameters {
    qr_span_options options;
    size_t max_question_len; /* transformers ignores it too, but a value must make sense */
    bool bytes;              /* answers' places in bytes too */
} qr__span_parameters;

#define QR__SPAN_NUMBER(type, name, member, fallback, most)                                        \
    QR__NUMBER(name, type, member, fallback, 1, most)

/* The defaults are transformers'; 0 means by the model's size (qr_span_options). */
#define QR__SPAN_FIELDS(type, p)                                                                   \
    QR__SPAN_NUMBER(type, "top_k", p.options.top_k, 1, QR_LIMIT_TOP_K),                            \
        QR__SPAN_NUMBER(type, "max_answer_len", p.options.max_answer_len, 15, QR_LIMIT_POSITIONS), \
        QR__SPAN_NUMBER(type, "max_seq_len", p.options.max_seq_len, 0, QR_LIMIT_POSITIONS),        \
        QR__SPAN_NUMBER(type, "doc_stride", p.options.doc_stride, 0, QR_LIMIT_POSITIONS),          \
        QR__SPAN_NUMBER(type, "max_question_len", p.max_question_len, 0, QR_LIMIT_POSITIONS),      \
        QR__FLAG("handle_impossible_answer", type, p.options.handle_impossible, false),            \
        QR__FLAG("align_to_words", type, p.options.align_to_words, true),                          \
        QR__FLAG("byte_offsets", type, p.bytes, false)

/** A text in windows: a passage beside its question, or a text alone. */
typedef struct qr__span_item {
    qr_text context;    /* in the arena */
    qr_windows windows; /* in the arena: a job each */
    size_t first_job;
} qr__span_item;

/** Checks the options that only the model can bound; they stand in the member `parameters`, or in
 * the body when it has none. The call has its model. BAD_REQUEST. */
QR_MUST_USE qr_status qr__span_check(qr__call *call, const qr_span_options *options);

/** Whether so many inputs may have top_k answers each. BAD_REQUEST; the options' place as
 * qr__span_check. */
QR_MUST_USE qr_status qr__span_check_answers(qr__call *call, size_t inputs, size_t top_k);

/** Appends the jobs of one passage. EMPTY_INPUT, TOO_LONG, NO_MEMORY. */
QR_MUST_USE qr_status qr__span_add(qr__call *call, qr_text question, qr_text context,
                                   const qr_span_options *options, qr__span_item *item);

/** Keeps the windows that call->windows holds, and appends a job for each. TOO_LONG, NO_MEMORY. */
QR_MUST_USE qr_status qr__span_keep(qr__call *call, qr__span_item *item);

/** The logits of the item's windows, or NULL: no memory, which exchange->status says. */
const float **qr__span_logits(qr_exchange *exchange, const qr__span_item *item);

#endif
