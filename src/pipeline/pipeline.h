/* pipeline/pipeline.h: tokenizer + engine: text in, result out.
 *
 *     qr_pipeline_options options = {.precision = QR_PRECISION_F32};
 *     qr_pipeline_load("models/minilm", &options, &pipeline, &error);
 *
 * Each job has three steps; the engine's is the middle one:
 *
 *     text   -> tokens   qr_tokenizer_encode, qr_span_encode, qr_tokens_encode
 *     tokens -> floats   qr_context_forward
 *     floats -> result   qr_embed_finish, qr_span_decode, qr_labels_finish, qr_tokens_decode
 *
 * A server queues between the steps and batches the middle one over many requests; tools take the
 * three in a row. Threads: a pipeline is const after load and shared.
 */
#ifndef QR_PIPELINE_H
#define QR_PIPELINE_H

#include "engine/engine.h"
#include "pipeline/span.h"
#include "pipeline/tokens.h"
#include "tokenizer/tokenizer.h"

/** What a model is for, by its head. */
typedef enum qr_kind {
    QR_KIND_EMBEDDING,
    QR_KIND_SPAN,
    QR_KIND_CLASSIFIER, /* two labels or more */
    QR_KIND_RERANKER,   /* one label */
    QR_KIND_TOKENS      /* labels of tokens */
} qr_kind;

/** "embedding", "span", "classifier", "reranker" or "tokens". */
const char *qr_kind_name(qr_kind kind);

typedef struct qr_pipeline qr_pipeline;

typedef struct qr_pipeline_options {
    const char *name; /* NULL: the directory's last component; of a .onnx file that of the directory
                         where its tokenizer's files are */
    qr_precision precision;
    const char *device;    /* as qr_engine_options has it; NULL: "auto" */
    int threads;           /* for packing; 0: all cores */
    const char *cache_dir; /* as qr_engine_options has it */
    const char *prompt;    /* a prompt's name, for qr_pipeline_default_prompt; NULL or "": none */
    const char *pooling;   /* as qr_model_open_pooled has it */
    size_t max_tokens;     /* longest input, at most the model's own; 0: that */
    bool samples;          /* embedding models: compute vectors of sample texts */
} qr_pipeline_options;

/** The name of a model that is given none, as qr_pipeline_options has it. Only looks which files
 * there are: QR_BAD_MODEL, QR_NO_MEMORY. *out: returns owned. */
QR_MUST_USE qr_status qr_pipeline_own_name(const char *path, char **out, qr_error *error);

/** Loads tokenizer and engine of the model that `path` stands for, a directory or a .onnx file
 * (qr_model_files_find), and checks them against each other (vocabulary sizes).
 * QR_BAD_MODEL names file, place and hint; QR_BAD_OPTION: a device, precision or prompt that cannot
 * be had; QR_IO, QR_NO_MEMORY. *out: returns owned. */
QR_MUST_USE qr_status qr_pipeline_load(const char *path, const qr_pipeline_options *options,
                                       qr_pipeline **out, qr_error *error);

/** No context of its engine may be left. NULL is allowed. */
void qr_pipeline_destroy(qr_pipeline *pipeline);

/* What follows is borrowed from the pipeline and lives as long as it does. */

/** As given, or as qr_pipeline_options has it. */
const char *qr_pipeline_name(const qr_pipeline *pipeline);

/** The path, as given. */
const char *qr_pipeline_dir(const qr_pipeline *pipeline);

/** What the model's head makes of it. */
qr_kind qr_pipeline_kind(const qr_pipeline *pipeline);

/** The model's tokenizer, for jobs that encode by themselves. */
const qr_tokenizer *qr_pipeline_tokenizer(const qr_pipeline *pipeline);

/** The model's engine, to create contexts of. */
const qr_engine *qr_pipeline_engine(const qr_pipeline *pipeline);

/** The longest input in tokens, specials included: max_seq_length of sentence_bert_config.json,
 * else model_max_length of the tokenizer's files, else P; never more than P. */
size_t qr_pipeline_max_tokens(const qr_pipeline *pipeline);

/** A prompt: what is put in front of a text, as it is, before it is tokenized. */
typedef struct qr_prompt {
    qr_text name, text; /* "query", "Represent this sentence: " */
    size_t skip;        /* tokens of a text with it that pooling leaves out; 0: none, as most models
                           have it */
} qr_prompt;

/** The model's prompts (config_sentence_transformers.json), *len of them, in the file's order. */
const qr_prompt *qr_pipeline_prompts(const qr_pipeline *pipeline, size_t *len);

/** NULL: no prompt of that name. */
const qr_prompt *qr_pipeline_prompt(const qr_pipeline *pipeline, qr_text name);

/** The one that the options named, for texts that come without one; NULL: none. The model's own
 * default_prompt_name is not looked at, as text-embeddings-inference does not. */
const qr_prompt *qr_pipeline_default_prompt(const qr_pipeline *pipeline);

/** What a batch's skip is for an encoding of prompt and text together, which was truncated at its
 * left or its right: fewer than its tokens. `prompt` NULL: 0. */
size_t qr_prompt_skip(const qr_prompt *prompt, const qr_encoding *encoding, bool truncate_left);

/** What to ask qr_context_forward for. */
qr_output qr_pipeline_output(const qr_pipeline *pipeline);

/** How many floats a sequence of `tokens` tokens yields then. */
size_t qr_pipeline_output_floats(const qr_pipeline *pipeline, size_t tokens);

/** Vectors [samples][embedding] of built-in texts, as the engine pools them, when
 * qr_pipeline_options.samples asked for them: from them int8 vectors take their ranges. Returns how
 * many; 0: none. `vectors` may be NULL; borrowed. */
size_t qr_pipeline_samples(const qr_pipeline *pipeline, const float **vectors);

/** Cuts a pooled vector [width] (qr_model_info.embedding) to `dimensions` (0: all; Matryoshka) and,
 * when `normalize`, divides by its L2 norm (accumulated in double; a zero vector stays zero).
 * Writes to `out` [width], which is not `vector`: results are const, so that several answers can be
 * made of one. Returns the number of floats written. */
size_t qr_embed_finish(const float *vector, size_t width, size_t dimensions, bool normalize,
                       float *out);

/** A classifier's logits [K] as scores, into `out` [K]; in double inside. DEFAULT: as transformers
 * has it for this model (qr_model_scores). */
void qr_labels_score(const qr_model_info *model, const float *logits, qr_scores how, float *out);

/** The same as text-embeddings-inference has it: softmax of several labels, the sigmoid of one; but
 * of labels that exclude nothing the sigmoid of each, which it gets wrong. */
void qr_labels_finish(const qr_model_info *model, const float *logits, float *out);

#endif
