/* engine/cuda/module/gpu_pass.c: the encoder. */
#include "engine/cuda/module/gpu_pass.h"

void qr__gpu_step(qr__gpu_steps *steps, qr__gpu_kernel kernel, const uint32_t grid[3],
                  const void *argument) {
    const qr__gpu_context *c = steps->context;
    if (steps->result == QR__CU_OK)
        steps->result = qr__gpu_launch(c->weights->gpu, c->stream, kernel, grid, argument,
                                       steps->follows ? QR__GPU_FOLLOWS : QR__GPU_BEHIND);
    steps->follows = true;
}

/* Where a kernel writes x in f32 beside x: nowhere if that is x itself. */
static float *residual_of(const qr__gpu_context *c) {
    return c->residual == c->x ? NULL : qr__gpu_at(c->residual);
}

static void embed(qr__gpu_steps *steps) {
    const qr__gpu_context *c = steps->context;
    const qr__gpu_weights *w = c->weights;
    const qr_model_info *info = &w->base.bert->info;
    const qr_cuda_embed_args args = {
        .from = c->mapped,
        .to = c->staged,
        .word = qr__gpu_at(w->word),
        .position = qr__gpu_at(w->position),
        .type = qr__gpu_at(w->type),
        .gamma = qr__gpu_at(w->embedding_norm.gamma),
        .beta = qr__gpu_at(w->embedding_norm.beta),
        .x = qr__gpu_at(w->projection.n > 0 ? c->words : c->x),
        .residual = w->projection.n > 0 ? NULL : residual_of(c),
        .width = (uint32_t)info->word_size,
        .pitch = w->widths.words,
        .epsilon = info->layer_norm_eps,
    };
    qr__gpu_step(steps, qr__gpu_kinds_of(w->precision)->embed, (uint32_t[]){steps->bucket, 1, 1},
                 &args);
}

/* A product of the encoder. */
typedef struct product {
    qr__lt_kind kind; /* QR__LT_KINDS: always our own */
    const qr__gpu_linear *linear;
    qr__cu_pointer x, y;
    qr_cuda_epilogue epilogue;
} product;

/* y = epilogue(x * W' + b); returns the parts that K was cut in. */
static uint32_t multiply_ourselves(qr__gpu_steps *steps, const product *p) {
    const qr__gpu_context *c = steps->context;
    const qr__gpu_linear *linear = p->linear;
    const qr__gpu_gemm gemm =
        qr__gpu_gemm_of(c->weights->precision, steps->bucket, linear->n, linear->k,
                        p->epilogue == QR_CUDA_PARTIAL, c->weights->gpu->multiprocessors);
    const qr_cuda_gemm_args args = {
        .counts = c->staged.counts,
        .x = qr__gpu_at(p->x),
        .w = qr__gpu_at(linear->w),
        .bias = qr__gpu_at(linear->bias),
        .y = qr__gpu_at(p->y),
        .n = linear->n,
        .k = linear->k,
        .depth = linear->k / gemm.splits,
        .rows = steps->bucket,
        .epilogue = p->epilogue,
    };
    qr__gpu_step(steps, gemm.kernel, gemm.grid, &args);
    return gemm.splits;
}

static qr__lt_status launch_lt(const qr__gpu_context *c, const qr__lt_product *lt,
                               const product *p) {
    return qr__lt_multiply(c->lt, lt,
                           &(qr__lt_buffers){.x = p->x,
                                             .w = p->linear->w,
                                             .bias = p->linear->narrow,
                                             .y = p->y,
                                             .workspace = c->lt_workspace},
                           c->stream);
}

/* cuBLASLt adds the bias; its GELU is not the models' (it is the one by tanh), so ours follows.
 * What it puts into the stream may end with something else than a kernel (a graph has early starts
 * between kernels only), so what is behind it waits in the plain way. */
static void multiply_by_lt(qr__gpu_steps *steps, const qr__lt_product *lt, const product *p) {
    const qr__gpu_context *c = steps->context;
    const qr_cuda_activate_args args = {
        .counts = c->staged.counts,
        .y = qr__gpu_at(p->y),
        .n = p->linear->n,
        .epilogue = p->epilogue,
    };
    if (steps->result == QR__CU_OK && launch_lt(c, lt, p) != QR__LT_OK)
        steps->result = QR__CU_INVALID_VALUE;
    steps->follows = false;
    if (p->epilogue != QR_CUDA_BIAS && p->epilogue != QR_CUDA_PARTIAL)
        qr__gpu_step(steps, qr__gpu_kinds_of(c->weights->precision)->activate,
                     (uint32_t[]){steps->bucket, 1, 1}, &args);
}

static uint32_t multiply(qr__gpu_steps *steps, product p) {
    const qr__lt_product *lt = qr__lt_find(steps->context->lt, p.kind, steps->bucket);
    if (lt == NULL)
        return multiply_ourselves(steps, &p);
    multiply_by_lt(steps, lt, &p);
    return 1;
}

bool qr__gpu_try_lt(const qr__gpu_context *c) {
    const qr__gpu_layer *layer = &c->weights->layers[0];
    const product products[] = {{QR__LT_QKV, &layer->qkv, c->x, c->qkv, 0},
                                {QR__LT_OUTPUT, &layer->output, c->attended, c->partial, 0},
                                {QR__LT_UP, &layer->up, c->x, c->inner, 0},
                                {QR__LT_DOWN, &layer->down, c->inner, c->partial, 0}};
    for (size_t b = 0; b < c->bucket_count; b++)
        for (size_t i = 0; i < sizeof products / sizeof products[0]; i++) {
            const qr__lt_product *lt = qr__lt_find(c->lt, products[i].kind, c->buckets[b]);
            if (lt != NULL && launch_lt(c, lt, &products[i]) != QR__LT_OK)
                return false;
        }
    return true;
}

/* Blocks stride over tiles; as many as the bucket can have, but not more than the device holds at
 * once. */
static void attend(qr__gpu_steps *steps) {
    const qr__gpu_context *c = steps->context;
    const qr__gpu_weights *w = c->weights;
    const uint32_t heads = (uint32_t)w->base.bert->info.heads;
    const size_t tiles = qr__gpu_tiles_max(steps->bucket, c->sequences_max);
    const size_t resident = qr_max(1, 8 * w->gpu->multiprocessors / heads);
    const qr_cuda_attention_args args = {
        .counts = c->staged.counts,
        .tiles = c->staged.tiles,
        .qkv = qr__gpu_at(c->qkv),
        .y = qr__gpu_at(c->attended),
        .heads = heads,
        .head = w->widths.head,
        .qkv_pitch = w->widths.qkv,
        .pitch = w->widths.attended,
    };
    qr__gpu_step(steps, qr__gpu_attention_of(w->precision, w->widths.head),
                 (uint32_t[]){(uint32_t)qr_min(tiles, resident), heads, 1}, &args);
}

/* x = LN(x + y * W' + b), in two kernels: the second adds up the first one's parts. */
static void multiply_add_norm(qr__gpu_steps *steps, qr__lt_kind kind, const qr__gpu_linear *linear,
                              qr__cu_pointer y, const qr__gpu_norm *norm) {
    const qr__gpu_context *c = steps->context;
    const qr__gpu_weights *w = c->weights;
    const uint32_t splits =
        multiply(steps, (product){kind, linear, y, c->partial, QR_CUDA_PARTIAL});
    const qr_cuda_add_norm_args args = {
        .counts = c->staged.counts,
        .x = qr__gpu_at(c->residual),
        .partial = qr__gpu_at(c->partial),
        .bias = qr__gpu_at(linear->bias),
        .gamma = qr__gpu_at(norm->gamma),
        .beta = qr__gpu_at(norm->beta),
        .y = qr__gpu_at(c->x),
        .residual = residual_of(c),
        .width = (uint32_t)w->base.bert->info.hidden,
        .pitch = w->widths.hidden,
        .splits = splits,
        .rows = steps->bucket,
        .epsilon = w->base.bert->info.layer_norm_eps,
    };
    qr__gpu_step(steps, qr__gpu_kinds_of(w->precision)->add_norm, (uint32_t[]){steps->bucket, 1, 1},
                 &args);
}

qr_cuda_epilogue qr__gpu_activation(const qr__gpu_weights *w) {
    const qr_activation activation = w->base.bert->info.activation;
    return activation == QR_GELU       ? QR_CUDA_GELU
           : activation == QR_GELU_NEW ? QR_CUDA_GELU_NEW
                                       : QR_CUDA_RELU;
}

/* Word embeddings of another size than the hidden states become such. */
static void project(qr__gpu_steps *steps) {
    const qr__gpu_context *c = steps->context;
    const qr__gpu_weights *w = c->weights;
    const qr_cuda_widen_args args = {
        .counts = c->staged.counts,
        .x = qr__gpu_at(c->x),
        .y = residual_of(c),
        .width = w->widths.hidden,
        .pitch = w->widths.hidden,
    };
    multiply(steps, (product){QR__LT_KINDS, &w->projection, c->words, c->x, QR_CUDA_BIAS});
    if (args.y != NULL)
        qr__gpu_step(steps, qr__gpu_kinds_of(w->precision)->widen,
                     (uint32_t[]){steps->bucket, 1, 1}, &args);
}

static void run_layer(qr__gpu_steps *steps, const qr__gpu_layer *layer) {
    const qr__gpu_context *c = steps->context;
    multiply(steps, (product){QR__LT_QKV, &layer->qkv, c->x, c->qkv, QR_CUDA_BIAS});
    attend(steps);
    multiply_add_norm(steps, QR__LT_OUTPUT, &layer->output, c->attended, &layer->attention_norm);
    multiply(steps,
             (product){QR__LT_UP, &layer->up, c->x, c->inner, qr__gpu_activation(c->weights)});
    multiply_add_norm(steps, QR__LT_DOWN, &layer->down, c->inner, &layer->output_norm);
}

qr__cu_result qr__gpu_pass(const qr__gpu_context *c, uint32_t bucket, qr_output wanted) {
    const qr__gpu_weights *w = c->weights;
    qr__gpu_steps steps = {.context = c, .bucket = bucket};
    embed(&steps);
    if (w->projection.n > 0)
        project(&steps);
    if (qr__gpu_encoder_splits(w, bucket) > 0)
        qr__gpu_encode(&steps);
    else
        for (size_t l = 0; l < w->base.bert->info.layers; l++)
            run_layer(&steps, &w->layers[l]);
    qr__gpu_head(&steps, wanted);
    return steps.result;
}
