/* pipeline/span_decode.c: from the logits of all windows of one question to its answers: select
 * pairs of tokens in each window, align them to words, merge equal texts, rank. */
#include <stdlib.h>

#include "pipeline/span_rules.h"

typedef struct byte_span {
    size_t begin, end;
} byte_span;

/* The last token of the window, or the first (step -1), that belongs to the same word of the
 * context as `t`. */
static size_t word_edge(const qr_encoding *window, size_t t, ptrdiff_t step) {
    for (;;) {
        size_t next = t + (size_t)step;
        if (next >= window->len || window->types[next] != 1 || window->special[next] ||
            window->word[next] != window->word[t])
            return t;
        t = next;
    }
}

/* Where a pair stands in the context. Pairs that touch [CLS] keep to the tokens' own offsets:
 * [CLS]'s are 0. The pipeline lets pairs of score 0 run backwards; they are empty here. */
static byte_span align(const qr_encoding *window, const qr__span_candidate *pair, bool to_words) {
    size_t first = pair->first, last = pair->last;
    if (to_words && first != 0 && last != 0) {
        first = word_edge(window, first, -1);
        last = word_edge(window, last, 1);
    }
    byte_span span = {window->begin[first], window->end[last]};
    span.end = qr_max(span.begin, span.end);
    return span;
}

static size_t longest_window(const qr_windows *windows) {
    size_t longest = 1;
    for (size_t w = 0; w < windows->len; w++)
        longest = qr_max(longest, windows->items[w].len);
    return longest;
}

typedef struct decoder {
    const qr_windows *windows;
    const qr_span_options *options;
    qr__span_scratch scratch;
    qr__span_candidate *pairs; /* of one window */
    qr__answers *answers;
    const double *weights; /* [windows]; NULL: 1 each */
    double null_score;     /* of no answer: the least over all windows */
} decoder;

/* Windows overlap, so the same span may come from two of them; the answers add up its scores. */
static qr_status decode_window(decoder *work, size_t w, const float *logits, size_t context_len) {
    const qr_encoding *window = &work->windows->items[w];
    if (window->len == 0)
        return QR_OK;
    double weight = work->weights == NULL ? 1 : work->weights[w];
    size_t pairs = qr__span_select(window, logits, work->options, &work->scratch, &work->null_score,
                                   work->pairs);
    if (pairs == SIZE_MAX)
        return QR_INTERNAL;
    for (size_t i = 0; i < pairs; i++) {
        byte_span span = align(window, &work->pairs[i], work->options->align_to_words);
        if (span.end > context_len)
            return QR_INTERNAL; /* windows of another context */
        qr_status status = qr__answers_add(work->answers, weight * (double)work->pairs[i].score,
                                           span.begin, span.end);
        if (status != QR_OK)
            return status;
    }
    return QR_OK;
}

qr_status qr_span_decode(const qr_windows *windows, const float *const *logits, qr_text context,
                         const qr_span_options *options, qr_span *spans, size_t *count) {
    return qr_span_decode_weighted(windows, logits, NULL, context, options, spans, count);
}

qr_status qr_span_decode_weighted(const qr_windows *windows, const float *const *logits,
                                  const double *weights, qr_text context,
                                  const qr_span_options *options, qr_span *spans, size_t *count) {
    *count = 0;
    size_t candidates = qr__span_candidates(options), longest = longest_window(windows);
    if (options->top_k == 0 || options->top_k > QR_LIMIT_TOP_K || options->max_answer_len == 0)
        return QR_BAD_REQUEST;
    if (windows->len > QR__SPAN_MAX_CANDIDATES / candidates)
        return QR_TOO_LONG;
    /* Above every probability, so that the first window sets it; as in the oracle. */
    decoder work = {
        .windows = windows, .options = options, .weights = weights, .null_score = 1000000};
    work.scratch.start = calloc(longest, sizeof(float));
    work.scratch.end = calloc(longest, sizeof(float));
    work.scratch.allowed = calloc(longest, 1);
    work.pairs = calloc(candidates, sizeof *work.pairs);
    qr_status status = qr__answers_create(context, windows->len * candidates, &work.answers);
    if (status == QR_OK && (work.scratch.start == NULL || work.scratch.end == NULL ||
                            work.scratch.allowed == NULL || work.pairs == NULL))
        status = QR_NO_MEMORY;
    for (size_t w = 0; w < windows->len && status == QR_OK; w++)
        status = decode_window(&work, w, logits[w], context.len);
    if (status == QR_OK && options->handle_impossible)
        qr__answers_add_null(work.answers, work.null_score);
    if (status == QR_OK)
        status = qr__answers_best(work.answers, options->top_k, spans, count);
    qr__answers_destroy(work.answers);
    free(work.pairs);
    free(work.scratch.allowed);
    free(work.scratch.end);
    free(work.scratch.start);
    return status;
}
