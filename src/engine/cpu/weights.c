/* engine/cpu/weights.c: packing a model for a plan. */
#include "engine/cpu/weights.h"

#include <math.h>
#include <stdlib.h>

bool qr_weights_first_token_only(const qr_model_info *info) {
    return info->head == QR_HEAD_LABELS ||
           (info->head == QR_HEAD_NONE && info->pooling == QR_POOLING_CLS);
}

/* Where a plan's matrices go. */
typedef struct packer {
    const qr_weights_plan *plan;
    const qr_bert *bert;
    qr_memory_huge *memory;
    qr_error *error;
} packer;

/* `parts` linears over the same input, one below the other, as one matrix; the first scaled by `scale`. */
static qr_status pack_stacked(const packer *k, const qr_bert_linear *const *parts, size_t count, float scale,
                              qr_precision precision, qr_matrix **out) {
    size_t in = parts[0]->in, rows = 0;
    for (size_t p = 0; p < count; p++)
        rows += parts[p]->out;
    float *weights = malloc(rows * in * sizeof *weights);
    float *bias = calloc(rows, sizeof *bias);
    qr_status status = QR_OK;
    if (weights == NULL || bias == NULL) {
        status = qr_error_set(k->error, QR_NO_MEMORY, "no memory to pack a matrix of %zu x %zu", rows, in);
    } else {
        size_t row = 0;
        for (size_t p = 0; p < count; row += parts[p]->out, p++) {
            float factor = p == 0 ? scale : 1;
            for (size_t i = 0; i < parts[p]->out * in; i++)
                weights[row * in + i] = parts[p]->weight[i] * factor;
            for (size_t i = 0; i < parts[p]->out; i++)
                bias[row + i] = parts[p]->bias[i] * factor;
        }
        qr_matrix_source source = {.weights = weights, .bias = bias, .in = in, .out = rows, .memory = k->memory};
        status = qr_matrix_pack(&source, precision, qr_isa_name(k->plan->isa), out, k->error);
    }
    free(weights);
    free(bias);
    return status;
}

static qr_status pack_one(const packer *k, const qr_bert_linear *linear, qr_precision precision, qr_matrix **out) {
    qr_matrix_source source = {.weights = linear->weight,
                               .bias = linear->bias,
                               .in = linear->in,
                               .out = linear->out,
                               .memory = k->memory};
    return qr_matrix_pack(&source, precision, qr_isa_name(k->plan->isa), out, k->error);
}

static qr_status pack_layer(const packer *k, size_t l, qr_weights_layer *to) {
    const qr_model_info *info = &k->bert->info;
    const struct qr_bert_layer *from = &k->bert->layers[l];
    const qr_bert_linear *qkv[] = {&from->query, &from->key, &from->value};
    float scale = (float)(M_LOG2E / sqrt((double)(info->hidden / info->heads)));
    unsigned fallback = k->plan->fallback == NULL ? 0 : k->plan->fallback[l];
    qr_precision p[4];
    for (int i = 0; i < 4; i++)
        p[i] = (fallback >> i & 1) != 0 ? QR_PRECISION_BF16 : k->plan->precision;
    to->attention_norm = from->attention_norm;
    to->output_norm = from->output_norm;
    qr_status status;
    if (l + 1 == info->layers && qr_weights_first_token_only(info)) {
        status = pack_stacked(k, qkv, 1, scale, p[0], &to->q);
        if (status == QR_OK)
            status = pack_stacked(k, qkv + 1, 2, 1, p[0], &to->kv);
    } else {
        status = pack_stacked(k, qkv, 3, scale, p[0], &to->qkv);
    }
    if (status == QR_OK)
        status = pack_one(k, &from->attention_output, p[1], &to->output);
    if (status == QR_OK)
        status = pack_one(k, &from->intermediate, p[2], &to->up);
    if (status == QR_OK)
        status = pack_one(k, &from->output, p[3], &to->down);
    return status;
}

static qr_status pack_head(const packer *k, qr_weights *w) {
    qr_status status = QR_OK;
    if (k->bert->info.head == QR_HEAD_SPAN)
        status = pack_one(k, &k->bert->span, QR_PRECISION_F32, &w->span);
    if (k->bert->info.head == QR_HEAD_LABELS) {
        status = pack_one(k, &k->bert->pooler, QR_PRECISION_F32, &w->pooler);
        if (status == QR_OK)
            status = pack_one(k, &k->bert->classifier, QR_PRECISION_F32, &w->classifier);
    }
    return status;
}

static const qr_epilogue epilogues[] = {
    [QR_GELU] = QR_EPILOGUE_BIAS_GELU,
    [QR_GELU_NEW] = QR_EPILOGUE_BIAS_GELU_NEW,
    [QR_RELU] = QR_EPILOGUE_BIAS_RELU,
};

static size_t count_bits(const uint8_t *fallback, size_t layers) {
    size_t count = 0;
    for (size_t l = 0; fallback != NULL && l < layers; l++)
        count += (size_t)__builtin_popcount(fallback[l]);
    return count;
}

/* All but the matrices. */
static qr_weights *create(const qr_bert *bert, const qr_weights_plan *plan, qr_error *error) {
    qr_weights *w = calloc(1, sizeof *w);
    if (w != NULL)
        w->layers = calloc(bert->info.layers, sizeof *w->layers);
    if (w == NULL || w->layers == NULL) {
        free(w);
        qr_error_set(error, QR_NO_MEMORY, "no memory for a plan of %zu layers", bert->info.layers);
        return NULL;
    }
    w->bert = bert;
    w->precision = plan->precision;
    w->isa = plan->isa;
    w->activation = epilogues[bert->info.activation];
    w->words = plan->words;
    w->fallbacks = count_bits(plan->fallback, bert->info.layers);
    qr_kernels_choose(plan->isa, plan->precision, &w->kernels);
    return w;
}

qr_status qr_weights_pack(const qr_bert *bert, const qr_weights_plan *plan, qr_weights **out, qr_error *error) {
    qr_weights *w = create(bert, plan, error);
    if (w == NULL)
        return QR_NO_MEMORY;
    qr_status status = qr_memory_huge_create(&w->memory, error);
    packer k = {.plan = plan, .bert = bert, .memory = w->memory, .error = error};
    for (size_t l = 0; l < bert->info.layers && status == QR_OK; l++)
        status = pack_layer(&k, l, &w->layers[l]);
    if (status == QR_OK)
        status = pack_head(&k, w);
    if (status != QR_OK) {
        qr_weights_destroy(w);
        return status;
    }
    *out = w;
    return QR_OK;
}

qr_status qr_weights_mix(const qr_weights *int8, const qr_weights *bf16, const uint8_t *fallback, qr_weights **out,
                         qr_error *error) {
    qr_weights_plan plan = {
        .precision = QR_PRECISION_INT8, .isa = int8->isa, .fallback = fallback, .words = int8->words};
    qr_weights *w = create(int8->bert, &plan, error);
    if (w == NULL)
        return QR_NO_MEMORY;
    for (size_t l = 0; l < int8->bert->info.layers; l++) {
        qr_weights_layer *to = &w->layers[l];
        const qr_weights_layer *other = &bf16->layers[l];
        *to = int8->layers[l];
        if ((fallback[l] & QR_MATRIX_QKV) != 0) {
            to->qkv = other->qkv;
            to->q = other->q;
            to->kv = other->kv;
        }
        if ((fallback[l] & QR_MATRIX_OUTPUT) != 0)
            to->output = other->output;
        if ((fallback[l] & QR_MATRIX_UP) != 0)
            to->up = other->up;
        if ((fallback[l] & QR_MATRIX_DOWN) != 0)
            to->down = other->down;
    }
    w->span = int8->span;
    w->pooler = int8->pooler;
    w->classifier = int8->classifier;
    *out = w;
    return QR_OK;
}

void qr_weights_release_originals(qr_bert *bert) {
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
    for (size_t l = 0; l < w->bert->info.layers; l++) {
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
    if (weights->memory != NULL)
        sum_matrices(weights, destroy_one);
    qr_memory_huge_destroy(weights->memory);
    free(weights->layers);
    free(weights);
}

size_t qr_weights_bytes(const qr_weights *weights) {
    const qr_model_info *info = &weights->bert->info;
    return sum_matrices(weights, bytes_of) + weights->words->bytes +
           (info->positions + info->types) * info->hidden * sizeof(float);
}
