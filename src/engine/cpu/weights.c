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

/* A block of a linear: rows [row, row + rows) and columns [column, column + columns), times
 * `scale`. */
typedef struct block {
    const qr_bert_linear *linear;
    size_t row, rows, column, columns;
    float scale;
    bool bias;
} block;

static void copy_block(const block *from, float *weights, float *bias) {
    for (size_t r = 0; r < from->rows; r++) {
        const float *row = from->linear->weight + (from->row + r) * from->linear->in + from->column;
        for (size_t c = 0; c < from->columns; c++)
            weights[r * from->columns + c] = row[c] * from->scale;
        bias[r] = from->bias ? from->linear->bias[from->row + r] * from->scale : 0;
    }
}

/* Blocks of equal width, one below the other, as one matrix. */
static qr_status pack_blocks(const packer *k, const block *blocks, size_t count,
                             qr_precision precision, qr_matrix **out) {
    size_t columns = blocks[0].columns, rows = 0;
    for (size_t b = 0; b < count; b++)
        rows += blocks[b].rows;
    float *weights = malloc(rows * columns * sizeof *weights);
    float *bias = malloc(rows * sizeof *bias);
    qr_status status = QR_OK;
    if (weights == NULL || bias == NULL) {
        status = qr_error_set(k->error, QR_NO_MEMORY, "no memory to pack a matrix of %zu x %zu",
                              rows, columns);
    } else {
        for (size_t b = 0, row = 0; b < count; row += blocks[b].rows, b++)
            copy_block(&blocks[b], weights + row * columns, bias + row);
        qr_matrix_source source = {
            .weights = weights, .bias = bias, .in = columns, .out = rows, .memory = k->memory};
        status = qr_matrix_pack(&source, precision, qr_isa_name(k->plan->isa), out, k->error);
    }
    free(weights);
    free(bias);
    return status;
}

static qr_status pack_one(const packer *k, const qr_bert_linear *linear, qr_precision precision,
                          qr_matrix **out) {
    block whole = {linear, 0, linear->out, 0, linear->in, 1, true};
    return pack_blocks(k, &whole, 1, precision, out);
}

/* Queries, keys and values of `heads` heads from `first` on. */
static qr_status pack_qkv(const packer *k, const struct qr_bert_layer *from, size_t first,
                          bool split, qr_precision precision, qr_weights_half *to) {
    size_t C = k->bert->info.hidden, D = C / k->bert->info.heads, row = first * D,
           rows = to->heads * D;
    float scale = (float)(M_LOG2E / sqrt((double)D)); /* attention takes powers of 2 */
    block qkv[] = {{&from->query, row, rows, 0, C, scale, true},
                   {&from->key, row, rows, 0, C, 1, true},
                   {&from->value, row, rows, 0, C, 1, true}};
    if (!split)
        return pack_blocks(k, qkv, 3, precision, &to->qkv);
    qr_status status = pack_blocks(k, qkv, 1, precision, &to->q);
    return status == QR_OK ? pack_blocks(k, qkv + 1, 2, precision, &to->kv) : status;
}

/* The inner features of the first half: as near to a half as whole panels of any kernel allow. */
static size_t first_features(size_t F) {
    return F > 128 ? (F / 2 + 32) / 64 * 64 : (F + 1) / 2;
}

static qr_status pack_half(const packer *k, size_t l, size_t h, size_t halves,
                           qr_weights_half *to) {
    const qr_model_info *info = &k->bert->info;
    const struct qr_bert_layer *from = &k->bert->layers[l];
    size_t C = info->hidden, D = C / info->heads, F = info->feed_forward;
    size_t heads[] = {halves == 1 ? info->heads : (info->heads + 1) / 2, info->heads / 2};
    size_t features[] = {halves == 1 ? F : first_features(F), F - first_features(F)};
    size_t head = h * heads[0], feature = h * features[0];
    unsigned fallback = k->plan->fallback == NULL ? 0 : k->plan->fallback[l];
    qr_precision p[4];
    for (int i = 0; i < 4; i++)
        p[i] = (fallback >> i & 1) != 0 ? QR_PRECISION_BF16 : k->plan->precision;
    to->heads = heads[h];
    to->features = features[h];
    bool split = l + 1 == info->layers && qr_weights_first_token_only(info);
    block output = {&from->attention_output, 0, C, head * D, heads[h] * D, 1, h == 0};
    block up = {&from->intermediate, feature, features[h], 0, C, 1, true};
    block down = {&from->output, 0, C, feature, features[h], 1, h == 0};
    qr_status status = pack_qkv(k, from, head, split, p[0], to);
    if (status == QR_OK)
        status = pack_blocks(k, &output, 1, p[1], &to->output);
    if (status == QR_OK)
        status = pack_blocks(k, &up, 1, p[2], &to->up);
    if (status == QR_OK)
        status = pack_blocks(k, &down, 1, p[3], &to->down);
    return status;
}

static qr_status pack_layer(const packer *k, size_t l, size_t halves, qr_weights_layer *to) {
    qr_status status = QR_OK;
    to->attention_norm = k->bert->layers[l].attention_norm;
    to->output_norm = k->bert->layers[l].output_norm;
    for (size_t h = 0; h < halves && status == QR_OK; h++)
        status = pack_half(k, l, h, halves, &to->half[h]);
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
    w->halves = bert->info.heads > 1 && bert->info.feed_forward > 1 ? QR_HALVES : 1;
    w->words = plan->words;
    w->fallbacks = count_bits(plan->fallback, bert->info.layers);
    qr_kernels_choose(plan->isa, plan->precision, &w->kernels);
    return w;
}

qr_status qr_weights_pack(const qr_bert *bert, const qr_weights_plan *plan, qr_weights **out,
                          qr_error *error) {
    qr_weights *w = create(bert, plan, error);
    if (w == NULL)
        return QR_NO_MEMORY;
    qr_status status = qr_memory_huge_create(&w->memory, error);
    packer k = {.plan = plan, .bert = bert, .memory = w->memory, .error = error};
    for (size_t l = 0; l < bert->info.layers && status == QR_OK; l++)
        status = pack_layer(&k, l, w->halves, &w->layers[l]);
    if (status == QR_OK)
        status = pack_head(&k, w);
    if (status != QR_OK) {
        qr_weights_destroy(w);
        return status;
    }
    *out = w;
    return QR_OK;
}

static void mix_half(qr_weights_half *to, const qr_weights_half *other, unsigned fallback) {
    if ((fallback & QR_MATRIX_QKV) != 0) {
        to->qkv = other->qkv;
        to->q = other->q;
        to->kv = other->kv;
    }
    if ((fallback & QR_MATRIX_OUTPUT) != 0)
        to->output = other->output;
    if ((fallback & QR_MATRIX_UP) != 0)
        to->up = other->up;
    if ((fallback & QR_MATRIX_DOWN) != 0)
        to->down = other->down;
}

qr_status qr_weights_mix(const qr_weights *int8, const qr_weights *bf16, const uint8_t *fallback,
                         qr_weights **out, qr_error *error) {
    qr_weights_plan plan = {.precision = QR_PRECISION_INT8,
                            .isa = int8->isa,
                            .fallback = fallback,
                            .words = int8->words};
    qr_weights *w = create(int8->bert, &plan, error);
    if (w == NULL)
        return QR_NO_MEMORY;
    for (size_t l = 0; l < int8->bert->info.layers; l++) {
        w->layers[l] = int8->layers[l];
        for (size_t h = 0; h < w->halves; h++)
            mix_half(&w->layers[l].half[h], &bf16->layers[l].half[h], fallback[l]);
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
        qr_bert_linear *all[] = {&layer->query,        &layer->key,
                                 &layer->value,        &layer->attention_output,
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
    for (size_t i = 0; i < w->bert->info.layers * QR_HALVES; i++) {
        const qr_weights_half *half = &w->layers[i / QR_HALVES].half[i % QR_HALVES];
        sum += visit(half->qkv) + visit(half->q) + visit(half->kv) + visit(half->output) +
               visit(half->up) + visit(half->down);
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
