/* engine/cpu/weights.c: packing a model for a plan. */
#include "engine/cpu/weights.h"

#include "engine/cpu/kernels/f16.h"

#include <math.h>
#include <stdlib.h>

bool qr_weights_first_token_only(const qr_model_info *info) {
    return info->head == QR_HEAD_LABELS ||
           (info->head == QR_HEAD_NONE && info->pooling == QR_POOLING_CLS);
}

/* `parts` linears over the same input, one below the other, as one matrix; the first scaled by `scale`. */
static qr_status pack_stacked(const qr_bert_linear *const *parts, size_t count, float scale,
                              qr_precision precision, qr_isa isa, qr_matrix **out, qr_error *error) {
    size_t in = parts[0]->in, rows = 0;
    for (size_t p = 0; p < count; p++)
        rows += parts[p]->out;
    float *weights = malloc(rows * in * sizeof *weights);
    float *bias = calloc(rows, sizeof *bias);
    qr_status status = QR_OK;
    if (weights == NULL || bias == NULL) {
        status = qr_error_set(error, QR_NO_MEMORY, "no memory to pack a matrix of %zu x %zu", rows, in);
    } else {
        size_t row = 0;
        for (size_t p = 0; p < count; row += parts[p]->out, p++) {
            float factor = p == 0 ? scale : 1;
            for (size_t i = 0; i < parts[p]->out * in; i++)
                weights[row * in + i] = parts[p]->weight[i] * factor;
            for (size_t i = 0; i < parts[p]->out; i++)
                bias[row + i] = parts[p]->bias[i] * factor;
        }
        qr_matrix_source source = {.weights = weights, .bias = bias, .in = in, .out = rows};
        status = qr_matrix_pack(&source, precision, qr_isa_name(isa), out, error);
    }
    free(weights);
    free(bias);
    return status;
}

static qr_status pack_one(const qr_bert_linear *linear, qr_precision precision, qr_isa isa, qr_matrix **out,
                          qr_error *error) {
    qr_matrix_source source = {.weights = linear->weight, .bias = linear->bias, .in = linear->in, .out = linear->out};
    return qr_matrix_pack(&source, precision, qr_isa_name(isa), out, error);
}

static qr_status pack_layer(const qr_weights_plan *plan, const qr_model_info *info,
                            const struct qr_bert_layer *from, unsigned fallback, bool split,
                            qr_weights_layer *to, qr_error *error) {
    const qr_bert_linear *qkv[] = {&from->query, &from->key, &from->value};
    float scale = (float)(M_LOG2E / sqrt((double)(info->hidden / info->heads))); /* attention takes powers of 2 */
    qr_precision p[4];
    for (int i = 0; i < 4; i++)
        p[i] = (fallback >> i & 1) != 0 ? QR_PRECISION_BF16 : plan->precision;
    to->attention_norm = from->attention_norm;
    to->output_norm = from->output_norm;
    qr_status status;
    if (split) {
        status = pack_stacked(qkv, 1, scale, p[0], plan->isa, &to->q, error);
        if (status == QR_OK)
            status = pack_stacked(qkv + 1, 2, 1, p[0], plan->isa, &to->kv, error);
    } else {
        status = pack_stacked(qkv, 3, scale, p[0], plan->isa, &to->qkv, error);
    }
    if (status == QR_OK)
        status = pack_one(&from->attention_output, p[1], plan->isa, &to->output, error);
    if (status == QR_OK)
        status = pack_one(&from->intermediate, p[2], plan->isa, &to->up, error);
    if (status == QR_OK)
        status = pack_one(&from->output, p[3], plan->isa, &to->down, error);
    return status;
}

/* The word table in f16: where the plan allows the rounding, or where nothing is rounded (a model stored in f16). */
static qr_status pack_words(const qr_bert *bert, qr_weights *w, qr_error *error) {
    size_t count = bert->info.vocab * bert->info.hidden;
    w->word = bert->word;
    if (w->precision == QR_PRECISION_F32 && strcmp(bert->info.dtype, "f16") != 0)
        return QR_OK;
    uint16_t *half = malloc(count * sizeof *half);
    if (half == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "no memory for %zu word embeddings", bert->info.vocab);
    for (size_t i = 0; i < count; i++)
        half[i] = qr_f32_to_f16(bert->word[i]);
    w->word = half;
    w->word_half = true;
    return QR_OK;
}

static qr_status pack_head(const qr_bert *bert, qr_weights *w, qr_error *error) {
    qr_status status = QR_OK;
    if (bert->info.head == QR_HEAD_SPAN)
        status = pack_one(&bert->span, QR_PRECISION_F32, w->isa, &w->span, error);
    if (bert->info.head == QR_HEAD_LABELS) {
        status = pack_one(&bert->pooler, QR_PRECISION_F32, w->isa, &w->pooler, error);
        if (status == QR_OK)
            status = pack_one(&bert->classifier, QR_PRECISION_F32, w->isa, &w->classifier, error);
    }
    return status;
}

static const qr_epilogue epilogues[] = {
    [QR_GELU] = QR_EPILOGUE_BIAS_GELU,
    [QR_GELU_NEW] = QR_EPILOGUE_BIAS_GELU_NEW,
    [QR_RELU] = QR_EPILOGUE_BIAS_RELU,
};

qr_status qr_weights_pack(const qr_bert *bert, const qr_weights_plan *plan, qr_weights **out, qr_error *error) {
    size_t L = bert->info.layers;
    qr_weights *w = calloc(1, sizeof *w);
    if (w != NULL)
        w->layers = calloc(L, sizeof *w->layers);
    if (w == NULL || w->layers == NULL) {
        qr_weights_destroy(w);
        return qr_error_set(error, QR_NO_MEMORY, "no memory for a plan of %zu layers", L);
    }
    w->bert = bert;
    w->precision = plan->precision;
    w->isa = plan->isa;
    w->activation = epilogues[bert->info.activation];
    qr_kernels_choose(plan->isa, plan->precision, &w->kernels);
    qr_status status = pack_words(bert, w, error);
    for (size_t l = 0; l < L && status == QR_OK; l++) {
        unsigned fallback = plan->fallback == NULL ? 0 : plan->fallback[l];
        bool split = l + 1 == L && qr_weights_first_token_only(&bert->info);
        status = pack_layer(plan, &bert->info, &bert->layers[l], fallback, split, &w->layers[l], error);
        w->fallbacks += (size_t)__builtin_popcount(fallback);
    }
    if (status == QR_OK)
        status = pack_head(bert, w, error);
    if (status != QR_OK) {
        qr_weights_destroy(w);
        return status;
    }
    *out = w;
    return QR_OK;
}

void qr_weights_release_originals(qr_bert *bert, const qr_weights *weights) {
    if (weights->word_half)
        qr_bert_release(bert, &bert->word);
    for (size_t l = 0; l < bert->info.layers; l++) {
        struct qr_bert_layer *layer = &bert->layers[l];
        qr_bert_linear *all[] = {&layer->query, &layer->key, &layer->value, &layer->attention_output,
                                 &layer->intermediate, &layer->output};
        for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
            qr_bert_release(bert, &all[i]->weight);
    }
    if (bert->info.head == QR_HEAD_LABELS)
        qr_bert_release(bert, &bert->pooler.weight);
}

/* Calls `visit` for every matrix slot; slots may hold NULL. */
static size_t sum_matrices(const qr_weights *w, size_t (*visit)(qr_matrix *)) {
    size_t sum = visit(w->span) + visit(w->pooler) + visit(w->classifier);
    for (size_t l = 0; w->layers != NULL && l < w->bert->info.layers; l++) {
        const qr_weights_layer *layer = &w->layers[l];
        sum += visit(layer->qkv) + visit(layer->q) + visit(layer->kv) + visit(layer->output) +
               visit(layer->up) + visit(layer->down);
    }
    return sum;
}

static size_t bytes_of(qr_matrix *matrix) {
    return matrix == NULL ? 0 : qr_matrix_bytes(matrix);
}

static size_t destroy_one(qr_matrix *matrix) {
    qr_matrix_destroy(matrix);
    return 0;
}

void qr_weights_destroy(qr_weights *weights) {
    if (weights == NULL)
        return;
    if (weights->bert != NULL)
        sum_matrices(weights, destroy_one);
    if (weights->word_half)
        free((void *)(uintptr_t)weights->word);
    free(weights->layers);
    free(weights);
}

size_t qr_weights_bytes(const qr_weights *weights) {
    const qr_model_info *info = &weights->bert->info;
    size_t words = info->vocab * info->hidden * (weights->word_half ? sizeof(uint16_t) : sizeof(float));
    return sum_matrices(weights, bytes_of) + words +
           (info->positions + info->types) * info->hidden * sizeof(float);
}
