/* engine/cuda/module/gpu_encoder.c: the persistent encoder's launch: which batches and models it
 * takes, and its argument. */
#include "engine/cuda/module/gpu_pass.h"

/* The kernel for a bucket, whose rows are its tile's. */
static qr__gpu_kernel kernel_of(qr_precision precision, uint32_t bucket) {
    if (precision == QR_PRECISION_F16)
        return bucket == 16 ? QR__GPU_encoder_f16_16 : QR__GPU_encoder_f16_32;
    return bucket == 16 ? QR__GPU_encoder_bf16_16 : QR__GPU_encoder_bf16_32;
}

/* The fewest equal parts of K that a unit can have; there is always one, of QR_CUDA_PAD. */
static uint32_t splits_of(uint32_t k, uint32_t bucket) {
    uint32_t splits = 1;
    while (k / splits > QR_CUDA_ENCODER_DEPTH(bucket) || k / QR_CUDA_PAD % splits != 0)
        splits++;
    return splits;
}

/* What the kernel's blocks have room and code for. */
static bool takes_widths(const qr__gpu_widths *widths, uint32_t bucket) {
    return widths->hidden <= QR_CUDA_ENCODER_WIDTH && (widths->head == 32 || widths->head == 64) &&
           widths->qkv == 3 * widths->attended && widths->attended <= QR_CUDA_ENCODER_DEPTH(bucket);
}

uint32_t qr__gpu_encoder_splits(const qr__gpu_weights *w, uint32_t bucket) {
    if (!w->gpu->persistent || w->precision == QR_PRECISION_F32 || bucket > 32 ||
        w->gpu->kernels[kernel_of(w->precision, bucket)] == NULL ||
        !takes_widths(&w->widths, bucket))
        return 0;
    return splits_of(w->widths.inner, bucket);
}

static qr_cuda_encoder_product product_of(const qr__gpu_linear *linear, uint32_t splits) {
    return (qr_cuda_encoder_product){.w = qr__gpu_at(linear->w),
                                     .bias = qr__gpu_at(linear->bias),
                                     .n = linear->n,
                                     .k = linear->k,
                                     .depth = linear->k / splits,
                                     .units = linear->n / QR_CUDA_ENCODER_COLUMNS * splits};
}

static qr_cuda_encoder_norm norm_of(const qr__gpu_norm *norm) {
    return (qr_cuda_encoder_norm){qr__gpu_at(norm->gamma), qr__gpu_at(norm->beta)};
}

static void place_layers(const qr__gpu_weights *w, uint32_t splits, qr_cuda_encoder_args *args) {
    const qr__gpu_layer *first = &w->layers[0];
    args->product[QR_CUDA_ENCODER_QKV] = product_of(&first->qkv, 1);
    args->product[QR_CUDA_ENCODER_OUTPUT] = product_of(&first->output, 1);
    args->product[QR_CUDA_ENCODER_UP] = product_of(&first->up, 1);
    args->product[QR_CUDA_ENCODER_DOWN] = product_of(&first->down, splits);
    args->attention_norm = norm_of(&first->attention_norm);
    args->output_norm = norm_of(&first->output_norm);
    args->layers = (uint32_t)w->base.bert->info.layers;
    args->layer_bytes = args->layers > 1 ? w->layers[1].qkv.w - first->qkv.w : 0;
}

/* A block a multiprocessor, as its shared memory has it, but none without a unit. */
static uint32_t blocks_of(const qr__gpu *gpu, const qr_cuda_encoder_args *args) {
    uint32_t most = 1;
    for (size_t i = 0; i < QR_CUDA_ENCODER_PRODUCTS; i++)
        most = (uint32_t)qr_max(most, args->product[i].units);
    return (uint32_t)qr_min(most, gpu->multiprocessors);
}

/* All blocks must be there at once, or those that are would wait for ever for the others; so no
 * early start, neither of this kernel nor of the next: what the two kinds of launch do together is
 * written nowhere. */
void qr__gpu_encode(qr__gpu_steps *steps) {
    const qr__gpu_context *c = steps->context;
    const qr__gpu_weights *w = c->weights;
    const qr_model_info *info = &w->base.bert->info;
    qr_cuda_encoder_args args = {
        .counts = c->staged.counts,
        .starts = c->staged.starts,
        .x = qr__gpu_at(c->x),
        .residual = qr__gpu_at(c->residual),
        .qkv = qr__gpu_at(c->qkv),
        .inner = qr__gpu_at(c->inner),
        .partial = qr__gpu_at(c->partial),
        .heads = (uint32_t)info->heads,
        .head = w->widths.head,
        .width = (uint32_t)info->hidden,
        .pitch = w->widths.hidden,
        .activation = qr__gpu_activation(w),
        .epsilon = info->layer_norm_eps,
    };
    place_layers(w, qr__gpu_encoder_splits(w, steps->bucket), &args);
    if (steps->result == QR__CU_OK)
        steps->result =
            qr__gpu_launch(w->gpu, c->stream, kernel_of(w->precision, steps->bucket),
                           (uint32_t[]){blocks_of(w->gpu, &args), 1, 1}, &args, QR__GPU_TOGETHER);
    steps->follows = false;
}
