/* engine/cpu/kernels/layer_norm__ref.c: layer normalisation in plain C: the oracle, and any
 * machine's kernel. */
#include "engine/cpu/kernels/kernel_list.h"

#include <math.h>

static void normalize(float *y, const float *gamma, const float *beta, float eps, size_t C) {
    double sum = 0, squares = 0;
    for (size_t c = 0; c < C; c++)
        sum += (double)y[c];
    double mean = sum / (double)C;
    for (size_t c = 0; c < C; c++)
        squares += ((double)y[c] - mean) * ((double)y[c] - mean);
    double scale = 1 / sqrt(squares / (double)C + (double)eps);
    for (size_t c = 0; c < C; c++)
        y[c] = (float)(((double)y[c] - mean) * scale) * gamma[c] + beta[c];
}

void qr__layer_norm_f32__ref(const qr__layer_norm *n) {
    for (size_t r = 0; r < n->rows; r++) {
        size_t at = r * n->C;
        for (size_t i = at; i < at + n->C; i++) {
            float sum = n->more == NULL ? n->x[i] : n->x[i] + n->more[i];
            n->y[i] = n->residual == NULL ? sum : sum + n->residual[i];
        }
        normalize(n->y + at, n->gamma, n->beta, n->eps, n->C);
    }
}
