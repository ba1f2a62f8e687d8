/* engine/engine.h: a BERT model, a plan for this machine, and forward passes over ragged batches.
 *
 *     qr_engine_options options = {.precision = QR_PRECISION_F32};
 *     qr_engine_load("models/minilm", &options, &engine, &error);
 *     qr_context_create(engine, NULL, 512, 32, &context, &error);
 *     const qr_batch batch = {ids, NULL, starts, B};
 *     qr_context_forward(context, &batch, QR_OUTPUT_POOLED, &vectors);    // [B][C]
 *
 * Letters: B sequences and T tokens in a batch, S tokens in a sequence, L layers, C hidden size,
 * H heads, D head size, F feed-forward size, V vocabulary, P positions, K labels.
 * Threads: an engine is const after load; a context belongs to one thread at a time.
 */
#ifndef QR_ENGINE_H
#define QR_ENGINE_H

#include "base/base.h"

typedef enum qr_precision {
    QR_PRECISION_AUTO,
    QR_PRECISION_F32,
    QR_PRECISION_BF16,
    QR_PRECISION_INT8
} qr_precision;
/* erf; tanh; max(x, 0) */
typedef enum qr_activation { QR_GELU, QR_GELU_NEW, QR_RELU } qr_activation;
typedef enum qr_pooling { QR_POOLING_MEAN, QR_POOLING_CLS } qr_pooling;
typedef enum qr_head { QR_HEAD_NONE, QR_HEAD_SPAN, QR_HEAD_LABELS } qr_head;

const char *qr_precision_name(qr_precision precision);
bool qr_precision_parse(qr_text name, qr_precision *out);

/** What the model's files say. */
typedef struct qr_model_info {
    char architecture[64]; /* as in config.json: "BertModel" */
    char dtype[8];         /* stored weights: "f32", "f16", "bf16" */
    size_t layers, hidden, heads, feed_forward, vocab, positions, types;
    qr_activation activation;
    float layer_norm_eps;
    qr_head head;
    size_t labels;      /* K; 0 without a classification head */
    char **label_names; /* [K], owned by the model */
    qr_pooling pooling;
    bool normalize;        /* L2-normalise pooled vectors */
    size_t max_seq_length; /* of sentence_bert_config.json; 0 when absent */
    size_t parameters;
} qr_model_info;

/** Reads only the small files (config.json, sentence-transformers' files): what the model is,
 * before its weights are loaded. `out` comes zeroed; the caller deinits it, also after a failure.
 * Parameters and dtype stay unset. */
QR_MUST_USE qr_status qr_model_peek(const char *dir, qr_model_info *out, qr_error *error);
void qr_model_info_deinit(qr_model_info *info);

/** A ragged batch: B sequences laid end to end. All pointers are borrowed for the call. */
typedef struct qr_batch {
    const int32_t *ids;   /* [T] in [0, V) */
    const uint8_t *types; /* [T] segment ids below info.types; NULL: all 0 */
    const uint32_t
        *starts; /* [B + 1]: starts[0] = 0, starts[B] = T, rising; every sequence has 1..P tokens */
    size_t sequences; /* B */
} qr_batch;

typedef struct qr_engine_options {
    qr_precision precision;
    const char *isa;        /* NULL: the best this machine has (or QUERENT_ISA) */
    const qr_batch *probes; /* texts for the accuracy gate, tokenized for this model; NULL: no gate,
                               bf16 and int8 are taken as asked. Borrowed for the load. */
    int threads;            /* for packing and gate at load; 0: all cores */
} qr_engine_options;

/** What the plan became, and why. */
typedef struct qr_plan_info {
    qr_precision precision; /* never AUTO */
    char isa[32];           /* "avx512vnni" */
    size_t fallbacks;       /* matrices kept in bf16 within an int8 plan */
    size_t weight_bytes;    /* packed, resident */
    double load_ms, pack_ms, gate_ms;
    char reason[256]; /* "int8: passed the gate (mean cosine 0.9991, worst 0.9984)" */
} qr_plan_info;

typedef struct qr_engine qr_engine;

/** Loads an HF model directory (config.json, model.safetensors, sentence-transformers' files) and
 * packs its weights. A model that cannot be used is QR_BAD_MODEL with file, tensor and hint; a
 * precision or ISA that cannot be had is QR_BAD_OPTION. */
QR_MUST_USE qr_status qr_engine_load(const char *dir, const qr_engine_options *options,
                                     qr_engine **out, qr_error *error);
void qr_engine_destroy(qr_engine *engine);
const qr_model_info *qr_engine_model(const qr_engine *engine);
const qr_plan_info *qr_engine_plan(const qr_engine *engine);

/* A team: threads that may work on one batch together. Members 0..n-1; whoever has a batch leads,
 * whoever is parked helps. A server's idle workers park in it; a tool without workers starts
 * helpers that do nothing else. */
typedef struct qr_team qr_team;

QR_MUST_USE qr_status qr_team_create(int members, qr_team **out);

/** Starts members - 1 threads that park until the team is destroyed (for tools; a server brings its
 * own workers). */
QR_MUST_USE qr_status qr_team_start_helpers(qr_team *team);

/** Parks the calling member: sleeps (after a spin of at most 50 us), helps leaders meanwhile, and
 * returns once qr_team_wake() chose it, or at once when a wake-up is pending. May return early:
 * callers look for work in a loop. */
void qr_team_park(qr_team *team, int member);

/** Makes one member that is parked and not helping return from qr_team_park; when there is none,
 * the next member that parks returns at once. */
void qr_team_wake(qr_team *team);

/** Ends helpers and frees the team; nobody may be parked but its own helpers. */
void qr_team_destroy(qr_team *team);

/** A workspace for batches of at most `tokens_max` tokens and `sequences_max` sequences. `team`
 * (borrowed) may be NULL: then the caller works alone. */
typedef struct qr_context qr_context;
QR_MUST_USE qr_status qr_context_create(const qr_engine *engine, qr_team *team, size_t tokens_max,
                                        size_t sequences_max, qr_context **out, qr_error *error);
void qr_context_destroy(qr_context *context);

typedef enum qr_output {
    QR_OUTPUT_HIDDEN, /* [T][C] last hidden states */
    QR_OUTPUT_POOLED, /* [B][C] pooled as the model says, not normalised */
    QR_OUTPUT_SPAN,   /* [T][2] start and end logits; head SPAN only */
    QR_OUTPUT_LABELS  /* [B][K] logits; head LABELS only */
} qr_output;

/** Runs the model. *out borrows the context's memory until its next call. Allocates nothing.
 *  QR_BAD_REQUEST: an id, type or length out of range, or an output that the model's head cannot
 * give; QR_TOO_LONG: above the context's maxima. On the CPU a sequence's numbers do not depend on
 * its batch mates or on the team (the OpenBLAS path excepted). */
QR_MUST_USE qr_status qr_context_forward(qr_context *context, const qr_batch *batch,
                                         qr_output wanted, const float **out);

/** Operations (2 a multiply-add) of a forward pass over sequences of these lengths: L*(24*C*C*T +
 * 4*C*sum(S*S)) for F = 4C. */
double qr_model_operations(const qr_model_info *model, const uint32_t *starts, size_t sequences);

/** What this machine can do at most, measured now (about 0.3 s): see bench/roofline's method in
 * docs/KERNELS.md. */
typedef struct qr_peaks {
    double f32_flops, bf16_flops,
        int8_ops;      /* a second, `threads` cores together; 0 where the ISA lacks it */
    double read_bytes; /* a second, from a buffer of `footprint` bytes */
} qr_peaks;
QR_MUST_USE qr_status qr_peaks_measure(int threads, size_t footprint_bytes, qr_peaks *out);

#endif
