/* querent.h: BERT models in process: embeddings, answer spans, rankings, labels, tokens.
 *
 *     qr_lib_model *model;
 *     qr_lib_error error;
 *     qr_lib_text texts[] = {{"how tall is everest", 19}, {"cheap hotels", 12}};
 *     float vectors[2 * 384];
 *     if (qr_lib_model_load("models/minilm", NULL, &model, &error) != QR_LIB_OK ||
 *         qr_lib_embed(model, texts, 2, NULL, vectors, 2 * 384, &error) != QR_LIB_OK)
 *         puts(error.message);
 *     qr_lib_model_destroy(model);
 *
 * Build with `pkg-config --cflags --libs querent`, or with find_package(querent) and the target
 * querent::querent. The answers are those of `querent serve`, bit for bit, for the same model,
 * precision and kind of CPU.
 *
 * Rules for all calls
 *
 * - Statuses. What can fail returns a qr_lib_status, QR_LIB_OK for success. `error` (NULL is
 *   allowed) is then told what was wrong; without a fault its message is empty. A call that fails
 *   has no result: arrays that it would have filled may hold anything.
 * - Nothing is printed and nothing ends the process. What is worth a line goes to the sink of
 *   qr_lib_log_to(), and nowhere without one.
 * - Arguments are checked: NULL where something must be, sizes, ranges, unknown values.
 * - Texts are UTF-8 with a length; NUL has no meaning in them. Bytes that are not UTF-8 count as
 *   U+FFFD.
 * - Options are structs that say their own size. Zero them and set struct_size; every other 0 is
 *   the default, and NULL instead of a struct is all defaults. A program that was built with an
 *   older header goes on working; one that was built with a newer header works as long as it sets
 *   nothing that this library does not know (QR_LIB_BAD_ARGUMENT).
 *
 *       qr_lib_embed_options options = {.struct_size = sizeof options, .dimensions = 128};
 *
 * - Threads. Every call may be made from any number of threads at once, also on one model; only
 *   qr_lib_model_destroy() must be the model's last. A call returns when it is done, and a thread
 *   that is cancelled (pthread_cancel) ends after it.
 * - fork. A child of fork() must not use a model that its parent loaded, nor destroy it.
 *
 * docs/LIBRARY.md of the sources has more, and querent.h(3) is this page for `man`.
 */
#ifndef QUERENT_H
#define QUERENT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define QR_LIB_API      __attribute__((visibility("default")))
#define QR_LIB_MUST_USE __attribute__((warn_unused_result))
#else
#define QR_LIB_API
#define QR_LIB_MUST_USE
#endif

/* ---- Statuses, errors, log ------------------------------------------------------------------ */

/** How a call ended. Numbers keep their meaning; later versions may add some. */
typedef enum qr_lib_status {
    QR_LIB_OK = 0,
    QR_LIB_BAD_ARGUMENT = 1, /* NULL, a size, a range, a struct of another version */
    QR_LIB_BAD_DEVICE = 2,   /* a device or precision that this machine or build cannot have */
    QR_LIB_BAD_MODEL = 3,    /* the path leads to no model that can be used */
    QR_LIB_IO = 4,           /* a file could not be read */
    QR_LIB_NO_MEMORY = 5,
    QR_LIB_WRONG_KIND = 6,  /* the model has no head for this call */
    QR_LIB_EMPTY_INPUT = 7, /* a question, context or query without a byte */
    QR_LIB_TOO_LONG = 8,    /* a text that the model cannot take */
    QR_LIB_NO_ROOM = 9,     /* the caller's array is too short */
    QR_LIB_INTERNAL = 10,   /* numbers that are not finite, or a fault of this library */
    QR_LIB_DEVICE = 11      /* a GPU failed; for good, when it fails again: start another process */
} qr_lib_status;

/** What the status means, in a few words. "unknown status" for other numbers. Lives for ever. */
QR_LIB_API const char *qr_lib_status_text(qr_lib_status status);

/** The version of the library that runs: "0.1.0". Lives for ever. */
QR_LIB_API const char *qr_lib_version(void);

/** What was wrong, in one line: which argument, which file, what to do; control bytes of a path or
 * file are shown as '?'. Never holds a byte of the texts. The size of this struct stays. */
typedef struct qr_lib_error {
    char message[1024]; /* ends in NUL */
} qr_lib_error;

typedef enum qr_lib_log_level {
    QR_LIB_LOG_DEBUG = 0,
    QR_LIB_LOG_INFO = 1,
    QR_LIB_LOG_WARN = 2,
    QR_LIB_LOG_ERROR = 3
} qr_lib_log_level;

/** Gets one message, without time and newline, control bytes escaped. `message` lives for the call.
 * It must not call this library. */
typedef void qr_lib_log_sink(void *state, qr_lib_log_level level, const char *message);

/** From now on messages of `lowest` level and above go to `sink(state, ...)`, from one thread at a
 * time, on the thread where they arise; for the whole process. NULL: to nobody, as at the start.
 * When it returns, the earlier sink is not running and is not called again. QR_LIB_BAD_ARGUMENT:
 * no such level. */
QR_LIB_API qr_lib_status qr_lib_log_to(qr_lib_log_sink *sink, void *state, qr_lib_log_level lowest);

/* ---- Models --------------------------------------------------------------------------------- */

/** A loaded model, its plan for this machine, the threads that compute and their workspaces. */
typedef struct qr_lib_model qr_lib_model;

typedef enum qr_lib_precision {
    QR_LIB_PRECISION_F32 = 0,
    QR_LIB_PRECISION_BF16 = 1,
    QR_LIB_PRECISION_INT8 = 2,
    QR_LIB_PRECISION_AUTO = 3, /* the fastest that keeps the model's answers; what a server takes */
    QR_LIB_PRECISION_F16 = 4   /* of GPUs */
} qr_lib_precision;

/** With a `cache_dir` of NULL or "" no plans are kept, and of models from ONNX only their proofs,
 * in the user's own cache ($XDG_CACHE_HOME/querent, else ~/.cache/querent); with "none" none. */
typedef struct qr_lib_load_options {
    size_t struct_size;    /* sizeof(qr_lib_load_options) */
    const char *name;      /* NULL: the directory's last component */
    const char *device;    /* "cpu", "cpu:avx2", "cuda", "auto", as --device; NULL: "cpu" */
    const char *cache_dir; /* an existing directory for packed plans; NULL or "": see above */
    int precision;         /* a qr_lib_precision */
    int threads;           /* that compute one call together; 0: one a core, at most 256 */
    int calls_most;        /* calls that run at once, others wait; 0: one a core, at most 256 */
    int reserved;          /* 0 */
} qr_lib_load_options;

/** Loads the Hugging Face model in the directory, or of the .onnx file, `dir` (docs/MODELS.md says
 * which). Takes as long as reading and packing the weights: a fraction of a second, or seconds with
 * PRECISION_AUTO. *model: yours, until qr_lib_model_destroy(); NULL after a fault. */
QR_LIB_MUST_USE QR_LIB_API qr_lib_status qr_lib_model_load(const char *dir,
                                                           const qr_lib_load_options *options,
                                                           qr_lib_model **model,
                                                           qr_lib_error *error);

/** Ends the model's threads and frees it. No other call on it may run or follow. NULL is allowed.
 */
QR_LIB_API void qr_lib_model_destroy(qr_lib_model *model);

typedef enum qr_lib_kind {
    QR_LIB_KIND_EMBEDDING = 0,  /* qr_lib_embed() */
    QR_LIB_KIND_SPAN = 1,       /* qr_lib_span() */
    QR_LIB_KIND_CLASSIFIER = 2, /* qr_lib_predict() */
    QR_LIB_KIND_RERANKER = 3,   /* one label: qr_lib_rerank(), qr_lib_predict() */
    QR_LIB_KIND_TOKENS = 4 /* labels of tokens, which the server answers with, and no call here */
} qr_lib_kind;

/** What a model is and how it runs. Texts live as long as the model. */
typedef struct qr_lib_info {
    size_t struct_size;       /* sizeof(qr_lib_info), set by the caller */
    const char *name;         /* as given, or of the directory */
    const char *architecture; /* "BertModel" */
    const char *precision;    /* of the plan: "f32", "f16", "bf16", "int8" */
    const char *device;       /* "cpu" or "cuda" */
    const char *target;       /* what its kernels are made for: "avx512vnni", "sm_90" */
    const char *reason;       /* why this precision */
    size_t dimensions;        /* floats of a vector; 0 unless it is of KIND_EMBEDDING */
    size_t max_tokens;        /* longest input, with [CLS] and [SEP] */
    size_t labels;            /* 0 without a classification head */
    size_t weight_bytes;      /* packed weights in memory */
    double load_ms;           /* what loading took */
    int kind;                 /* a qr_lib_kind */
    int normalizes;           /* 1: the model's files ask for vectors of length 1 */
} qr_lib_info;

/** Fills *info, as much of it as info->struct_size says. */
QR_LIB_MUST_USE QR_LIB_API qr_lib_status qr_lib_model_get_info(const qr_lib_model *model,
                                                               qr_lib_info *info,
                                                               qr_lib_error *error);

/** The name of a label, 0 to labels - 1; NULL for others. Lives as long as the model. */
QR_LIB_API const char *qr_lib_model_get_label(const qr_lib_model *model, size_t label);

/* ---- Jobs ----------------------------------------------------------------------------------- */

/** A borrowed text. `data` may be NULL when `size` is 0. The size of this struct stays. */
typedef struct qr_lib_text {
    const char *data;
    size_t size; /* bytes */
} qr_lib_text;

typedef enum qr_lib_normalize {
    QR_LIB_NORMALIZE_AS_MODEL = 0, /* as the model's files say */
    QR_LIB_NORMALIZE_YES = 1,      /* L2 norm 1, as POST /embed does */
    QR_LIB_NORMALIZE_NO = 2
} qr_lib_normalize;

/** What happens to a text that has more tokens than the model takes. */
typedef enum qr_lib_long_text {
    QR_LIB_LONG_CUT_END = 0,
    QR_LIB_LONG_CUT_BEGIN = 1,
    QR_LIB_LONG_REFUSE = 2 /* QR_LIB_TOO_LONG, and nothing is computed of the texts behind it */
} qr_lib_long_text;

typedef struct qr_lib_embed_options {
    size_t struct_size; /* sizeof(qr_lib_embed_options) */
    size_t dimensions;  /* the vector's first so many floats (Matryoshka); 0: all */
    int normalize;      /* a qr_lib_normalize; after the cut */
    int long_text;      /* a qr_lib_long_text */
} qr_lib_embed_options;

/** Embeds texts[0..count): vector i is vectors[i * D ..], D floats, where D is options->dimensions
 * or the model's. `room`: floats that `vectors` has room for, count * D at least. An empty text has
 * a vector like any other. A model of KIND_EMBEDDING. */
QR_LIB_MUST_USE QR_LIB_API qr_lib_status qr_lib_embed(qr_lib_model *model, const qr_lib_text *texts,
                                                      size_t count,
                                                      const qr_lib_embed_options *options,
                                                      float *vectors, size_t room,
                                                      qr_lib_error *error);

/** As Hugging Face's question-answering pipeline has them. */
typedef struct qr_lib_span_options {
    size_t struct_size;    /* sizeof(qr_lib_span_options) */
    size_t top_k;          /* most answers, up to 1024; 0: 1 */
    size_t max_answer_len; /* tokens; 0: 15 */
    size_t max_seq_len;    /* tokens of a window, at most max_tokens; 0: 384 or max_tokens */
    size_t doc_stride;     /* tokens that windows share, at most max_seq_len; 0: half a window, at
                              most 128 */
    int handle_impossible; /* 1: "no answer" competes, as an empty one */
    int keep_word_parts;   /* 1: answers may begin and end inside words */
} qr_lib_span_options;

/** An answer: context.data[begin_byte .. end_byte). The size of this struct stays. */
typedef struct qr_lib_answer {
    double score; /* a probability, or a sum of some where a text stands repeatedly */
    size_t begin_byte, end_byte; /* ends are exclusive */
    size_t begin, end;           /* the same in code points */
} qr_lib_answer;

/** Finds the best answers to `question` in `context`, of any length up to 4096 windows. answers[0
 * .. *count) are the best ones, best first; *count may be 0. `room`: answers that there is room
 * for, top_k at least. A model of KIND_SPAN. */
QR_LIB_MUST_USE QR_LIB_API qr_lib_status qr_lib_span(qr_lib_model *model, qr_lib_text question,
                                                     qr_lib_text context,
                                                     const qr_lib_span_options *options,
                                                     qr_lib_answer *answers, size_t room,
                                                     size_t *count, qr_lib_error *error);

/** For qr_lib_rerank() and qr_lib_predict(). */
typedef struct qr_lib_score_options {
    size_t struct_size; /* sizeof(qr_lib_score_options) */
    int raw;            /* 1: the model's logits instead of probabilities */
    int long_text;      /* a qr_lib_long_text; of a pair the longer text is cut */
} qr_lib_score_options;

/** How well each of texts[0..count) fits the query: scores[i], higher is better, in the order of
 * the texts. `room`: scores that there is room for, `count` at least. KIND_RERANKER. */
QR_LIB_MUST_USE QR_LIB_API qr_lib_status qr_lib_rerank(qr_lib_model *model, qr_lib_text query,
                                                       const qr_lib_text *texts, size_t count,
                                                       const qr_lib_score_options *options,
                                                       float *scores, size_t room,
                                                       qr_lib_error *error);

/** Scores every label for texts[i], or for the pair (texts[i], pairs[i]) unless `pairs` is NULL:
 * scores[i * K + k] for label k of K. `room`: floats, count * K at least. KIND_CLASSIFIER or
 * KIND_RERANKER. */
QR_LIB_MUST_USE QR_LIB_API qr_lib_status qr_lib_predict(
    qr_lib_model *model, const qr_lib_text *texts, const qr_lib_text *pairs, size_t count,
    const qr_lib_score_options *options, float *scores, size_t room, qr_lib_error *error);

/** A token of a text. The size of this struct stays. */
typedef struct qr_lib_token {
    int32_t id;
    int32_t special;             /* 1: [CLS] or [SEP], put there by the tokenizer */
    size_t begin_byte, end_byte; /* of the text; both 0 for specials */
} qr_lib_token;

typedef struct qr_lib_tokenize_options {
    size_t struct_size;  /* sizeof(qr_lib_tokenize_options) */
    int without_special; /* 1: without [CLS] and [SEP] */
    int reserved;        /* 0 */
} qr_lib_tokenize_options;

/** Splits a text into tokens; nothing is cut. *count is the number of tokens; the first `room` of
 * them are written to `tokens`. With `room` 0 (and `tokens` NULL) tokens are only counted. A model
 * of any kind. */
QR_LIB_MUST_USE QR_LIB_API qr_lib_status qr_lib_tokenize(qr_lib_model *model, qr_lib_text text,
                                                         const qr_lib_tokenize_options *options,
                                                         qr_lib_token *tokens, size_t room,
                                                         size_t *count, qr_lib_error *error);

#ifdef __cplusplus
}
#endif

#endif
