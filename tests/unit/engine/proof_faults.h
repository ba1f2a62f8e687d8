/* tests: mistakes that a recogniser could make, put into a bert and taken out again.
 *
 *     struct fault fault;
 *     if (fault_put(bert, kind, &seed, &fault)) {    // false: this model has no such thing
 *         ... prove ...
 *         fault_take(bert, &fault);
 *     }
 */
#ifndef QR_TESTS_PROOF_FAULTS_H
#define QR_TESTS_PROOF_FAULTS_H

#include "engine/model/model.h"
#include "engine/model/recognised.h"

enum fault_kind {
    FAULT_BIAS_DROPPED,
    FAULT_BIAS_DOUBLED,
    FAULT_EPSILON,
    FAULT_QUERY_HEADS, /* rows of the query's matrix as [D][H] instead of [H][D] */
    FAULT_VALUE_HEADS,
    FAULT_HEAD_COUNT,
    FAULT_QUERY_AND_KEY, /* taken for each other */
    FAULT_KEY_AND_VALUE,
    FAULT_QUERY_SCALED, /* as if 1 / sqrt(D) were in the weights too */
    FAULT_TRANSPOSED,   /* a square matrix */
    FAULT_ACTIVATION,
    FAULT_LAYERS,     /* a part of one taken for another's */
    FAULT_NORMS,      /* of attention and output taken for each other */
    FAULT_NORM_PLAIN, /* gamma 1, beta 0 */
    FAULT_POSITIONS,  /* shifted by one */
    FAULT_TYPES,      /* ignored: the first counts for all */
    FAULT_WORDS,      /* shifted by one */
    FAULT_POOLING,
    FAULT_NORMALIZE,
    FAULT_POOLER_ACTIVATION,
    FAULT_HEAD_ROWS, /* start and end, or two labels, taken for each other */
    FAULT_HEAD_BIAS,
    FAULT_ONE_NUMBER, /* of a matrix */
    FAULT_ONE_ROW,    /* of a matrix is another's */
    FAULT_KINDS
};

extern const char *const fault_names[FAULT_KINDS];

/** What was damaged, and how to mend it. */
struct fault {
    bool in_layers; /* the next two say where, else it is behind the layers or everywhere */
    qr__stage_kind stage;
    size_t layer;
    struct {
        float *at, *kept;
        size_t count;
    } pieces[8];
    size_t len;
    qr_model_info info;
    qr_pooler_activation pooler_activation;
};

/** Draws what the kind leaves open from *seed, and writes into the bert's weights. */
bool fault_put(qr_bert *bert, enum fault_kind kind, unsigned *seed, struct fault *out);
void fault_take(qr_bert *bert, struct fault *fault);

#endif
