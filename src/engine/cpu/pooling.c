/* engine/cpu/pooling.c: poolings and Dense modules, always in f32 and by the leader.
 *
 * A sequence's rows are added first to last, and each vector's row of a matrix product depends on
 * that row alone: its bits are the same in every batch. */
#include "engine/cpu/pooling.h"

#include <math.h>

void qr__whole_multiply(qr__context *c, size_t whole, const float *x, size_t rows, float *y) {
    const qr__matrix *matrix = c->weights->whole[whole];
    qr__matrix_operand(matrix, x, qr__matrix_in(matrix), 0, rows, c->operand);
    qr__matrix_multiply(matrix, c->operand, rows, QR_EPILOGUE_BIAS, y, qr__matrix_out(matrix), 0,
                        qr__matrix_panels(matrix));
}

/* y[C] = the greatest of each channel */
static void pool_max(const float *x, size_t S, size_t C, float *y) {
    memcpy(y, x, C * sizeof *y);
    for (size_t t = 1; t < S; t++)
        for (size_t c = 0; c < C; c++)
            y[c] = x[t * C + c] > y[c] ? x[t * C + c] : y[c];
}

/* y[C] = sum(position * x) / sum(position), positions counted from `from` */
static void pool_weighted(const float *x, size_t from, size_t S, size_t C, float *y) {
    float total = 0;
    memset(y, 0, C * sizeof *y);
    for (size_t t = 0; t < S; t++) {
        float weight = (float)(from + t);
        total += weight;
        for (size_t c = 0; c < C; c++)
            y[c] += weight * x[t * C + c];
    }
    for (size_t c = 0; c < C; c++)
        y[c] /= total;
}

/* One sequence by one mode, without the tokens that are left out; positions are still counted from
 * the sequence's begin. */
static void pool(const qr__context *c, qr_pooling mode, const float *hidden, size_t b, float *y) {
    const size_t C = c->weights->base.bert->info.hidden, start = qr__first_token(c, b);
    const size_t S = c->batch->starts[b + 1] - start;
    const float *x = hidden + start * C;
    switch (mode) {
    case QR_POOLING_CLS:
        memcpy(y, c->first_only ? hidden + b * C : x, C * sizeof *y);
        break;
    case QR_POOLING_MAX:
        pool_max(x, S, C, y);
        break;
    case QR_POOLING_MEAN:
        c->weights->kernels.pool(y, x, S, C);
        break;
    case QR_POOLING_MEAN_SQRT_LEN: /* sum / sqrt(n) */
        c->weights->kernels.pool(y, x, S, C);
        for (size_t i = 0; i < C; i++)
            y[i] *= sqrtf((float)S);
        break;
    case QR_POOLING_WEIGHTED_MEAN:
        pool_weighted(x, start - c->batch->starts[b] + 1, S, C, y);
        break;
    case QR_POOLING_LAST:
        memcpy(y, x + (S - 1) * C, C * sizeof *y);
        break;
    }
}

static void activate(const qr__context *c, qr_dense_activation activation, float *x, size_t n) {
    switch (activation) {
    case QR_DENSE_IDENTITY:
        break;
    case QR_DENSE_TANH:
        c->weights->kernels.tanh(x, n);
        break;
    case QR_DENSE_RELU:
        c->weights->kernels.relu(x, n);
        break;
    case QR_DENSE_GELU:
        c->weights->kernels.gelu(x, n);
        break;
    case QR_DENSE_SIGMOID:
        for (size_t i = 0; i < n; i++)
            x[i] = (float)(1 / (1 + exp(-(double)x[i])));
        break;
    }
}

/* y = activation(x * W + b) + residual */
static void dense(qr__context *c, size_t i, const float *x, float *y) {
    const qr_dense *about = &c->weights->base.bert->info.dense[i];
    const size_t B = c->batch->sequences, n = B * about->out;
    const float *add = about->residual == QR_RESIDUAL_INPUT ? x : NULL;
    qr__whole_multiply(c, QR__DENSE + i, x, B, y);
    activate(c, about->activation, y, n);
    if (about->residual == QR_RESIDUAL_MATRIX) {
        qr__whole_multiply(c, QR__RESIDUAL + i, x, B, c->vectors[1]);
        add = c->vectors[1];
    }
    for (size_t k = 0; add != NULL && k < n; k++)
        y[k] += add[k];
}

/* Where pooling and the Dense modules write in turn, so that the last one writes the result. */
static float *turn(const qr__context *c, size_t left) {
    return left % 2 == 0 ? c->result : c->vectors[0];
}

const float *qr__pooling(qr__context *c, const float *hidden) {
    const qr_model_info *info = &c->weights->base.bert->info;
    const size_t width = info->poolings * info->hidden;
    if (c->first_only && info->denses == 0)
        return hidden;
    float *x = turn(c, info->denses);
    for (size_t b = 0; b < c->batch->sequences; b++)
        for (size_t i = 0; i < info->poolings; i++)
            pool(c, info->pooling[i], hidden, b, x + b * width + i * info->hidden);
    for (size_t i = 0; i < info->denses; i++) {
        float *y = turn(c, info->denses - 1 - i);
        dense(c, i, x, y);
        x = y;
    }
    return x;
}
