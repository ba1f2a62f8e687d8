/* engine/cpu/kernels/embed__ref.c: the sum of a token's three embeddings, and how its table is
 * halved, in plain C. */
#include "engine/cpu/kernels/f16.h"
#include "engine/cpu/kernels/kernel_list.h"

void qr__embed_f32__ref(float *y, const void *word, bool half, const float *position,
                        const float *type, size_t C) {
    const float *single = word;
    const uint16_t *halves = word;
    for (size_t c = 0; c < C; c++) {
        float w = half ? qr__f16_to_f32(halves[c]) : single[c];
        float t = type == NULL ? 0 : type[c];
        y[c] = (w + position[c]) + t;
    }
}

void qr__halve_f32__ref(uint16_t *y, const float *x, size_t n) {
    for (size_t i = 0; i < n; i++)
        y[i] = qr__f32_to_f16(x[i]);
}
