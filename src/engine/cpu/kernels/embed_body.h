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
        qr_vec v = qr_vec_add(half ? qr_vec_load_f16(halves + c) : qr_vec_load(single + c),
                              qr_vec_load(position + c));
        qr_vec_store(y + c, type == NULL ? v : qr_vec_add(v, qr_vec_load(type + c)));
    }
    for (; c < C; c++)
        y[c] = ((half ? qr_f16_to_f32(halves[c]) : single[c]) + position[c]) +
               (type == NULL ? 0 : type[c]);
}

static inline void halve(uint16_t *y, const float *x, size_t n) {
    const qr_vec most = qr_vec_set(65504.0f), least = qr_vec_set(-65504.0f);
    size_t i = 0;
    for (; i + QR_VEC_LANES <= n; i += QR_VEC_LANES)
        qr_vec_store_f16(y + i, qr_vec_max(least, qr_vec_min(most, qr_vec_load(x + i))));
    for (; i < n; i++)
        y[i] = qr_f32_to_f16(x[i]);
}
