/* pipeline/span_rules.h: private to pipeline/: what the steps of a span job share.
 *
 *     qr_span_decode (span_decode.c)
 *         qr__span_select      the best pairs of tokens of one window        span_select.c
 *         align                ... moved to the ends of words                span_decode.c
 *         qr__answers_add      equal texts become one answer                 span_answers.c
 *         qr__answers_best     ranked, with code points
 *
 * docs/PIPELINE.md has the rules that they follow.
 */
#ifndef QR_PIPELINE_SPAN_RULES_H
#define QR_PIPELINE_SPAN_RULES_H

#include "pipeline/pipeline.h"

/* Candidates of all windows of one question: bounds the memory of a decode (about 50 MiB). */
#define QR__SPAN_MAX_CANDIDATES (1u << 20)

/** How many candidates a window hands to the merge. Aligned to words some become the same span, so
 * more are taken than are asked for; the number is the question-answering pipeline's. */
static inline size_t qr__span_candidates(const qr_span_options *options) {
    return options->align_to_words ? 2 * options->top_k + 10 : options->top_k;
}

/** One pair of tokens of a window, not yet aligned. */
typedef struct qr__span_candidate {
    float score;
    uint32_t first, last; /* tokens, both within the answer */
} qr__span_candidate;

/** Scratch of the selection for windows of up to `tokens` tokens. */
typedef struct qr__span_scratch {
    float *start, *end; /* [S] */
    uint8_t *allowed;   /* [S] */
} qr__span_scratch;

/** The best pairs of one window by (score falling, first and last rising), at most
 * qr__span_candidates of them, into `out`; returns how many. `logits` is [S][2]. *null_score
 * becomes the lesser of itself and the score of no answer. SIZE_MAX: a logit is not finite. */
size_t qr__span_select(const qr_encoding *window, const float *logits,
                       const qr_span_options *options, const qr__span_scratch *scratch,
                       double *null_score, qr__span_candidate *out);

/** Answers under construction: spans whose texts are equal but for case are one answer, with the
 * sum of their scores. */
typedef struct qr__answers qr__answers;

/** Room for `capacity` spans of `context` (borrowed). *out: returns owned. QR_NO_MEMORY. */
QR_MUST_USE qr_status qr__answers_create(qr_text context, size_t capacity, qr__answers **out);

/** NULL is allowed. */
void qr__answers_destroy(qr__answers *answers);

/** Adds to the answer of the same text or appends a new one; at most `capacity` calls.
 * QR_NO_MEMORY. */
QR_MUST_USE qr_status qr__answers_add(qr__answers *answers, double score, size_t begin_byte,
                                      size_t end_byte);

/** Appends the empty answer, whatever answers there are. One call more than `capacity` is allowed
 * for it. */
void qr__answers_add_null(qr__answers *answers, double score);

/** The best `top_k` by score (first come, first on ties) into `out`, with code point offsets. The
 * last call on `answers` but destroy. QR_NO_MEMORY. */
QR_MUST_USE qr_status qr__answers_best(qr__answers *answers, size_t top_k, qr_span *out,
                                       size_t *count);

#endif
