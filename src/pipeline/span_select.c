/* pipeline/span_select.c: the best (first token, last token) pairs of one window.
 *
 * Probabilities are f32, as numpy's are in the oracle: a pair's score is the f32 product of two f32
 * quotients. [CLS] takes part in both softmaxes and is then set to 0. Pairs outside the answer's
 * length count as 0 and may be chosen when there is nothing better (tiny contexts), as in the
 * oracle; among equals the pair that comes first is taken.
 */
#include <math.h>

#include "pipeline/span_rules.h"

/* What the oracle puts in place of the logit of a token that no answer may touch. */
#define MASKED (-10000.0f)

/* A softmax over every second float of `logits`; what is not allowed takes part with MASKED. */
static bool softmax(const float *logits, const uint8_t *allowed, size_t len, float *out) {
    float max = -HUGE_VALF;
    for (size_t t = 0; t < len; t++) {
        out[t] = allowed[t] ? logits[2 * t] : MASKED;
        if (!isfinite(out[t]))
            return false;
        max = fmaxf(max, out[t]);
    }
    double sum = 0;
    for (size_t t = 0; t < len; t++) {
        out[t] = expf(out[t] - max);
        sum += (double)out[t];
    }
    for (size_t t = 0; t < len; t++)
        out[t] /= (float)sum;
    return true;
}

/* The order of candidates: true when `a` is worse than `b`. */
static bool worse(const qr__span_candidate *a, const qr__span_candidate *b) {
    if (a->score != b->score)
        return a->score < b->score;
    if (a->first != b->first)
        return a->first > b->first;
    return a->last > b->last;
}

/* Restores the heap (the worst on top) below `at`. */
static void sift_down(qr__span_candidate *heap, size_t len, size_t at) {
    for (;;) {
        size_t worst = at, left = 2 * at + 1;
        for (size_t child = left; child < left + 2 && child < len; child++)
            if (worse(&heap[child], &heap[worst]))
                worst = child;
        if (worst == at)
            return;
        qr__span_candidate moved = heap[at];
        heap[at] = heap[worst];
        heap[worst] = moved;
        at = worst;
    }
}

/* Restores the heap above `at`, whose candidate was put there last. */
static void sift_up(qr__span_candidate *heap, size_t at) {
    while (at > 0) {
        size_t parent = (at - 1) / 2;
        if (!worse(&heap[at], &heap[parent]))
            return;
        qr__span_candidate moved = heap[at];
        heap[at] = heap[parent];
        heap[parent] = moved;
        at = parent;
    }
}

/* The `room` best pairs with a score above 0, as a heap. Pairs come in rising order, so an equal
 * newcomer is worse. */
static size_t gather(const float *start, const float *end, size_t len, size_t max_answer_len,
                     size_t room, qr__span_candidate *heap) {
    size_t held = 0;
    for (size_t first = 0; first < len; first++) {
        if (!(start[first] > 0))
            continue;
        size_t stop = max_answer_len < len - first ? first + max_answer_len : len;
        for (size_t last = first; last < stop; last++) {
            float score = start[first] * end[last];
            if (!(score > 0) || (held == room && score <= heap[0].score))
                continue;
            qr__span_candidate found = {score, (uint32_t)first, (uint32_t)last};
            if (held < room) {
                heap[held] = found;
                sift_up(heap, held++);
            } else {
                heap[0] = found;
                sift_down(heap, held, 0);
            }
        }
    }
    return held;
}

/* From a heap with the worst on top to an array with the best first. */
static void sort(qr__span_candidate *heap, size_t len) {
    for (size_t left = len; left > 1; left--) {
        qr__span_candidate worst = heap[0];
        heap[0] = heap[left - 1];
        heap[left - 1] = worst;
        sift_down(heap, left - 1, 0);
    }
}

/* Appends pairs of score 0, first come first, until `room` are there. */
static size_t fill(const float *start, const float *end, size_t len, size_t max_answer_len,
                   size_t room, qr__span_candidate *out, size_t held) {
    for (size_t first = 0; first < len && held < room; first++)
        for (size_t last = 0; last < len && held < room; last++) {
            bool within = last >= first && last - first < max_answer_len;
            if (!within || !(start[first] * end[last] > 0))
                out[held++] = (qr__span_candidate){0, (uint32_t)first, (uint32_t)last};
        }
    return held;
}

/* May an answer begin or end here? [CLS], at 0, stands for "no answer". */
static bool in_context(const qr_encoding *window, size_t t) {
    return t == 0 || (window->types[t] == 1 && !window->special[t]);
}

/* A [CLS] that the question spells out joins the softmax too, as in the oracle; no answer may touch
 * it. */
static bool is_allowed(const qr_encoding *window, size_t t) {
    return in_context(window, t) || window->ids[t] == window->ids[0];
}

/* log(sum(exp(x))) over every second float, of what is allowed; what is not adds nothing. */
static bool log_sum(const qr_encoding *window, const float *logits, double *out) {
    double max = -HUGE_VAL, sum = 0;
    for (size_t t = 0; t < window->len; t++)
        if (is_allowed(window, t)) {
            if (!isfinite(logits[2 * t]))
                return false;
            max = fmax(max, (double)logits[2 * t]);
        }
    for (size_t t = 0; t < window->len; t++)
        if (is_allowed(window, t))
            sum += exp((double)logits[2 * t] - max);
    *out = sum > 0 ? max + log(sum) : -HUGE_VAL; /* a window always has its [CLS] */
    return true;
}

qr_status qr_span_mass(const qr_encoding *window, const float *logits, double mass[2]) {
    bool finite = log_sum(window, logits, &mass[0]) && log_sum(window, logits + 1, &mass[1]);
    return finite ? QR_OK : QR_INTERNAL;
}

size_t qr__span_select(const qr_encoding *window, const float *logits,
                       const qr_span_options *options, const qr__span_scratch *scratch,
                       double *null_score, qr__span_candidate *out) {
    size_t len = window->len, room = qr__span_candidates(options), kept = 0;
    float *start = scratch->start, *end = scratch->end;
    for (size_t t = 0; t < len; t++)
        scratch->allowed[t] = is_allowed(window, t);
    if (!softmax(logits, scratch->allowed, len, start) ||
        !softmax(logits + 1, scratch->allowed, len, end))
        return SIZE_MAX;
    if (options->handle_impossible)
        *null_score = fmin(*null_score, (double)(start[0] * end[0]));
    start[0] = end[0] = 0;
    size_t held = gather(start, end, len, options->max_answer_len, room, out);
    sort(out, held);
    held = fill(start, end, len, options->max_answer_len, room, out, held);
    for (size_t i = 0; i < held; i++)
        if (in_context(window, out[i].first) && in_context(window, out[i].last))
            out[kept++] = out[i];
    return kept;
}
