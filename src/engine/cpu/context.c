/* engine/cpu/context.c: a workspace's one allocation.
 *
 * It is mapped, not allocated: pages that no batch reaches are never touched and cost nothing,
 * so a context may be made for the longest batch there can be. Each batch has it cut anew for its
 * own size, from the front: what a pass uses lies close together, in a few large pages. In small
 * ones, wherever the system has them, tensors compete for the same sets of a core's L2: on a
 * Granite Rapids that costs 128 tokens in int8 2 %, and 384 from 2 to 10. */
#include "engine/cpu/context.h"

#include <stdlib.h>

#include "engine/cpu/memory_huge.h"

/* Cuts a block: first to measure (base NULL), then for good. */
typedef struct cutter {
    char *base;
    size_t used;
} cutter;

/* The next `count` things of `size` bytes, on a cache line of their own: members write
 * neighbouring tensors at the same time. */
static void *cut(cutter *c, size_t count, size_t size) {
    size_t at = c->used;
    c->used += qr_round_up(count * size, 64);
    return c->base == NULL ? NULL : c->base + at;
}

/* The largest of each of the context's operands, in bytes. */
typedef struct operand_bytes {
    size_t columns, q, rows[QR__SHARDS];
} operand_bytes;

static void grow(size_t *most, const qr__matrix *matrix, size_t rows) {
    *most = qr_max(*most, qr__matrix_operand_bytes(matrix, rows));
}

/* Operands are shared between steps, so each must hold the widest of its users: a plan may mix
 * precisions, and their rows differ in size. */
static operand_bytes measure(const qr__weights *w, size_t T, size_t B) {
    operand_bytes most = {0};
    for (size_t i = 0; i < QR__WHOLE_LEN; i++)
        grow(&most.columns, w->whole[i],
             i == QR__PROJECTION || i == QR__SPAN || i == QR__CLASSIFIER ? T : B);
    for (size_t l = 0; l < w->base.bert->info.layers; l++) {
        const qr__layer *layer = &w->layers[l];
        for (size_t s = 0; s < w->shards; s++) {
            grow(&most.columns, layer->qkv[s], T);
            grow(&most.columns, layer->kv[s], T);
            grow(&most.columns, layer->up[s], T);
            grow(&most.q, layer->q[s], T);
            grow(&most.rows[s], layer->output[s], T);
            grow(&most.rows[s], layer->down[s], T);
        }
    }
    return most;
}

/* Of a sequence's vectors between pooling and the last Dense module. */
static size_t widest_vector(const qr_model_info *info) {
    size_t widest = info->poolings * info->hidden;
    for (size_t i = 0; i < info->denses; i++)
        widest = qr_max(widest, info->dense[i].out);
    return widest;
}

/* The one list of what is in a workspace: run without memory it says how much is needed, with
 * memory it hands it out. */
static size_t cut_all(qr__context *c, size_t T, size_t B) {
    const qr_model_info *info = &c->weights->base.bert->info;
    cutter k = {.base = c->block};
    size_t C = info->hidden;
    operand_bytes bytes = measure(c->weights, T, B);
    c->hidden = cut(&k, T * C, sizeof(float));
    c->middle = cut(&k, T * C, sizeof(float));
    c->first = cut(&k, B * C, sizeof(float));
    c->words = cut(&k, info->word_size == C ? 0 : T * info->word_size, sizeof(float));
    c->wide = cut(&k, T * qr_max(3 * C, info->feed_forward), sizeof(float));
    c->mixed = cut(&k, T * C, sizeof(float));
    c->operand = cut(&k, 1, bytes.columns);
    c->operand_q = cut(&k, 1, bytes.q);
    for (size_t s = 0; s < c->weights->shards; s++) {
        c->operand_shard[s] = cut(&k, 1, bytes.rows[s]);
        c->partial[s] = cut(&k, T * C, sizeof(float));
    }
    size_t vector = widest_vector(info);
    size_t result = info->head == QR_HEAD_SPAN ? 2 * T : 0;
    if (info->head == QR_HEAD_TOKENS)
        result = T * info->labels;
    result = qr_max(result, B * qr_max(vector, info->labels));
    c->result = cut(&k, result, sizeof(float));
    for (size_t i = 0; i < 2; i++)
        c->vectors[i] = cut(&k, info->denses == 0 ? 0 : B * vector, sizeof(float));
    c->scratch = cut(&k, (size_t)c->members, sizeof *c->scratch);
    size_t scratch = qr__attention_scratch_bytes(qr_min(T, info->positions), C / info->heads);
    for (int m = 0; m < c->members; m++) {
        void *own = cut(&k, 1, scratch);
        if (c->block != NULL)
            c->scratch[m] = own;
    }
    return k.used;
}

qr_status qr__context_create(const qr__weights *weights, const qr_context_options *options,
                             qr__context **out, qr_error *error) {
    size_t T = options->tokens_max, B = options->sequences_max;
    qr__context *c = aligned_alloc(64, qr_round_up(sizeof *c, 64));
    if (c == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "no memory for a context");
    memset(c, 0, sizeof *c);
    c->weights = weights;
    c->pool = options->pool;
    c->members = qr_pool_members(options->pool);
    c->block_bytes = cut_all(c, T, B);
    c->block = qr__memory_huge_map(c->block_bytes);
    if (c->block == NULL) {
        free(c);
        return qr_error_set(error, QR_NO_MEMORY, "no memory for a context of %zu tokens", T);
    }
    *out = c;
    return QR_OK;
}

void qr__context_cut(qr__context *context, size_t tokens, size_t sequences) {
    cut_all(context, tokens, sequences);
}

void qr__context_destroy(qr__context *context) {
    qr__memory_huge_unmap(context->block, context->block_bytes);
    free(context);
}
