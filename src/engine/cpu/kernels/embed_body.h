/* engine/cpu/kernels/embed_body.h: word + position + type of one token, for the instruction set of
 * the including file. Bound by memory: a token's word row is the one cold line of the whole pass.
 */
#include "engine/cpu/kernels/f16.h"
#include "engine/cpu/kernels/vec_math.h"

#include <stdbool.h>

static inline void embed(float *y, const void *word, bool half, const float *position,
                         const float *type, size_t C) {
    const float *single = word;
    const uint16_t *halves = word;
    size_t c = 0;
    for (; c + QR_VEC_LANES <= C; c += QR_VEC_LANES) {
        qr__vec v = qr__vec_add(half ? qr__vec_load_f16(halves + c) : qr__vec_load(single + c),
                                qr__vec_load(position + c));
        qr__vec_store(y + c, type == NULL ? v : qr__vec_add(v, qr__vec_load(type + c)));
    }
    for (; c < C; c++)
        y[c] = ((half ? qr__f16_to_f32(halves[c]) : single[c]) + position[c]) +
               (type == NULL ? 0 : type[c]);
}

static inline void halve(uint16_t *y, const float *x, size_t n) {
    const qr__vec most = qr__vec_set(65504.0f), least = qr__vec_set(-65504.0f);
    size_t i = 0;
    for (; i + QR_VEC_LANES <= n; i += QR_VEC_LANES)
        qr__vec_store_f16(y + i, qr__vec_max(least, qr__vec_min(most, qr__vec_load(x + i))));
    for (; i < n; i++)
        y[i] = qr__f32_to_f16(x[i]);
}
