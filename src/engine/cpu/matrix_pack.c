/* engine/cpu/matrix_pack.c: weights into panels: convert a block of each column, then transpose
 * it into place.
 *
 *     int8   symmetric: scale = max |w| / 127 of the column, q = round(w / scale) to nearest even
 *     bf16   rounded to nearest even
 *
 * A column of a panel is a row of W. The source's rows are read where they lie: only a block of
 * one column is ever copied. Plain C that compilers vectorise for any machine: 10.6 million
 * weights take well under the 150 ms they may. */
#include "engine/cpu/matrix_pack.h"

#include <math.h>

#define BLOCK       64 /* steps: a block of 32 columns fits in L1 beside its place */
#define STEP_MAX    4  /* values of k in a step */
#define COLUMNS_MAX 96

/* Rounds |x| < 2^22 to the nearest even integer, leaving it in the low bits. */
#define MAGIC 12582912.0f

static uint32_t bits_of(float f) {
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

static uint16_t bf16_of(float f) {
    const uint32_t bits = bits_of(f);
    /* No NaN to keep apart: the loader refuses weights that are not finite. */
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static float greatest(const float *w, size_t K) {
    float most = 0;
    for (size_t k = 0; k < K; k++)
        most = fabsf(w[k]) > most ? fabsf(w[k]) : most;
    return most;
}

/* One column of the panels: a row of W. */
typedef struct column {
    const float *weights; /* [K] */
    float factor;         /* of the block's rows */
    float inverse;        /* 1 / scale; 0: a column of zeros, or so small that it counts as one */
} column;

/* Row n of W, and its bias in *bias. */
static column find_column(const qr__matrix_source *source, size_t n, float *bias) {
    const qr__matrix_rows *block = source->blocks;
    for (; n >= block->rows; block++)
        n -= block->rows;
    *bias = block->bias == NULL ? 0 : block->bias[n] * block->scale;
    return (column){.weights = block->weights + n * block->stride, .factor = block->scale};
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

/* A column's weights [k, k + n) in the form that the panel holds; returns int8's sum. */
static int32_t convert(const qr__gemm_kernel *kernel, const column *from, size_t k, size_t n,
                       void *out) {
    float scaled[BLOCK * STEP_MAX];
    const float *w = from->weights + k;
    if (from->factor != 1) {
        for (size_t i = 0; i < n; i++)
            scaled[i] = w[i] * from->factor;
        w = scaled;
    }
    if (kernel->precision == QR_PRECISION_INT8)
        return quantize(w, from->inverse, n, out);
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

static void pack_panel(const qr__gemm_kernel *kernel, const qr__gemm_shape *shape,
                       const qr__matrix_source *source, char *panel, size_t first, size_t columns) {
    const size_t K = shape->K, width = kernel->columns, unit = kernel->step * kernel->weight_bytes;
    const bool scaled = kernel->precision == QR_PRECISION_INT8;
    float *bias = (float *)(void *)(panel + shape->constants_at);
    float *scales = bias + width, *weighted_sums = bias + 2 * width; /* int8 only */
    column from[COLUMNS_MAX];
    int32_t sums[COLUMNS_MAX] = {0};
    block blocks[COLUMNS_MAX];
    for (size_t n = 0; n < columns; n++) {
        from[n] = find_column(source, first + n, &bias[n]);
        if (scaled) {
            const float most = greatest(from[n].weights, K) * fabsf(from[n].factor);
            scales[n] = most / 127.0f;
            from[n].inverse = scales[n] > 1e-35f ? 1.0f / scales[n] : 0.0f;
        }
    }
    for (size_t s = 0; s < shape->steps; s += BLOCK) {
        const size_t steps = qr_min(BLOCK, shape->steps - s);
        const size_t k = s * kernel->step, count = qr_min(steps * kernel->step, K - k);
        memset(blocks, 0, width * sizeof *blocks);
        for (size_t n = 0; n < columns; n++)
            sums[n] += convert(kernel, &from[n], k, count, blocks[n].unit);
        transpose(blocks, width, steps, unit == 2, panel + s * width * unit);
    }
    for (size_t n = 0; scaled && n < columns; n++)
        weighted_sums[n] = scales[n] * (float)sums[n];
}

void qr__matrix_pack_panels(const qr__gemm_kernel *kernel, const qr__gemm_shape *shape,
                            const qr__matrix_source *source, void *panels) {
    for (size_t p = 0; p < shape->panels; p++) {
        const size_t first = p * kernel->columns;
        pack_panel(kernel, shape, source, (char *)panels + p * shape->panel_bytes, first,
                   qr_min(kernel->columns, shape->N - first));
    }
}
