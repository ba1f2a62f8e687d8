/* tests/cuda/device/device_model.c: see device_model.h. */
#include "device_model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/cuda/cuda.h"

/* splitmix64, as tools/make_model.py has it. */
static double uniform(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (double)((z ^ z >> 31) >> 11) * 0x1p-52 - 1;
}

static void *must(void *memory) {
    if (memory == NULL) {
        fputs("no memory\n", stderr);
        exit(1);
    }
    return memory;
}

static float *draw(uint64_t *state, size_t len, double middle, double scale) {
    float *out = must(malloc((len + 1) * sizeof *out));
    for (size_t i = 0; i < len; i++)
        out[i] = (float)(middle + scale * uniform(state));
    return out;
}

static qr_bert_linear linear(uint64_t *state, size_t in, size_t out) {
    return (qr_bert_linear){.weight = draw(state, in * out, 0, 0.7 / sqrt((double)in)),
                            .bias = draw(state, out, 0, 0.1),
                            .in = in,
                            .out = out};
}

static qr_bert_norm norm(uint64_t *state, size_t width) {
    return (qr_bert_norm){draw(state, width, 1, 0.2), draw(state, width, 0, 0.1)};
}

static void fill_info(const device_shape *shape, qr_model_info *info) {
    *info = (qr_model_info){.layers = shape->layers,
                            .hidden = shape->hidden,
                            .heads = shape->heads,
                            .feed_forward = shape->feed_forward,
                            .vocab = shape->vocab > 0 ? shape->vocab : 1000,
                            .positions = shape->positions > 0 ? shape->positions : 512,
                            .types = 2,
                            .word_size = shape->hidden,
                            .activation = shape->activation,
                            .layer_norm_eps = 1e-12f,
                            .head = shape->head,
                            .labels = shape->labels,
                            .embedding = shape->hidden,
                            .poolings = shape->head == QR_HEAD_NONE};
    info->pooling[0] = QR_POOLING_MEAN;
    snprintf(info->architecture, sizeof info->architecture, "BertModel");
    snprintf(info->dtype, sizeof info->dtype, "f32");
}

qr_bert *device_model_create(const device_shape *shape, unsigned seed) {
    uint64_t state = seed;
    qr_bert *bert = must(calloc(1, sizeof *bert));
    qr_model_info *info = &bert->info;
    fill_info(shape, info);
    const size_t C = info->hidden, F = info->feed_forward;
    bert->word = draw(&state, info->vocab * C, 0, 1);
    bert->position = draw(&state, info->positions * C, 0, 0.3);
    bert->type = draw(&state, info->types * C, 0, 0.3);
    bert->embedding_norm = norm(&state, C);
    bert->layers = must(calloc(info->layers, sizeof *bert->layers));
    for (size_t l = 0; l < info->layers; l++)
        bert->layers[l] = (qr_bert_layer){
            linear(&state, C, C), linear(&state, C, C), linear(&state, C, C), linear(&state, C, C),
            norm(&state, C),      linear(&state, C, F), linear(&state, F, C), norm(&state, C)};
    if (info->head == QR_HEAD_SPAN)
        bert->span = linear(&state, C, 2);
    if (info->head == QR_HEAD_LABELS)
        bert->pooler = linear(&state, C, C);
    if (info->head == QR_HEAD_LABELS || info->head == QR_HEAD_TOKENS)
        bert->classifier = linear(&state, C, info->labels);
    return bert;
}

static void drop(const float *floats) {
    free((void *)(uintptr_t)floats);
}

static void drop_linear(const qr_bert_linear *of) {
    drop(of->weight);
    drop(of->bias);
}

static void drop_norm(const qr_bert_norm *of) {
    drop(of->gamma);
    drop(of->beta);
}

void device_model_destroy(qr_bert *bert) {
    if (bert == NULL)
        return;
    for (size_t l = 0; l < bert->info.layers; l++) {
        const qr_bert_layer *layer = &bert->layers[l];
        const qr_bert_linear *all[] = {&layer->query,        &layer->key,
                                       &layer->value,        &layer->attention_output,
                                       &layer->intermediate, &layer->output};
        for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
            drop_linear(all[i]);
        drop_norm(&layer->attention_norm);
        drop_norm(&layer->output_norm);
    }
    drop_linear(&bert->span);
    drop_linear(&bert->pooler);
    drop_linear(&bert->classifier);
    drop_norm(&bert->embedding_norm);
    drop(bert->word);
    drop(bert->position);
    drop(bert->type);
    free(bert->layers);
    free(bert);
}

qr_status device_pack(const qr_bert *bert, qr_precision precision, qr_device **device,
                      qr_packed **packed, qr_error *error) {
    const qr_plan plan = {.precision = precision};
    qr_status status = qr_backend_cuda.open(NULL, device, error);
    if (status != QR_OK)
        return status;
    status = (*device)->backend->pack(*device, bert, &plan, NULL, packed, error);
    if (status != QR_OK)
        (*device)->backend->close(*device);
    return status;
}

device_batch device_batch_create(const qr_bert *bert, const uint32_t *lengths, size_t sequences,
                                 unsigned seed) {
    uint64_t state = seed;
    device_batch b = {.starts = must(calloc(sequences + 1, sizeof *b.starts))};
    for (size_t i = 0; i < sequences; i++)
        b.starts[i + 1] = b.starts[i] + lengths[i];
    b.tokens = b.starts[sequences];
    b.ids = must(calloc(b.tokens + 1, sizeof *b.ids));
    b.types = must(calloc(b.tokens + 1, 1));
    for (size_t t = 0; t < b.tokens; t++) {
        b.ids[t] = (int32_t)((uniform(&state) + 1) / 2 * (double)(bert->info.vocab - 1));
        b.types[t] = uniform(&state) > 0;
    }
    b.batch = (qr_batch){b.ids, b.types, b.starts, sequences, NULL};
    return b;
}

void device_batch_destroy(device_batch *batch) {
    free(batch->ids);
    free(batch->types);
    free(batch->starts);
    *batch = (device_batch){.tokens = 0};
}
