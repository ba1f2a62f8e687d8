/* tests: reading golden files (the format stands in tools/make_goldens.py's head). */
#include "golden.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define TINY                                                                                       \
    .layers = 1, .hidden = 24, .heads = 3, .feed_forward = 40, .vocab = 300, .positions = 40
#define SMALL                                                                                      \
    .layers = 2, .hidden = 48, .heads = 4, .feed_forward = 96, .vocab = 300, .positions = 40
#define ALL "lasttoken+max+weightedmean+cls+mean_sqrt_len_tokens+mean"

const struct golden_model golden_models[] = {
    {"bert-3x768",
     {.layers = 3,
      .hidden = 768,
      .heads = 12,
      .feed_forward = 3072,
      .vocab = 500,
      .positions = 64,
      .seed = 11},
     NULL},
    {"bert-2x128-odd",
     {.layers = 2,
      .hidden = 128,
      .heads = 4,
      .feed_forward = 509,
      .vocab = 301,
      .positions = 160,
      .seed = 12},
     NULL},
    {"bert-long",
     {.layers = 1,
      .hidden = 48,
      .heads = 3,
      .feed_forward = 96,
      .vocab = 300,
      .positions = 512,
      .seed = 13},
     NULL},
    {"bert-odd-heads",
     {.layers = 2,
      .hidden = 75,
      .heads = 5,
      .feed_forward = 31,
      .vocab = 97,
      .positions = 33,
      .types = 3,
      .pooling = "cls",
      .seed = 14},
     NULL},
    {"bert-gelu-new-labels-f16",
     {.layers = 2,
      .hidden = 96,
      .heads = 6,
      .feed_forward = 200,
      .vocab = 200,
      .positions = 40,
      .activation = "gelu_new",
      .head = "labels",
      .labels = 3,
      .dtype = "f16",
      .seed = 15},
     NULL},
    {"bert-relu-span-bf16",
     {.layers = 2,
      .hidden = 64,
      .heads = 2,
      .feed_forward = 256,
      .vocab = 200,
      .positions = 40,
      .eps = 1e-5,
      .activation = "relu",
      .head = "span",
      .dtype = "bf16",
      .seed = 16},
     NULL},
    {"distilbert-2",
     {.distilbert = true,
      .layers = 2,
      .hidden = 96,
      .heads = 6,
      .feed_forward = 384,
      .vocab = 300,
      .positions = 64,
      .seed = 17},
     NULL},
    {"distilbert-labels",
     {.distilbert = true,
      .layers = 2,
      .hidden = 64,
      .heads = 4,
      .feed_forward = 128,
      .vocab = 200,
      .positions = 40,
      .head = "labels",
      .labels = 5,
      .seed = 18},
     NULL},
    {"distilbert-span",
     {.distilbert = true,
      .layers = 1,
      .hidden = 64,
      .heads = 4,
      .feed_forward = 128,
      .vocab = 200,
      .positions = 40,
      .activation = "relu",
      .head = "span",
      .dtype = "f16",
      .seed = 19},
     NULL},
    {"pool-cls", {TINY, .pooling = "cls", .seed = 20}, NULL},
    {"pool-max", {TINY, .pooling = "max", .seed = 21}, NULL},
    {"pool-mean", {TINY, .pooling = "mean", .seed = 22}, NULL},
    {"pool-mean_sqrt_len_tokens", {TINY, .pooling = "mean_sqrt_len_tokens", .seed = 23}, NULL},
    {"pool-weightedmean", {TINY, .pooling = "weightedmean", .seed = 24}, NULL},
    {"pool-lasttoken", {TINY, .pooling = "lasttoken", .seed = 25}, NULL},
    {"pool-all", {TINY, .pooling = ALL, .seed = 26}, NULL},
    {"pool-skip", {TINY, .pooling = ALL, .leaves_out_prompt = true, .seed = 27}, NULL},
    {"pool-skip-cls", {TINY, .pooling = "cls", .leaves_out_prompt = true, .seed = 28}, NULL},
    {"dense-one", {TINY, .pooling = "mean", .dense = "40:Tanh", .seed = 29}, NULL},
    {"dense-residual",
     {TINY, .pooling = "cls+mean",
      .dense = "48:GELU:residual,40:Sigmoid:residual,40:Identity:nobias:residual", .seed = 30},
     NULL},
    {"dense-many",
     {TINY, .pooling = "max", .dense = "70:ReLU:nobias,33:Identity,20:Tanh", .dtype = "bf16",
      .seed = 31},
     NULL},
    {"dense-cls",
     {TINY, .pooling = "cls", .dense = "16:Identity", .dtype = "f16", .seed = 32},
     NULL},
    {"electra-small", {SMALL, .electra = true, .embedding = 20, .seed = 33}, NULL},
    {"electra-wide",
     {SMALL, .electra = true, .embedding = 96, .activation = "gelu_new", .dtype = "f16",
      .seed = 34},
     NULL},
    {"electra-same", {SMALL, .electra = true, .seed = 35}, NULL},
    {"electra-labels",
     {SMALL, .electra = true, .embedding = 20, .head = "labels", .labels = 3, .seed = 36},
     NULL},
    {"electra-span", {SMALL, .electra = true, .embedding = 20, .head = "span", .seed = 37}, NULL},
    {"electra-tokens",
     {SMALL, .electra = true, .embedding = 20, .head = "tokens", .labels = 5, .seed = 38},
     NULL},
    {"bert-tokens", {SMALL, .head = "tokens", .labels = 9, .seed = 39}, NULL},
    {"distilbert-tokens",
     {SMALL, .distilbert = true, .head = "tokens", .labels = 1, .seed = 40},
     NULL},
    {"squad-3l", {0}, "models/squad-3l"},
    {"squad-3l-hidden", {0}, "models/squad-3l"},
    {"minilm", {0}, "models/minilm"},
    {"minilm-hidden", {0}, "models/minilm"},
    {0},
};

static uint32_t next_u32(const char *file, size_t len, size_t *at) {
    uint32_t value;
    cr_assert(*at + 4 <= len);
    memcpy(&value, file + *at, 4);
    *at += 4;
    return value;
}

#define GOLDEN_SKIP 100

/* One number a sequence. */
static void read_skip(struct golden *out, size_t len, size_t *at) {
    size_t count = next_u32(out->file, len, at);
    cr_assert_eq(count, out->batch.sequences);
    out->skip = calloc(count, sizeof *out->skip);
    for (size_t i = 0; i < count; i++) {
        uint32_t bits = next_u32(out->file, len, at);
        float number;
        memcpy(&number, &bits, sizeof number);
        out->skip[i] = (uint32_t)number;
    }
    out->batch.skip = out->skip;
}

void golden_load(const char *name, struct golden *out) {
    char path[300];
    size_t len = 0;
    size_t at = 4;
    *out = (struct golden){0};
    snprintf(path, sizeof path, "tests/golden/engine/%s.golden", name);
    out->file = read_file(QR_SOURCE_DIR, path, &len);
    cr_assert(len > 16 && memcmp(out->file, "QRG1", 4) == 0);
    out->batch.sequences = next_u32(out->file, len, &at);
    out->tokens = next_u32(out->file, len, &at);
    size_t outputs = next_u32(out->file, len, &at);
    out->batch.starts = (const uint32_t *)(const void *)(out->file + at);
    at += (out->batch.sequences + 1) * 4;
    out->batch.ids = (const int32_t *)(const void *)(out->file + at);
    at += out->tokens * 4;
    out->batch.types = (const uint8_t *)(out->file + at);
    at += qr_round_up(out->tokens, 4);
    for (size_t i = 0; i < outputs; i++) {
        uint32_t kind = next_u32(out->file, len, &at);
        if (kind == GOLDEN_SKIP) {
            read_skip(out, len, &at);
            continue;
        }
        cr_assert(kind < GOLDEN_OUTPUTS);
        out->outputs[kind].count = next_u32(out->file, len, &at);
        out->outputs[kind].numbers = (const float *)(const void *)(out->file + at);
        at += out->outputs[kind].count * 4;
        cr_assert(at <= len);
    }
    cr_assert_eq(at, len);
    cr_assert_eq(out->batch.starts[out->batch.sequences], out->tokens);
}

void golden_deinit(struct golden *golden) {
    free(golden->file);
    free(golden->skip);
    *golden = (struct golden){0};
}

/* By an emulator real models and 3x768 take minutes an instruction set. */
static bool is_too_large(const struct golden_model *model) {
#if defined(QR_EMULATED)
    return model->dir != NULL || model->options.hidden > 128;
#else
    (void)model;
    return false;
#endif
}

const char *golden_model_dir(const struct golden_model *model, const char *temp, char out[512]) {
    if (is_too_large(model))
        return NULL;
    if (model->dir == NULL) {
        make_model(temp, &model->options);
        snprintf(out, 512, "%s", temp);
        return out;
    }
    snprintf(out, 512, "%s/%s", QR_SOURCE_DIR, model->dir);
    return qr_file_exists(out, "config.json") ? out : NULL;
}

double max_difference(const float *a, const float *b, size_t count) {
    double largest = 0;
    for (size_t i = 0; i < count; i++) {
        double difference = fabs((double)a[i] - b[i]);
        if (!(difference <= largest))
            largest = isfinite(difference) ? difference : (double)INFINITY;
    }
    return largest;
}
