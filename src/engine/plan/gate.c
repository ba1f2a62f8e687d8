/* engine/plan/gate.c: how far a candidate's outputs are from f32's, by the measure that users of
 * the output care about. */
#include "engine/plan/gate.h"

#include <math.h>
#include <stdio.h>

size_t qr__gate_floats(const qr__gate_probes *probes) {
    return qr__gate_width(probes) * (qr__gate_by_token(probes)
                                         ? probes->batch->starts[probes->batch->sequences]
                                         : probes->batch->sequences);
}

static double mean_square(const float *a, const float *b, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
    return count == 0 ? 0 : sum / (double)count;
}

/* In double: the gate's limits lie a few 1e-4 below 1, and rounding must not decide. */
static double cosine(const float *a, const float *b, size_t width) {
    double ab = 0;
    double aa = 0;
    double bb = 0;
    for (size_t i = 0; i < width; i++) {
        ab += (double)a[i] * b[i];
        aa += (double)a[i] * a[i];
        bb += (double)b[i] * b[i];
    }
    if (aa == 0 || bb == 0) /* a zero vector has no direction: equal only to another one */
        return aa == bb ? 1 : 0;
    return ab / sqrt(aa * bb);
}

static void judge_vectors(const qr__gate_probes *probes, const float *expected, const float *actual,
                          qr__gate_verdict *out) {
    size_t texts = probes->batch->sequences;
    out->mean = 0;
    out->worst = 1;
    for (size_t b = 0; b < texts; b++) {
        double c = cosine(expected + b * probes->width, actual + b * probes->width, probes->width);
        out->mean += c / (double)texts;
        out->worst = fmin(out->worst, c);
    }
    out->distance = 1 - out->mean;
    out->passed = out->mean >= QR__GATE_COSINE_MEAN && out->worst >= QR__GATE_COSINE_WORST;
    snprintf(out->reason, sizeof out->reason, "mean cosine %.5f, worst %.5f", out->mean,
             out->worst);
}

/* The best answer [first, last] among tokens [begin, end): the largest start + end, at most
 * QR__GATE_ANSWER_MAX tokens. */
static void best_answer(const float *logits, size_t begin, size_t end, size_t *first,
                        size_t *last) {
    float best = -INFINITY;
    *first = *last = begin;
    for (size_t s = begin; s < end; s++) {
        for (size_t e = s; e < end && e < s + QR__GATE_ANSWER_MAX; e++) {
            float score = logits[s * 2] + logits[e * 2 + 1];
            if (score > best) {
                best = score;
                *first = s;
                *last = e;
            }
        }
    }
}

/* SQuAD's F1 over token positions instead of words: common tokens against both lengths. */
static double answer_f1(const float *expected, const float *actual, size_t begin, size_t end) {
    size_t a[2];
    size_t b[2];
    best_answer(expected, begin, end, &a[0], &a[1]);
    best_answer(actual, begin, end, &b[0], &b[1]);
    size_t from = qr_max(a[0], b[0]);
    size_t to = qr_min(a[1], b[1]);
    size_t common = to >= from ? to - from + 1 : 0;
    return 2.0 * (double)common / (double)(a[1] - a[0] + 1 + b[1] - b[0] + 1);
}

/* A sequence's context: from its first token of type 1 to before its last token, [SEP]. */
static void find_context(const qr_batch *batch, size_t sequence, size_t *begin, size_t *end) {
    *begin = batch->starts[sequence];
    *end = batch->starts[sequence + 1] - 1;
    while (batch->types != NULL && *begin < *end && batch->types[*begin] == 0)
        (*begin)++;
}

static void judge_spans(const qr__gate_probes *probes, const float *expected, const float *actual,
                        qr__gate_verdict *out) {
    size_t texts = 0;
    double sum = 0;
    out->worst = 1;
    for (size_t b = 0; b < probes->batch->sequences; b++) {
        size_t begin;
        size_t end;
        find_context(probes->batch, b, &begin, &end);
        if (begin == end)
            continue;
        double f1 = answer_f1(expected, actual, begin, end);
        sum += f1;
        out->worst = fmin(out->worst, f1);
        texts++;
    }
    out->mean = texts == 0 ? 1 : sum / (double)texts;
    out->distance = mean_square(expected, actual, qr__gate_floats(probes));
    out->passed = out->mean >= QR__GATE_SPAN_F1;
    snprintf(out->reason, sizeof out->reason, "mean answer F1 %.4f, worst %.4f", out->mean,
             out->worst);
}

/* Probability of label k: softmax, or the sigmoid of one that excludes no other. */
static double probability(const qr__gate_probes *probes, const float *logits, size_t k) {
    const size_t labels = probes->width;
    if (probes->each || labels == 1)
        return 1 / (1 + exp(-(double)logits[k]));
    double sum = 0;
    for (size_t i = 0; i < labels; i++)
        sum += exp((double)logits[i] - logits[k]);
    return 1 / sum;
}

typedef struct label_sums {
    size_t rows, same; /* with the same best label */
    double worst;      /* difference of a probability */
} label_sums;

static size_t best_label(const float *logits, size_t labels) {
    size_t best = 0;
    for (size_t k = 1; k < labels; k++)
        best = logits[k] > logits[best] ? k : best;
    return best;
}

/* The same label is what users see; the probability bound catches a model whose labels happen
 * to stay while its scores drift. */
static void judge_rows(const qr__gate_probes *probes, const float *expected, const float *actual,
                       size_t begin, size_t end, label_sums *sums) {
    size_t labels = probes->width;
    for (size_t row = begin; row < end; row++) {
        const float *e = expected + row * labels;
        const float *a = actual + row * labels;
        sums->same += best_label(e, labels) == best_label(a, labels);
        sums->rows++;
        for (size_t k = 0; k < labels; k++)
            sums->worst =
                fmax(sums->worst, fabs(probability(probes, e, k) - probability(probes, a, k)));
    }
}

/* A row a text, or a row a token: then less [CLS] and [SEP], whose labels nobody sees. */
static void judge_labels(const qr__gate_probes *probes, const float *expected, const float *actual,
                         qr__gate_verdict *out) {
    const uint32_t *starts = probes->batch->starts;
    size_t texts = probes->batch->sequences;
    label_sums sums = {0};
    if (!qr__gate_by_token(probes))
        judge_rows(probes, expected, actual, 0, texts, &sums);
    for (size_t b = 0; qr__gate_by_token(probes) && b < texts; b++)
        judge_rows(probes, expected, actual, starts[b] + 1, starts[b + 1] - 1, &sums);
    out->worst = sums.worst;
    out->mean = sums.rows == 0 ? 1 : (double)sums.same / (double)sums.rows;
    out->distance = mean_square(expected, actual, qr__gate_floats(probes));
    out->passed = out->mean >= QR__GATE_SAME_LABEL && out->worst <= QR__GATE_PROBABILITY;
    snprintf(out->reason, sizeof out->reason, "same label on %.1f %%, probabilities within %.4f",
             100 * out->mean, out->worst);
}

/* A NaN compares false with everything, so it is looked for first instead of trusting each
 * rule to fail on it. */
qr__gate_verdict qr__gate_judge(const qr__gate_probes *probes, const float *expected,
                                const float *actual) {
    qr__gate_verdict out = {.distance = INFINITY};
    for (size_t i = 0; i < qr__gate_floats(probes); i++) {
        if (!isfinite(actual[i]) || !isfinite(expected[i])) {
            snprintf(out.reason, sizeof out.reason, "an output is not finite");
            return out;
        }
    }
    switch (probes->head) {
    case QR_HEAD_NONE:
        judge_vectors(probes, expected, actual, &out);
        break;
    case QR_HEAD_SPAN:
        judge_spans(probes, expected, actual, &out);
        break;
    case QR_HEAD_LABELS:
    case QR_HEAD_TOKENS:
        judge_labels(probes, expected, actual, &out);
        break;
    }
    return out;
}
