/* engine/cpu/smooth.c: SmoothQuant's factors. */
#include "engine/cpu/smooth.h"

#include <math.h>

#define LEAST_RANGE  1e-5f /* of a channel that no text and no weight uses */
#define LEAST_FACTOR 1e-3f /* its inverse multiplies activations */

/* most[k] = max |W[.][k]|, row by row, as the weights lie in memory. */
static void greatest_by_channel(const qr__matrix_rows *blocks, size_t blocks_len, size_t in,
                                float *most) {
    memset(most, 0, in * sizeof *most);
    for (size_t b = 0; b < blocks_len; b++)
        for (size_t n = 0; n < blocks[b].rows; n++) {
            const float *w = blocks[b].weights + n * blocks[b].stride;
            for (size_t k = 0; k < in; k++)
                most[k] = fabsf(w[k]) > most[k] ? fabsf(w[k]) : most[k];
        }
}

void qr__smooth(const float *ranges, const qr__matrix_rows *blocks, size_t blocks_len, size_t in,
                float *out) {
    double sum = 0;
    greatest_by_channel(blocks, blocks_len, in, out);
    for (size_t k = 0; k < in; k++) {
        out[k] = sqrtf(fmaxf(ranges[k], LEAST_RANGE)) / sqrtf(fmaxf(out[k], LEAST_RANGE));
        sum += (double)out[k];
    }
    for (size_t k = 0; k < in; k++)
        out[k] = fmaxf((float)(out[k] * (double)in / sum), LEAST_FACTOR);
}
