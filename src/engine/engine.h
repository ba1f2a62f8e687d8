/* engine/engine.h: a BERT model, a plan for this machine, and forward passes over ragged
 * batches.
 *
 *     qr_model_open("models/minilm", &model, &error);
 *     const qr_engine_options options = {.precision = QR_PRECISION_F32};
 *     qr_engine_create(model, &options, &engine, &error);
 *     qr_model_close(model);
 *     const qr_context_options sizes = {.tokens_max = 512, .sequences_max = 32};
 *     qr_context_create(engine, &sizes, &context, &error);
 *     const qr_batch batch = {ids, NULL, starts, B};
 *     qr_context_forward(context, &batch, QR_OUTPUT_POOLED, &vectors);       // [B][embedding]
 *
 * Threads: an engine is const after creation; a context belongs to one thread at a time.
 */
#ifndef QR_ENGINE_H
#define QR_ENGINE_H

#include "engine/batch.h"
#include "engine/model_info.h"
#include "engine/plan_info.h"

typedef struct qr_engine_options {
    qr_precision precision;
    const char *device; /* as qr_device_check takes it; NULL: "auto", the fastest that is here and
                           takes the model */
    /* Texts for the accuracy gate, tokenized for this model; NULL: no gate, bf16 and int8 are taken
     * as asked. And others, for the ranges of int8's activations; NULL: int8 does without. Borrowed
     * for the call. */
    const qr_batch *probes, *calibration;
    int threads;           /* for packing and gate; 0: all cores */
    const char *cache_dir; /* where plans and packed weights are kept from one start to the next
                              (engine/saved/saved.h); NULL or "": nowhere, but for proofs of models
                              from ONNX, in the user's own cache; "none": nothing is kept */
} qr_engine_options;

typedef struct qr_engine qr_engine;

/** Where models can run: "auto" (the fastest that is here and takes the model), "cpu",
 * "cpu:TARGET" (one instruction set: "cpu:avx2"), "cuda", "cuda:N". QR_BAD_OPTION: no such device,
 * or none in this build or machine; the message names what there is. A GPU is looked at, not
 * opened: what only opening it shows qr_engine_create says. */
QR_MUST_USE qr_status qr_device_check(const char *device, qr_error *error);

/** Whether such a name (NULL: none was given) leaves the choice to the engine. */
bool qr_device_is_auto(const char *device);

/** Whether what such a name stands for has memory of its own: a GPU by name. False of "auto", which
 * may end on the CPU. */
bool qr_device_is_away(const char *device);

/** Where files are kept by such a `cache_dir`: there, or the user's own cache, made when it is
 * missing, for the proofs of models from ONNX, if there are any. False: nothing is. */
bool qr_engine_cache_dir(const char *cache_dir, bool from_onnx, char out[QR_PATH_BYTES]);

/** Whether a device of this process is at work on something that does not end. It can be neither
 * called off nor waited for: end with _exit, as a driver's own end of a process may wait. */
bool qr_device_hangs(void);

/** Reads the model's weights, finds the fastest plan that keeps its answers, and packs them for
 * it. QR_BAD_MODEL: a tensor cannot be read or is not finite, or a model from ONNX is not what its
 * graph computes (engine/plan/proof.h); QR_BAD_OPTION: a precision or
 * device that cannot be had. *out: returns owned; the model may be closed afterwards, or make
 * further engines. */
QR_MUST_USE qr_status qr_engine_create(const qr_model *model, const qr_engine_options *options,
                                       qr_engine **out, qr_error *error);

/** No context of it may be left. NULL is allowed. */
void qr_engine_destroy(qr_engine *engine);

/** Lives as long as the engine. */
const qr_model_info *qr_engine_model(const qr_engine *engine);

/** Lives as long as the engine. */
const qr_plan_info *qr_engine_plan(const qr_engine *engine);

/** Whether its device has failed for good: every pass from now on gives QR_DEVICE, and only another
 * process can have it again. Any thread, at any time. */
bool qr_engine_lost(const qr_engine *engine);

typedef struct qr_context_options {
    size_t tokens_max, sequences_max; /* of a batch, 1 and more */
    qr_pool *pool; /* threads that may help with a batch where the device computes on ours
                      (borrowed); NULL: the caller works alone */
} qr_context_options;

/** A workspace for batches up to a size. */
typedef struct qr_context qr_context;

/** QR_BAD_OPTION: a size of 0, or above QR_LIMIT_TEXT_TOKENS; QR_NO_MEMORY. *out: returns owned;
 * borrows the engine. */
QR_MUST_USE qr_status qr_context_create(const qr_engine *engine, const qr_context_options *options,
                                        qr_context **out, qr_error *error);

/** NULL is allowed. */
void qr_context_destroy(qr_context *context);

typedef enum qr_output {
    QR_OUTPUT_HIDDEN, /* [T][C] last hidden states */
    QR_OUTPUT_POOLED, /* [B][info.embedding] pooled as the model says, behind its Dense modules, not
                         normalised */
    QR_OUTPUT_SPAN,   /* [T][2] start and end logits; head SPAN only */
    QR_OUTPUT_LABELS, /* [B][K] logits; head LABELS only */
    QR_OUTPUT_TOKEN_LABELS /* [T][K] logits; head TOKENS only */
} qr_output;

/** Runs the model. *out borrows the context's memory until its next call. Allocates nothing.
 * QR_BAD_REQUEST: an id, type or length out of range, or an output that the model's head cannot
 * give; QR_TOO_LONG: above the context's maxima; QR_DEVICE: the device failed. On the CPU a
 * sequence's numbers do not depend on its batch mates or on who helped (the OpenBLAS path
 * excepted). */
QR_MUST_USE qr_status qr_context_forward(qr_context *context, const qr_batch *batch,
                                         qr_output wanted, const float **out);

/** What this machine's cores can do at most, measured now (about 0.3 s). */
typedef struct qr_peaks {
    double f32_flops, bf16_flops, int8_ops; /* a second, all threads; 0: no instructions for it */
    double read_bytes;                      /* a second, from a buffer of `footprint_bytes` */
} qr_peaks;

/** Measures with `threads` threads at once, with the instructions of a CPU's target as
 * qr_plan_info has it; NULL: of the one that `--device cpu` takes. QR_BAD_OPTION: no such target,
 * or a number out of range; QR_NO_MEMORY. */
QR_MUST_USE qr_status qr_peaks_measure(const char *target, int threads, size_t footprint_bytes,
                                       qr_peaks *out);

#endif
