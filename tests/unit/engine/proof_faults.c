/* tests: see proof_faults.h. */
#include "proof_faults.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "forward_fixture.h"

const char *const fault_names[FAULT_KINDS] = {
    "a bias dropped",  "a bias doubled",  "epsilon",       "query's heads",   "value's heads",
    "number of heads", "query and key",   "key and value", "query scaled",    "transposed",
    "activation",      "another layer's", "norms swapped", "a norm left out", "positions",
    "types",           "words",           "pooling",       "normalisation",   "pooler's activation",
    "the head's rows", "the head's bias", "one number",    "one row"};

static float *keep(struct fault *fault, const float *at, size_t count) {
    cr_assert_lt(fault->len, sizeof fault->pieces / sizeof fault->pieces[0]);
    float *kept = calloc(count, sizeof *kept);
    cr_assert_not_null(kept);
    memcpy(kept, at, count * sizeof *kept);
    fault->pieces[fault->len].at = (float *)at;
    fault->pieces[fault->len].kept = kept;
    fault->pieces[fault->len++].count = count;
    return (float *)at;
}

static void swap(struct fault *fault, const float *a, const float *b, size_t count) {
    float *x = keep(fault, a, count), *y = keep(fault, b, count);
    memcpy(x, fault->pieces[fault->len - 1].kept, count * sizeof *x);
    memcpy(y, fault->pieces[fault->len - 2].kept, count * sizeof *y);
}

static void swap_linears(struct fault *fault, const qr_bert_linear *a, const qr_bert_linear *b) {
    swap(fault, a->weight, b->weight, a->in * a->out);
    swap(fault, a->bias, b->bias, a->out);
}

static void swap_norms(struct fault *fault, const qr_bert_norm *a, const qr_bert_norm *b,
                       size_t width) {
    swap(fault, a->gamma, b->gamma, width);
    swap(fault, a->beta, b->beta, width);
}

/* The linear of a layer, and the stage that shows it. */
static const qr_bert_linear *draw_linear(const qr_bert *bert, unsigned *seed, struct fault *fault) {
    static const qr__stage_kind stages[] = {QR__STAGE_QUERY,        QR__STAGE_KEY,
                                            QR__STAGE_VALUE,        QR__STAGE_ATTENTION_NORM,
                                            QR__STAGE_INTERMEDIATE, QR__STAGE_OUTPUT_NORM};
    const qr_bert_layer *layer = &bert->layers[fault->layer];
    const qr_bert_linear *const linears[] = {&layer->query,        &layer->key,
                                             &layer->value,        &layer->attention_output,
                                             &layer->intermediate, &layer->output};
    unsigned which = forward_random(seed, 6);
    fault->stage = stages[which];
    return linears[which];
}

/* y[d][h] = x[h][d], of rows of `width` floats. */
static void swap_head_axis(struct fault *fault, const qr_bert_linear *linear, size_t heads) {
    const size_t D = linear->out / heads, width = linear->in;
    float *weight = keep(fault, linear->weight, linear->in * linear->out);
    const float *kept = fault->pieces[fault->len - 1].kept;
    for (size_t h = 0; h < heads; h++)
        for (size_t d = 0; d < D; d++)
            memcpy(weight + (d * heads + h) * width, kept + (h * D + d) * width,
                   width * sizeof *weight);
}

static void scale(struct fault *fault, const float *at, size_t count, float factor) {
    float *numbers = keep(fault, at, count);
    for (size_t i = 0; i < count; i++)
        numbers[i] *= factor;
}

static void transpose(struct fault *fault, const qr_bert_linear *linear) {
    const size_t n = linear->in;
    float *weight = keep(fault, linear->weight, n * n);
    const float *kept = fault->pieces[fault->len - 1].kept;
    for (size_t i = 0; i < n * n; i++)
        weight[i] = kept[i % n * n + i / n];
}

/* Each row the one before, the first the last. */
static void shift_rows(struct fault *fault, const float *table, size_t rows, size_t width) {
    float *numbers = keep(fault, table, rows * width);
    const float *kept = fault->pieces[fault->len - 1].kept;
    for (size_t r = 0; r < rows; r++)
        memcpy(numbers + r * width, kept + (r + rows - 1) % rows * width, width * sizeof *numbers);
}

static bool put_in_heads(qr_bert *bert, enum fault_kind kind, struct fault *fault) {
    qr_model_info *info = &bert->info;
    const qr_bert_layer *layer = &bert->layers[fault->layer];
    fault->stage = kind == FAULT_VALUE_HEADS ? QR__STAGE_VALUE : QR__STAGE_QUERY;
    if (kind == FAULT_HEAD_COUNT) {
        fault->stage = QR__STAGE_ATTENDED, fault->layer = 0;
        info->heads = info->heads > 1 ? info->heads / 2 : 2;
        return info->hidden % info->heads == 0 && fault->info.heads % info->heads == 0;
    }
    if (info->heads == 1 || info->heads == info->hidden)
        return false;
    swap_head_axis(fault, kind == FAULT_VALUE_HEADS ? &layer->value : &layer->query, info->heads);
    return true;
}

static bool put_in_products(qr_bert *bert, enum fault_kind kind, unsigned *seed,
                            struct fault *fault) {
    const qr_bert_layer *layer = &bert->layers[fault->layer];
    const qr_bert_linear *linear = draw_linear(bert, seed, fault);
    const size_t count = linear->in * linear->out;
    switch (kind) {
    case FAULT_BIAS_DROPPED:
        scale(fault, linear->bias, linear->out, 0);
        return true;
    case FAULT_BIAS_DOUBLED:
        scale(fault, linear->bias, linear->out, 2);
        return true;
    case FAULT_QUERY_AND_KEY:
        fault->stage = QR__STAGE_QUERY;
        swap_linears(fault, &layer->query, &layer->key);
        return true;
    case FAULT_KEY_AND_VALUE:
        fault->stage = QR__STAGE_KEY;
        swap_linears(fault, &layer->key, &layer->value);
        return true;
    case FAULT_QUERY_SCALED: {
        const float by = 1 / sqrtf((float)bert->info.hidden / (float)bert->info.heads);
        fault->stage = QR__STAGE_QUERY;
        scale(fault, layer->query.weight, layer->query.in * layer->query.out, by);
        scale(fault, layer->query.bias, layer->query.out, by);
        return by < 1;
    }
    case FAULT_TRANSPOSED:
        if (linear->in != linear->out)
            return false;
        transpose(fault, linear);
        return true;
    case FAULT_ONE_NUMBER:
        *keep(fault, &linear->weight[forward_random(seed, (unsigned)count)], 1) += 1;
        return true;
    default:
        break;
    }
    size_t row = forward_random(seed, (unsigned)linear->out);
    float *to = keep(fault, linear->weight + row * linear->in, linear->in);
    memcpy(to, linear->weight + (row + 1) % linear->out * linear->in, linear->in * sizeof *to);
    return true;
}

static bool put_in_layers(qr_bert *bert, enum fault_kind kind, unsigned *seed,
                          struct fault *fault) {
    const qr_model_info *info = &bert->info;
    const qr_bert_layer *layer = &bert->layers[fault->layer];
    const qr_bert_norm *norm;
    switch (kind) {
    case FAULT_LAYERS: {
        const size_t other = (fault->layer + 1) % info->layers;
        const qr_bert_linear *linear = draw_linear(bert, seed, fault);
        const size_t offset = (size_t)((const char *)linear - (const char *)layer);
        fault->layer = qr_min(fault->layer, other);
        swap_linears(fault, linear,
                     (const qr_bert_linear *)((const char *)&bert->layers[other] + offset));
        return info->layers > 1;
    }
    case FAULT_NORMS:
        fault->stage = QR__STAGE_ATTENTION_NORM;
        swap_norms(fault, &layer->attention_norm, &layer->output_norm, info->hidden);
        return true;
    default:
        break;
    }
    fault->stage = forward_random(seed, 2) == 0 ? QR__STAGE_ATTENTION_NORM : QR__STAGE_OUTPUT_NORM;
    norm = fault->stage == QR__STAGE_OUTPUT_NORM ? &layer->output_norm : &layer->attention_norm;
    scale(fault, norm->beta, info->hidden, 0);
    float *gamma = keep(fault, norm->gamma, info->hidden);
    for (size_t c = 0; c < info->hidden; c++)
        gamma[c] = 1;
    return true;
}

static bool put_in_embeddings(qr_bert *bert, enum fault_kind kind, struct fault *fault) {
    const qr_model_info *info = &bert->info;
    const size_t width = info->word_size;
    fault->stage = QR__STAGE_EMBEDDINGS;
    fault->layer = 0;
    switch (kind) {
    case FAULT_POSITIONS:
        shift_rows(fault, bert->position, info->positions, width);
        return true;
    case FAULT_WORDS:
        shift_rows(fault, bert->word, info->vocab, width);
        return true;
    default:
        break;
    }
    if (bert->type == NULL || info->types < 2)
        return false;
    float *types = keep(fault, bert->type, info->types * width);
    for (size_t t = 1; t < info->types; t++)
        memcpy(types + t * width, types, width * sizeof *types);
    return true;
}

static bool put_in_facts(qr_bert *bert, enum fault_kind kind, unsigned *seed, struct fault *fault) {
    static const float epsilons[] = {1e-12f, 1e-7f, 1e-6f, 1e-5f, 1e-3f, 1e-1f};
    qr_model_info *info = &bert->info;
    switch (kind) {
    case FAULT_EPSILON:
        fault->stage = QR__STAGE_EMBEDDINGS, fault->layer = 0;
        info->layer_norm_eps = epsilons[forward_random(seed, 6)];
        return info->layer_norm_eps != fault->info.layer_norm_eps;
    case FAULT_ACTIVATION:
        fault->stage = QR__STAGE_INTERMEDIATE, fault->layer = 0;
        info->activation = (info->activation + 1 + forward_random(seed, 2)) % 3;
        return true;
    case FAULT_POOLING:
        fault->in_layers = false;
        info->pooling[0] =
            (info->pooling[0] + 1 + forward_random(seed, QR_POOLINGS - 1)) % QR_POOLINGS;
        return info->head == QR_HEAD_NONE && info->poolings == 1;
    case FAULT_NORMALIZE:
        fault->in_layers = false;
        info->normalize = !info->normalize;
        return info->head == QR_HEAD_NONE;
    default:
        break;
    }
    fault->in_layers = false;
    bert->pooler_activation = (bert->pooler_activation + 1 + forward_random(seed, 2)) % 3;
    return info->head == QR_HEAD_LABELS;
}

static bool put_in_head(qr_bert *bert, enum fault_kind kind, struct fault *fault) {
    const qr_bert_linear *head = bert->info.head == QR_HEAD_SPAN ? &bert->span : &bert->classifier;
    fault->in_layers = false;
    if (bert->info.head == QR_HEAD_NONE || head->out < 2)
        return false;
    if (kind == FAULT_HEAD_BIAS) {
        scale(fault, head->bias, head->out, 0);
        return true;
    }
    swap(fault, head->weight, head->weight + head->in, head->in);
    swap(fault, head->bias, head->bias + 1, 1);
    return true;
}

static bool put(qr_bert *bert, enum fault_kind kind, unsigned *seed, struct fault *fault) {
    switch (kind) {
    case FAULT_QUERY_HEADS:
    case FAULT_VALUE_HEADS:
    case FAULT_HEAD_COUNT:
        return put_in_heads(bert, kind, fault);
    case FAULT_LAYERS:
    case FAULT_NORMS:
    case FAULT_NORM_PLAIN:
        return put_in_layers(bert, kind, seed, fault);
    case FAULT_POSITIONS:
    case FAULT_TYPES:
    case FAULT_WORDS:
        return put_in_embeddings(bert, kind, fault);
    case FAULT_EPSILON:
    case FAULT_ACTIVATION:
    case FAULT_POOLING:
    case FAULT_NORMALIZE:
    case FAULT_POOLER_ACTIVATION:
        return put_in_facts(bert, kind, seed, fault);
    case FAULT_HEAD_ROWS:
    case FAULT_HEAD_BIAS:
        return put_in_head(bert, kind, fault);
    default:
        return put_in_products(bert, kind, seed, fault);
    }
}

bool fault_put(qr_bert *bert, enum fault_kind kind, unsigned *seed, struct fault *out) {
    *out = (struct fault){.in_layers = true,
                          .layer = forward_random(seed, (unsigned)bert->info.layers),
                          .info = bert->info,
                          .pooler_activation = bert->pooler_activation};
    if (put(bert, kind, seed, out))
        return true;
    fault_take(bert, out);
    return false;
}

void fault_take(qr_bert *bert, struct fault *fault) {
    while (fault->len > 0) {
        fault->len--;
        memcpy(fault->pieces[fault->len].at, fault->pieces[fault->len].kept,
               fault->pieces[fault->len].count * sizeof(float));
        free(fault->pieces[fault->len].kept);
    }
    bert->info = fault->info;
    bert->pooler_activation = fault->pooler_activation;
}
