/* engine/model/bert_slots.c: the tensor names of the BERT family, in tables that docs/MODELS.md
 * shows. */
#include "engine/model/bert_slots.h"

#include <stdio.h>
#include <stdlib.h>

/* Sizes by their letters. */
typedef enum size_letter { SIZE_C, SIZE_F } size_letter;

static const struct {
    const char *names[2]; /* BERT's and ELECTRA's, DistilBERT's; after "...layer.N." */
    size_t offset;        /* of the qr_bert_linear in qr_bert_layer */
    size_letter out, in;
} layer_linears[] = {
    {{"attention.self.query", "attention.q_lin"}, offsetof(qr_bert_layer, query), SIZE_C, SIZE_C},
    {{"attention.self.key", "attention.k_lin"}, offsetof(qr_bert_layer, key), SIZE_C, SIZE_C},
    {{"attention.self.value", "attention.v_lin"}, offsetof(qr_bert_layer, value), SIZE_C, SIZE_C},
    {{"attention.output.dense", "attention.out_lin"},
     offsetof(qr_bert_layer, attention_output),
     SIZE_C,
     SIZE_C},
    {{"intermediate.dense", "ffn.lin1"}, offsetof(qr_bert_layer, intermediate), SIZE_F, SIZE_C},
    {{"output.dense", "ffn.lin2"}, offsetof(qr_bert_layer, output), SIZE_C, SIZE_F},
};

static const struct {
    const char *names[2];
    size_t offset; /* of the qr_bert_norm in qr_bert_layer */
} layer_norms[] = {
    {{"attention.output.LayerNorm", "sa_layer_norm"}, offsetof(qr_bert_layer, attention_norm)},
    {{"output.LayerNorm", "output_layer_norm"}, offsetof(qr_bert_layer, output_norm)},
};

static const char *const layer_prefixes[2] = {"encoder.layer", "transformer.layer"};

#define SLOTS_BEFORE_LAYERS 7 /* three embeddings, one norm, one projection */
#define SLOTS_A_LAYER       16
#define SLOTS_OF_HEADS      4
#define SLOTS_A_DENSE       3

typedef struct slot_table {
    qr__bert_slot *slots;
    size_t count;
} slot_table;

static void add(slot_table *table, const char *prefix, const char *name, const char *suffix,
                const char *old_suffix, size_t rows, size_t cols, const float **to) {
    qr__bert_slot *slot = &table->slots[table->count++];
    slot->rows = rows;
    slot->cols = cols;
    slot->to = to;
    snprintf(slot->name, sizeof slot->name, "%s%s%s", prefix, name, suffix);
    if (old_suffix != NULL)
        snprintf(slot->old_name, sizeof slot->old_name, "%s%s%s", prefix, name, old_suffix);
}

static void add_linear(slot_table *table, const char *prefix, const char *name, size_t out,
                       size_t in, qr_bert_linear *to) {
    to->out = out;
    to->in = in;
    add(table, prefix, name, ".weight", NULL, out, in, &to->weight);
    add(table, prefix, name, ".bias", NULL, 0, out, &to->bias);
}

static void add_norm(slot_table *table, const char *prefix, const char *name, size_t size,
                     qr_bert_norm *to) {
    add(table, prefix, name, ".weight", ".gamma", 0, size, &to->gamma);
    add(table, prefix, name, ".bias", ".beta", 0, size, &to->beta);
}

static void add_embeddings(slot_table *table, const char *prefix, qr_bert *bert) {
    const qr_model_info *info = &bert->info;
    const size_t E = info->word_size;
    add(table, prefix, "embeddings.word_embeddings", ".weight", NULL, info->vocab, E, &bert->word);
    add(table, prefix, "embeddings.position_embeddings", ".weight", NULL, info->positions, E,
        &bert->position);
    if (info->types > 0)
        add(table, prefix, "embeddings.token_type_embeddings", ".weight", NULL, info->types, E,
            &bert->type);
    add_norm(table, prefix, "embeddings.LayerNorm", E, &bert->embedding_norm);
    if (E != info->hidden)
        add_linear(table, prefix, "embeddings_project", info->hidden, E, &bert->projection);
}

static void add_layer(slot_table *table, const char *prefix, qr__family family, size_t number,
                      qr_bert *bert) {
    const size_t sizes[] = {[SIZE_C] = bert->info.hidden, [SIZE_F] = bert->info.feed_forward};
    char *layer = (char *)&bert->layers[number];
    char before[64];
    snprintf(before, sizeof before, "%s%s.%zu.", prefix,
             layer_prefixes[family == QR__FAMILY_DISTILBERT], number);
    for (size_t i = 0; i < sizeof layer_linears / sizeof layer_linears[0]; i++)
        add_linear(table, before, layer_linears[i].names[family == QR__FAMILY_DISTILBERT],
                   sizes[layer_linears[i].out], sizes[layer_linears[i].in],
                   (qr_bert_linear *)(void *)(layer + layer_linears[i].offset));
    for (size_t i = 0; i < sizeof layer_norms / sizeof layer_norms[0]; i++)
        add_norm(table, before, layer_norms[i].names[family == QR__FAMILY_DISTILBERT],
                 bert->info.hidden, (qr_bert_norm *)(void *)(layer + layer_norms[i].offset));
}

/* Heads stand outside the encoder's prefix, but BERT's pooler stands in it. */
static void add_head(slot_table *table, const qr__slot_names *from, qr_bert *bert) {
    static const struct {
        const char *pooler, *classifier;
        qr_pooler_activation activation;
    } names[QR__FAMILIES] = {{"pooler.dense", "classifier", QR_POOLER_TANH},
                             {"pre_classifier", "classifier", QR_POOLER_RELU},
                             {"classifier.dense", "classifier.out_proj", QR_POOLER_GELU}};
    const qr_model_info *info = &bert->info;
    const qr__family family = from->family;
    if (info->head == QR_HEAD_SPAN)
        add_linear(table, "", "qa_outputs", 2, info->hidden, &bert->span);
    if (info->head == QR_HEAD_TOKENS)
        add_linear(table, "", "classifier", info->labels, info->hidden, &bert->classifier);
    if (info->head != QR_HEAD_LABELS)
        return;
    bert->pooler_activation =
        from->graph != NULL ? from->graph->pooler_activation : names[family].activation;
    add_linear(table, family == QR__FAMILY_BERT ? from->prefix : "", names[family].pooler,
               info->hidden, info->hidden, &bert->pooler);
    add_linear(table, "", names[family].classifier, info->labels, info->hidden, &bert->classifier);
}

/* Dense modules have files of their own, unless the graph pools. */
static void add_denses(slot_table *table, const qr__slot_names *from, qr_bert *bert) {
    const bool in_graph = from->graph != NULL && from->graph->pools;
    for (size_t i = 0; i < bert->info.denses; i++) {
        const qr_dense *about = &bert->info.dense[i];
        qr_bert_dense *to = &bert->dense[i];
        size_t first = table->count;
        char before[32] = "";
        if (in_graph)
            snprintf(before, sizeof before, "dense.%zu.", i);
        to->linear.out = about->out;
        to->linear.in = about->in;
        add(table, before, "linear", ".weight", NULL, about->out, about->in, &to->linear.weight);
        if (about->bias)
            add(table, before, "linear", ".bias", NULL, 0, about->out, &to->linear.bias);
        if (about->residual == QR_RESIDUAL_MATRIX) {
            to->residual.out = about->out;
            to->residual.in = about->in;
            add(table, before, "residual", ".weight", NULL, about->out, about->in,
                &to->residual.weight);
        }
        for (size_t slot = first; slot < table->count; slot++)
            table->slots[slot].file = in_graph ? 0 : 1 + i;
    }
}

const char *qr__family_prefix(qr__family family) {
    static const char *const prefixes[QR__FAMILIES] = {"bert.", "distilbert.", "electra."};
    return prefixes[family];
}

qr_status qr__bert_slots(qr_bert *bert, const qr__slot_names *names, const char *path,
                         qr__bert_slot **slots, size_t *count, qr_error *error) {
    size_t most = SLOTS_BEFORE_LAYERS + SLOTS_A_LAYER * bert->info.layers + SLOTS_OF_HEADS +
                  SLOTS_A_DENSE * bert->info.denses;
    slot_table table = {calloc(most, sizeof *table.slots), 0};
    bert->layers = calloc(bert->info.layers, sizeof *bert->layers);
    *slots = table.slots;
    if (table.slots == NULL || bert->layers == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "%s: no memory for the table of tensors", path);
    add_embeddings(&table, names->prefix, bert);
    for (size_t i = 0; i < bert->info.layers; i++)
        add_layer(&table, names->prefix, names->family, i, bert);
    add_head(&table, names, bert);
    add_denses(&table, names, bert);
    *count = table.count;
    return QR_OK;
}
