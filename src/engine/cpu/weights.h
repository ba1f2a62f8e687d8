/* engine/cpu/weights.h: a model's weights as the CPU's forward pass reads them: matrices packed, the rest as loaded.
 *
 *     qr_weights *w;
 *     qr_weights_pack(bert, &(qr_weights_plan){.precision = QR_PRECISION_INT8, .isa = isa}, &w, &error);
 *     qr_weights_release_originals(bert, w);     // once no other plan will be packed from this bert
 *
 * Q, K and V are one matrix with the query's scale 1/sqrt(D) folded in; heads stay f32. Norms, positions and segments are borrowed
 * from the bert, which must outlive this. Threads: const after packing.
 */
#ifndef QR_ENGINE_CPU_WEIGHTS_H
#define QR_ENGINE_CPU_WEIGHTS_H

#include "engine/cpu/kernels/kernels.h"
#include "engine/cpu/matrix.h"
#include "engine/model/model.h"

typedef struct qr_weights_layer {
    qr_matrix *qkv;    /* [3C][C]; NULL where the layer is split */
    qr_matrix *q, *kv; /* [C][C], [2C][C]: the last layer of a model that reads [CLS] only */
    qr_matrix *output; /* [C][C] */
    qr_matrix *up;     /* [F][C] */
    qr_matrix *down;   /* [C][F] */
    qr_bert_norm attention_norm, output_norm;
} qr_weights_layer;

typedef struct qr_weights {
    const qr_bert *bert; /* borrowed: info, norms, positions, segments */
    qr_precision precision;
    qr_isa isa;
    qr_kernels kernels;
    qr_epilogue activation;
    const void *word;    /* [V][C]: f32 of the bert, or f16 of our own */
    bool word_half;
    qr_weights_layer *layers;               /* [L] */
    qr_matrix *span, *pooler, *classifier;  /* of the head, or NULL */
    size_t fallbacks;    /* matrices in bf16 within an int8 plan */
} qr_weights;

/** The four matrices of a layer, as bits of qr_weights_plan.fallback. */
enum { QR_MATRIX_QKV = 1, QR_MATRIX_OUTPUT = 2, QR_MATRIX_UP = 4, QR_MATRIX_DOWN = 8 };

typedef struct qr_weights_plan {
    qr_precision precision;  /* F32, BF16 or INT8 */
    qr_isa isa;
    const uint8_t *fallback; /* [L] bits: matrices that an int8 plan keeps in bf16; NULL: none */
} qr_weights_plan;

QR_MUST_USE qr_status qr_weights_pack(const qr_bert *bert, const qr_weights_plan *plan, qr_weights **out, qr_error *error);

/** Gives back the bert's matrices that `weights` holds packed (all but what it borrows). */
void qr_weights_release_originals(qr_bert *bert, const qr_weights *weights);

void qr_weights_destroy(qr_weights *weights);

/** Packed bytes, embeddings included. */
size_t qr_weights_bytes(const qr_weights *weights);

/** True when the model's own output reads only the first token of each sequence. */
bool qr_weights_first_token_only(const qr_model_info *info);

#endif
