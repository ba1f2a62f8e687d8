/* engine/model_info.h: what there is to know of a model, and of the plan by which it runs.
 *
 *     qr_model *model;
 *     if (qr_model_open("models/minilm", &model, &error) != QR_OK) ...
 *     printf("%zu layers\n", qr_model_get_info(model)->layers);
 *     qr_model_close(model);
 *
 * Letters, here and everywhere: B sequences and T tokens in a batch, S tokens in a sequence, L
 * layers, C hidden size, E size of the word embeddings, H heads, D head size, F feed-forward size,
 * V vocabulary, P positions, K labels.
 */
#ifndef QR_ENGINE_MODEL_INFO_H
#define QR_ENGINE_MODEL_INFO_H

#include "base/base.h"

typedef enum qr_precision {
    QR_PRECISION_AUTO,
    QR_PRECISION_F32,
    QR_PRECISION_BF16,
    QR_PRECISION_INT8
} qr_precision;
#define QR_PRECISIONS (QR_PRECISION_INT8 + 1u)

typedef enum qr_activation {
    QR_GELU,
    QR_GELU_NEW,
    QR_RELU
} qr_activation; /* erf; tanh; max(x, 0) */

/** How a sequence's hidden states become one vector: of [CLS] or the last token, the greatest of
 * each channel, or their sum by n, by sqrt(n), or weighted by position from 1. */
typedef enum qr_pooling {
    QR_POOLING_CLS,
    QR_POOLING_MAX,
    QR_POOLING_MEAN,
    QR_POOLING_MEAN_SQRT_LEN,
    QR_POOLING_WEIGHTED_MEAN,
    QR_POOLING_LAST
} qr_pooling;
#define QR_POOLINGS (QR_POOLING_LAST + 1u)

/** What stands behind a Dense module's matrix. */
typedef enum qr_dense_activation {
    QR_DENSE_IDENTITY,
    QR_DENSE_TANH,
    QR_DENSE_RELU,
    QR_DENSE_GELU, /* erf */
    QR_DENSE_SIGMOID
} qr_dense_activation;

/** What a Dense module adds to its result: nothing, its input, or a matrix's product with it. */
typedef enum qr_residual { QR_RESIDUAL_NONE, QR_RESIDUAL_INPUT, QR_RESIDUAL_MATRIX } qr_residual;

/** A module of sentence-transformers behind the pooling:
 * y[out] = activation(x[in] * W + b) + residual. */
typedef struct qr_dense {
    char folder[256]; /* of the model's directory, where its model.safetensors lies */
    size_t in, out;
    bool bias;
    qr_dense_activation activation;
    qr_residual residual;
} qr_dense;

/** What stands behind the encoder: nothing, two numbers a token, K a text, or K a token. */
typedef enum qr_head { QR_HEAD_NONE, QR_HEAD_SPAN, QR_HEAD_LABELS, QR_HEAD_TOKENS } qr_head;

/** "auto", "f32", "bf16", "int8". */
const char *qr_precision_name(qr_precision precision);

/** As sentence-transformers' newer files call it: "mean", "lasttoken". */
const char *qr_pooling_name(qr_pooling pooling);

/** What the model's files say. */
typedef struct qr_model_info {
    char architecture[64]; /* as in config.json: "BertModel" */
    char dtype[8];         /* stored weights: "f32", "f16", "bf16" */
    size_t layers, hidden, heads, feed_forward, vocab, positions, types;
    size_t word_size; /* E: of the word embeddings; C but in some ELECTRAs */
    qr_activation activation;
    float layer_norm_eps;
    qr_head head;
    size_t labels;                   /* K; 0 without a classification head */
    char **label_names;              /* [K], owned by the model */
    qr_pooling pooling[QR_POOLINGS]; /* their vectors stand one behind the other */
    size_t poolings;
    bool
        leaves_out_prompt; /* pooling does not look at a prompt's tokens: include_prompt is false */
    qr_dense dense[QR_LIMIT_DENSES]; /* behind the pooling, in this order */
    size_t denses;
    size_t embedding;      /* floats of a pooled vector: poolings * C, or the last Dense's out */
    bool normalize;        /* L2-normalise pooled vectors */
    size_t max_seq_length; /* of sentence_bert_config.json; 0 when absent */
    size_t parameters;
} qr_model_info;

#define QR_POOLING_TEXT_BYTES 64

/** The poolings' names with "+" between them: "cls+mean". Returns `out`. */
const char *qr_model_pooling_text(const qr_model_info *model, char out[QR_POOLING_TEXT_BYTES]);

/** Operations (2 a multiply-add) of a forward pass over sequences with these starts, [sequences +
 * 1]: L*((8*C*C + 4*C*F)*T + 4*C*sum(S*S)), which for F = 4C is L*(24*C*C*T + 4*C*sum(S*S)). */
double qr_model_operations(const qr_model_info *model, const uint32_t *starts, size_t sequences);

/** What a directory holds, apart from what is made of it: the small files are read and the
 * weights' table is checked against them; the weights themselves are not read yet. */
typedef struct qr_model qr_model;

/** Opens a Hugging Face model directory (config.json, model.safetensors, sentence-transformers'
 * files). QR_BAD_MODEL (or QR_IO, QR_NO_MEMORY) with the file, the tensor where there is one,
 * the reason and a hint. *out: returns owned. */
QR_MUST_USE qr_status qr_model_open(const char *dir, qr_model **out, qr_error *error);

/** The same, but an embedding model pools as `pooling` says (a qr_pooling_name), whatever its files
 * say; NULL or "": as they say. QR_BAD_OPTION: there is no such pooling, the model has a head, or
 * its Dense module takes vectors of another length. */
QR_MUST_USE qr_status qr_model_open_pooled(const char *dir, const char *pooling, qr_model **out,
                                           qr_error *error);

/** NULL is allowed. What was made of it stays. */
void qr_model_close(qr_model *model);

/** Lives as long as the model. */
const qr_model_info *qr_model_get_info(const qr_model *model);

/** What a device's precisions reach, by the row of a committed table. */
typedef struct qr_rates {
    char name[96];              /* of the row: "Intel Ice Lake server, avx512vnni, 2026-11-25" */
    double gops[QR_PRECISIONS]; /* billions of operations a second, few rows; 0: not measured */
} qr_rates;
#define QR_RATES_TIE 1.03 /* rates closer than this count as equal */

/** How a model runs, and why so. */
typedef struct qr_plan_info {
    qr_precision precision; /* never AUTO */
    char device[16];        /* "cpu" */
    char target[32];        /* what its kernels are made for: "avx512vnni" */
    qr_rates rates;         /* by which AUTO orders its candidates */
    size_t fallbacks;       /* matrices kept in bf16 within an int8 plan */
    size_t weight_bytes;    /* packed, resident */
    bool from_cache; /* found and packed at an earlier start: no gate ran, nothing was packed */
    double load_ms, pack_ms, gate_ms;
    char reason[256]; /* "int8: passed the gate (mean cosine 0.9991, worst 0.9984)" */
} qr_plan_info;

#endif
