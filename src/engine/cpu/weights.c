/* engine/cpu/weights.c: packing a model for a plan. */
#include "engine/cpu/weights.h"

#include <math.h>
#include <stdlib.h>

#include "engine/cpu/smooth.h"

/* Where a layer's matrices are and which bit of a plan's fallback is theirs. */
static const struct {
    size_t offset;
    unsigned bit;
} layer_matrices[] = {
    {offsetof(qr__layer, qkv), QR_MATRIX_QKV}, {offsetof(qr__layer, q), QR_MATRIX_QKV},
    {offsetof(qr__layer, kv), QR_MATRIX_QKV},  {offsetof(qr__layer, output), QR_MATRIX_OUTPUT},
    {offsetof(qr__layer, up), QR_MATRIX_UP},   {offsetof(qr__layer, down), QR_MATRIX_DOWN},
};
#define LAYER_MATRICES (sizeof layer_matrices / sizeof layer_matrices[0])

/* The slot of layer matrix i, shard s: pack, mix, count and destroy all walk the one table
 * above. */
static qr__matrix **layer_matrix(const qr__layer *layer, size_t i, size_t shard) {
    return (qr__matrix **)(void *)((char *)(uintptr_t)layer + layer_matrices[i].offset) + shard;
}

/* What a plan's matrices are made of and where they go. */
typedef struct packer {
    const qr_plan *plan;
    const qr_bert *bert;
    qr__isa isa;
    qr__memory_huge *memory;
    float *smooth; /* [QR_RANGES_A_LAYER][C] of the layer in work; NULL: nothing is smoothed */
    const qr_source *saved; /* packed before; NULL: the bert's matrices are packed now */
    qr_error *error;
} packer;

/* Rows [row, row + rows) of a linear, columns from `column` on. */
static qr__matrix_rows rows_of(const qr_bert_linear *linear, size_t row, size_t rows, size_t column,
                               bool bias) {
    const float *weights = linear->weight; /* NULL when what was packed before is loaded */
    return (qr__matrix_rows){.weights =
                                 weights == NULL ? NULL : weights + row * linear->in + column,
                             .stride = linear->in,
                             .rows = rows,
                             .bias = bias && linear->bias != NULL ? linear->bias + row : NULL,
                             .scale = 1};
}

static qr_status pack_source(const packer *k, qr__matrix_source source, qr_precision precision,
                             qr__matrix **out) {
    source.memory = k->memory;
    source.saved = k->saved;
    return qr__matrix_pack(&source, precision, k->isa, out, k->error);
}

static qr_status pack_rows(const packer *k, const qr__matrix_rows *blocks, size_t count, size_t in,
                           qr_precision precision, qr__matrix **out) {
    return pack_source(k, (qr__matrix_source){.blocks = blocks, .blocks_len = count, .in = in},
                       precision, out);
}

/* The same for a matrix that reads a layer norm's output, at `place` (QR_RANGE_...). */
static qr_status pack_smoothed(const packer *k, const qr__matrix_rows *blocks, size_t count,
                               size_t place, qr_precision precision, qr__matrix **out) {
    const size_t C = k->bert->info.hidden;
    const float *smooth = k->smooth == NULL ? NULL : k->smooth + place * C;
    return pack_source(
        k, (qr__matrix_source){.blocks = blocks, .blocks_len = count, .in = C, .smooth = smooth},
        precision, out);
}

static qr_status pack_whole(const packer *k, const qr_bert_linear *linear, qr__matrix **out) {
    qr__matrix_rows all = rows_of(linear, 0, linear->out, 0, true);
    return pack_rows(k, &all, 1, linear->in, QR_PRECISION_F32, out);
}

bool qr__reads_first_tokens(const qr_model_info *info, qr_output wanted) {
    return wanted == QR_OUTPUT_LABELS || (wanted == QR_OUTPUT_POOLED && info->poolings == 1 &&
                                          info->pooling[0] == QR_POOLING_CLS);
}

/* Of the model's own output: others are computed in full. */
static bool reads_first_tokens(const qr_model_info *info) {
    return (info->head == QR_HEAD_LABELS && qr__reads_first_tokens(info, QR_OUTPUT_LABELS)) ||
           (info->head == QR_HEAD_NONE && qr__reads_first_tokens(info, QR_OUTPUT_POOLED));
}

/* Queries, keys and values of a shard's heads; queries apart in a last layer whose queries are
 * first tokens' only. */
static qr_status pack_qkv(const packer *k, size_t l, const qr__shard *shard, size_t s,
                          qr_precision precision, qr__layer *to) {
    const qr_bert_layer *from = &k->bert->layers[l];
    const qr_model_info *info = &k->bert->info;
    size_t C = info->hidden, D = C / info->heads, row = shard->head * D, rows = shard->heads * D;
    qr__matrix_rows qkv[] = {rows_of(&from->query, row, rows, 0, true),
                             rows_of(&from->key, row, rows, 0, true),
                             rows_of(&from->value, row, rows, 0, true)};
    qkv[0].scale = (float)(M_LOG2E / sqrt((double)D)); /* attention takes powers of 2 */
    if (l + 1 < info->layers || !reads_first_tokens(info))
        return pack_smoothed(k, qkv, 3, QR_RANGE_QKV, precision, &to->qkv[s]);
    qr_status status = pack_smoothed(k, qkv, 1, QR_RANGE_QKV, precision, &to->q[s]);
    if (status == QR_OK)
        status = pack_smoothed(k, qkv + 1, 2, QR_RANGE_QKV, precision, &to->kv[s]);
    return status;
}

/* A fallback bit keeps all shards of that matrix of that layer in bf16. */
static qr_precision precision_of(const packer *k, size_t l, unsigned matrix) {
    bool falls_back = k->plan->fallback != NULL && (k->plan->fallback[l] & matrix) != 0;
    return falls_back ? QR_PRECISION_BF16 : k->plan->precision;
}

/* In the order in which a pass reads them, so that the weights of a whole pass stream as one
 * region. The bias of a row-parallel matrix belongs to the first shard alone: partial sums are
 * added up, and it must count once. */
static qr_status pack_shard(const packer *k, size_t l, const qr__shard *shard, size_t s,
                            qr__layer *to) {
    const qr_bert_layer *from = &k->bert->layers[l];
    size_t C = k->bert->info.hidden, D = C / k->bert->info.heads;
    qr__matrix_rows output = rows_of(&from->attention_output, 0, C, shard->head * D, s == 0);
    qr__matrix_rows up = rows_of(&from->intermediate, shard->feature, shard->features, 0, true);
    qr__matrix_rows down = rows_of(&from->output, 0, C, shard->feature, s == 0);
    qr_status status = pack_qkv(k, l, shard, s, precision_of(k, l, QR_MATRIX_QKV), to);
    if (status == QR_OK)
        status = pack_rows(k, &output, 1, shard->heads * D, precision_of(k, l, QR_MATRIX_OUTPUT),
                           &to->output[s]);
    if (status == QR_OK)
        status =
            pack_smoothed(k, &up, 1, QR_RANGE_UP, precision_of(k, l, QR_MATRIX_UP), &to->up[s]);
    if (status == QR_OK)
        status = pack_rows(k, &down, 1, shard->features, precision_of(k, l, QR_MATRIX_DOWN),
                           &to->down[s]);
    return status;
}

/* Both shards of a matrix read the same rows of x, so their factors are those of the whole. */
static void smooth_layer(const packer *k, size_t l) {
    const qr_bert_layer *layer = &k->bert->layers[l];
    const size_t C = k->bert->info.hidden;
    const qr__matrix_rows qkv[] = {rows_of(&layer->query, 0, C, 0, false),
                                   rows_of(&layer->key, 0, C, 0, false),
                                   rows_of(&layer->value, 0, C, 0, false)};
    const qr__matrix_rows up = rows_of(&layer->intermediate, 0, layer->intermediate.out, 0, false);
    const float *ranges = k->plan->ranges + l * QR_RANGES_A_LAYER * C;
    qr__smooth(ranges + QR_RANGE_QKV * C, qkv, 3, C, k->smooth + QR_RANGE_QKV * C);
    qr__smooth(ranges + QR_RANGE_UP * C, &up, 1, C, k->smooth + QR_RANGE_UP * C);
}

static qr_status pack_layers(const packer *k, qr__weights *w) {
    qr_status status = QR_OK;
    for (size_t l = 0; l < k->bert->info.layers; l++) {
        if (k->smooth != NULL)
            smooth_layer(k, l);
        w->layers[l].attention_norm = k->bert->layers[l].attention_norm;
        w->layers[l].output_norm = k->bert->layers[l].output_norm;
        for (size_t s = 0; s < w->shards && status == QR_OK; s++)
            status = pack_shard(k, l, &w->shard[s], s, &w->layers[l]);
    }
    return status;
}

/* What w->whole[i] is made of; its sizes are 0 where the model has none. */
static const qr_bert_linear *whole_of(const qr_bert *bert, size_t i) {
    switch (i) {
    case QR__PROJECTION:
        return &bert->projection;
    case QR__SPAN:
        return &bert->span;
    case QR__POOLER:
        return &bert->pooler;
    case QR__CLASSIFIER:
        return &bert->classifier;
    default:
        return i < QR__RESIDUAL ? &bert->dense[i - QR__DENSE].linear
                                : &bert->dense[i - QR__RESIDUAL].residual;
    }
}

static qr_status pack_wholes(const packer *k, qr__weights *w) {
    qr_status status = QR_OK;
    for (size_t i = 0; i < QR__WHOLE_LEN && status == QR_OK; i++)
        if (whole_of(k->bert, i)->in > 0)
            status = pack_whole(k, whole_of(k->bert, i), &w->whole[i]);
    return status;
}

/* The inner features of the first shard: as near to half as whole panels of any kernel allow. */
static size_t first_features(size_t F) {
    return F > 128 ? (F / 2 + 32) / 64 * 64 : (F + 1) / 2;
}

/* Heads are whole; with an odd number of them the first shard has one more. */
static void cut_shards(const qr_model_info *info, qr__weights *w) {
    size_t H = info->heads, F = info->feed_forward;
    w->shards = H > 1 && F > 1 ? QR__SHARDS : 1;
    size_t heads = w->shards == 1 ? H : (H + 1) / 2;
    size_t features = w->shards == 1 ? F : first_features(F);
    w->shard[0] = (qr__shard){.heads = heads, .features = features};
    w->shard[1] = (qr__shard){
        .head = heads, .heads = H - heads, .feature = features, .features = F - features};
}

/* All but the matrices and the word embeddings. */
static qr__weights *create(const qr__cpu *cpu, const qr_bert *bert, qr_precision precision,
                           qr_error *error) {
    static const qr__epilogue epilogues[] = {
        [QR_GELU] = QR_EPILOGUE_BIAS_GELU,
        [QR_GELU_NEW] = QR_EPILOGUE_BIAS_GELU_NEW,
        [QR_RELU] = QR_EPILOGUE_BIAS_RELU,
    };
    qr__weights *w = calloc(1, sizeof *w);
    if (w != NULL)
        w->layers = calloc(bert->info.layers, sizeof *w->layers);
    if (w == NULL || w->layers == NULL) {
        free(w);
        qr_error_set(error, QR_NO_MEMORY, "no memory for a plan of %zu layers", bert->info.layers);
        return NULL;
    }
    w->base.device = &cpu->base;
    w->base.bert = bert;
    w->precision = precision;
    w->activation = epilogues[bert->info.activation];
    cut_shards(&bert->info, w);
    qr__kernels_choose(cpu->isa, precision, &w->kernels);
    return w;
}

static bool may_round(const qr__weights *w) {
    return w->precision != QR_PRECISION_F32;
}

/* Plans that may round share one table; f32 has its own. */
static qr_status take_words(const qr__cpu *cpu, const qr_bert *bert, const qr__weights *like,
                            qr__weights *w, qr_error *error) {
    if (like != NULL && may_round(w) == may_round(like)) {
        w->words = qr__word_embeddings_share(like->words);
        return QR_OK;
    }
    return qr__word_embeddings_pack(bert, cpu->isa, may_round(w), &w->words, error);
}

static size_t count_bytes(const qr__weights *w) {
    const qr_model_info *info = &w->base.bert->info;
    size_t bytes =
        w->words->bytes + (info->positions + info->types) * info->word_size * sizeof(float);
    for (size_t i = 0; i < QR__WHOLE_LEN; i++)
        bytes += qr__matrix_bytes(w->whole[i]);
    for (size_t l = 0; l < info->layers; l++)
        for (size_t i = 0; i < LAYER_MATRICES; i++)
            for (size_t s = 0; s < w->shards; s++)
                bytes += qr__matrix_bytes(*layer_matrix(&w->layers[l], i, s));
    return bytes;
}

/* Packs, or loads what was packed: the same steps in the same order, so that what is read back is
 * what was written. */
static qr_status make(const qr__cpu *cpu, const qr_bert *bert, const qr_plan *plan,
                      const qr__weights *like, const qr_source *saved, qr__weights **out,
                      qr_error *error) {
    qr__weights *w = create(cpu, bert, plan->precision, error);
    if (w == NULL)
        return QR_NO_MEMORY;
    qr_status status = saved == NULL
                           ? take_words(cpu, bert, like, w, error)
                           : qr__word_embeddings_load(bert, may_round(w), saved, &w->words, error);
    if (status == QR_OK)
        status = qr__memory_huge_create(&w->memory, error);
    packer k = {.plan = plan,
                .bert = bert,
                .isa = cpu->isa,
                .memory = w->memory,
                .saved = saved,
                .error = error};
    if (status == QR_OK && plan->ranges != NULL && plan->precision == QR_PRECISION_INT8) {
        k.smooth = malloc(QR_RANGES_A_LAYER * bert->info.hidden * sizeof *k.smooth);
        if (k.smooth == NULL)
            status = qr_error_set(error, QR_NO_MEMORY, "no memory to smooth a layer");
    }
    if (status == QR_OK)
        status = pack_layers(&k, w);
    free(k.smooth);
    if (status == QR_OK)
        status = pack_wholes(&k, w);
    if (status != QR_OK) {
        qr__weights_destroy(w);
        return status;
    }
    w->base.bytes = count_bytes(w);
    *out = w;
    return QR_OK;
}

qr_status qr__weights_pack(const qr__cpu *cpu, const qr_bert *bert, const qr_plan *plan,
                           const qr__weights *like, qr__weights **out, qr_error *error) {
    return make(cpu, bert, plan, like, NULL, out, error);
}

qr_status qr__weights_load(const qr__cpu *cpu, const qr_bert *bert, const qr_plan *plan,
                           const qr_source *source, qr__weights **out, qr_error *error) {
    return make(cpu, bert, plan, NULL, source, out, error);
}

/* In the order in which make() packs: matrices that are not there are none there either. */
qr_status qr__weights_save(const qr__weights *w, const qr_sink *sink) {
    qr_status status = qr__word_embeddings_save(w->words, &w->base.bert->info, sink);
    for (size_t l = 0; l < w->base.bert->info.layers; l++)
        for (size_t s = 0; s < w->shards; s++)
            for (size_t i = 0; i < LAYER_MATRICES && status == QR_OK; i++)
                status = qr__matrix_save(*layer_matrix(&w->layers[l], i, s), sink);
    for (size_t i = 0; i < QR__WHOLE_LEN && status == QR_OK; i++)
        status = qr__matrix_save(w->whole[i], sink);
    return status;
}

qr_status qr__weights_mix(const qr__weights *int8, const qr__weights *bf16, const uint8_t *fallback,
                          qr__weights **out, qr_error *error) {
    const qr_bert *bert = int8->base.bert;
    qr__weights *w = create((const qr__cpu *)int8->base.device, bert, QR_PRECISION_INT8, error);
    if (w == NULL)
        return QR_NO_MEMORY;
    w->words = qr__word_embeddings_share(int8->words);
    for (size_t l = 0; l < bert->info.layers; l++) {
        w->layers[l] = int8->layers[l];
        for (size_t i = 0; i < LAYER_MATRICES; i++)
            for (size_t s = 0; s < w->shards; s++)
                if ((fallback[l] & layer_matrices[i].bit) != 0)
                    *layer_matrix(&w->layers[l], i, s) = *layer_matrix(&bf16->layers[l], i, s);
    }
    memcpy(w->whole, int8->whole, sizeof w->whole);
    w->base.bytes = count_bytes(w);
    *out = w;
    return QR_OK;
}

/* What stays: norms, positions, segments, and the word embeddings where the plan reads them as
 * they are. */
void qr__weights_release_originals(const qr__weights *weights, qr_bert *bert) {
    for (size_t l = 0; l < bert->info.layers; l++) {
        qr_bert_layer *layer = &bert->layers[l];
        qr_bert_linear *all[] = {&layer->query,        &layer->key,
                                 &layer->value,        &layer->attention_output,
                                 &layer->intermediate, &layer->output};
        for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
            qr_bert_release(bert, &all[i]->weight);
    }
    for (size_t i = 0; i < QR__WHOLE_LEN; i++) {
        qr_bert_linear *whole = (qr_bert_linear *)(uintptr_t)whole_of(bert, i);
        qr_bert_release(bert, &whole->weight);
    }
    if (weights->words->f16)
        qr_bert_release(bert, &bert->word);
}

/* Mixed weights borrow their matrices from two others, which outlive them. */
void qr__weights_destroy(qr__weights *weights) {
    if (weights == NULL)
        return;
    if (weights->memory != NULL) { /* else the matrices are others' */
        for (size_t l = 0; l < weights->base.bert->info.layers; l++)
            for (size_t i = 0; i < LAYER_MATRICES; i++)
                for (size_t s = 0; s < weights->shards; s++)
                    qr__matrix_destroy(*layer_matrix(&weights->layers[l], i, s));
        for (size_t i = 0; i < QR__WHOLE_LEN; i++)
            qr__matrix_destroy(weights->whole[i]);
    }
    qr__memory_huge_destroy(weights->memory);
    qr__word_embeddings_release(weights->words);
    free(weights->layers);
    free(weights);
}
