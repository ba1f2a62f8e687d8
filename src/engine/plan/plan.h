/* engine/plan/plan.h: precision is measured, not assumed: the accuracy gate, and the search for the
 * fastest plan that passes it.
 *
 *     qr_plan_search search = {.probes = {&batch, info->head, info->hidden}, .layers = L, .has_int8
 * = true, .has_bf16 = true, .user = me, .build = build, .run = run, .budget_ms = 400}; uint8_t
 * fallback[QR_LIMIT_LAYERS] = {0}; qr_plan_choice choice; status = qr_plan_choose(&search,
 * QR_PRECISION_AUTO, fallback, &choice, error);   // the chosen plan is the one last built
 *
 * Knows nothing of kernels: the engine packs (build) and computes (run); this room compares floats
 * and decides. The rules, with f32's outputs as the truth (docs/DESIGN.md, "Precision is
 * measured"): embeddings  mean cosine >= 0.9985 and worst >= 0.997 spans       mean token-overlap
 * F1 of the best answers >= 0.98 labels      same label on >= 98 % of the texts and every
 * probability within 0.02 Threads: no state.
 */
#ifndef QR_ENGINE_PLAN_H
#define QR_ENGINE_PLAN_H

#include "engine/model/model.h"

#define QR_GATE_COSINE_MEAN  0.9985
#define QR_GATE_COSINE_WORST 0.997
#define QR_GATE_SPAN_F1      0.98
#define QR_GATE_SAME_LABEL   0.98
#define QR_GATE_PROBABILITY  0.02
#define QR_GATE_ANSWER_MAX   30 /* tokens of an answer */

/** The probe texts and what the model gives for them: head NONE: vectors [B][C]; SPAN: logits
 * [T][2], where the batch's types are 1 from the context on and each sequence ends with [SEP];
 * LABELS: logits [B][K]. */
typedef struct qr_gate_probes {
    const qr_batch *batch;
    qr_head head;
    size_t width; /* C or K; spans: unused */
} qr_gate_probes;

/** Floats of one output: B*C, T*2 or B*K. */
size_t qr_gate_floats(const qr_gate_probes *probes);

typedef struct qr_gate_verdict {
    bool passed;
    double mean;      /* cosine; F1; share of texts with the same label */
    double worst;     /* cosine; F1; largest difference of a probability */
    double distance;  /* 0: equal; falls with every improvement, where the figures above move in
                         steps. For ranking. */
    char reason[128]; /* "mean cosine 0.9991, worst 0.9984" */
} qr_gate_verdict;

/** Judges a candidate's outputs. Numbers that are not finite never pass. */
qr_gate_verdict qr_gate_judge(const qr_gate_probes *probes, const float *expected,
                              const float *actual);

/* A plan's `fallback` is [L]: a set bit keeps one of a layer's four packed matrices in bf16 within
 * int8. Bits as in cpu/weights.h: 0 QKV, 1 attention output, 2 up (intermediate), 3 down (output).
 */
#define QR_MATRICES_A_LAYER 4

typedef struct qr_plan_search {
    qr_gate_probes probes;
    size_t layers;
    bool has_int8, has_bf16; /* fast on this machine: candidates of `auto` */
    double budget_ms; /* for ranking single matrices; 0: no limit. Above it the search goes on
                         without a ranking. */
    void *user;
    /** Makes a plan the current one. `fallback` [L] is all zero but for int8. Called up to 4L + 10
     * times, mostly with one bit changed: keep what is packed. */
    qr_status (*build)(void *user, qr_precision precision, const uint8_t *fallback,
                       qr_error *error);
    /** Runs the first `sequences` probes on the current plan: all of them, or fewer while single
     * matrices are ranked. *out is borrowed until the next call. */
    qr_status (*run)(void *user, size_t sequences, const float **out, qr_error *error);
} qr_plan_search;

typedef struct qr_plan_choice {
    qr_precision precision;
    size_t fallbacks; /* bits set in `fallback` */
    bool passed; /* false only when a precision was asked for by name and fails: it is taken all the
                    same */
    qr_gate_verdict verdict; /* of the choice; of f32: equal */
    char reason[256];        /* for the log, /info and inspect */
} qr_plan_choice;

/** Finds the fastest plan that passes. AUTO: int8, int8 with the worst matrices in bf16 (at most
 * half of them), bf16, f32. INT8: the first two; BF16: bf16; neither is replaced when it fails,
 * `passed` says so. F32: no gate. `fallback` [L] gets the chosen plan's bits. On QR_OK the last
 * build() was the choice. */
QR_MUST_USE qr_status qr_plan_choose(const qr_plan_search *search, qr_precision asked,
                                     uint8_t *fallback, qr_plan_choice *out, qr_error *error);

#endif
