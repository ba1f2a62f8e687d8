/* engine/cpu/matrix_pack.c: weights into panels: convert a block of each column, then transpose it
 * into place.
 *
 * int8 is symmetric per output column: scale = max |w| / 127, q = round(w / scale) to nearest even.
 * bf16 rounds to nearest even. Plain C that compilers vectorise for any machine: 10.6 million
 * weights take well under the 150 ms they may. */
#include "engine/cpu/matrix_pack.h"

#include <math.h>

#define BLOCK 64 /* steps: a block of 32 columns fits in L1 beside its place */

/* Rounds |x| < 2^22 to the nearest even integer, leaving it in the low bits. */
#define MAGIC 12582912.0f

static uint32_t bits_of(float f) {
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

static uint16_t bf16_of(float f) {
    const uint32_t bits = bits_of(f);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >>
                      16); /* weights are finite: the loader saw to it */
}

static float greatest(const float *w, size_t K) {
    float most = 0;
    for (size_t k = 0; k < K; k++)
        most = fabsf(w[k]) > most ? fabsf(w[k]) : most;
    return most;
}

/* q[n] = w[n] / scale as s8; returns their sum. */
static int32_t quantize(const float *w, float inverse, size_t n, int8_t *q) {
    int32_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        const int32_t value = (int32_t)(bits_of(w[i] * inverse + MAGIC) - bits_of(MAGIC));
        q[i] = (int8_t)value;
        sum += value;
    }
    return sum;
}

/* One column's next `n` weights, in the form that the panel holds. */
static int32_t convert(const qr_gemm_kernel *kernel, const float *w, float inverse, size_t n,
                       void *out) {
    if (kernel->precision == QR_PRECISION_INT8)
        return quantize(w, inverse, n, out);
    if (kernel->weight_bytes == 2) {
        uint16_t *half = out;
        for (size_t i = 0; i < n; i++)
            half[i] = bf16_of(w[i]);
    } else {
        memcpy(out, w, n * sizeof *w);
    }
    return 0;
}

typedef struct block {
    _Alignas(64) uint32_t unit[BLOCK]; /* a step of one column; two-byte units use half of it */
} block;

/* out[steps][columns] = blocks[columns][steps] */
static void transpose(const block *blocks, size_t columns, size_t steps, bool narrow, void *out) {
    for (size_t s = 0; s < steps; s++) {
        if (narrow)
            for (size_t n = 0; n < columns; n++)
                memcpy((uint16_t *)out + s * columns + n, (const uint16_t *)blocks[n].unit + s, 2);
        else
            for (size_t n = 0; n < columns; n++)
                ((uint32_t *)out)[s * columns + n] = blocks[n].unit[s];
    }
}

#define COLUMNS_MAX 96

static void pack_panel(const qr_gemm_kernel *kernel, const qr_gemm_shape *shape,
                       const qr_matrix_source *source, char *panel, size_t first, size_t columns) {
    const size_t K = shape->K, width = kernel->columns, unit = kernel->step * kernel->weight_bytes;
    const bool scaled = kernel->precision == QR_PRECISION_INT8;
    float *bias = (float *)(void *)(panel + shape->constants_at);
    float inverse[COLUMNS_MAX] = {0};
    int32_t sums[COLUMNS_MAX] = {0};
    block blocks[COLUMNS_MAX];
    for (size_t n = 0; n < columns; n++) {
        if (source->bias != NULL)
            bias[n] = source->bias[first + n];
        if (scaled) {
            const float scale = greatest(source->weights + (first + n) * K, K) / 127.0f;
            bias[width + n] = scale;
            inverse[n] = scale > 1e-35f ? 1.0f / scale : 0.0f;
        }
    }
    for (size_t s = 0; s < shape->steps; s += BLOCK) {
        const size_t steps = qr_min(BLOCK, shape->steps - s);
        const size_t k = s * kernel->step, count = qr_min(steps * kernel->step, K - k);
        memset(blocks, 0, width * sizeof *blocks);
        for (size_t n = 0; n < columns; n++)
            sums[n] += convert(kernel, source->weights + (first + n) * K + k, inverse[n], count,
                               blocks[n].unit);
        transpose(blocks, width, steps, unit == 2, panel + s * width * unit);
    }
    if (scaled)
        for (size_t n = 0; n < columns; n++)
            bias[2 * width + n] = bias[width + n] * (float)sums[n];
}

void qr_matrix_pack_panels(const qr_gemm_kernel *kernel, const qr_gemm_shape *shape,
                           const qr_matrix_source *source, void *panels, size_t begin, size_t end) {
    for (size_t p = begin; p < end; p++) {
        const size_t first = p * kernel->columns;
        pack_panel(kernel, shape, source, (char *)panels + p * shape->panel_bytes, first,
                   qr_min(kernel->columns, shape->N - first));
    }
}
