/* engine/plan/gate.h: the accuracy gate: how far a candidate's outputs are from f32's, by the
 * measure that users of the output care about.
 *
 *     qr__gate_probes probes = {.batch = &batch, .head = info->head, .width = info->embedding};
 *     qr__gate_verdict v = qr__gate_judge(&probes, f32_outputs, int8_outputs);
 *
 * The rules (docs/DESIGN.md, "Precision is measured"):
 *
 *     embeddings   mean cosine >= 0.9985 and worst >= 0.997
 *     spans        mean token-overlap F1 of the best answers >= 0.98 (SQuAD's F1, over tokens)
 *     labels       the same label on >= 98 % of the texts, and every probability within 0.02
 *     tokens       the same, of all tokens but [CLS] and [SEP]
 */
#ifndef QR_ENGINE_PLAN_GATE_H
#define QR_ENGINE_PLAN_GATE_H

#include "engine/batch.h"
#include "engine/model_info.h"

#define QR__GATE_COSINE_MEAN  0.9985
#define QR__GATE_COSINE_WORST 0.997
#define QR__GATE_SPAN_F1      0.98
#define QR__GATE_SAME_LABEL   0.98
#define QR__GATE_PROBABILITY  0.02
#define QR__GATE_ANSWER_MAX   30 /* tokens of an answer */

/** The probe texts and what the model gives for them: head NONE: vectors [B][width]; SPAN: logits
 * [T][2], where the batch's types are 1 from the context on and each sequence ends with [SEP];
 * LABELS: logits [B][K]; TOKENS: logits [T][K], where each sequence begins with [CLS] and ends with
 * [SEP]. */
typedef struct qr__gate_probes {
    const qr_batch *batch;
    qr_head head;
    size_t width; /* of a vector, or K; spans: unused, they have 2 */
    bool each;    /* labels have a sigmoid each, not a softmax together */
} qr__gate_probes;

/** Whether there is a row of floats a token, not a sequence. */
static inline bool qr__gate_by_token(const qr__gate_probes *probes) {
    return probes->head == QR_HEAD_SPAN || probes->head == QR_HEAD_TOKENS;
}

/** Floats of a row. */
static inline size_t qr__gate_width(const qr__gate_probes *probes) {
    return probes->head == QR_HEAD_SPAN ? 2 : probes->width;
}

/** Floats of one output: rows of qr__gate_width, B or T. */
size_t qr__gate_floats(const qr__gate_probes *probes);

typedef struct qr__gate_verdict {
    bool passed;
    double mean;      /* cosine; F1; share of texts with the same label */
    double worst;     /* cosine; F1; largest difference of a probability */
    double distance;  /* for ranking: 0 when equal, falls with every improvement, however small */
    char reason[128]; /* "mean cosine 0.9991, worst 0.9984" */
} qr__gate_verdict;

/** Judges a candidate's outputs. Numbers that are not finite never pass. */
qr__gate_verdict qr__gate_judge(const qr__gate_probes *probes, const float *expected,
                                const float *actual);

#endif
