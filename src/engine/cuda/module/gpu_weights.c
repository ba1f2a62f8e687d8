/* engine/cuda/module/gpu_weights.c: packing a model for the device. */
#include "engine/cuda/module/gpu_weights.h"

#include <math.h>
#include <stdlib.h>

#include "engine/cuda/module/gpu_cutter.h"
#include "engine/cuda/module/gpu_upload.h"

#define LOG2_E 1.4426950408889634

static uint32_t padded(size_t width) {
    return (uint32_t)qr_round_up(width, QR_CUDA_PAD);
}

qr_status qr__gpu_widths_of(const qr_model_info *info, qr__gpu_widths *out, qr_error *error) {
    size_t size = info->hidden / info->heads;
    uint32_t head = 16;
    while (head < size && head < QR_CUDA_HEAD_MAX)
        head *= 2;
    if (size > head)
        return qr_error_set(error, QR_BAD_OPTION,
                            "device cuda: this model has heads of %zu numbers, and the kernels "
                            "take %u at most; use cpu",
                            size, QR_CUDA_HEAD_MAX);
    *out = (qr__gpu_widths){.hidden = padded(info->hidden),
                            .words = padded(info->word_size),
                            .inner = padded(info->feed_forward),
                            .head = head,
                            .attended = padded(info->heads * head),
                            .qkv = padded(3 * info->heads * head)};
    return QR_OK;
}

/* --- where everything lies --- */

typedef struct layout {
    qr__gpu_cutter cutter;
    size_t element; /* bytes */
} layout;

static void place_linear(layout *l, qr__gpu_linear *linear, size_t n, size_t k, size_t element,
                         bool biased) {
    linear->n = (uint32_t)n;
    linear->k = (uint32_t)k;
    linear->w = qr__gpu_cut(&l->cutter, n, k, element);
    linear->bias = biased ? qr__gpu_cut(&l->cutter, n, 1, sizeof(float)) : 0;
}

/* The same with a bias for cuBLASLt, which wants it as narrow as the product. */
static void place_twice(layout *l, qr__gpu_linear *linear, size_t n, size_t k) {
    place_linear(l, linear, n, k, l->element, true);
    linear->narrow = l->element == sizeof(float) ? 0 : qr__gpu_cut(&l->cutter, n, 1, l->element);
}

static void place_norm(layout *l, qr__gpu_norm *norm, size_t width) {
    norm->gamma = qr__gpu_cut(&l->cutter, width, 1, sizeof(float));
    norm->beta = qr__gpu_cut(&l->cutter, width, 1, sizeof(float));
}

/* A matrix of a head, where the model has it. */
static void place_whole(layout *l, qr__gpu_linear *linear, const qr_bert_linear *from) {
    if (from->out > 0)
        place_linear(l, linear, from->out, from->in, sizeof(float), from->bias != NULL);
}

static void place_layer(layout *l, qr__gpu_layer *layer, const qr__gpu_widths *widths) {
    place_twice(l, &layer->qkv, widths->qkv, widths->hidden);
    place_linear(l, &layer->output, widths->hidden, widths->attended, l->element, true);
    place_twice(l, &layer->up, widths->inner, widths->hidden);
    place_linear(l, &layer->down, widths->hidden, widths->inner, l->element, true);
    place_norm(l, &layer->attention_norm, widths->hidden);
    place_norm(l, &layer->output_norm, widths->hidden);
}

/* In the order of the pass. */
static void place_all(layout *l, qr__gpu_weights *w, const qr_bert *bert) {
    const qr_model_info *info = &bert->info;
    w->word = qr__gpu_cut(&l->cutter, info->vocab, w->widths.words, l->element);
    w->position = qr__gpu_cut(&l->cutter, info->positions, w->widths.words, l->element);
    w->type =
        bert->type == NULL ? 0 : qr__gpu_cut(&l->cutter, info->types, w->widths.words, l->element);
    place_norm(l, &w->embedding_norm, w->widths.words);
    if (bert->projection.out > 0)
        place_linear(l, &w->projection, w->widths.hidden, w->widths.words, l->element, true);
    for (size_t i = 0; i < info->layers; i++)
        place_layer(l, &w->layers[i], &w->widths);
    place_whole(l, &w->span, &bert->span);
    place_whole(l, &w->pooler, &bert->pooler);
    place_whole(l, &w->classifier, &bert->classifier);
    for (size_t i = 0; i < info->denses; i++) {
        place_whole(l, &w->dense[i], &bert->dense[i].linear);
        place_whole(l, &w->residual[i], &bert->dense[i].residual);
    }
}

/* --- what goes there --- */

/* Rows [from, to) of zeros. */
static void send_zeros(qr__gpu_upload *upload, size_t from, size_t to, size_t pitch) {
    for (size_t i = from; i < to; i++)
        qr__gpu_upload_row(upload, &(qr__gpu_row){.pitch = pitch});
}

static void send_rows(qr__gpu_upload *upload, const float *numbers, size_t rows, size_t width,
                      size_t pitch, float scale) {
    for (size_t i = 0; i < rows; i++)
        qr__gpu_upload_row(upload,
                           &(qr__gpu_row){numbers + i * width, 1, width, width, pitch, scale});
}

/* A vector; NULL or 0: there is none. */
static void send_narrow(qr__gpu_upload *upload, qr__cu_pointer to, qr_precision precision,
                        const float *numbers, size_t width, size_t pitch) {
    if (to == 0 || numbers == NULL)
        return;
    qr__gpu_upload_at(upload, to, precision);
    send_rows(upload, numbers, 1, width, pitch, 1);
}

static void send_vector(qr__gpu_upload *upload, qr__cu_pointer to, const float *numbers,
                        size_t width, size_t pitch) {
    send_narrow(upload, to, QR_PRECISION_F32, numbers, width, pitch);
}

static void send_norm(qr__gpu_upload *upload, const qr__gpu_norm *to, const qr_bert_norm *from,
                      size_t width, size_t pitch) {
    send_vector(upload, to->gamma, from->gamma, width, pitch);
    send_vector(upload, to->beta, from->beta, width, pitch);
}

/* An encoder's matrix, rows and columns padded; `pieces`: of each row, when it has heads. */
static void send_linear(qr__gpu_upload *upload, const qr__gpu_linear *to,
                        const qr_bert_linear *from, qr_precision precision, size_t pieces,
                        size_t padded_piece) {
    qr__gpu_upload_at(upload, to->w, precision);
    for (size_t n = 0; n < from->out; n++)
        qr__gpu_upload_row(upload, &(qr__gpu_row){from->weight + n * from->in, pieces,
                                                  from->in / pieces, padded_piece, to->k, 1});
    send_zeros(upload, from->out, to->n, to->k);
    send_vector(upload, to->bias, from->bias, from->out, to->n);
    send_narrow(upload, to->narrow, precision, from->bias, from->out, to->n);
}

/* A head's matrix, as it is. */
static void send_whole(qr__gpu_upload *upload, const qr__gpu_linear *to,
                       const qr_bert_linear *from) {
    if (from->out == 0)
        return;
    qr__gpu_upload_at(upload, to->w, QR_PRECISION_F32);
    send_rows(upload, from->weight, from->out, from->in, from->in, 1);
    send_vector(upload, to->bias, from->bias, from->out, from->out);
}

/* Rows of q, k and v, head by head, each head with rows of zeros up to its padded size. A bias is
 * a matrix of one column here. */
static void send_heads(qr__gpu_upload *upload, const qr__gpu_weights *w,
                       const float *const parts[3], size_t width, size_t pitch) {
    const qr_model_info *info = &w->base.bert->info;
    const size_t size = info->hidden / info->heads, head = w->widths.head;
    for (size_t part = 0; part < 3; part++) {
        float scale = part == 0 ? (float)(LOG2_E / sqrt((double)size)) : 1;
        for (size_t h = 0; h < info->heads; h++) {
            send_rows(upload, parts[part] + h * size * width, size, width, pitch, scale);
            send_zeros(upload, size, head, pitch);
        }
    }
    send_zeros(upload, 3 * info->heads * head, w->widths.qkv, pitch);
}

static void send_qkv(qr__gpu_upload *upload, const qr__gpu_weights *w, const qr__gpu_linear *to,
                     const qr_bert_layer *from) {
    const float *const matrices[] = {from->query.weight, from->key.weight, from->value.weight};
    const float *const biases[] = {from->query.bias, from->key.bias, from->value.bias};
    qr__gpu_upload_at(upload, to->w, w->precision);
    send_heads(upload, w, matrices, w->base.bert->info.hidden, w->widths.hidden);
    qr__gpu_upload_at(upload, to->bias, QR_PRECISION_F32);
    send_heads(upload, w, biases, 1, 1);
    if (to->narrow != 0) {
        qr__gpu_upload_at(upload, to->narrow, w->precision);
        send_heads(upload, w, biases, 1, 1);
    }
}

static void send_layer(qr__gpu_upload *upload, const qr__gpu_weights *w, size_t l) {
    const qr_bert_layer *from = &w->base.bert->layers[l];
    const qr__gpu_layer *to = &w->layers[l];
    const size_t C = w->base.bert->info.hidden;
    send_qkv(upload, w, &to->qkv, from);
    send_linear(upload, &to->output, &from->attention_output, w->precision,
                w->base.bert->info.heads, w->widths.head);
    send_linear(upload, &to->up, &from->intermediate, w->precision, 1, to->up.k);
    send_linear(upload, &to->down, &from->output, w->precision, 1, to->down.k);
    send_norm(upload, &to->attention_norm, &from->attention_norm, C, w->widths.hidden);
    send_norm(upload, &to->output_norm, &from->output_norm, C, w->widths.hidden);
}

static void send_table(qr__gpu_upload *upload, const qr__gpu_weights *w, qr__cu_pointer to,
                       const float *numbers, size_t rows) {
    if (to == 0)
        return;
    qr__gpu_upload_at(upload, to, w->precision);
    send_rows(upload, numbers, rows, w->base.bert->info.word_size, w->widths.words, 1);
}

static void send_all(qr__gpu_upload *upload, const qr__gpu_weights *w) {
    const qr_bert *bert = w->base.bert;
    const qr_model_info *info = &bert->info;
    send_table(upload, w, w->word, bert->word, info->vocab);
    send_table(upload, w, w->position, bert->position, info->positions);
    send_table(upload, w, w->type, bert->type, info->types);
    send_norm(upload, &w->embedding_norm, &bert->embedding_norm, info->word_size, w->widths.words);
    if (w->projection.n > 0)
        send_linear(upload, &w->projection, &bert->projection, w->precision, 1, w->projection.k);
    for (size_t l = 0; l < info->layers; l++)
        send_layer(upload, w, l);
    send_whole(upload, &w->span, &bert->span);
    send_whole(upload, &w->pooler, &bert->pooler);
    send_whole(upload, &w->classifier, &bert->classifier);
    for (size_t i = 0; i < info->denses; i++) {
        send_whole(upload, &w->dense[i], &bert->dense[i].linear);
        send_whole(upload, &w->residual[i], &bert->dense[i].residual);
    }
}

/* --- all of it --- */

static qr_status allocate(qr__gpu_weights *w, size_t bytes, qr_error *error) {
    const qr__gpu *gpu = w->gpu;
    size_t free_bytes = 0, total_bytes;
    qr__cu_pointer memory = 0;
    int result = gpu->driver.mem_alloc(&memory, bytes);
    if (result == QR__CU_OK) {
        w->memory = memory;
        w->bytes = bytes;
        return QR_OK;
    }
    qr_status status = qr__gpu_fault(gpu, result, "weights", error);
    if (status == QR_NO_MEMORY && gpu->driver.mem_info(&free_bytes, &total_bytes) == QR__CU_OK)
        qr_error_set(error, status,
                     "device cuda:%d: the weights in %s take %zu MB, and %zu MB of the device's "
                     "memory are free",
                     gpu->ordinal, qr_precision_name(w->precision), bytes >> 20, free_bytes >> 20);
    return status;
}

static qr_status place_and_send(qr__gpu_weights *w, const qr_bert *bert, qr_error *error) {
    layout l = {.element = qr__gpu_element_bytes(w->precision)};
    place_all(&l, w, bert);
    if (l.cutter.overflow)
        return qr_error_set(error, QR_NO_MEMORY, "device cuda: the weights are too large to count");
    qr_status status = allocate(w, l.cutter.used, error);
    if (status != QR_OK)
        return status;
    l.cutter = (qr__gpu_cutter){.base = w->memory};
    place_all(&l, w, bert);
    qr__gpu_upload *upload;
    status = qr__gpu_upload_create(w->gpu, &upload, error);
    if (status != QR_OK)
        return status;
    send_all(upload, w);
    return qr__gpu_upload_finish(upload, error);
}

qr_status qr__gpu_weights_pack(const qr__gpu *gpu, const qr_bert *bert, qr_precision precision,
                               qr__gpu_weights **out, qr_error *error) {
    *out = NULL;
    qr__gpu_weights *w = calloc(1, sizeof *w);
    if (w == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "no memory for weights");
    w->gpu = gpu;
    w->precision = precision;
    w->base.device = &gpu->base;
    w->base.bert = bert;
    qr_status status = qr__gpu_widths_of(&bert->info, &w->widths, error);
    if (status == QR_OK)
        status = place_and_send(w, bert, error);
    if (status != QR_OK) {
        qr__gpu_weights_destroy(w);
        return status;
    }
    w->base.bytes = w->bytes;
    *out = w;
    return QR_OK;
}

void qr__gpu_weights_destroy(qr__gpu_weights *weights) {
    if (weights == NULL)
        return;
    if (weights->memory != 0 && !qr__gpu_is_hung(weights->gpu)) {
        (void)!qr__gpu_enter(weights->gpu);
        (void)weights->gpu->driver.mem_free(weights->memory);
    }
    free(weights);
}

/* All of it is on the device. */
void qr__gpu_weights_release(const qr__gpu_weights *w, qr_bert *bert) {
    w->gpu->host->bert_release_all(bert);
}
