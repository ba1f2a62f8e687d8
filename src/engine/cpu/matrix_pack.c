/* engine/cpu/matrix_pack.c: weights into panels: convert a column, or a block of it, then transpose
 * it into place.
 *
 *     bf16   rounded to nearest even
 *     int8   quantize_weights.h, a scale a column
 *
 * A column of a panel is a row of W. Plain C that compilers vectorise for any machine: 10.6 million
 * weights take well under the 150 ms they may. */
#include "engine/cpu/matrix_pack.h"

#include <stdlib.h>

#include "engine/cpu/quantize_weights.h"

#define BLOCK       64 /* fours of bytes: a block of 32 columns fits in L1 beside its place */
#define COLUMNS_MAX 96

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

/* One column of the panels: a row of W. */
typedef struct column {
    const float *weights; /* [K] */
    float factor;         /* of the block's rows */
    float bias;
} column;

static column find_column(const qr__matrix_source *source, size_t n) {
    const qr__matrix_rows *block = source->blocks;
    for (; n >= block->rows; block++)
        n -= block->rows;
    return (column){.weights = block->weights + n * block->stride,
                    .factor = block->scale,
                    .bias = block->bias == NULL ? 0 : block->bias[n] * block->scale};
}

/* A column's weights [k, k + n) in a format that loses no scale: f32 or bf16. */
static void convert(const column *from, size_t k, size_t n, bool half, void *out) {
    const float *w = from->weights + k;
    if (half)
        for (size_t i = 0; i < n; i++)
            ((uint16_t *)out)[i] = bf16_of(w[i] * from->factor);
    else
        for (size_t i = 0; i < n; i++)
            ((float *)out)[i] = w[i] * from->factor;
}

typedef struct block {
    /* A step of one column is one of these, half of one or two of them. */
    _Alignas(64) uint32_t unit[BLOCK];
} block;

/* out[steps][columns] = blocks[columns][steps], units of 2, 4 or 8 bytes */
static void transpose(const block *blocks, size_t columns, size_t steps, size_t unit, void *out) {
    for (size_t s = 0; s < steps; s++) {
        if (unit == 8)
            for (size_t n = 0; n < columns; n++)
                memcpy((uint64_t *)out + s * columns + n, blocks[n].unit + 2 * s, 8);
        else if (unit == 2)
            for (size_t n = 0; n < columns; n++)
                memcpy((uint16_t *)out + s * columns + n, (const uint16_t *)blocks[n].unit + s, 2);
        else
            for (size_t n = 0; n < columns; n++)
                ((uint32_t *)out)[s * columns + n] = blocks[n].unit[s];
    }
}

/* Columns [first, first + columns) of W in f32 or bf16: only a block of each is ever copied. */
static void pack_floats(const qr__gemm_kernel *kernel, const qr__gemm_shape *shape,
                        const qr__matrix_source *source, char *panel, size_t first,
                        size_t columns) {
    const size_t width = kernel->columns, unit = kernel->step * kernel->weight_bytes;
    float *bias = (float *)(void *)(panel + shape->constants_at);
    column from[COLUMNS_MAX];
    block blocks[COLUMNS_MAX];
    for (size_t n = 0; n < columns; n++) {
        from[n] = find_column(source, first + n);
        bias[n] = from[n].bias;
    }
    const size_t most = unit == 8 ? BLOCK / 2 : BLOCK;
    for (size_t s = 0; s < shape->steps; s += most) {
        const size_t steps = qr_min(most, shape->steps - s);
        const size_t k = s * kernel->step, count = qr_min(steps * kernel->step, shape->K - k);
        memset(blocks, 0, width * sizeof *blocks);
        for (size_t n = 0; n < columns; n++)
            convert(&from[n], k, count, kernel->weight_bytes == 2, blocks[n].unit);
        transpose(blocks, width, steps, unit, panel + s * width * unit);
    }
}

/* One column, and the codes of a panel's columns, in whole steps. */
typedef struct desk {
    float *column; /* [K] */
    int8_t *codes; /* [columns][steps * 4] */
} desk;

/* The same in int8: a scale needs the whole column. */
static void pack_codes(const qr__gemm_kernel *kernel, const qr__gemm_shape *shape,
                       const qr__matrix_source *source, const desk *d, char *panel, size_t first,
                       size_t columns) {
    const size_t K = shape->K, width = kernel->columns, length = shape->steps * kernel->step;
    float *bias = (float *)(void *)(panel + shape->constants_at);
    float *scales = bias + width, *weighted_sums = bias + 2 * width;
    for (size_t n = 0; n < columns; n++) {
        const column from = find_column(source, first + n);
        int8_t *codes = d->codes + n * length;
        for (size_t k = 0; k < K; k++)
            d->column[k] = from.weights[k] * from.factor;
        for (size_t k = 0; source->smooth != NULL && k < K; k++)
            d->column[k] *= source->smooth[k];
        scales[n] = qr__quantize_weights(d->column, K, kernel->group, codes);
        int32_t sum = 0;
        for (size_t k = 0; k < K; k++)
            sum += codes[k];
        bias[n] = from.bias;
        weighted_sums[n] = scales[n] * (float)sum;
    }
    for (size_t s = 0; s < shape->steps; s++)
        for (size_t n = 0; n < columns; n++)
            memcpy(panel + (s * width + n) * kernel->step, d->codes + n * length + s * kernel->step,
                   kernel->step);
}

qr_status qr__matrix_pack_panels(const qr__gemm_kernel *kernel, const qr__gemm_shape *shape,
                                 const qr__matrix_source *source, void *panels) {
    const bool scaled = kernel->precision == QR_PRECISION_INT8;
    desk d = {0};
    if (scaled) {
        d.column = malloc(shape->K * sizeof *d.column);
        d.codes = calloc(kernel->columns, shape->steps * kernel->step);
    }
    qr_status status = scaled && (d.column == NULL || d.codes == NULL) ? QR_NO_MEMORY : QR_OK;
    for (size_t p = 0; p < shape->panels && status == QR_OK; p++) {
        const size_t first = p * kernel->columns;
        const size_t columns = qr_min(kernel->columns, shape->N - first);
        char *panel = (char *)panels + p * shape->panel_bytes;
        if (scaled)
            pack_codes(kernel, shape, source, &d, panel, first, columns);
        else
            pack_floats(kernel, shape, source, panel, first, columns);
    }
    free(d.column);
    free(d.codes);
    return status;
}
