/* engine/cpu/kernels/layer_norm__ref.c: layer normalisation in plain C: the oracle, and any machine's kernel. */
#include "engine/cpu/kernels/kernel_list.h"

#include <math.h>

void qr_layer_norm_f32__ref(float *y, const float *x, const float *residual, const float *gamma,
                            const float *beta, float eps, size_t rows, size_t C) {
    for (size_t r = 0; r < rows; r++, x += C, y += C) {
        double sum = 0, squares = 0;
        for (size_t c = 0; c < C; c++) {
            y[c] = residual == NULL ? x[c] : x[c] + residual[r * C + c];
            sum += (double)y[c];
        }
        double mean = sum / (double)C;
        for (size_t c = 0; c < C; c++)
            squares += ((double)y[c] - mean) * ((double)y[c] - mean);
        double scale = 1 / sqrt(squares / (double)C + (double)eps);
        for (size_t c = 0; c < C; c++)
            y[c] = (float)(((double)y[c] - mean) * scale) * gamma[c] + beta[c];
    }
}
