/* engine/cpu/kernels/pool__neon.c: pool_body.h for this instruction set. */
#include "engine/cpu/kernels/kernel_list.h"
#include "engine/cpu/kernels/pool_body.h"

void qr__pool_f32__neon(float *y, const float *x, size_t S, size_t C) {
    pool(y, x, S, C);
}
