/* engine/cuda/module/gpu_head.c: from hidden states to what was asked for, in f32
 * (engine/cpu/head.c and pooling.c are the same for the CPU). The last kernel writes to the host's
 * memory. */
#include "engine/cuda/module/gpu_pass.h"

static uint32_t at_least_one(size_t n) {
    return (uint32_t)qr_max(1, n);
}

/* y = the hidden states without padding. */
static void widen(qr__gpu_steps *steps, qr__cu_pointer y) {
    const qr__gpu_context *c = steps->context;
    const qr__gpu_weights *w = c->weights;
    const qr_cuda_widen_args args = {
        .counts = c->staged.counts,
        .x = qr__gpu_at(c->residual),
        .y = qr__gpu_at(y),
        .width = (uint32_t)w->base.bert->info.hidden,
        .pitch = w->widths.hidden,
    };
    qr__gpu_step(steps, QR__GPU_widen_f32, (uint32_t[]){steps->bucket, 1, 1}, &args);
}

/* y[B][poolings * C] */
static void pool(qr__gpu_steps *steps, const qr_pooling *poolings, size_t count, qr__cu_pointer y) {
    const qr__gpu_context *c = steps->context;
    const qr__gpu_weights *w = c->weights;
    qr_cuda_pool_args args = {
        .counts = c->staged.counts,
        .starts = c->staged.starts,
        .skip = c->staged.skip,
        .x = qr__gpu_at(c->residual),
        .y = qr__gpu_at(y),
        .width = (uint32_t)w->base.bert->info.hidden,
        .pitch = w->widths.hidden,
        .poolings = (uint32_t)count,
    };
    for (size_t i = 0; i < count; i++)
        args.pooling[i] = poolings[i];
    uint32_t sequences = (uint32_t)qr_min(c->sequences_max, steps->bucket);
    qr__gpu_step(steps, QR__GPU_pool_f32, (uint32_t[]){sequences, (uint32_t)count, 1}, &args);
}

/* What a head's matrix is multiplied with, and what happens to it then. */
typedef struct product {
    const qr__gpu_linear *linear;
    qr_cuda_rows rows;
    qr_cuda_activation activation;
    qr__cu_pointer x, add, y; /* add 0: nothing */
    uint32_t pitch;           /* of x; 0: no padding */
} product;

static void multiply_wide(qr__gpu_steps *steps, const product *p) {
    const qr__gpu_context *c = steps->context;
    const qr_cuda_linear_args args = {
        .counts = c->staged.counts,
        .x = qr__gpu_at(p->x),
        .w = qr__gpu_at(p->linear->w),
        .bias = qr__gpu_at(p->linear->bias),
        .add = qr__gpu_at(p->add),
        .y = qr__gpu_at(p->y),
        .in = p->linear->k,
        .out = p->linear->n,
        .pitch = p->pitch != 0 ? p->pitch : p->linear->k,
        .rows = p->rows,
        .activation = p->activation,
    };
    size_t rows =
        p->rows == QR_CUDA_TOKENS ? steps->bucket : qr_min(c->sequences_max, steps->bucket);
    size_t across = (p->linear->n + QR_CUDA_LINEAR_COLUMNS - 1) / QR_CUDA_LINEAR_COLUMNS;
    size_t along = qr_min(rows, 8 * c->weights->gpu->multiprocessors / across);
    qr__gpu_step(steps, QR__GPU_linear_f32, (uint32_t[]){(uint32_t)across, at_least_one(along), 1},
                 &args);
}

_Static_assert((int)QR_CUDA_IDENTITY == QR_DENSE_IDENTITY && (int)QR_CUDA_TANH == QR_DENSE_TANH &&
                   (int)QR_CUDA_RELU_OF == QR_DENSE_RELU && (int)QR_CUDA_GELU_OF == QR_DENSE_GELU &&
                   (int)QR_CUDA_SIGMOID == QR_DENSE_SIGMOID && QR_CUDA_POOLINGS == QR_POOLINGS &&
                   (int)QR_CUDA_CLS == QR_POOLING_CLS && (int)QR_CUDA_MAX == QR_POOLING_MAX &&
                   (int)QR_CUDA_MEAN == QR_POOLING_MEAN &&
                   (int)QR_CUDA_MEAN_SQRT_LEN == QR_POOLING_MEAN_SQRT_LEN &&
                   (int)QR_CUDA_WEIGHTED_MEAN == QR_POOLING_WEIGHTED_MEAN &&
                   (int)QR_CUDA_LAST == QR_POOLING_LAST,
               "the kernels count activations and poolings as the model does");

/* y = activation(x * W' + b) + residual */
static void dense(qr__gpu_steps *steps, size_t i, qr__cu_pointer x, qr__cu_pointer y) {
    const qr__gpu_context *c = steps->context;
    const qr_dense *about = &c->weights->base.bert->info.dense[i];
    product p = {.linear = &c->weights->dense[i],
                 .rows = QR_CUDA_SEQUENCES,
                 .activation = (qr_cuda_activation)about->activation,
                 .x = x,
                 .add = about->residual == QR_RESIDUAL_INPUT ? x : 0,
                 .y = y};
    if (about->residual == QR_RESIDUAL_MATRIX) {
        const product residual = {.linear = &c->weights->residual[i],
                                  .rows = QR_CUDA_SEQUENCES,
                                  .x = x,
                                  .y = c->vectors[2]};
        multiply_wide(steps, &residual);
        p.add = c->vectors[2];
    }
    multiply_wide(steps, &p);
}

static void pooled(qr__gpu_steps *steps, qr__cu_pointer result) {
    const qr__gpu_context *c = steps->context;
    const qr_model_info *info = &c->weights->base.bert->info;
    qr__cu_pointer x = info->denses == 0 ? result : c->vectors[0];
    pool(steps, info->pooling, info->poolings, x);
    for (size_t i = 0; i < info->denses; i++) {
        qr__cu_pointer y = i + 1 == info->denses ? result : c->vectors[(i + 1) % 2];
        dense(steps, i, x, y);
        x = y;
    }
}

/* activation(first * Wp' + b) * Wc' + b */
static void labels(qr__gpu_steps *steps, qr__cu_pointer result) {
    static const qr_cuda_activation activations[] = {[QR_POOLER_TANH] = QR_CUDA_TANH,
                                                     [QR_POOLER_RELU] = QR_CUDA_RELU_OF,
                                                     [QR_POOLER_GELU] = QR_CUDA_GELU_OF};
    static const qr_pooling first = QR_POOLING_CLS;
    const qr__gpu_context *c = steps->context;
    const product inner = {.linear = &c->weights->pooler,
                           .rows = QR_CUDA_SEQUENCES,
                           .activation = activations[c->weights->base.bert->pooler_activation],
                           .x = c->vectors[0],
                           .y = c->vectors[1]};
    const product outer = {.linear = &c->weights->classifier,
                           .rows = QR_CUDA_SEQUENCES,
                           .x = c->vectors[1],
                           .y = result};
    pool(steps, &first, 1, c->vectors[0]);
    multiply_wide(steps, &inner);
    multiply_wide(steps, &outer);
}

/* Numbers of each token. */
static void tokens(qr__gpu_steps *steps, const qr__gpu_linear *linear, qr__cu_pointer result) {
    const qr__gpu_context *c = steps->context;
    const product p = {.linear = linear,
                       .rows = QR_CUDA_TOKENS,
                       .x = c->residual,
                       .y = result,
                       .pitch = c->weights->widths.hidden};
    multiply_wide(steps, &p);
}

void qr__gpu_head(qr__gpu_steps *steps, qr_output wanted) {
    const qr__gpu_context *c = steps->context;
    const qr__cu_pointer result = c->results[wanted].device;
    switch (wanted) {
    case QR_OUTPUT_HIDDEN:
        widen(steps, result);
        break;
    case QR_OUTPUT_POOLED:
        pooled(steps, result);
        break;
    case QR_OUTPUT_SPAN:
        tokens(steps, &c->weights->span, result);
        break;
    case QR_OUTPUT_LABELS:
        labels(steps, result);
        break;
    case QR_OUTPUT_TOKEN_LABELS:
        tokens(steps, &c->weights->classifier, result);
        break;
    }
}
