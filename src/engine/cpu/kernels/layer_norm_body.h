/* engine/cpu/kernels/layer_norm_body.h: residual and layer normalisation, for the instruction set
 * of the including file.
 *
 * Two passes over a row that stays in L1: the sum x + residual and its mean, then the centred
 * squares; no cancellation, whatever the mean. Four partial sums, added in a fixed order. */
#include "engine/cpu/kernels/kernels.h"
#include "engine/cpu/kernels/vec_math.h"

#include <math.h>

#define ALWAYS_INLINE static inline __attribute__((always_inline))
#define BLOCK         (4 * QR_VEC_LANES)

typedef struct partial_sums {
    qr__vec part[4];
} partial_sums;

ALWAYS_INLINE float total(const partial_sums *s) {
    return qr__vec_sum(
        qr__vec_add(qr__vec_add(s->part[0], s->part[1]), qr__vec_add(s->part[2], s->part[3])));
}

/* y = x + more + residual; returns the row's mean. NULL where there is none, known when it is
 * inlined. */
ALWAYS_INLINE float add_rows(float *y, const float *x, const float *more, const float *residual,
                             size_t C) {
    qr__vec zero = qr__vec_set(0);
    partial_sums sum = {{zero, zero, zero, zero}};
    size_t c = 0;
    for (; c + BLOCK <= C; c += BLOCK) {
        for (size_t i = 0; i < 4; i++) {
            size_t at = c + i * QR_VEC_LANES;
            qr__vec v = qr__vec_load(x + at);
            if (more != NULL)
                v = qr__vec_add(v, qr__vec_load(more + at));
            if (residual != NULL)
                v = qr__vec_add(v, qr__vec_load(residual + at));
            qr__vec_store(y + at, v);
            sum.part[i] = qr__vec_add(sum.part[i], v);
        }
    }
    for (; c < C; c += QR_VEC_LANES) {
        size_t n = C - c < QR_VEC_LANES ? C - c : QR_VEC_LANES;
        qr__vec v = qr__vec_load_first(x + c, n);
        if (more != NULL)
            v = qr__vec_add(v, qr__vec_load_first(more + c, n));
        if (residual != NULL)
            v = qr__vec_add(v, qr__vec_load_first(residual + c, n));
        qr__vec_store_first(y + c, v, n);
        sum.part[0] = qr__vec_add(sum.part[0], v);
    }
    return total(&sum) / (float)C;
}

ALWAYS_INLINE float variance(const float *y, float mean, size_t C) {
    qr__vec zero = qr__vec_set(0), m = qr__vec_set(mean);
    partial_sums sum = {{zero, zero, zero, zero}};
    size_t c = 0;
    for (; c + BLOCK <= C; c += BLOCK) {
        for (size_t i = 0; i < 4; i++) {
            qr__vec v = qr__vec_sub(qr__vec_load(y + c + i * QR_VEC_LANES), m);
            sum.part[i] = qr__vec_fma(v, v, sum.part[i]);
        }
    }
    for (; c < C; c += QR_VEC_LANES) {
        size_t n = C - c < QR_VEC_LANES ? C - c : QR_VEC_LANES;
        qr__vec v = qr__vec_first(qr__vec_sub(qr__vec_load_first(y + c, n), m), n);
        sum.part[0] = qr__vec_fma(v, v, sum.part[0]);
    }
    return total(&sum) / (float)C;
}

ALWAYS_INLINE void scale_row(float *y, float mean, float scale, const float *gamma,
                             const float *beta, size_t C) {
    qr__vec m = qr__vec_set(mean), s = qr__vec_set(scale);
    size_t c = 0;
    for (; c + QR_VEC_LANES <= C; c += QR_VEC_LANES) {
        qr__vec v = qr__vec_mul(qr__vec_sub(qr__vec_load(y + c), m), s);
        qr__vec_store(y + c, qr__vec_fma(v, qr__vec_load(gamma + c), qr__vec_load(beta + c)));
    }
    if (c < C) {
        size_t n = C - c;
        qr__vec v = qr__vec_mul(qr__vec_sub(qr__vec_load_first(y + c, n), m), s);
        v = qr__vec_fma(v, qr__vec_load_first(gamma + c, n), qr__vec_load_first(beta + c, n));
        qr__vec_store_first(y + c, v, n);
    }
}

ALWAYS_INLINE void layer_norm(const qr__layer_norm *n) {
    for (size_t r = 0; r < n->rows; r++) {
        size_t C = n->C, at = r * C;
        float *y = n->y + at;
        const float *residual = n->residual == NULL ? NULL : n->residual + at;
        float mean;
        if (n->more != NULL && residual != NULL)
            mean = add_rows(y, n->x + at, n->more + at, residual, C);
        else if (residual != NULL)
            mean = add_rows(y, n->x + at, NULL, residual, C);
        else
            mean = add_rows(y, n->x + at, n->more == NULL ? NULL : n->more + at, NULL, C);
        scale_row(y, mean, 1 / sqrtf(variance(y, mean, C) + n->eps), n->gamma, n->beta, C);
    }
}
