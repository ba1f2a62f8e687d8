/* engine/cpu/kernels/embed__neon.c: embed_body.h for this instruction set. */
#include "engine/cpu/kernels/embed_body.h"
#include "engine/cpu/kernels/kernel_list.h"

void qr__embed_f32__neon(float *y, const void *word, bool half, const float *position,
                         const float *type, size_t C) {
    embed(y, word, half, position, type, C);
}

void qr__halve_f32__neon(uint16_t *y, const float *x, size_t n) {
    halve(y, x, n);
}
