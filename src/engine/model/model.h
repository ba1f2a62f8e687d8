/* engine/model/model.h: one canonical BERT: named f32 weights, whatever files and names they
 * came from.
 *
 *     qr_bert *bert;
 *     if (qr_bert_read(model, &bert, &error) != QR_OK) ...
 *     const qr_bert_layer *layer = &bert->layers[0];
 *     pack(layer->query.weight, layer->query.bias, layer->query.out, layer->query.in);
 *     qr_bert_release(bert, &bert->layers[0].query.weight);   // packed: the pages go back
 *     qr_bert_destroy(bert);
 *
 * Reads Hugging Face directories of the BERT family (bert, distilbert, electra): config.json,
 * model.safetensors and sentence-transformers' files; and ONNX graphs of it (recognise.h). The
 * weights are copied while they are read: a later change of the files is not seen. DistilBERT
 * differs only in names, in having no segment embeddings and in its head's activation; ELECTRA in
 * names, in its head's activation, and in word embeddings of another size than the hidden states,
 * with a matrix between them.
 *
 * Shapes: V words, P positions, C hidden, E word embeddings, F feed-forward, K labels, L layers,
 * H heads; linear weights are [N][K] as nn.Linear holds them (out, in). Numbers are finite; every
 * size is within base/limits.h; H divides C. Threads: const after load, but for the release
 * function, which needs the only user.
 */
#ifndef QR_ENGINE_MODEL_H
#define QR_ENGINE_MODEL_H

#include "engine/byte_stream.h"
#include "engine/model_info.h"

typedef struct qr_bert_linear {
    const float *weight; /* [out][in], page-aligned when large; NULL: none, or released */
    const float *bias;   /* [out] */
    size_t in, out;
} qr_bert_linear;

typedef struct qr_bert_norm {
    const float *gamma, *beta; /* [C] */
} qr_bert_norm;

typedef struct qr_bert_layer {
    qr_bert_linear query, key, value; /* [C][C] */
    qr_bert_linear attention_output;  /* [C][C] */
    qr_bert_norm attention_norm;
    qr_bert_linear intermediate; /* [F][C] */
    qr_bert_linear output;       /* [C][F] */
    qr_bert_norm output_norm;
} qr_bert_layer;

/** A Dense module's weights; shapes as info.dense has them. */
typedef struct qr_bert_dense {
    qr_bert_linear linear;   /* bias NULL: it has none */
    qr_bert_linear residual; /* of QR_RESIDUAL_MATRIX, without a bias; else its sizes are 0 */
} qr_bert_dense;

/** What stands between the dense layer of a classification head and its classifier. */
typedef enum qr_pooler_activation {
    QR_POOLER_TANH,
    QR_POOLER_RELU,
    QR_POOLER_GELU
} qr_pooler_activation;

typedef struct qr_bert {
    qr_model_info info;
    const float *word;     /* [V][E] */
    const float *position; /* [P][E] */
    const float *
        type; /* [types][E]; NULL for DistilBERT: info.types is 0 and a batch's types are ignored */
    qr_bert_norm embedding_norm; /* [E] */
    qr_bert_linear projection;   /* [C][E]; its sizes are 0 where E is C */
    qr_bert_layer *layers;       /* [L] */

    qr_bert_linear span;   /* [2][C]: rows start, end; head SPAN only */
    qr_bert_linear pooler; /* [C][C] on the hidden state of [CLS]; head LABELS only */
    qr_pooler_activation pooler_activation;
    qr_bert_linear classifier; /* [K][C]; heads LABELS and TOKENS */

    qr_bert_dense dense[QR_LIMIT_DENSES]; /* behind the pooling; info.denses of them */

    struct qr__bert_store *store; /* private: the memory behind all of the above */
} qr_bert;

/** Reads the weights of an open model; may be done again. *out: returns owned. QR_BAD_MODEL: a
 * tensor is not finite, or the file changed since it was opened; QR_NO_MEMORY. Messages as
 * qr_model_open's. */
QR_MUST_USE qr_status qr_bert_read(const qr_model *model, qr_bert **out, qr_error *error);

/** Writes the tensors that were not released, for qr_bert_load. A status is the sink's. */
QR_MUST_USE qr_status qr_bert_save(const qr_bert *bert, const qr_sink *sink);

/** As qr_bert_read, from what qr_bert_save wrote for the same model: tensors that had been released
 * are NULL. QR_IO: the source ends early, or does not fit the model; whether its numbers are those
 * that were saved is the caller's to check. *out: returns owned. */
QR_MUST_USE qr_status qr_bert_load(const qr_model *model, const qr_source *source, qr_bert **out,
                                   qr_error *error);

/** Writes the bytes of the weights' files to a sink: the model's own, first to last, then those of
 * its Dense modules. QR_IO: one cannot be read. */
QR_MUST_USE qr_status qr_model_write_files(const qr_model *model, const qr_sink *sink);

/** False when a file of weights is not what it was when the model was opened (its size, or the
 * times that the system keeps of changes). */
bool qr_model_unchanged(const qr_model *model);

/** Frees the model, its info and label names. Accepts NULL. */
void qr_bert_destroy(qr_bert *bert);

/** Gives the pages of one tensor back to the system and sets *tensor to NULL. `tensor` points
 * into `bert` (&bert->word, &layer->query.weight, ...). Tensors under 64 KiB share pages: they
 * are only forgotten. */
void qr_bert_release(qr_bert *bert, const float **tensor);

/** The same for every tensor: of whoever has copied all of them elsewhere. */
void qr_bert_release_all(qr_bert *bert);

#endif
