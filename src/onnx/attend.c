/* onnx/attend.c: scaled dot-product attention. */
#include "onnx/attend.h"
#include "onnx/product.h"

#include <math.h>
#include <stdlib.h>

static uint64_t product_of(size_t a, size_t b, size_t c, size_t d) {
    return qr_saturating_mul(qr_saturating_mul(a, b), qr_saturating_mul(c, d));
}

static bool take(float **out, uint64_t count) {
    *out = calloc(qr_max((size_t)count, 1), sizeof(float));
    return *out != NULL;
}

bool qr__attend_init(qr__attend *a, qr__op_call *call) {
    const uint64_t q = product_of(a->B, a->H, a->S, a->D), k = product_of(a->B, a->G, a->T, a->D);
    const uint64_t v = product_of(a->B, a->G, a->T, a->E), s = product_of(a->B, a->H, a->S, a->T);
    const uint64_t all =
        qr_saturating_add(qr_saturating_add(q, k), qr_saturating_add(v, qr_saturating_mul(2, s)));
    a->q = a->k = a->v = a->bias = a->scores = NULL;
    if (all > call->max_numbers) {
        call->too_large = true;
        return false;
    }
    return qr__op_spend(call, all, QR__STEPS_MADE) && qr__op_spend(call, s, a->D + a->E) &&
           take(&a->q, q) && take(&a->k, k) && take(&a->v, v) && take(&a->bias, s) &&
           take(&a->scores, s);
}

void qr__attend_deinit(qr__attend *a) {
    free(a->q);
    free(a->k);
    free(a->v);
    free(a->bias);
    free(a->scores);
}

static void softmax(const qr__attend *a, float *row) {
    float greatest = -INFINITY;
    double sum = 0;
    for (size_t t = 0; t < a->T; t++)
        greatest = fmaxf(greatest, row[t]);
    for (size_t t = 0; t < a->T; t++) {
        row[t] = expf(row[t] - greatest);
        sum += (double)row[t];
    }
    for (size_t t = 0; t < a->T; t++)
        row[t] = qr_onnx_round(a->type, (float)((double)row[t] / sum));
}

static void keep(const qr__attend *a, qr__stash stage, const float *scores, float *stash) {
    if (stash != NULL && stage == a->stash_of)
        memcpy(stash, scores, a->S * a->T * sizeof(float));
}

/* Scores of one head become weights. */
static void weigh(const qr__attend *a, const float *bias, float *scores, float *stash) {
    const size_t count = a->S * a->T;
    for (size_t i = 0; i < count; i++)
        scores[i] = qr_onnx_round(a->type, scores[i]);
    keep(a, QR__STASH_SCORES, scores, stash);
    for (size_t i = 0; i < count; i++)
        scores[i] = qr_onnx_round(a->type, scores[i] + bias[i]);
    keep(a, QR__STASH_BIASED, scores, stash);
    for (size_t i = 0; i < count && a->cap > 0; i++)
        scores[i] = qr_onnx_round(a->type, a->cap * tanhf(scores[i] / a->cap));
    keep(a, QR__STASH_CAPPED, scores, stash);
    for (size_t s = 0; s < a->S; s++)
        softmax(a, scores + s * a->T);
    keep(a, QR__STASH_WEIGHTS, scores, stash);
}

void qr__attend_run(const qr__attend *a, float *stash, float *y) {
    for (size_t i = 0; i < a->B * a->H; i++) {
        const size_t group = i / a->H * a->G + i % a->H / (a->H / a->G);
        const size_t at = i * a->S * a->T;
        float *scores = a->scores + at;
        qr__product(&(qr__product_task){.M = a->S,
                                        .N = a->T,
                                        .K = a->D,
                                        .a = a->q + i * a->S * a->D,
                                        .lda = a->D,
                                        .b = a->k + group * a->T * a->D,
                                        .ldb = a->D,
                                        .b_transposed = true,
                                        .alpha = a->scale,
                                        .y = scores,
                                        .ldy = a->T});
        weigh(a, a->bias + at, scores, stash == NULL ? NULL : stash + at);
        qr__product(&(qr__product_task){.M = a->S,
                                        .N = a->E,
                                        .K = a->T,
                                        .a = scores,
                                        .lda = a->T,
                                        .b = a->v + group * a->T * a->E,
                                        .ldb = a->E,
                                        .alpha = 1.0f,
                                        .y = y + i * a->S * a->E,
                                        .ldy = a->E});
    }
    for (size_t i = 0; i < a->B * a->H * a->S * a->E; i++)
        y[i] = qr_onnx_round(a->type, y[i]);
}

void qr__heads_split(const qr__heads *heads, const float *x, const float *bias, float *out) {
    const size_t D = heads->D;
    for (size_t row = 0; row < heads->B * heads->S; row++)
        for (size_t h = 0; h < heads->H; h++) {
            const float *from = x + row * heads->width + heads->at + h * D;
            float *to = out + ((row / heads->S * heads->H + h) * heads->to_length + heads->to +
                               row % heads->S) *
                                  D;
            for (size_t d = 0; d < D; d++)
                to[d] = from[d] + (bias == NULL ? 0.0f : bias[h * D + d]);
        }
}

void qr__heads_join(size_t B, size_t S, size_t H, size_t D, const float *y, float *out) {
    for (size_t row = 0; row < B * H * S; row++) {
        const size_t b = row / (H * S), h = row / S % H, s = row % S;
        memcpy(out + ((b * S + s) * H + h) * D, y + row * D, D * sizeof(float));
    }
}

static float added_by(const qr_onnx_tensor *mask, size_t at) {
    if (mask->type == QR_ONNX_BOOL)
        return mask->bytes[at] != 0 ? 0.0f : -INFINITY;
    return mask->floats != NULL ? mask->floats[at] : (float)qr_onnx_int(mask, at);
}

bool qr__attend_add(qr__attend *a, const qr_onnx_tensor *mask) {
    const size_t full[4] = {a->B, a->H, a->S, a->T};
    size_t steps[4] = {0}, step = 1;
    if (mask->rank > 4 || mask->rank == 0)
        return false;
    for (size_t i = 0; i < mask->rank; i++) { /* from the last axis on */
        const size_t size = mask->shape[mask->rank - 1 - i], of = full[3 - i];
        if (size != of && size != 1 && (i > 0 || size > of))
            return false;
        steps[3 - i] = size == 1 ? 0 : step;
        step *= size;
    }
    const size_t keys = mask->shape[mask->rank - 1];
    for (size_t i = 0; i < a->B * a->H * a->S * a->T; i++) {
        const size_t t = i % a->T, s = i / a->T % a->S, h = i / (a->T * a->S) % a->H;
        const size_t b = i / (a->T * a->S * a->H);
        const bool beyond = t >= keys && keys != 1;
        a->bias[i] +=
            beyond ? -INFINITY
                   : added_by(mask, b * steps[0] + h * steps[1] + s * steps[2] + t * steps[3]);
    }
    return true;
}
