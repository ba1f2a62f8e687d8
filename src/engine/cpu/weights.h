/* engine/cpu/weights.h: a model's weights as the CPU's forward pass reads them: matrices packed,
 * the rest as loaded.
 *
 *     const qr_plan plan = {.precision = QR_PRECISION_INT8};
 *     status = qr__weights_pack(cpu, bert, &plan, NULL, &w, &error);
 *     qr__matrix *up = w->layers[0].up[s];      // shard s of layer 0's first feed-forward matrix
 *     qr__weights_destroy(w);
 *
 * Shards. Each layer is cut in two that can be computed apart up to a sum of [T][C]
 * (Megatron-LM's tensor parallelism, Shoeybi et al. 2019, between cores instead of GPUs): half
 * of the heads, and half of the inner features. Matrices whose outputs are cut (QKV, up) are
 * column-parallel: each shard gives some columns of y. Those whose inputs are cut (attention
 * output, down) are row-parallel: each shard gives a partial sum of all of y. The shards are
 * always there, whoever computes them, so that sums have one order. A model with one head or one
 * inner feature has one shard.
 *
 * Q, K and V are one matrix with the query's scale log2(e)/sqrt(D) folded in (attention takes
 * powers of 2); heads of the model stay f32. Norms, positions and segments are borrowed from the
 * bert, which must outlive this. Threads: const after packing.
 */
#ifndef QR_ENGINE_CPU_WEIGHTS_H
#define QR_ENGINE_CPU_WEIGHTS_H

#include "engine/backend.h"
#include "engine/cpu/kernels/kernels.h"
#include "engine/cpu/matrix.h"
#include "engine/cpu/word_embeddings.h"

/** The CPU as a device: one instruction set. */
typedef struct qr__cpu {
    qr_device base;
    qr__isa isa;
} qr__cpu;

#define QR__SHARDS 2

/** A matrix in shards; NULL behind the last. */
typedef qr__matrix *qr__sharded[QR__SHARDS];

typedef struct qr__layer {
    qr__sharded qkv;    /* [3*heads*D][C], column-parallel; NULL in a last layer of which only first
                        tokens are read, which has: */
    qr__sharded q, kv;  /* [heads*D][C] and [2*heads*D][C] */
    qr__sharded output; /* [C][heads*D], row-parallel; the first shard has the bias */
    qr__sharded up;     /* [features][C], column-parallel */
    qr__sharded down;   /* [C][features], row-parallel; the first shard has the bias */
    qr_bert_norm attention_norm, output_norm;
} qr__layer;

/** What a shard has of every layer. */
typedef struct qr__shard {
    size_t head, heads;       /* first, how many */
    size_t feature, features; /* of the inner layer */
} qr__shard;

/** Matrices outside the layers: whole, and f32 in every plan. A model has some of them. */
enum {
    QR__PROJECTION, /* of the word embeddings to the hidden size */
    QR__SPAN,
    QR__POOLER,
    QR__CLASSIFIER,
    QR__DENSE,                                  /* a Dense module's each */
    QR__RESIDUAL = QR__DENSE + QR_LIMIT_DENSES, /* and what its residual is multiplied by */
    QR__WHOLE_LEN = QR__RESIDUAL + QR_LIMIT_DENSES
};

typedef struct qr__weights {
    qr_packed base;
    qr_precision precision;
    qr__kernels kernels;
    qr__epilogue activation;
    qr__word_embeddings *words;
    size_t shards; /* QR__SHARDS, or 1 */
    qr__shard shard[QR__SHARDS];
    qr__layer *layers;                /* [L] */
    qr__matrix *whole[QR__WHOLE_LEN]; /* NULL where the model has none */
    qr__memory_huge *memory;          /* of the matrices; NULL: they belong to other weights */
} qr__weights;

/** True when `wanted` of this model reads only one token of each sequence, its first. */
bool qr__reads_first_tokens(const qr_model_info *info, qr_output wanted);

/** As qr_backend.pack; `like` (or NULL): weights of the same bert whose word embeddings may be
 * shared. */
QR_MUST_USE qr_status qr__weights_pack(const qr__cpu *cpu, const qr_bert *bert, const qr_plan *plan,
                                       const qr__weights *like, qr__weights **out, qr_error *error);

/** As qr_backend.save. */
QR_MUST_USE qr_status qr__weights_save(const qr__weights *weights, const qr_sink *sink);

/** As qr_backend.load. */
QR_MUST_USE qr_status qr__weights_load(const qr__cpu *cpu, const qr_bert *bert, const qr_plan *plan,
                                       const qr_source *source, qr__weights **out, qr_error *error);

/** As qr_backend.mix. */
QR_MUST_USE qr_status qr__weights_mix(const qr__weights *int8, const qr__weights *bf16,
                                      const uint8_t *fallback, qr__weights **out, qr_error *error);

/** Gives the matrices that are packed, and the word embeddings where they were copied, back to
 * the system. */
void qr__weights_release_originals(const qr__weights *weights, qr_bert *bert);

/** NULL is allowed. */
void qr__weights_destroy(qr__weights *weights);

#endif
