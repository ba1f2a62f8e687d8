/* engine/cpu/kernels/pool__avx512f.c: pool_body.h for this instruction set. */
#include "engine/cpu/kernels/kernel_list.h"
#include "engine/cpu/kernels/pool_body.h"

void qr__pool_f32__avx512f(float *y, const float *x, size_t S, size_t C) {
    pool(y, x, S, C);
}
