/* engine/cpu/kernels/layer_norm_body.h: residual and layer normalisation, for the instruction set of the including file.
 *
 * Two passes over a row that stays in L1: the sum x + residual and its mean, then the centred squares; no cancellation, whatever the mean.
 * Four partial sums, added in a fixed order. */
#include "engine/cpu/kernels/vec_math.h"

#include <math.h>

typedef struct moments {
    qr_vec a[4];
} moments;

static inline float moments_sum(const moments *m) {
    return qr_vec_sum(qr_vec_add(qr_vec_add(m->a[0], m->a[1]), qr_vec_add(m->a[2], m->a[3])));
}

static inline __attribute__((always_inline)) void normalize_row(float *y, const float *x, const float *residual,
                                                                const float *gamma, const float *beta, float eps,
                                                                size_t C) {
    size_t whole = C - C % QR_VEC_LANES, tail = C % QR_VEC_LANES, part = 0;
    const qr_vec zero = qr_vec_set(0);
    moments sum = {{zero, zero, zero, zero}}, squares = sum;
    for (size_t c = 0; c < whole; c += QR_VEC_LANES, part = (part + 1) % 4) {
        qr_vec v = qr_vec_load(x + c);
        if (residual != NULL)
            v = qr_vec_add(v, qr_vec_load(residual + c));
        qr_vec_store(y + c, v);
        sum.a[part] = qr_vec_add(sum.a[part], v);
    }
    if (tail > 0) {
        qr_vec v = qr_vec_load_first(x + whole, tail);
        if (residual != NULL)
            v = qr_vec_add(v, qr_vec_load_first(residual + whole, tail));
        qr_vec_store_first(y + whole, v, tail);
        sum.a[part] = qr_vec_add(sum.a[part], v);
    }
    qr_vec mean = qr_vec_set(moments_sum(&sum) / (float)C);
    part = 0;
    for (size_t c = 0; c < whole; c += QR_VEC_LANES, part = (part + 1) % 4) {
        qr_vec v = qr_vec_sub(qr_vec_load(y + c), mean);
        squares.a[part] = qr_vec_fma(v, v, squares.a[part]);
    }
    if (tail > 0) {
        qr_vec v = qr_vec_first(qr_vec_sub(qr_vec_load_first(y + whole, tail), mean), tail);
        squares.a[part] = qr_vec_fma(v, v, squares.a[part]);
    }
    qr_vec scale = qr_vec_set(1 / sqrtf(moments_sum(&squares) / (float)C + eps));
    for (size_t c = 0; c < whole; c += QR_VEC_LANES) {
        qr_vec v = qr_vec_mul(qr_vec_sub(qr_vec_load(y + c), mean), scale);
        qr_vec_store(y + c, qr_vec_fma(v, qr_vec_load(gamma + c), qr_vec_load(beta + c)));
    }
    if (tail > 0) {
        qr_vec v = qr_vec_mul(qr_vec_sub(qr_vec_load_first(y + whole, tail), mean), scale);
        v = qr_vec_fma(v, qr_vec_load_first(gamma + whole, tail), qr_vec_load_first(beta + whole, tail));
        qr_vec_store_first(y + whole, v, tail);
    }
}
