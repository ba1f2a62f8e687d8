/* onnx/attend.h: scaled dot-product attention, for all operators that contain it. Private to onnx/.
 *
 *     qr__attend a = {.B = B, .H = H, .G = H, .S = S, .T = T, .D = D, .E = E, .scale = scale,
 *                     .type = QR_ONNX_FLOAT};
 *     if (!qr__attend_init(&a, call)) ...
 *     qr__heads_split(...a.q), ...a.k, ...a.v;   // and what masks add, to a.bias
 *     qr__attend_run(&a, stash, y);
 *     qr__attend_deinit(&a);
 */
#ifndef QR_ONNX_ATTEND_H
#define QR_ONNX_ATTEND_H

#include "onnx/op.h"

/** Which scores are kept beside the result, as ONNX numbers them. */
typedef enum qr__stash {
    QR__STASH_SCORES,  /* scaled products */
    QR__STASH_BIASED,  /* with what masks add */
    QR__STASH_CAPPED,  /* after the soft cap */
    QR__STASH_WEIGHTS, /* after the softmax */
    QR__STASH_COUNT
} qr__stash;

typedef struct qr__attend {
    size_t B, H, G; /* batch; heads of queries; of keys and values: H is a multiple of G */
    size_t S, T;    /* queries, keys */
    size_t D, E;    /* numbers of a head: of queries and keys, of values */
    float scale;
    float cap;         /* 0: none */
    qr_onnx_type type; /* intermediate numbers are rounded to it */
    qr__stash stash_of;
    float *q;      /* [B, H, S, D] */
    float *k, *v;  /* [B, G, T, D], [B, G, T, E] */
    float *bias;   /* [B, H, S, T]; 0 at first */
    float *scores; /* [B, H, S, T]; private */
} qr__attend;

/** Takes memory for q, k, v, bias and scores, together at most as many numbers as an output of the
 * call may have, and spends the steps of qr__attend_run. False: there is none, or it may not
 * (qr__op_no_memory); qr__attend_deinit is right all the same. */
bool qr__attend_init(qr__attend *a, qr__op_call *call);

/** Gives the memory back. */
void qr__attend_deinit(qr__attend *a);

/** y[B, H, S, E]; stash[B, H, S, T] may be NULL. */
void qr__attend_run(const qr__attend *a, float *stash, float *y);

/** How a head's numbers are read from rows: out[B, H, to_length, D] at rows `to`.. of each head =
 * columns [at, at + H D) of x[B, S, width], plus bias[H D] where it is not NULL. */
typedef struct qr__heads {
    size_t B, S, H, D;
    size_t width, at;     /* of a row of x */
    size_t to, to_length; /* rows of out: the first that is written, all */
} qr__heads;

/** As qr__heads says. */
void qr__heads_split(const qr__heads *heads, const float *x, const float *bias, float *out);

/** out[B, S, H D] = y[B, H, S, D]. */
void qr__heads_join(size_t B, size_t S, size_t H, size_t D, const float *y, float *out);

/** Adds to a->bias a tensor of floats or whole numbers whose shape broadcasts to [B, H, S, T];
 * bools: -infinity where false. Where it has fewer keys than T the rest is -infinity. False: it
 * does not fit. */
bool qr__attend_add(qr__attend *a, const qr_onnx_tensor *mask);

/** The operator Attention of ONNX itself. */
qr_status qr__op_attention(qr__op_call *call);

#endif
