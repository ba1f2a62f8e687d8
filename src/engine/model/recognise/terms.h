/* recognise/terms.h: what a value of the graph is, in BERT's own terms. Private to recognise/.
 *
 *     value  =  function( term [ map ] )
 *
 *     term       a matrix [rows][cols] of the forward pass: embeddings, a layer norm, x W + b
 *     map        which of its numbers each of the value's numbers is: reshapes, transpositions,
 *                splits, slices and expansions in one, whatever nodes they were made of
 *     function   what single numbers went through since, by its values on a grid of points
 *
 * So a term does not know how many nodes there were or in which order, and two ways to write the
 * same thing give the same term. Maps are exact: each operator that only moves numbers is run by
 * the interpreter on the numbers 0, 1, 2, ... instead of on data.
 *
 * The graph was run once on a small batch (B sequences of S tokens, some of them padding), so each
 * value has a shape, and one that follows from masks and shapes alone has its numbers: it is known.
 */
#ifndef QR_ENGINE_MODEL_RECOGNISE_TERMS_H
#define QR_ENGINE_MODEL_RECOGNISE_TERMS_H

#include "engine/model/recognise.h"

#define QR__INPUTS_MAX 4u
#define QR__GRID       185u /* points of a function (functions.h) */

typedef enum qr__term_kind {
    QR__TERM_UNKNOWN,     /* not a BERT's: `why` says what was expected at `node` */
    QR__TERM_EMBEDDED,    /* a sum of tables' rows */
    QR__TERM_MEAN,        /* [rows][1] of each row of `of` */
    QR__TERM_CENTERED,    /* of - its mean; with gamma: times it */
    QR__TERM_VARIANCE,    /* [rows][1] */
    QR__TERM_SPREAD,      /* gamma / sqrt(variance + eps): [rows][cols] */
    QR__TERM_SPREAD_OF,   /* of * SPREAD */
    QR__TERM_SPREAD_MEAN, /* mean * SPREAD; with beta: beta - mean * SPREAD */
    QR__TERM_NORM,        /* layer norm of `of` */
    QR__TERM_LINEAR,      /* f(of) W + b */
    QR__TERM_SUM,         /* of + other: LINEAR and the states that it is added to */
    QR__TERM_SCORES,      /* [slots * S][S]: query and key, slot by slot */
    QR__TERM_GREATEST,    /* [rows][1]: the greatest score of each row of `of` */
    QR__TERM_EXP_SUM,     /* [rows][1]: the sum of exp(scale * score) of each row of `of` */
    QR__TERM_PROBS,       /* their softmax */
    QR__TERM_ATTENDED,    /* [B * S][H * D] */
    QR__TERM_NAN_CHECK,   /* whether a number of `of` is none */
    QR__TERM_SCALE,       /* [1][cols]: of the quantized `of`, times col_scale */
    QR__TERM_ZERO,        /* [1][1]: its zero point */
    QR__TERM_WEIGHTED,    /* rows of `of` times weights[row] */
    QR__TERM_FILLED,      /* rows of `of` whose weight is 0 are replaced by something very small */
    QR__TERM_POOLED,      /* [B][cols]: sums of rows of `of` times weights[row] */
    QR__TERM_MAXIMUM,     /* [B][cols]: the greatest of rows of `of` whose weights are 1 */
    QR__TERM_SQUARES,     /* [rows][1]: sum of squares of each row of `of` */
    QR__TERM_NORMALIZED,  /* `of` by its Euclidean length */
    QR__TERM_CONCAT       /* parts, side by side */
} qr__term_kind;

/** Row `row[r]` of a table. */
typedef struct qr__lookup {
    const qr_onnx_tensor *table; /* [n][cols]: constant */
    int64_t *row;                /* [rows] */
    float *scale;                /* [cols]; NULL: 1 */
    float zero;                  /* of a quantized table, subtracted first */
} qr__lookup;
#define QR__LOOKUPS_MAX 4u

/** One head of one sequence: which columns of a LINEAR its D numbers are. */
typedef struct qr__head_slot {
    size_t batch;
    uint32_t *left, *right; /* [D]; SCORES: query and key; ATTENDED: right is the value's */
} qr__head_slot;

typedef struct qr__term {
    qr__term_kind kind;
    size_t node; /* that made it */
    size_t rows, cols;
    const struct qr__term *of, *other;
    const char *why;
    bool marked; /* belongs to `block` of `layer` */
    qr__block_kind block;
    uint32_t layer;

    qr__lookup lookups[QR__LOOKUPS_MAX]; /* EMBEDDED */
    size_t lookup_count;

    const double *function; /* LINEAR: of `of`'s numbers; NULL: none */
    uint32_t *row_of;       /* LINEAR: [rows] rows of `of` */
    uint32_t *col_of;       /* LINEAR: [depth] columns of `of` */
    size_t depth;
    const qr_onnx_tensor *matrix; /* [depth][cols], or [cols][depth] if turned */
    bool turned;
    bool in_steps;    /* of a quantized `of`: still to be multiplied by its scale */
    float *zeros;     /* [cols] zero points of the matrix; NULL: 0 */
    float *col_scale; /* [cols]; NULL: 1. LINEAR, SCALE */
    float *bias;      /* [cols]; NULL: 0 */

    double eps;          /* NORM, SPREAD and what follows */
    float *gamma, *beta; /* [cols]; NULL: 1, 0 */

    qr__head_slot *slots; /* SCORES, ATTENDED */
    size_t slot_count, head_size;
    double scale; /* SCORES: of the product of query and key */
    bool masked;
    double hidden; /* SCORES: the least that a mask adds to them where it hides a key */

    double *weights;             /* [rows of `of`] */
    struct qr__view *part_views; /* CONCAT */
    size_t part_count;
} qr__term;

/** function(term[map]). */
typedef struct qr__view {
    const qr__term *term;
    const int64_t *map;     /* [count] of the value; NULL: 0, 1, 2, ... */
    const double *function; /* [QR__GRID]; NULL: x */
} qr__view;

/** A term of a bucket of such that may be the same, and others. */
typedef struct qr__canonical_term {
    const qr__term *term;
    const struct qr__canonical_term *next;
} qr__canonical_term;

/** What there is to know of a value. */
typedef struct qr__known_value {
    bool known; /* has numbers: follows from masks, ids and shapes, not from the model's states */
    uint32_t deps; /* bits: on the numbers of which inputs; 0: on shapes alone */
    qr__view view; /* of one that is not known */
} qr__known_value;

typedef struct qr__reading {
    qr_onnx_graph *graph;
    qr_onnx_run *run;
    qr__known_value *values; /* [value_count] */
    qr__graph_input inputs[QR__INPUTS_MAX];
    size_t input_count;
    size_t rows[QR__INPUTS_MAX];  /* of the table that the input indexes, 1 where it indexes none */
    int64_t *fed[QR__INPUTS_MAX]; /* [B * S] */
    size_t batch, tokens;         /* B, S */
    bool quantized;               /* activations */
    bool int8, half, has_mask;
    bool no_memory;
    qr__term nothing; /* what a term is that there was no memory for: of one number, unknown */
    struct qr__canonical_term **canonical; /* [canonical_room] buckets (canonical.c) */
    size_t canonical_room;
    size_t *twins; /* [twin_room] a hash table of nodes that were read, each plus 1 (twins.c) */
    size_t twin_room;
    void **owned; /* all that terms and views point to */
    size_t owned_count, owned_room;
    qr__term **terms;
    size_t term_count, term_room;
} qr__reading;

#endif
