/* engine/cpu/kernels/gemm_int8_256_body.h: a product of u8 activations and s8 weights on 32-byte
 * vectors, made of tiles of sums; a kernel's file says how those are made and includes this.
 *
 *     #include "engine/cpu/kernels/vec_avx2.h"
 *     #include "engine/cpu/kernels/gemm_shared_body.h"
 *     #define QR_INT8_ROWS_MAX 6                                // of a tile
 *     static void tile_sums(size_t rows, const qr__gemm_shape *shape, const char *operand,
 *                           const char *panel, prefetch *stream, __m256i sums[][2]);
 *     static size_t blocks_of(size_t rows);                     // tiles for so many rows
 *     static size_t rows_of_next(size_t left, size_t blocks);   // of the next of `blocks` tiles
 *     #define QR_GEMM_NAME qr__gemm_int8__avx2vnni
 *     #include "engine/cpu/kernels/gemm_int8_256_body.h"
 *
 * It differs from gemm_tile.h in two things that pay here (docs/KERNELS.md, "Tiles"). Sums are
 * scaled in their registers and go straight to y, not through a buffer. Activations follow in
 * place, over the panels' worth of y that is still in L1, so that their latency stands between no
 * two tiles. */
#include "engine/cpu/kernels/gemm_list.h"
#include "engine/cpu/kernels/kernel_list.h"

#include <string.h>

#define ACTIVATED_BYTES 24576 /* of y, at most */

/* y[rows][columns] = scaled sums + bias. */
QR_INLINE void scale_sums(const size_t rows, const qr__gemm_shape *shape, const char *operand,
                          const float *constants, __m256i sums[][2], float *y, size_t ldy) {
    QR_UNROLL
    for (size_t i = 0; i < rows; i++) {
        qr__gemm_row row;
        memcpy(&row, operand + i * shape->stride + shape->row_at, sizeof row);
        QR_UNROLL
        for (size_t v = 0; v < 2; v++) {
            const float *bias = constants + v * QR_VEC_LANES, *scale = bias + QR_GEMM_COLUMNS;
            qr__vec_store(y + i * ldy + v * QR_VEC_LANES,
                          scaled(_mm256_cvtepi32_ps(sums[i][v]), qr__vec_load(scale),
                                 qr__vec_load(scale + QR_GEMM_COLUMNS), qr__vec_load(bias), &row));
        }
    }
}

/* y = rows of the operand * one panel, without activation. */
QR_INLINE void tile(const size_t rows, const qr__gemm_shape *shape, const char *operand,
                    const char *panel, prefetch *stream, float *y, size_t ldy) {
    __m256i sums[QR_INT8_ROWS_MAX][2];
    tile_sums(rows, shape, operand, panel, stream, sums);
    const float *constants = (const float *)(const void *)(panel + shape->constants_at);
    scale_sums(rows, shape, operand, constants, sums, y, ldy);
}

typedef void tile_fn(const qr__gemm_shape *shape, const char *operand, const char *panel,
                     prefetch *stream, float *y, size_t ldy);
#define QR_TILE(n)                                                                                 \
    static void tile_##n(const qr__gemm_shape *shape, const char *operand, const char *panel,      \
                         prefetch *stream, float *y, size_t ldy) {                                 \
        tile(n, shape, operand, panel, stream, y, ldy);                                            \
    }
QR_TILE(1)
#if QR_INT8_ROWS_MAX > 1
QR_TILE(2)
QR_TILE(3)
QR_TILE(4)
#endif
#if QR_INT8_ROWS_MAX > 4
QR_TILE(5)
QR_TILE(6)
#endif
static tile_fn *const tiles[QR_INT8_ROWS_MAX + 1] = {
    NULL,   tile_1,
#if QR_INT8_ROWS_MAX > 1
    tile_2, tile_3, tile_4,
#endif
#if QR_INT8_ROWS_MAX > 4
    tile_5, tile_6,
#endif
};

static void activate(qr__epilogue epilogue, float *x, size_t n) {
    switch (epilogue) {
    case QR_EPILOGUE_BIAS:
        break;
    case QR_EPILOGUE_BIAS_GELU:
        qr__gelu_f32__avx2(x, n);
        break;
    case QR_EPILOGUE_BIAS_GELU_NEW:
        qr__gelu_new_f32__avx2(x, n);
        break;
    case QR_EPILOGUE_BIAS_RELU:
        qr__relu_f32__avx2(x, n);
        break;
    }
}

/* One panel, all rows, without activation; a panel that N does not fill goes through a buffer. */
static void multiply_panel(const qr__gemm_task *task, size_t p, size_t blocks) {
    const qr__gemm_shape *shape = task->shape;
    const char *panel = (const char *)task->panels + p * shape->panel_bytes;
    const size_t columns = qr_min(shape->N - p * QR_GEMM_COLUMNS, QR_GEMM_COLUMNS);
    prefetch stream = {panel + shape->panel_bytes, blocks, blocks};
    float part[QR_INT8_ROWS_MAX * QR_GEMM_COLUMNS];
    float *y = qr__gemm_column(task, p * QR_GEMM_COLUMNS);
    for (size_t first = 0, rows; first < task->rows; first += rows, blocks--) {
        rows = rows_of_next(task->rows - first, blocks);
        const char *operand = (const char *)task->operand + first * shape->stride;
        float *to = y + first * task->ldy;
        if (columns == QR_GEMM_COLUMNS) {
            tiles[rows](shape, operand, panel, &stream, to, task->ldy);
            continue;
        }
        tiles[rows](shape, operand, panel, &stream, part, QR_GEMM_COLUMNS);
        for (size_t i = 0; i < rows; i++)
            memcpy(to + i * task->ldy, part + i * QR_GEMM_COLUMNS, columns * sizeof *part);
    }
}

/* Panels of which y is activated together: as many as stay in L1, but few where the panels' way
 * from L3 is what takes the time, and should not stand still meanwhile. */
static size_t panels_together(const qr__gemm_task *task, size_t blocks) {
    if (task->block > 0)
        return 1;
    if (blocks == 1)
        return 2;
    return qr_max(ACTIVATED_BYTES / (task->rows * QR_GEMM_COLUMNS * sizeof(float)), 1);
}

void QR_GEMM_NAME(const qr__gemm_task *task) {
    const size_t blocks = blocks_of(task->rows), together = panels_together(task, blocks);
    for (size_t p = task->begin, next; p < task->end; p = next) {
        next = qr_min(p + together, task->end);
        for (size_t q = p; q < next; q++)
            multiply_panel(task, q, blocks);
        const size_t column = p * QR_GEMM_COLUMNS;
        const size_t columns = qr_min(next * QR_GEMM_COLUMNS, task->shape->N) - column;
        float *y = qr__gemm_column(task, column);
        for (size_t i = 0; i < task->rows && task->epilogue != QR_EPILOGUE_BIAS; i++)
            activate(task->epilogue, y + i * task->ldy, columns);
    }
}
