/* pipeline/pipeline.h: tokenizer + engine: text in, result out.
 *
 *     qr_pipeline_options options = {.precision = QR_PRECISION_F32};
 *     qr_pipeline_load("models/minilm", &options, &pipeline, &error);
 *
 * Each job has three steps; the engine's is the middle one:
 *
 *     text   --qr_tokenizer_encode, qr_span_encode-->                   tokens
 *     tokens --qr_context_forward-->                                    floats
 *     floats --qr_embed_finish, qr_span_decode, qr_labels_finish-->     result
 *
 * A server queues between the steps and batches the middle one over many requests; tools take the
 * three in a row. Threads: a pipeline is const after load and shared.
 */
#ifndef QR_PIPELINE_H
#define QR_PIPELINE_H

#include "engine/engine.h"
#include "tokenizer/tokenizer.h"

/** What a model is for, by its head. */
typedef enum qr_kind {
    QR_KIND_EMBEDDING,
    QR_KIND_SPAN,
    QR_KIND_CLASSIFIER, /* two labels or more */
    QR_KIND_RERANKER    /* one label */
} qr_kind;

/** "embedding", "span", "classifier" or "reranker". */
const char *qr_kind_name(qr_kind kind);

typedef struct qr_pipeline qr_pipeline;

typedef struct qr_pipeline_options {
    const char *name; /* NULL: the directory's last component */
    qr_precision precision;
    const char *device;    /* as qr_engine_options has it; NULL: "auto" */
    int threads;           /* for packing; 0: all cores */
    const char *cache_dir; /* as qr_engine_options has it */
} qr_pipeline_options;

/** Loads tokenizer and engine from `dir` and checks them against each other (vocabulary sizes).
 * QR_BAD_MODEL names file, place and hint; QR_BAD_OPTION: a device or precision that cannot be had;
 * QR_IO, QR_NO_MEMORY. *out: returns owned. */
QR_MUST_USE qr_status qr_pipeline_load(const char *dir, const qr_pipeline_options *options,
                                       qr_pipeline **out, qr_error *error);

/** No context of its engine may be left. NULL is allowed. */
void qr_pipeline_destroy(qr_pipeline *pipeline);

/* What follows is borrowed from the pipeline and lives as long as it does. */

/** As given, or the directory's last component. */
const char *qr_pipeline_name(const qr_pipeline *pipeline);

/** The directory, as given. */
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

/** What to ask qr_context_forward for. */
qr_output qr_pipeline_output(const qr_pipeline *pipeline);

/** How many floats a sequence of `tokens` tokens yields then. */
size_t qr_pipeline_output_floats(const qr_pipeline *pipeline, size_t tokens);

/** Cuts a pooled vector [hidden] to `dimensions` (0: all; Matryoshka) and, when `normalize`,
 * divides by its L2 norm (accumulated in double; a zero vector stays zero). Writes to `out`
 * [hidden], which is not `vector`: results are const, so that several answers can be made of one.
 * Returns the number of floats written. */
size_t qr_embed_finish(const float *vector, size_t hidden, size_t dimensions, bool normalize,
                       float *out);

/** Extractive question answering as transformers 4.57's question-answering pipeline does it; its
 * names and, in QR_SPAN_OPTIONS_DEFAULT, its defaults. */
typedef struct qr_span_options {
    size_t top_k;           /* most answers */
    size_t max_answer_len;  /* tokens */
    size_t max_seq_len;     /* longest window in tokens, <= max_tokens; 0: min(max_tokens, 384) */
    size_t doc_stride;      /* tokens shared, <= max_seq_len; 0: min(max_seq_len / 2, 128) */
    bool handle_impossible; /* let "no answer" compete, as an empty one */
    bool align_to_words;    /* answers begin and end with words */
} qr_span_options;

#define QR_SPAN_DEFAULT_SEQ_LEN 384u
#define QR_SPAN_DEFAULT_STRIDE  128u

#define QR_SPAN_OPTIONS_DEFAULT                                                                    \
    ((qr_span_options){.top_k = 1, .max_answer_len = 15, .align_to_words = true})

/** An answer. */
typedef struct qr_span {
    double score;                /* a probability; a sum of those where a text stands repeatedly */
    size_t begin_byte, end_byte; /* within the context, end exclusive */
    size_t begin, end;           /* in code points */
} qr_span;

/** Encodes question and context into windows. QR_EMPTY_INPUT; QR_TOO_LONG: the question leaves no
 * room, or too many windows; QR_BAD_REQUEST: an option out of its range. */
QR_MUST_USE qr_status qr_span_encode(const qr_pipeline *pipeline, qr_text question, qr_text context,
                                     const qr_span_options *options, qr_windows *windows);

/** From the logits of every window ([S][2] each) to at most top_k answers, best first. `spans` has
 * room for top_k; *count may be 0. `windows`, `context` and `options` are those of the encode.
 * Memory is a scratch of the call. QR_NO_MEMORY; QR_INTERNAL: a logit is not finite, or the windows
 * are of another context; QR_BAD_REQUEST, QR_TOO_LONG: options that qr_span_encode refuses. */
QR_MUST_USE qr_status qr_span_decode(const qr_windows *windows, const float *const *logits,
                                     qr_text context, const qr_span_options *options,
                                     qr_span *spans, size_t *count);

/** Appends the answers as the question-answering pipeline shows them: an object when there is
 * exactly one, else a list. */
void qr_span_to_json(const qr_span *spans, size_t count, qr_text context, qr_buf *out);

/** Softmax (K > 1) or sigmoid (K = 1) over logits [K] into `out` [K]; in double inside. */
void qr_labels_finish(const float *logits, size_t labels, float *out);

#endif
