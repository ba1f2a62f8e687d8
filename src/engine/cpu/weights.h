/* engine/cpu/weights.h: a model's weights as the CPU's forward pass reads them: matrices packed,
 * the rest as loaded.
 *
 *     qr_words_pack(bert, isa, true, &words, &error);
 *     qr_weights_pack(bert, &(qr_weights_plan){.precision = QR_PRECISION_INT8, .isa = isa, .words =
 * words}, &w, &error); qr_weights_release_originals(bert);        // once no other plan will be
 * packed from this bert
 *
 * Q, K and V are one matrix with the query's scale log2(e)/sqrt(D) folded in (attention takes
 * powers of 2); heads stay f32. Norms, positions and segments are borrowed from the bert, which
 * must outlive this. Threads: const after packing.
 */
#ifndef QR_ENGINE_CPU_WEIGHTS_H
#define QR_ENGINE_CPU_WEIGHTS_H

#include "engine/cpu/kernels/kernels.h"
#include "engine/cpu/matrix.h"
#include "engine/model/model.h"

/** The word embeddings, [V][C]: the one table that is read by row. f32 stays where the bert has it.
 */
typedef struct qr_words {
    const void *rows;
    bool half; /* IEEE f16, `rows` is our own */
    size_t bytes;
} qr_words;

/** In 16 bits where that loses nothing (a model stored in f16) or where it may be rounded (error
 * 2^-11). */
QR_MUST_USE qr_status qr_words_pack(const qr_bert *bert, qr_isa isa, bool may_round, qr_words **out,
                                    qr_error *error);
void qr_words_destroy(qr_words *words);

/** A layer is held in two halves that can be computed apart up to a sum of [T][C]: half of the
 * heads with their rows of Wqkv and columns of Wo, and half of the inner features with their rows
 * of Wup and columns of Wdown. Two threads then meet twice a layer, not five times, and exchange
 * partial sums only. The halves are always there, whoever computes them, so that sums have one
 *  order; a model with one head or one feature has a single half. */
#define QR_HALVES 2

typedef struct qr_weights_half {
    size_t heads;    /* of this half, ceil(H / 2) or floor */
    size_t features; /* of the inner layer */
    qr_matrix *qkv; /* [3 * heads * D][C]; NULL in the last layer of a model that reads first tokens
                       only, which has */
    qr_matrix *q, *kv; /* [heads * D][C] and [2 * heads * D][C] */
    qr_matrix *output; /* [C][heads * D]; the first half has the bias */
    qr_matrix *up;     /* [features][C] */
    qr_matrix *down;   /* [C][features]; the first half has the bias */
} qr_weights_half;

typedef struct qr_weights_layer {
    qr_weights_half half[QR_HALVES];
    qr_bert_norm attention_norm, output_norm;
} qr_weights_layer;

typedef struct qr_weights {
    const qr_bert *bert; /* borrowed: info, norms, positions, segments */
    qr_precision precision;
    qr_isa isa;
    qr_kernels kernels;
    qr_epilogue activation;
    const qr_words *words;
    size_t halves;                         /* of every layer: 2, or 1 */
    qr_weights_layer *layers;              /* [L] */
    qr_matrix *span, *pooler, *classifier; /* of the head, or NULL */
    size_t fallbacks;                      /* matrices in bf16 within an int8 plan */
    qr_memory_huge *memory;                /* of the matrices; NULL: they belong to other weights */
} qr_weights;

/** The four matrices of a layer, as bits of qr_weights_plan.fallback. */
enum { QR_MATRIX_QKV = 1, QR_MATRIX_OUTPUT = 2, QR_MATRIX_UP = 4, QR_MATRIX_DOWN = 8 };

typedef struct qr_weights_plan {
    qr_precision precision; /* F32, BF16 or INT8 */
    qr_isa isa;
    const uint8_t *fallback; /* [L] bits: matrices that an int8 plan keeps in bf16; NULL: none */
    const qr_words *words;   /* borrowed */
} qr_weights_plan;

QR_MUST_USE qr_status qr_weights_pack(const qr_bert *bert, const qr_weights_plan *plan,
                                      qr_weights **out, qr_error *error);

/** int8 weights with the matrices of `fallback` taken from bf16 weights of the same bert, for a
 * trial: borrows both. */
QR_MUST_USE qr_status qr_weights_mix(const qr_weights *int8, const qr_weights *bf16,
                                     const uint8_t *fallback, qr_weights **out, qr_error *error);

/** Gives the bert's matrices back to the system. Its word embeddings stay. */
void qr_weights_release_originals(qr_bert *bert);

void qr_weights_destroy(qr_weights *weights);

/** Packed bytes, embeddings included. */
size_t qr_weights_bytes(const qr_weights *weights);

/** True when the model's own output reads only the first token of each sequence. */
bool qr_weights_first_token_only(const qr_model_info *info);

#endif
