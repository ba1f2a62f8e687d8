/* engine/cpu/kernels/attention_int8_block_body.h: what attention in int8 keeps of a head and of a
 * block of queries, and where it lies in the caller's scratch (attention_int8_body.h says what
 * for).
 *
 *     #define QR_ATTENTION_INTS   __m512i      // one integer a query of a block
 *     #define QR_ATTENTION_FLOATS __m512       // one float a query
 *     #include "engine/cpu/kernels/attention_int8_block_body.h"
 *     block b = cut_scratch(a, D); */
#ifndef QR_ENGINE_CPU_ATTENTION_INT8_BLOCK_BODY_H
#define QR_ENGINE_CPU_ATTENTION_INT8_BLOCK_BODY_H

#include "engine/cpu/kernels/attention_groups.h"
#include "engine/cpu/kernels/kernels.h"

#define LANES QR_ATTENTION_LANES
#define LEAST 1e-30f /* a range below is none */

/* Of each channel of keys or values. */
typedef struct channels {
    float *middle, *scale, *inverse; /* [D]; x ~ middle + scale * code; inverse: 1 / scale or 0 */
} channels;

typedef struct block {
    channels keys, values;
    float *wide;                    /* [D][16]: queries before they are codes */
    int32_t *score, *score_beside;  /* of a second block of queries that is scored with it */
    uint32_t *q, *q_beside, *p, *v; /* fours of bytes */
    uint8_t *k;
    uint8_t *rows; /* [16][whole] powers by query, for tiles */
    size_t whole;  /* keys, rounded up to QR_ATTENTION_TILE_KEYS: all of the above has room */
    QR_ATTENTION_INTS most;             /* the largest score */
    QR_ATTENTION_FLOATS q_scale, total; /* of an integer score; sum of powers */
    QR_ATTENTION_INTS q_start; /* what scores begin with, where products are of signed codes */
    int32_t *v_start;          /* [D]: what mixed values begin with there */
} block;

/* The next `bytes` of what is left. */
ALWAYS_INLINE void *cut(char **rest, size_t bytes) {
    void *piece = *rest;
    *rest += bytes;
    return piece;
}

ALWAYS_INLINE channels cut_channels(char **rest, size_t D) {
    channels c;
    c.middle = cut(rest, D * sizeof *c.middle);
    c.scale = cut(rest, D * sizeof *c.scale);
    c.inverse = cut(rest, D * sizeof *c.inverse);
    return c;
}

/* As qr__attention_scratch_bytes counts it. */
ALWAYS_INLINE block cut_scratch(const qr__attention *a, size_t D) {
    block b = {.whole = qr_round_up(a->keys, QR_ATTENTION_TILE_KEYS)};
    char *rest = a->scratch;
    b.score = cut(&rest, b.whole * LANES * sizeof *b.score);
    b.p = cut(&rest, b.whole / 4 * LANES * sizeof *b.p);
    b.rows = cut(&rest, b.whole * LANES);
    b.q = cut(&rest, D / 4 * LANES * sizeof *b.q);
    b.q_beside = cut(&rest, D / 4 * LANES * sizeof *b.q);
    b.score_beside = cut(&rest, b.whole * LANES * sizeof *b.score);
    b.wide = cut(&rest, D * LANES * sizeof *b.wide);
    b.v = cut(&rest, b.whole / 4 * D * sizeof *b.v);
    b.keys = cut_channels(&rest, D);
    b.values = cut_channels(&rest, D);
    b.v_start = cut(&rest, D * sizeof *b.v_start);
    b.k = cut(&rest, b.whole * D);
    return b;
}

#endif
