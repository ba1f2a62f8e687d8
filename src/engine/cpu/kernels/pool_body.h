/* engine/cpu/kernels/pool_body.h: mean pooling, for the instruction set of the including file:
 * columns stay in registers, rows are added first to last. */
#include "engine/cpu/kernels/vec_math.h"

#define POOL_VECTORS 8 /* columns at a time: eight independent sums */

static inline void pool(float *y, const float *x, size_t S, size_t C) {
    const qr__vec count = qr__vec_set((float)S);
    size_t c = 0;
    for (; c + POOL_VECTORS * QR_VEC_LANES <= C; c += POOL_VECTORS * QR_VEC_LANES) {
        qr__vec sum[POOL_VECTORS];
        for (size_t i = 0; i < POOL_VECTORS; i++)
            sum[i] = qr__vec_load(x + c + i * QR_VEC_LANES);
        for (size_t s = 1; s < S; s++)
            for (size_t i = 0; i < POOL_VECTORS; i++)
                sum[i] = qr__vec_add(sum[i], qr__vec_load(x + s * C + c + i * QR_VEC_LANES));
        for (size_t i = 0; i < POOL_VECTORS; i++)
            qr__vec_store(y + c + i * QR_VEC_LANES, qr__vec_div(sum[i], count));
    }
    for (; c < C; c += QR_VEC_LANES) {
        size_t n = C - c < QR_VEC_LANES ? C - c : QR_VEC_LANES;
        qr__vec sum = qr__vec_load_first(x + c, n);
        for (size_t s = 1; s < S; s++)
            sum = qr__vec_add(sum, qr__vec_load_first(x + s * C + c, n));
        qr__vec_store_first(y + c, qr__vec_div(sum, count), n);
    }
}
