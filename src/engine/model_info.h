/* engine/model_info.h: what there is to know of a model; plan_info.h has how it runs.
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
#include "engine/import_info.h"
#include "engine/model_files.h"
#include "engine/pooling_info.h"

typedef enum qr_precision {
    QR_PRECISION_AUTO,
    QR_PRECISION_F32, /* from here on the most exact first */
    QR_PRECISION_F16,
    QR_PRECISION_BF16,
    QR_PRECISION_INT8
} qr_precision;
#define QR_PRECISIONS (QR_PRECISION_INT8 + 1u)

typedef enum qr_activation {
    QR_GELU,     /* by erf */
    QR_GELU_NEW, /* by tanh */
    QR_RELU      /* max(x, 0) */
} qr_activation;

/** "gelu", "gelu_new", "relu": as transformers calls them. */
const char *qr_activation_name(qr_activation activation);

/** What stands behind the encoder: nothing, two numbers a token, K a text, or K a token. */
typedef enum qr_head { QR_HEAD_NONE, QR_HEAD_SPAN, QR_HEAD_LABELS, QR_HEAD_TOKENS } qr_head;

/** "auto", "f32", "f16", "bf16", "int8". */
const char *qr_precision_name(qr_precision precision);

/** What a classifier's labels are to each other: `problem_type`. */
typedef enum qr_problem {
    QR_PROBLEM_UNSTATED,
    QR_PROBLEM_REGRESSION,   /* numbers, not probabilities */
    QR_PROBLEM_SINGLE_LABEL, /* one of them */
    QR_PROBLEM_MULTI_LABEL   /* any of them */
} qr_problem;

/** How logits of labels become scores. */
typedef enum qr_scores {
    QR_SCORES_DEFAULT, /* as the model says: qr_model_scores */
    QR_SCORES_SOFTMAX,
    QR_SCORES_SIGMOID, /* of each */
    QR_SCORES_NONE     /* the logits */
} qr_scores;

/** What the model's files say. */
typedef struct qr_model_info {
    char architecture[64]; /* as in config.json: "BertModel" */
    char dtype[8];         /* stored weights: "f32", "f16", "bf16"; of a graph also "int8" */
    size_t layers, hidden, heads, feed_forward, vocab, positions, types;
    size_t word_size; /* E: of the word embeddings; C but in some ELECTRAs */
    qr_activation activation;
    float layer_norm_eps;
    qr_head head;
    size_t labels;      /* K; 0 without a classification head */
    char **label_names; /* [K], owned by the model */
    qr_problem problem;
    qr_scores cross_encoder;         /* what its files name, SIGMOID or NONE; DEFAULT: nothing */
    qr_pooling pooling[QR_POOLINGS]; /* their vectors stand one behind the other */
    size_t poolings;
    bool leaves_out_prompt;          /* from pooling: include_prompt is false */
    qr_dense dense[QR_LIMIT_DENSES]; /* behind the pooling, in this order */
    size_t denses;
    size_t embedding;      /* floats of a pooled vector: poolings * C, or the last Dense's out */
    bool normalize;        /* L2-normalise pooled vectors */
    size_t max_seq_length; /* of sentence_bert_config.json; 0 when absent */
    bool lowers_texts; /* its do_lower_case: texts lose their capitals, whatever the tokenizer */
    size_t parameters;
} qr_model_info;

/** What transformers makes of a classifier's logits, never DEFAULT: none for a regression, a
 * sigmoid for labels that exclude nothing or a single one, else softmax. A cross-encoder's own
 * function (cross_encoder) is not looked at. */
qr_scores qr_model_scores(const qr_model_info *model);

#define QR_POOLING_TEXT_BYTES 64

/** The poolings' names with "+" between them: "cls+mean". Returns `out`. */
const char *qr_model_pooling_text(const qr_model_info *model, char out[QR_POOLING_TEXT_BYTES]);

/** Operations (2 a multiply-add) of a forward pass over sequences with these starts, [sequences +
 * 1]: L*((8*C*C + 4*C*F)*T + 4*C*sum(S*S)), which for F = 4C is L*(24*C*C*T + 4*C*sum(S*S)). */
double qr_model_operations(const qr_model_info *model, const uint32_t *starts, size_t sequences);

/** What a model's files hold, apart from what is made of them: the small ones are read and the
 * weights' table is checked against them. The weights of safetensors are not read yet; those of a
 * graph are held as it has them. */
typedef struct qr_model qr_model;

/** Opens a Hugging Face model directory (config.json, model.safetensors, sentence-transformers'
 * files) or the ONNX graph that `path` stands for (qr_model_files_find). QR_BAD_MODEL (or QR_IO,
 * QR_NO_MEMORY) with the file, the tensor or node where there is one, the reason and a hint. *out:
 * returns owned. */
QR_MUST_USE qr_status qr_model_open(const char *path, qr_model **out, qr_error *error);

/** The same, but an embedding model pools as `pooling` says (a qr_pooling_name), whatever its files
 * say; NULL or "": as they say. QR_BAD_OPTION: there is no such pooling, the model has a head, or
 * its Dense module takes vectors of another length. */
QR_MUST_USE qr_status qr_model_open_pooled(const char *path, const char *pooling, qr_model **out,
                                           qr_error *error);

/** NULL is allowed. What was made of it stays. */
void qr_model_close(qr_model *model);

/** Lives as long as the model. */
const qr_model_info *qr_model_get_info(const qr_model *model);

#endif
