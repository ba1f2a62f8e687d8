/* engine/cpu/kernels/pool__ref.c: mean pooling in plain C. */
#include "engine/cpu/kernels/kernel_list.h"

void qr__pool_f32__ref(float *y, const float *x, size_t S, size_t C) {
    for (size_t c = 0; c < C; c++) {
        double sum = 0;
        for (size_t s = 0; s < S; s++)
            sum += (double)x[s * C + c];
        y[c] = (float)(sum / (double)S);
    }
}
