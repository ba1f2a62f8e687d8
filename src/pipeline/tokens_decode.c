/* pipeline/tokens_decode.c: from logits to entities: the best label of every token, groups of
 * neighbours, labels that nobody wants left out, and windows merged.
 *
 * Probabilities and their means are f32, summed in numpy's order: what is equal there is equal
 * here, and the first of equals wins. */
#include <math.h>
#include <stdlib.h>

#include "pipeline/pipeline.h"

/* The order in which numpy adds up n neighbouring floats. */
static float pairwise_sum(const float *x, size_t n) {
    float lanes[8], sum = 0;
    size_t i;
    if (n < 8) {
        for (i = 0; i < n; i++)
            sum += x[i];
        return sum;
    }
    if (n > 128) {
        size_t half = n / 2 - n / 2 % 8;
        return pairwise_sum(x, half) + pairwise_sum(x + half, n - half);
    }
    memcpy(lanes, x, sizeof lanes);
    for (i = 8; i + 8 <= n; i += 8)
        for (size_t lane = 0; lane < 8; lane++)
            lanes[lane] += x[i + lane];
    sum = ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) +
          ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
    for (; i < n; i++)
        sum += x[i];
    return sum;
}

typedef struct decoder {
    const qr_model_info *model;
    const qr_tokens_options *options;
    size_t text_bytes;
    float *powers;  /* [K] of one token */
    float *scores;  /* [longest] of one window's tokens: their best labels' */
    size_t *best;   /* [longest] those labels */
    uint8_t *wants; /* [K] whether entities of the label are wanted, once that is known */
    qr_entity *entities;
    size_t count;
} decoder;

/* The best label by softmax, and its probability. False: a logit is not finite. */
static bool judge(const decoder *d, const float *logits, size_t *label, float *score) {
    const size_t K = d->model->labels;
    float max = -HUGE_VALF;
    for (size_t k = 0; k < K; k++) {
        if (!isfinite(logits[k]))
            return false;
        max = fmaxf(max, logits[k]);
    }
    for (size_t k = 0; k < K; k++)
        d->powers[k] = expf(logits[k] - max);
    const float sum = pairwise_sum(d->powers, K);
    *label = 0;
    *score = d->powers[0] / sum;
    for (size_t k = 1; k < K; k++)
        if (d->powers[k] / sum > *score) {
            *label = k;
            *score = d->powers[k] / sum;
        }
    return true;
}

/* "B-PER" is (begins, "PER"), "I-PER" ("PER"), all else is a tag by itself. */
static qr_text tag_of(qr_text label, bool *begins) {
    *begins = label.len >= 2 && memcmp(label.data, "B-", 2) == 0;
    bool inside = label.len >= 2 && memcmp(label.data, "I-", 2) == 0;
    return *begins || inside ? (qr_text){label.data + 2, label.len - 2} : label;
}

/* What a group is called: what stands behind the first "-" of its first label. */
static qr_text group_of(qr_text label) {
    const char *dash = label.len == 0 ? NULL : memchr(label.data, '-', label.len);
    if (dash == NULL)
        return label;
    return (qr_text){dash + 1, label.len - (size_t)(dash + 1 - label.data)};
}

static bool is_ignored(const qr_tokens_options *options, qr_text label) {
    if (options->ignored == NULL)
        return qr_text_is(label, "O");
    for (size_t i = 0; i < options->ignored_len; i++)
        if (qr_text_equal(label, options->ignored[i]))
            return true;
    return false;
}

static qr_text label_of(const decoder *d, size_t token) {
    return qr_text_of(d->model->label_names[d->best[token]]);
}

enum { NOT_KNOWN, WANTED, UNWANTED };

/* Each label is looked up once: there may be a thousand that are ignored. */
static bool is_wanted(decoder *d, size_t label, qr_text name) {
    if (d->wants[label] == NOT_KNOWN)
        d->wants[label] = is_ignored(d->options, name) ? UNWANTED : WANTED;
    return d->wants[label] == WANTED;
}

/* Tokens [first, last] of a window as one entity, unless nobody wants it. False: the window is of
 * another text. */
static bool emit(decoder *d, const qr_windows *windows, size_t w, size_t first, size_t last) {
    const qr_encoding *window = &windows->items[w];
    const bool single = d->options->aggregation == QR_AGGREGATION_NONE;
    const size_t n = last - first + 1;
    qr_text label = label_of(d, first);
    if (!single)
        label = group_of(label);
    if (window->end[last] > d->text_bytes || window->begin[first] > window->end[last])
        return false;
    if (!is_wanted(d, d->best[first], label))
        return true;
    float score = d->scores[first];
    if (n > 1) /* in double, then f32: numpy's division of a float by a count */
        score = (float)((double)pairwise_sum(d->scores + first, n) / (double)n);
    d->entities[d->count++] = (qr_entity){.label = label,
                                          .score = score,
                                          .window = w,
                                          .first = first,
                                          .last = last,
                                          .begin_byte = window->begin[first],
                                          .end_byte = window->end[last]};
    return true;
}

/* Whether token t goes on with the group of the token before it. */
static bool joins(const decoder *d, size_t t) {
    bool begins, before;
    qr_text tag = tag_of(label_of(d, t), &begins), last = tag_of(label_of(d, t - 1), &before);
    return d->options->aggregation == QR_AGGREGATION_SIMPLE && !begins && qr_text_equal(tag, last);
}

/* Special tokens stand around a window's text, never within it. */
static bool decode_window(decoder *d, const qr_windows *windows, size_t w, const float *logits) {
    const qr_encoding *window = &windows->items[w];
    size_t begin = 0, end = window->len, first;
    while (begin < end && window->special[begin])
        begin++;
    while (end > begin && window->special[end - 1])
        end--;
    for (size_t t = begin; t < end; t++)
        if (!judge(d, logits + t * d->model->labels, &d->best[t], &d->scores[t]))
            return false;
    for (size_t t = first = begin; t < end; t++) {
        if (t + 1 < end && joins(d, t + 1))
            continue;
        if (!emit(d, windows, w, first, t))
            return false;
        first = t + 1;
    }
    return true;
}

/* In the order of the text; where two begin together, in that of the windows. */
static int by_begin(const void *a, const void *b) {
    const qr_entity *x = a, *y = b;
    if (x->begin_byte != y->begin_byte)
        return x->begin_byte < y->begin_byte ? -1 : 1;
    if (x->window != y->window)
        return x->window < y->window ? -1 : 1;
    return x->first < y->first ? -1 : x->first > y->first;
}

static size_t code_points(qr_text text, size_t from, size_t to) {
    size_t count = 0;
    for (size_t bytes; from < to; from += bytes, count++)
        qr_utf8_decode(text, from, &bytes);
    return count;
}

/* Entities begin in the text's order, so that it is walked once. */
static void count_code_points(qr_text text, qr_entity *entities, size_t count) {
    size_t at = 0, points = 0;
    for (size_t i = 0; i < count; i++) {
        qr_entity *entity = &entities[i];
        points += code_points(text, at, entity->begin_byte);
        at = qr_max(at, entity->begin_byte);
        entity->begin = points;
        entity->end = points + code_points(text, at, entity->end_byte);
    }
}

static bool is_better(const qr_entity *a, const qr_entity *b) {
    size_t length = a->end - a->begin, other = b->end - b->begin;
    return length > other || (length == other && a->score > b->score);
}

/* Of entities that begin within the one kept so far, the longest stays, or the likeliest. */
static size_t merge(qr_entity *entities, size_t count) {
    size_t kept = 0;
    for (size_t i = 1; i < count; i++) {
        if (entities[i].begin < entities[kept].end) {
            if (is_better(&entities[i], &entities[kept]))
                entities[kept] = entities[i];
        } else {
            entities[++kept] = entities[i];
        }
    }
    return count == 0 ? 0 : kept + 1;
}

qr_status qr_tokens_decode(const qr_model_info *model, const qr_windows *windows,
                           const float *const *logits, qr_text text,
                           const qr_tokens_options *options, qr_entity *entities, size_t *count) {
    size_t longest = 1;
    qr_status status = QR_OK;
    *count = 0;
    for (size_t w = 0; w < windows->len; w++)
        longest = qr_max(longest, windows->items[w].len);
    decoder d = {.model = model, .options = options, .text_bytes = text.len, .entities = entities};
    d.powers = calloc(model->labels, sizeof *d.powers);
    d.scores = calloc(longest, sizeof *d.scores);
    d.best = calloc(longest, sizeof *d.best);
    d.wants = calloc(model->labels, 1);
    if (d.powers == NULL || d.scores == NULL || d.best == NULL || d.wants == NULL)
        status = QR_NO_MEMORY;
    for (size_t w = 0; status == QR_OK && w < windows->len; w++)
        status = decode_window(&d, windows, w, logits[w]) ? QR_OK : QR_INTERNAL;
    if (status == QR_OK) {
        if (windows->len > 1 && d.count > 0)
            qsort(entities, d.count, sizeof *entities, by_begin);
        count_code_points(text, entities, d.count);
        *count = windows->len > 1 ? merge(entities, d.count) : d.count;
    }
    free(d.powers);
    free(d.scores);
    free(d.best);
    free(d.wants);
    return status;
}
